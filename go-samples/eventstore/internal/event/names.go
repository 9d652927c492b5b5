package event

// names keeps strings that come again and again once. (JSON has a table of its
// own.)
type names map[string]string

func (n names) keep(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(n) < internMax {
		n[s] = s
	}
	return s
}
