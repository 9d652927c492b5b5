package record

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// columns are the header line of the format.
var columns = []string{"time", "service", "host", "method", "path", "status", "micros", "bytes"}

type csvDecoder struct {
	rows *csv.Reader
}

func newCSVDecoder(src []byte) (*csvDecoder, error) {
	rows := csv.NewReader(bytes.NewReader(src))
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil || !slices.Equal(header, columns) {
		return nil, fmt.Errorf("the first line must be %s", strings.Join(columns, ","))
	}
	return &csvDecoder{rows}, nil
}

// Decode implements Decoder.
func (d *csvDecoder) Decode(r *Record) error {
	row, err := d.rows.Read()
	if err != nil {
		return err
	}
	for i, to := range []*int64{0: &r.Time, 5: &r.Status, 6: &r.Micros, 7: &r.Bytes} {
		if to == nil {
			continue
		}
		if *to, err = strconv.ParseInt(row[i], 10, 64); err != nil {
			return fmt.Errorf("%s must be a whole number, not %q", columns[i], row[i])
		}
	}
	r.Service, r.Host, r.Method, r.Path = row[1], row[2], row[3], row[4]
	return nil
}

type csvEncoder struct{}

// Begin implements Encoder.
func (csvEncoder) Begin(dst []byte) []byte {
	dst = append(dst, strings.Join(columns, ",")...)
	return append(dst, '\n')
}

// Append implements Encoder.
func (csvEncoder) Append(dst []byte, r *Record) []byte {
	dst = append(strconv.AppendInt(dst, r.Time, 10), ',')
	for _, text := range [...]string{r.Service, r.Host, r.Method, r.Path} {
		dst = append(appendField(dst, text), ',')
	}
	dst = append(strconv.AppendInt(dst, r.Status, 10), ',')
	dst = append(strconv.AppendInt(dst, r.Micros, 10), ',')
	return append(strconv.AppendInt(dst, r.Bytes, 10), '\n')
}

// appendField quotes as in RFC 4180.
func appendField(dst []byte, text string) []byte {
	if !strings.ContainsAny(text, "\",\r\n") && !strings.HasPrefix(text, " ") {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for i := range len(text) {
		if text[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, text[i])
	}
	return append(dst, '"')
}
