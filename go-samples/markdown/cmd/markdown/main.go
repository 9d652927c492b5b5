// Command markdown renders Markdown as HTML: the service of Go's own tutorial
// on profile-guided optimisation.
//
//	markdown serve --addr 127.0.0.1:8080
//
// Exit codes: 0 done, 1 failed, 2 wrong use.
package main

import (
	"flag"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/markdown/internal/render"
)

func main() {
	service.Main("markdown", service.Command{
		Name: "serve", Summary: "answers POST /render",
		New: func(*flag.FlagSet) service.Build { return render.Register },
	})
}
