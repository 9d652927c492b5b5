// Package api is what the orchestrator and its backends say to one another.
package api

// Backends in the order in which they are asked.
const (
	Catalogue = "catalogue"
	Prices    = "prices"
	Stock     = "stock"
	Reviews   = "reviews"
)

// Names are all backends. GET /items?ids=1,2&currency=EUR of each answers with
// an array of its type below; ids that it doesn't know are left out.
var Names = []string{Catalogue, Prices, Stock, Reviews}

// LastID is the highest id of a product.
const LastID = 500_000

// Currencies that prices come in.
var Currencies = []string{"EUR", "USD", "GBP", "SEK"}

// Product is what the catalogue knows.
type Product struct {
	ID          int               `json:"id"`
	Name        string            `json:"name"`
	Brand       string            `json:"brand"`
	Description string            `json:"description"`
	Category    []string          `json:"category"`
	Images      []string          `json:"images"`
	Attributes  map[string]string `json:"attributes"`
}

// ProductID implements Identified.
func (p Product) ProductID() int { return p.ID }

// Price is in the smallest unit of its currency.
type Price struct {
	ID         int         `json:"id"`
	Currency   string      `json:"currency"`
	Cents      int64       `json:"cents"`
	Promotions []Promotion `json:"promotions"`
}

// ProductID implements Identified.
func (p Price) ProductID() int { return p.ID }

// Promotion takes PercentOff from a price of MinCents or more.
type Promotion struct {
	Code       string `json:"code"`
	PercentOff int64  `json:"percent_off"`
	MinCents   int64  `json:"min_cents"`
}

// Availability is where a product lies.
type Availability struct {
	ID         int         `json:"id"`
	Warehouses []Warehouse `json:"warehouses"`
}

// ProductID implements Identified.
func (a Availability) ProductID() int { return a.ID }

// Warehouse holds Units and needs Days to deliver.
type Warehouse struct {
	Code  string `json:"code"`
	Units int    `json:"units"`
	Days  int    `json:"days"`
}

// Opinions are a product's reviews.
type Opinions struct {
	ID      int      `json:"id"`
	Reviews []Review `json:"reviews"`
}

// ProductID implements Identified.
func (o Opinions) ProductID() int { return o.ID }

// Review is one buyer's.
type Review struct {
	Author  string `json:"author"`
	Stars   int    `json:"stars"`
	Text    string `json:"text"`
	Helpful int    `json:"helpful"`
}

// Identified is what every backend's answers have in common.
type Identified interface{ ProductID() int }
