package corpus

import "strconv"

// sentences appends so many, with the marks that running text has.
func (w *writer) sentences(least, most int) {
	for i := range w.between(least, most) {
		if i > 0 {
			w.put([]string{" ", " ", " ", "\n", "\\\n"}[w.r.IntN(5)])
		}
		w.put("The ")
		for range w.between(5, 22) {
			w.span()
			if w.chance(9) {
				w.put(",")
			}
			w.put(" ")
		}
		w.put(w.word(), []string{".", ".", ".", "?", "...", "!"}[w.r.IntN(6)])
	}
}

// span appends a word or something marked.
func (w *writer) span() {
	switch n := w.r.IntN(200); {
	case n < 160:
		w.put(w.word())
	case n < 166:
		w.put("*")
		w.phrase(1, 3)
		w.put("*")
	case n < 171:
		w.put("**")
		w.phrase(1, 3)
		w.put("**")
	case n < 179:
		w.put("`", w.name(), "`")
	case n < 185:
		w.link()
	case n < 189:
		w.put("\"")
		w.phrase(2, 5)
		w.put("\"")
	case n < 192:
		w.put(w.word(), " -- ", w.word())
	case n < 194:
		w.put("(c) ", w.word(), "'s ", strconv.Itoa(w.between(1990, 2030)))
	case n < 196:
		w.put("&", []string{"amp", "lt", "hellip", "copy", "nosuch"}[w.r.IntN(5)], "; ")
	case n < 198:
		w.put("\\*", w.word(), "\\_")
	default:
		w.put("~~", w.word(), "~~ *", w.word(), " **", w.word(), "***")
	}
}

func (w *writer) url() string {
	return "https://" + w.word() + ".example/" + w.word() + "/" + w.word() + "?q=" + strconv.Itoa(w.r.IntN(1000))
}

func (w *writer) link() {
	switch w.r.IntN(5) {
	case 0:
		w.put("<", w.url(), ">")
	case 1:
		w.put(w.url()) // found without marks
	case 2:
		w.put("[", w.word(), " ", w.word(), "][", w.label(), "]")
	case 3:
		w.put(w.word(), "@", w.word(), ".example")
	default:
		w.put("[")
		w.phrase(1, 4)
		w.put("](", w.url(), " \"", w.word(), "\")")
	}
}

// label is one of the labels that definitions defines; now and then one is missing.
func (w *writer) label() string { return "ref " + strconv.Itoa(w.r.IntN(9)) }

func (w *writer) definitions() {
	for i := range 8 {
		w.put("[ref ", strconv.Itoa(i), "]: ", w.url(), " '", w.word(), "'\n")
	}
}
