package render

import (
	"net/http/httptest"
	"strings"
	"testing"

	"probelab.dev/go-samples/kit/service"
)

func post(t *testing.T, body string) *httptest.ResponseRecorder {
	t.Helper()
	routes := service.NewRoutes("markdown")
	if _, err := Register(routes); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	routes.ServeHTTP(w, httptest.NewRequest("POST", "/render", strings.NewReader(body)))
	return w
}

func TestRender(t *testing.T) {
	for src, want := range map[string]string{
		"":                          "",
		"# Title":                   "<h1>Title</h1>\n",
		"a *b* **c** `d`":           "<p>a <em>b</em> <strong>c</strong> <code>d</code></p>\n",
		"- a\n  1. b":               "<ul>\n<li>a\n<ol>\n<li>b</li>\n</ol>\n</li>\n</ul>\n",
		"|a|b|\n|-|-|\n|1|2|":       "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>\n",
		"see example.org":           "<p>see <a href=\"http://example.org\">example.org</a></p>\n",
		"\"so\" -- (c)...":          "<p>“so” – ©…</p>\n",
		"<script>alert(1)</script>": "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n",
		"[x]: /u\n\n[x] ![i](/j)":   "<p><a href=\"/u\">x</a> <img src=\"/j\" alt=\"i\" /></p>\n",
		"```go\na < b\n```":         "<pre><code class=\"language-go\">a &lt; b\n</code></pre>\n",
	} {
		w := post(t, src)
		if w.Code != 200 || w.Body.String() != want {
			t.Errorf("%q: %d\n%q, want\n%q", src, w.Code, w.Body, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	if w := post(t, "\xff"); w.Code != 400 || !strings.Contains(w.Body.String(), "not valid UTF-8") {
		t.Errorf("not UTF-8: %d %s", w.Code, w.Body)
	}
	if w := post(t, strings.Repeat("a", MaxDocument+1)); w.Code != 413 {
		t.Errorf("too long: %d %s", w.Code, w.Body)
	}
}
