package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/monorepo/internal/jsontext"
)

// field appends "name":"text" and a comma.
func field(b []byte, name, text string) []byte {
	b = append(jsontext.AppendString(b, name), ':')
	return append(jsontext.AppendString(b, text), ',')
}

// list appends "name":[…] and a comma, with what item appends so many times.
func list(b []byte, name string, n int, item func(b []byte) []byte) []byte {
	b = append(jsontext.AppendString(b, name), ':', '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b)
	}
	return append(b, ']', ',')
}

// object appends {…}; what fields appends ends in a comma.
func object(b []byte, fields func(b []byte) []byte) []byte {
	b = fields(append(b, '{'))
	return append(b[:len(b)-1], '}')
}

// templated: a shop's pages in training, invoices and mail first in the test.
func (s *source) templated() load.Request {
	n := s.r.IntN(100)
	name, fields := "digest", s.digest
	switch {
	case n < either(s, 60, 25):
		name, fields = "listing", s.listing
	case n < either(s, 85, 70):
		name, fields = "invoice", s.invoice
	}
	body := object(nil, func(b []byte) []byte {
		b = field(b, "kind", name)
		b = field(b, "user", s.word()+" <"+s.word()+"@"+s.word()+".example>")
		b = fmt.Appendf(b, `"made":%d,`, epoch+s.k*1000)
		return fields(b)
	})
	return load.Request{Path: "/render/" + name, Body: body, Check: page}
}

func page(reply []byte) error {
	if !bytes.HasSuffix(reply, []byte("</html>\n")) {
		return errors.New("the answer is not a whole page")
	}
	return nil
}

func (s *source) invoice(b []byte) []byte {
	b = field(b, "number", fmt.Sprintf("R-%d", s.r.IntN(100_000)))
	b = list(b, "address", 4, func(b []byte) []byte { return jsontext.AppendString(b, s.phrase(1, 3)) })
	return list(b, "lines", s.between(3, either(s, 20, 60)), func(b []byte) []byte {
		return object(b, func(b []byte) []byte {
			b = field(b, "name", s.phrase(1, 4))
			if s.chance(25) {
				b = field(b, "note", `"`+s.phrase(2, 6)+`" & <more>`)
			}
			return fmt.Appendf(b, `"count":%d,"price":%d,`, s.between(1, 12), s.between(99, 300_000))
		})
	})
}

func (s *source) listing(b []byte) []byte {
	b = field(b, "topic", s.phrase(1, 3))
	b = field(b, "from", "/"+s.word()+"?a=1&b="+s.word())
	return list(b, "items", s.between(8, either(s, 40, 25)), func(b []byte) []byte {
		return object(b, func(b []byte) []byte {
			b = field(b, "name", s.phrase(1, 5)+" & "+s.word())
			b = field(b, "text", s.phrase(8, 40))
			b = list(b, "tags", s.between(0, 5), func(b []byte) []byte { return jsontext.AppendString(b, s.word()) })
			return fmt.Appendf(b, `"id":%d,"stars":%d.%d,`, s.r.IntN(10_000), s.between(1, 4), s.r.IntN(10))
		})
	})
}

func (s *source) digest(b []byte) []byte {
	return list(b, "sections", s.between(2, 6), func(b []byte) []byte {
		return object(b, func(b []byte) []byte {
			b = field(b, "head", s.phrase(1, 4))
			b = field(b, "colour", []string{"red", "navy", "#333"}[s.r.IntN(3)])
			return list(b, "posts", s.between(1, 8), func(b []byte) []byte {
				return object(b, func(b []byte) []byte {
					b = field(b, "title", s.phrase(2, 8))
					b = field(b, "text", "<b>"+s.phrase(20, 60)+"</b>")
					return fmt.Appendf(b, `"at":%d,"replies":%d,`, epoch+s.r.IntN(1_000_000_000), s.r.IntN(5))
				})
			})
		})
	})
}

// indexer: batches of documents, and many questions for each.
func (s *source) indexer() load.Request {
	if s.k%either(s, 12, 30) == 0 {
		var b []byte
		for range s.between(either(s, 60, 40), either(s, 160, 90)) {
			b = object(b, func(b []byte) []byte {
				b = field(b, "title", s.phrase(2, 7))
				return field(b, "text", s.phrase(40, either(s, 180, 320)))
			})
			b = append(b, '\n')
		}
		return load.Request{Path: "/index", Body: b, Check: filled}
	}
	q := url.Values{"q": {s.phrase(1, either(s, 4, 7))}, "n": {fmt.Sprint(s.between(5, 30))}}
	if s.chance(either(s, 10, 25)) {
		q.Set("by", "frequency")
	}
	return load.Request{Path: "/search?" + q.Encode(), Check: filled}
}

// secret is a field that the gateway hides, as clients write it.
func (s *source) secret(b []byte) []byte {
	switch s.r.IntN(3) {
	case 0:
		return field(b, "password", s.word()+strings.Repeat("*", 3))
	case 1:
		return append(object(append(b, `"card":`...), func(b []byte) []byte {
			return field(fmt.Appendf(b, `"number":%d,`, s.r.Uint32()), "name", s.phrase(2, 2))
		}), ',')
	}
	return field(b, "phone", fmt.Sprintf("+49 30 %d", s.r.IntN(10_000_000)))
}

// nested appends fields, some of which are objects and lists until the whole
// has about enough bytes.
func (s *source) nested(b []byte, depth, enough int) []byte {
	for range s.between(3, 8) {
		if len(b) > enough {
			depth = 0
		}
		switch n := s.r.IntN(10); {
		case n < 2 && depth > 0:
			b = append(object(append(jsontext.AppendString(b, s.word()), ':'), func(b []byte) []byte { return s.nested(b, depth-1, enough) }), ',')
		case n < 4 && depth > 0:
			b = list(b, s.word(), s.between(0, 6), func(b []byte) []byte {
				return object(b, func(b []byte) []byte { return s.nested(b, depth-1, enough) })
			})
		case n < 6:
			b = fmt.Appendf(jsontext.AppendString(b, s.word()), ":%d.%02d,", s.r.IntN(5000), s.r.IntN(100))
		case n < 7:
			b = append(jsontext.AppendString(b, s.word()), []string{":true,", ":false,", ":null,"}[s.r.IntN(3)]...)
		case n < 8 && s.chance(50):
			b = s.secret(b)
		default:
			b = field(b, s.word(), s.phrase(1, either(s, 6, 12))+either(s, "", "\n\""))
		}
	}
	return b
}
