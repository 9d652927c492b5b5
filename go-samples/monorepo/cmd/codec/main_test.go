package main

import (
	"testing"

	"probelab.dev/go-samples/monorepo/internal/record"
	"probelab.dev/go-samples/monorepo/internal/routetest"
)

// Through every format and back: nothing may be lost.
func TestConvert(t *testing.T) {
	s := routetest.New(t, register)
	const first = `{"time":7,"service":"a\"b","host":"h","method":"GET","path":"/p,q","status":404,"micros":3,"bytes":9}
{"time":8,"service":"ü","host":"","method":"","path":"","status":200,"micros":0,"bytes":0}
`
	for _, via := range record.Formats {
		there := s.Want("/convert?from=json&to="+via, first, 200, "")
		if back := s.Want("/convert?to=json&from="+via, there, 200, ""); back != first {
			t.Errorf("through %s: %s", via, back)
		}
	}
	s.Want("/metrics", "", 200, "x_records_total 12")
}

func TestMistakes(t *testing.T) {
	s := routetest.New(t, register)
	s.Want("/convert?from=json&to=xml", "{}", 400, `to: there is no format`)
	s.Want("/convert?from=yaml&to=csv", "{}", 400, `from: there is no format`)
	s.Want("/convert?from=csv&to=json", "a,b", 400, "from: the first line must be")
	s.Want("/convert?from=json&to=csv", "{}", 400, "record 1: it has no service")
}
