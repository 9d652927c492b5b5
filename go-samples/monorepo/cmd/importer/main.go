// Command importer looks at CSV files before they are let in: which types the
// columns have, what is empty, how values are spread.
//
//	importer serve --addr 127.0.0.1:8080
package main

import (
	"flag"
	"net/http"

	"github.com/VictoriaMetrics/metrics"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/hashing"
	"probelab.dev/go-samples/monorepo/internal/table"
)

const maxBody = 8 << 20

type importer struct{ rows *metrics.Counter }

func main() {
	service.Main("importer", service.Command{Name: "serve", Summary: "answers POST /import",
		New: func(*flag.FlagSet) service.Build { return register }})
}

func register(r *service.Routes) (func() error, error) {
	x := &importer{r.Counter("rows_total")}
	r.Handle("POST /import", x.look)
	return nil, nil
}

func (x *importer) look(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	// Values are short.
	report, err := table.Read(body, hashing.FNV{})
	if err != nil {
		return service.Errorf(http.StatusBadRequest, "the file can't be read: %v", err)
	}
	x.rows.Add(report.Rows)
	return service.JSON(w, report)
}
