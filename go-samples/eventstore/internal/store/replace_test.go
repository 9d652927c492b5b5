package store

import (
	"fmt"
	"strings"
	"testing"
)

func keyed(t *testing.T, s *Store) (keys []Key, all string) {
	t.Helper()
	v, err := s.View()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Keyed(func(k Key, data []byte) error {
		if got := string(v.Block(k)); got != string(data) {
			t.Errorf("block %v is %q, and %q by its key", k, data, got)
		}
		keys = append(keys, k)
		all += fmt.Sprintf("%d%s ", k.Shard, data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return keys, strings.TrimSpace(all)
}

func TestReplace(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for _, e := range []Entry{{1, []byte("a")}, {2, []byte("b")}, {1, []byte("c")}, {1, []byte("d")}, {1, []byte("e")}} {
		if err := s.Commit(&Change{Blocks: []Entry{e}}); err != nil {
			t.Fatal(err)
		}
	}
	keys, all := keyed(t, s)
	if all != "1a 1c 1d 1e 2b" {
		t.Fatal(all)
	}
	if err := s.Replace(keys[1:3], []byte("CD")); err != nil {
		t.Fatal(err)
	}
	if _, all := keyed(t, s); all != "1a 1CD 1e 2b" {
		t.Error(all)
	}
	// A block that is gone: nothing of it is done.
	if err := s.Replace([]Key{keys[0], keys[2]}, []byte("x")); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("got %v", err)
	}
	if _, all := keyed(t, s); all != "1a 1CD 1e 2b" {
		t.Error(all)
	}
	if err := s.Replace(nil, nil); err == nil {
		t.Error("no blocks were replaced")
	}
}
