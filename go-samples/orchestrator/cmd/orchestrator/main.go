// Command orchestrator answers a shop's pages from what four backends know.
//
//	orchestrator serve   --addr 127.0.0.1:8080
//	orchestrator backend --addr 127.0.0.1:8081 --kind prices
//
// Exit codes: 0 done, 1 failed, 2 wrong use.
package main

import (
	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/orchestrator/internal/backend"
)

func main() {
	service.Main("orchestrator",
		service.Command{Name: "serve", Summary: "answers GET /product and GET /listing", New: orchestrate},
		service.Command{Name: "backend", Summary: "answers GET /items, as one of four", New: backend.Flags},
	)
}
