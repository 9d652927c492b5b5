// Package traffic makes the orchestrator's load: pages and listings of a shop.
package traffic

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/orchestrator/internal/api"
)

type mix struct {
	listings    int // per cent of requests; the others are of one product
	least, most int // products of a listing
	products    int // how many there are in this shop
	currencies  []string
}

var mixes = map[load.Mix]mix{
	// Mostly visitors that look at one thing.
	load.Train: {25, 4, 12, 40_000, api.Currencies[:2]},
	// Visitors of another shop that browse.
	load.Test: {45, 8, 24, 200_000, api.Currencies},
}

// Request makes request k of a mix.
func Request(m load.Mix, r *rand.Rand, _ int) load.Request {
	x := mixes[m]
	// The time is ample: on a busy machine a load must not measure time-outs.
	rest := fmt.Sprintf("&currency=%s&timeout_ms=10000", x.currencies[r.IntN(len(x.currencies))])
	if r.IntN(100) >= x.listings {
		return load.Request{Path: fmt.Sprintf("/product?ids=%d&reviews=%d%s", x.product(r), 3+r.IntN(8), rest), Check: whole}
	}
	path := []byte("/listing?ids=")
	for i := range x.least + r.IntN(x.most-x.least+1) {
		if i > 0 {
			path = append(path, ',')
		}
		path = fmt.Append(path, x.product(r))
	}
	return load.Request{Path: string(path) + rest, Check: whole}
}

// product favours some: a few sell most.
func (x mix) product(r *rand.Rand) int { return 1 + min(r.IntN(x.products), r.IntN(x.products)) }

// whole refuses a partial answer.
func whole(reply []byte) error {
	if !bytes.HasPrefix(reply, []byte(`{"items":[{`)) || bytes.Contains(reply, []byte(`],"partial":[`)) {
		return errors.New("the answer is not whole")
	}
	return nil
}
