// Package table looks at the columns of a CSV file: what they hold, and how it
// is spread.
package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"probelab.dev/go-samples/monorepo/internal/hashing"
	"probelab.dev/go-samples/monorepo/internal/quantile"
	"probelab.dev/go-samples/monorepo/internal/words"
)

// Limits on one file.
const (
	MaxColumns  = 64
	maxDistinct = 10_000 // different values of a column that are told apart
)

// Parser reads values of one type.
type Parser interface {
	Type() string
	// Parse reads a value as a number to be spread over; false when it is not
	// of the type.
	Parse(text string) (float64, bool)
}

type integer struct{}

func (integer) Type() string { return "integer" }
func (integer) Parse(text string) (float64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return float64(n), err == nil
}

type decimal struct{}

func (decimal) Type() string { return "decimal" }
func (decimal) Parse(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

type instant struct{}

func (instant) Type() string { return "time" }
func (instant) Parse(text string) (float64, bool) {
	t, err := time.Parse(time.RFC3339, text)
	return float64(t.Unix()), err == nil
}

type boolean struct{}

func (boolean) Type() string { return "boolean" }
func (boolean) Parse(text string) (float64, bool) {
	switch text {
	case "true", "yes":
		return 1, true
	case "false", "no":
		return 0, true
	}
	return 0, false
}

type anything struct{}

func (anything) Type() string                      { return "text" }
func (anything) Parse(text string) (float64, bool) { return float64(len(text)), true }

// parsers, the narrowest first: a column is of the first type that all its values have.
var parsers = []Parser{boolean{}, integer{}, decimal{}, instant{}, anything{}}

// Column is what was seen of one column. Spread is of values, of lengths for text.
type Column struct {
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Empty    int     `json:"empty"`
	Distinct int     `json:"distinct"`
	Many     bool    `json:"many_more,omitempty"` // distinct stopped counting
	Least    float64 `json:"least"`
	Most     float64 `json:"most"`
	Mean     float64 `json:"mean"`
	Median   uint64  `json:"median_of_size"`

	parser int
	values []string
	seen   map[uint64]struct{}
}

// Report is what was seen of a file.
type Report struct {
	Rows    int       `json:"rows"`
	Columns []*Column `json:"columns"`
}

// Read looks at a file whose first line names its columns.
func Read(src []byte, hasher hashing.Hasher) (*Report, error) {
	rows := csv.NewReader(bytes.NewReader(src))
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty; its first line must name the columns")
	} else if err != nil {
		return nil, err
	}
	if len(header) > MaxColumns {
		return nil, fmt.Errorf("it has %d columns; at most %d are read", len(header), MaxColumns)
	}
	rep := &Report{}
	var s words.Splitter
	for _, name := range header {
		rep.Columns = append(rep.Columns, &Column{Name: string(s.AppendSlug(nil, []byte(name))), seen: map[uint64]struct{}{}})
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		rep.Rows++
		for i, text := range row {
			rep.Columns[i].add(text, hasher)
		}
	}
	for _, c := range rep.Columns {
		c.finish()
	}
	return rep, nil
}

// add notes a value and widens the column's type until it fits.
func (c *Column) add(text string, hasher hashing.Hasher) {
	if text == "" {
		c.Empty++
		return
	}
	for ; ; c.parser++ {
		if _, ok := parsers[c.parser].Parse(text); ok {
			break
		}
	}
	c.values = append(c.values, text)
	if len(c.seen) < maxDistinct {
		c.seen[hasher.Hash([]byte(text))] = struct{}{}
	} else {
		c.Many = true
	}
}

// finish reads the values once more, now that their type is known: it may have
// been widened past that of values that fitted before.
func (c *Column) finish() {
	p := parsers[c.parser]
	c.Type, c.Distinct = p.Type(), len(c.seen)
	var sketch quantile.Sketch
	sum, n := 0.0, 0
	c.Least, c.Most = math.Inf(1), math.Inf(-1)
	for _, text := range c.values {
		v, ok := p.Parse(text)
		if !ok {
			// Narrower types are not subsets of the wider ones: true is no time.
			c.parser++
			c.finish()
			return
		}
		sum, n = sum+v, n+1
		c.Least, c.Most = min(c.Least, v), max(c.Most, v)
		sketch.Add(uint64(math.Abs(v)))
	}
	c.values, c.seen = nil, nil
	if n == 0 {
		c.Least, c.Most, c.Type = 0, 0, "empty"
		return
	}
	c.Mean, c.Median = sum/float64(n), sketch.Quantile(0.5)
}
