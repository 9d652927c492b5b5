package backend

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"probelab.dev/go-samples/orchestrator/internal/api"
)

// Everything is made from a product's id, so that all backends, and all runs,
// agree without a database. salt keeps the backends' random numbers apart.
func source(id int, salt uint64) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(id)*0x9e3779b97f4a7c15, salt))
}

var (
	adjectives = []string{"quiet", "folding", "light", "warm", "sturdy", "small", "bright", "plain"}
	things     = []string{"lamp", "chair", "kettle", "blanket", "radio", "bicycle", "shelf", "notebook"}
	materials  = []string{"oak", "wool", "steel", "linen", "glass", "cork"}
	colours    = []string{"grey", "blau", "röd", "green", "black"}
	feelings   = []string{"does what it should", "arrived late but works", "smaller than I thought", "would buy it again", "the box was \"slightly\" open"}
)

func one(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

func product(id int, _ string) api.Product {
	r := source(id, 1)
	thing, material := one(r, things), one(r, materials)
	p := api.Product{
		ID: id, Brand: strings.ToUpper(one(r, adjectives)[:3]),
		Name:       fmt.Sprintf("%s %s of %s", one(r, adjectives), thing, material),
		Category:   []string{"home", thing + "s", material},
		Attributes: map[string]string{"material": material},
	}
	var text []string
	for range 3 + r.IntN(8) {
		text = append(text, fmt.Sprintf("A %s %s in %s, made of %s.", one(r, adjectives), thing, one(r, colours), one(r, materials)))
	}
	p.Description = strings.Join(text, " ")
	for i := range 1 + r.IntN(5) {
		p.Images = append(p.Images, fmt.Sprintf("/images/%d/%d.webp", id, i))
		p.Attributes[fmt.Sprintf("size-%d", i)] = fmt.Sprintf("%d × %d cm", 10+r.IntN(90), 10+r.IntN(90))
	}
	return p
}

func price(id int, currency string) api.Price {
	r := source(id, 2)
	p := api.Price{ID: id, Currency: currency, Cents: int64(500 + r.IntN(50_000)), Promotions: []api.Promotion{}}
	if currency == "SEK" {
		p.Cents *= 11
	}
	for range r.IntN(4) {
		p.Promotions = append(p.Promotions, api.Promotion{
			Code: fmt.Sprintf("P%03d", r.IntN(1000)), PercentOff: int64(5 * (1 + r.IntN(6))), MinCents: int64(r.IntN(60_000))})
	}
	return p
}

func availability(id int, _ string) api.Availability {
	r := source(id, 3)
	a := api.Availability{ID: id, Warehouses: []api.Warehouse{}}
	for i := range r.IntN(8) {
		a.Warehouses = append(a.Warehouses, api.Warehouse{
			Code: fmt.Sprintf("%s-%d", []string{"LEJ", "MMX", "BHX", "LIL"}[r.IntN(4)], i), Units: r.IntN(40), Days: 1 + r.IntN(9)})
	}
	return a
}

func opinions(id int, _ string) api.Opinions {
	r := source(id, 4)
	o := api.Opinions{ID: id, Reviews: []api.Review{}}
	for range r.IntN(12) {
		o.Reviews = append(o.Reviews, api.Review{
			Author: one(r, adjectives) + " " + one(r, things), Stars: 5 - min(r.IntN(5), r.IntN(5)),
			Text: one(r, feelings) + "; " + one(r, feelings) + ".", Helpful: r.IntN(200)})
	}
	return o
}
