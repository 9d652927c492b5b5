// Package page makes one answer of what four backends know about products.
package page

import (
	"cmp"
	"slices"
	"strings"

	"probelab.dev/go-samples/orchestrator/internal/api"
)

// Page is the answer. Partial names the backends that it lacks.
type Page struct {
	Items   []Item   `json:"items"`
	Partial []string `json:"partial,omitempty"`
}

// Item is one product as a shop shows it. What its backend did not tell is null.
type Item struct {
	ID          int               `json:"id"`
	Name        string            `json:"name"`
	Brand       string            `json:"brand"`
	Description string            `json:"description,omitempty"`
	Category    string            `json:"category"`
	Image       string            `json:"image"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Offer       *Offer            `json:"offer"`
	Delivery    *Delivery         `json:"delivery"`
	Rating      *Rating           `json:"rating"`
}

// Offer is a price after the promotion that lowers it most.
type Offer struct {
	Currency  string `json:"currency"`
	ListCents int64  `json:"list_cents"`
	Cents     int64  `json:"cents"`
	Promotion string `json:"promotion,omitempty"`
}

// Delivery is from the warehouse that is quickest, and all units there are.
type Delivery struct {
	Units int    `json:"units"`
	Days  int    `json:"days,omitempty"`
	From  string `json:"from,omitempty"`
}

// Rating is what buyers think, and the reviews that helped most.
type Rating struct {
	Average float64      `json:"average"`
	Count   int          `json:"count"`
	Best    []api.Review `json:"best"`
}

// known is what the backends answered; a map is nil when its backend failed.
type known struct {
	products map[int]api.Product
	prices   map[int]api.Price
	stock    map[int]api.Availability
	reviews  map[int]api.Opinions
}

// item merges what is known about a product.
func (k *known) item(id, reviews int, detailed bool) (Item, bool) {
	p, ok := k.products[id]
	if !ok {
		return Item{}, false
	}
	it := Item{ID: id, Name: p.Name, Brand: p.Brand, Category: strings.Join(p.Category, " > ")}
	if len(p.Images) > 0 {
		it.Image = p.Images[0]
	}
	if detailed {
		it.Description, it.Attributes = p.Description, p.Attributes
	}
	if price, ok := k.prices[id]; ok {
		it.Offer = offer(price)
	}
	if stock, ok := k.stock[id]; ok {
		it.Delivery = delivery(stock)
	}
	if opinions, ok := k.reviews[id]; ok {
		it.Rating = rating(opinions, reviews)
	}
	return it, true
}

func offer(p api.Price) *Offer {
	o := &Offer{Currency: p.Currency, ListCents: p.Cents, Cents: p.Cents}
	for _, promotion := range p.Promotions {
		if lower := p.Cents - p.Cents*promotion.PercentOff/100; p.Cents >= promotion.MinCents && lower < o.Cents {
			o.Cents, o.Promotion = lower, promotion.Code
		}
	}
	return o
}

func delivery(a api.Availability) *Delivery {
	d := &Delivery{}
	for _, w := range a.Warehouses {
		if w.Units == 0 {
			continue
		}
		d.Units += w.Units
		if d.From == "" || w.Days < d.Days {
			d.Days, d.From = w.Days, w.Code
		}
	}
	return d
}

func rating(o api.Opinions, reviews int) *Rating {
	r := &Rating{Count: len(o.Reviews), Best: []api.Review{}}
	if r.Count == 0 {
		return r
	}
	stars := 0
	for _, review := range o.Reviews {
		stars += review.Stars
	}
	r.Average = float64(stars*10/r.Count) / 10
	slices.SortStableFunc(o.Reviews, func(a, b api.Review) int { return cmp.Compare(b.Helpful, a.Helpful) })
	r.Best = append(r.Best, o.Reviews[:min(reviews, r.Count)]...)
	return r
}
