package main

import (
	"testing"

	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func TestRender(t *testing.T) {
	s := routetest.New(t, register)
	invoice := `{"kind":"invoice","user":"</script>","made":1767225600000,"number":"R-1","address":["a<b"],
		"lines":[{"name":"x","count":3,"price":123456,"note":"\"q\""},{"name":"y","count":1,"price":5}]}`
	for _, want := range []string{
		"<title>Invoice R-1</title>", "of 1 January 2026", "a&lt;b<br>", "3,703.68", "Total <b>3,703.73</b>",
		`title="&#34;q&#34;"`, `{"user": "\u003c/script\u003e"`, "who=%3c%2fscript%3e",
	} {
		s.Want("/render/invoice", invoice, 200, want)
	}
	s.Want("/render/listing", `{"topic":"T","from":"/a?b","items":[{"name":"Größe & X","id":7,"stars":4.5,"tags":["n"],"text":"t"}]}`,
		200, `href="/item/gr%c3%b6%c3%9fe-x?from=%2fa%3fb"`)
	s.Want("/render/digest", `{"user":"u","made":0,"sections":[{"head":"A b","colour":"red","posts":[{"title":"t","at":0,"text":"<i>","replies":2}]}]}`,
		200, "<blockquote>&lt;i&gt;</blockquote><p>2 replies</p>")
}

func TestMistakes(t *testing.T) {
	s := routetest.New(t, register)
	s.Want("/render/nothing", "{}", 404, "there is no template")
	s.Want("/render/invoice", "{", 400, "the body is not JSON")
	s.Want("/render/invoice", `{"lines":3}`, 422, "the template does not fit the data")
}
