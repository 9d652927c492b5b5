package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"probelab.dev/go-samples/kit/load"
)

// codec: what others write becomes what we keep, and back.
func (s *source) codec() load.Request {
	// from, to and their shares, for training and for the test.
	pairs := []struct {
		from, to    string
		train, test int
	}{
		{"json", "proto", 50, 30}, {"csv", "proto", 20, 25}, {"proto", "json", 20, 30}, {"json", "csv", 10, 15},
	}
	n := s.r.IntN(100)
	for _, p := range pairs {
		if n -= either(s, p.train, p.test); n < 0 {
			return load.Request{
				Path: "/convert?from=" + p.from + "&to=" + p.to,
				Body: s.log(p.from, s.between(either(s, 100, 200), either(s, 600, 900))), Check: filled,
			}
		}
	}
	panic("the shares do not sum to 100")
}

func filled(reply []byte) error {
	if len(reply) == 0 {
		return errors.New("the answer is empty")
	}
	return nil
}

// compactor: the logs of a few hosts, which overlap; some records twice.
func (s *source) compactor() load.Request {
	var logs [][]byte
	for range s.between(either(s, 2, 4), either(s, 6, 10)) {
		log := bytes.TrimSpace(s.log("json", s.between(40, either(s, 160, 240))))
		if len(logs) > 0 && s.chance(20) {
			log = slices.Clone(logs[0]) // it was sent again
		}
		logs = append(logs, log)
	}
	return load.Request{Path: "/compact", Body: bytes.Join(logs, []byte("\n\n")), Check: zstandard}
}

func zstandard(reply []byte) error {
	if !bytes.HasPrefix(reply, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return errors.New("the answer is not zstd")
	}
	return nil
}

// metricsd: mostly writing, now and then a question.
func (s *source) metricsd() load.Request {
	if s.chance(either(s, 3, 8)) {
		path := "/quantiles?by=" + []string{"service", "host", "path", "status"}[s.r.IntN(4)]
		if s.chance(50) {
			path += "&service=" + s.words[s.r.IntN(8)]
		}
		return load.Request{Path: path}
	}
	return load.Request{Path: "/write", Body: s.log("proto", s.between(either(s, 200, 400), either(s, 1000, 1400)))}
}

// importer: orders, as a shop writes them; the test's are measurements.
func (s *source) importer() load.Request {
	var b bytes.Buffer
	if s.test {
		b.WriteString("At,Sensor,Value,Valid,Error Text,Battery,Room Name\n")
	} else {
		b.WriteString("Order ID,Customer,Placed At,Item Name,Count,Unit Price,Paid?,Note\n")
	}
	for i := range s.between(either(s, 100, 200), either(s, 800, 1000)) {
		seconds := s.k*1000 + i
		at := fmt.Sprintf("2026-0%d-%02dT%02d:%02d:%02dZ", 1+s.r.IntN(9), 1+s.r.IntN(28), seconds/3600%24, seconds/60%60, seconds%60)
		if s.test {
			text := ""
			if s.chance(12) {
				text = `"` + s.word() + `, ""` + s.word() + `"""`
			}
			fmt.Fprintf(&b, "%s,%s-%d,%.3f,%t,%s,%d,%s\n", at, s.word(), s.r.IntN(40), s.r.NormFloat64()*20, s.chance(95), text, s.r.IntN(101), s.phrase(1, 2))
			continue
		}
		note := ""
		if s.chance(30) {
			note = `"` + s.phrase(3, 12) + `, ` + s.word() + `"`
		}
		fmt.Fprintf(&b, "%d,%s,%s,%s,%d,%d.%02d,%s,%s\n", s.k*1000+i, s.word(), at, s.phrase(1, 3), s.between(1, 9), s.r.IntN(400), s.r.IntN(100), []string{"yes", "no"}[s.r.IntN(2)], note)
	}
	return load.Request{Path: "/import", Body: b.Bytes(), Check: filled}
}
