// Command templated makes HTML of JSON by templates.
//
//	templated serve --addr 127.0.0.1:8080
package main

import (
	"bytes"
	"embed"
	"flag"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/jsontext"
	"probelab.dev/go-samples/monorepo/internal/words"
)

const maxBody = 1 << 20

//go:embed templates
var files embed.FS

type renderer struct{ pages map[string]*template.Template }

func main() {
	service.Main("templated", service.Command{Name: "serve", Summary: "answers POST /render/NAME",
		New: func(*flag.FlagSet) service.Build { return register }})
}

func register(r *service.Routes) (func() error, error) {
	t := &renderer{map[string]*template.Template{}}
	for _, name := range []string{"invoice", "listing", "digest"} {
		page, err := template.New("page.html").Funcs(functions).ParseFS(files, "templates/page.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		t.pages[name] = page
	}
	r.Handle("POST /render/{name}", t.render)
	return nil, nil
}

var functions = template.FuncMap{
	"slug": func(text string) string { return string((&words.Splitter{}).AppendSlug(nil, []byte(text))) },
	"cents": func(n float64) string {
		whole := strconv.FormatInt(int64(n)/100, 10)
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + "," + whole[i:]
		}
		return fmt.Sprintf("%s.%02d", whole, int64(n)%100)
	},
	"day":   func(ms float64) string { return time.UnixMilli(int64(ms)).UTC().Format("2 January 2006") },
	"times": func(a, b float64) float64 { return a * b },
	"total": func(lines []any) (sum float64) {
		for _, line := range lines {
			if fields, ok := line.(map[string]any); ok {
				price, _ := fields["price"].(float64) // a line without them adds nothing
				count, _ := fields["count"].(float64)
				sum += price * count
			}
		}
		return sum
	},
}

func (t *renderer) render(w http.ResponseWriter, r *http.Request) error {
	page := t.pages[r.PathValue("name")]
	if page == nil {
		return service.Errorf(http.StatusNotFound, "there is no template %q", r.PathValue("name"))
	}
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	var tree jsontext.Tree
	var walker jsontext.Walker
	if err := walker.WalkAll(body, &tree); err != nil {
		return service.Errorf(http.StatusBadRequest, "the body is not JSON: %v", err)
	}
	// Whole before the first byte is sent: a failure can still be answered as one.
	var out bytes.Buffer
	if err := page.Execute(&out, tree.Root); err != nil {
		return service.Errorf(http.StatusUnprocessableEntity, "the template does not fit the data: %v", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the client has gone if this fails
	return nil
}
