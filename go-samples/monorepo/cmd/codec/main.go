// Command codec turns logs from one format into another.
//
//	codec serve --addr 127.0.0.1:8080
package main

import (
	"flag"
	"net/http"

	"github.com/VictoriaMetrics/metrics"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/record"
)

const maxBody = 8 << 20

type codec struct{ records *metrics.Counter }

func main() {
	service.Main("codec", service.Command{Name: "serve", Summary: "answers POST /convert",
		New: func(*flag.FlagSet) service.Build { return register }})
}

func register(r *service.Routes) (func() error, error) {
	c := &codec{r.Counter("records_total")}
	r.Handle("POST /convert", c.convert)
	return nil, nil
}

var contentTypes = map[string]string{
	"json": "application/jsonl", "csv": "text/csv; charset=utf-8", "proto": "application/x-protobuf",
}

// convert takes from=json|csv|proto and to= the same.
func (c *codec) convert(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	enc, err := record.NewEncoder(q.Get("to"))
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "to: %v", err)
	}
	dec, err := record.NewDecoder(q.Get("from"), body)
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "from: %v", err)
	}
	out, n := enc.Begin(make([]byte, 0, len(body))), 0
	err = record.Each(dec, func(r *record.Record) error {
		out = enc.Append(out, r)
		n++
		return nil
	})
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "%v", err)
	}
	c.records.Add(n)
	w.Header().Set("Content-Type", contentTypes[q.Get("to")])
	_, _ = w.Write(out) // the client has gone if this fails
	return nil
}
