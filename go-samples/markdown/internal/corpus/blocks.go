package corpus

import (
	"strconv"
	"strings"
)

func (w *writer) heading(level int) {
	w.put("\n", strings.Repeat("#", level), " ")
	w.phrase(1, 6)
	w.put("\n\n")
}

func (w *writer) paragraph() {
	w.sentences(2, 6)
	w.put("\n\n")
}

// code appends a fenced block that looks like a program.
func (w *writer) code() {
	w.put("```", []string{"go", "sh", "json", ""}[w.r.IntN(4)], "\n")
	depth := 0
	for range w.between(4, 18) {
		w.put(strings.Repeat("\t", depth))
		switch w.r.IntN(4) {
		case 0:
			w.put("if ", w.name(), " < ", strconv.Itoa(w.r.IntN(99)), " && ", w.word(), " {\n")
			depth++
		case 1:
			if depth > 0 {
				depth--
				w.put("}\n")
			}
		default:
			w.put(w.word(), " := ", w.name(), " // ")
			w.phrase(2, 6)
			w.put("\n")
		}
	}
	w.put("```\n\n")
}

// list appends nested lists down to so many levels.
func (w *writer) list(indent string, levels int) {
	ordered := w.chance(30)
	for i := range w.between(2, 6) {
		mark := "- "
		if ordered {
			mark = strconv.Itoa(i+1) + ". "
		}
		w.put(indent, mark)
		for range w.between(3, 14) {
			w.span()
			w.put(" ")
		}
		w.put("\n")
		if levels > 1 && w.chance(35) {
			w.list(indent+strings.Repeat(" ", len(mark)), levels-1)
		}
	}
	if indent == "" {
		w.put("\n")
	}
}

func (w *writer) table() {
	columns := w.between(2, 6)
	row := func(cell func()) {
		for range columns {
			w.put("| ")
			cell()
			w.put(" ")
		}
		w.put("|\n")
	}
	row(func() { w.phrase(1, 2) })
	row(func() { w.put([]string{"---", ":--", "--:", ":-:"}[w.r.IntN(4)]) })
	for range w.between(3, 12) {
		row(func() {
			w.span()
			if w.chance(40) {
				w.put(" ")
				w.phrase(1, 5)
			}
		})
	}
	w.put("\n")
}

// quote appends a quotation inside quotations.
func (w *writer) quote(depth int) {
	start := len(w.b)
	w.sentences(1, 4)
	text := string(w.b[start:])
	w.b = w.b[:start]
	mark := strings.Repeat("> ", depth)
	for line := range strings.SplitSeq(text, "\n") {
		w.put(mark, line, "\n")
	}
	w.put("\n")
}
