package corpus

import "strconv"

// readme: a project's first page.
func (w *writer) readme(size int) {
	w.put("# ", w.word(), "\n\n")
	for range w.between(1, 5) {
		w.put("[![", w.word(), "](", w.url(), ")](", w.url(), ")\n")
	}
	w.put("\n")
	w.paragraph()
	for len(w.b) < size {
		w.heading(2)
		w.paragraph()
		w.code()
		w.list("", 2)
		if w.chance(50) {
			w.table()
		}
	}
	w.definitions()
}

// changelog: versions, newest first.
func (w *writer) changelog(size int) {
	w.put("# ", w.word(), "\n\n")
	for version := 90; len(w.b) < size; version-- {
		w.put("## [1.", strconv.Itoa(version), ".0](", w.url(), ") (2026-0", strconv.Itoa(w.between(1, 9)), "-1", strconv.Itoa(w.r.IntN(10)), ")\n\n")
		for range w.between(1, 3) {
			w.heading(3)
			w.list("", 2)
		}
	}
}

// reference: what there is of an interface, in tables and examples.
func (w *writer) reference(size int) {
	w.put("# ", w.word(), "\n\n")
	for len(w.b) < size {
		w.put("## `", w.name(), "`\n\n")
		w.sentences(1, 3)
		w.put("\n\n")
		w.table()
		w.code()
	}
}

// article: long paragraphs, few marks.
func (w *writer) article(size int) {
	w.phrase(3, 8)
	w.put("\n=====\n\n")
	for len(w.b) < size {
		w.heading(2)
		for range w.between(2, 6) {
			w.paragraph()
		}
		if w.chance(40) {
			w.quote(1)
		}
		if w.chance(30) {
			w.put("![", w.word(), "](/", w.word(), ".png)\n\n* * *\n\n")
		}
	}
	w.definitions()
}

// thread: comments that quote one another.
func (w *writer) thread(size int) {
	for len(w.b) < size {
		w.put("**", w.word(), "** wrote at ", strconv.Itoa(w.between(1, 23)), ":", strconv.Itoa(w.between(10, 59)), ":\n\n")
		if w.chance(60) {
			w.quote(w.between(1, 4))
		}
		w.paragraph()
		if w.chance(15) {
			w.code()
		}
		w.put("---\n\n")
	}
}

// notes: deep lists and short headings.
func (w *writer) notes(size int) {
	w.phrase(1, 3)
	w.put("\n---\n\n")
	for len(w.b) < size {
		w.heading(w.between(2, 5))
		w.list("", 4)
		if w.chance(20) {
			w.put("    ", w.name(), "\n    <", w.word(), ">\n\n")
		}
	}
}
