package main

import (
	"testing"

	"probelab.dev/go-samples/monorepo/internal/routetest"
)

func TestImport(t *testing.T) {
	s := routetest.New(t, register)
	s.Want("/import", "Order ID,Note\n1,a\n2,\n", 200,
		`{"rows":2,"columns":[{"name":"order-id","type":"integer","empty":0,"distinct":2,"least":1,"most":2,"mean":1.5,`)
	s.Want("/import", "a,b\n1\n", 400, "the file can't be read: record on line 2: wrong number of fields")
	s.Want("/metrics", "", 200, "x_rows_total 2")
}
