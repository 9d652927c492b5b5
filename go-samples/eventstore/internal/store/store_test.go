package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func mustOpen(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a test may have closed it
	return s
}

func pendingOf(t *testing.T, s *Store) (all []string) {
	t.Helper()
	if err := s.Pending(func(e Entry) error {
		all = append(all, string(rune('0'+e.Shard))+string(e.Data))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSealingRemovesOnlyThatShardsPending(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for _, c := range []Change{
		{Pending: []Entry{{1, []byte("a")}, {2, []byte("b")}}},
		{Pending: []Entry{{1, []byte("c")}, {3, []byte("d")}}},
		{Sealed: []int{1}, Blocks: []Entry{{1, []byte("block")}}},
	} {
		if err := s.Commit(&c); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(pendingOf(t, s), " "); got != "2b 3d" {
		t.Errorf("pending is %q, want 2b 3d", got)
	}
}

func TestBlocksOfOneShardInOrder(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	for _, e := range []Entry{{2, []byte("x")}, {1, []byte("a")}, {1, []byte("b")}, {256, []byte("y")}} {
		if err := s.Commit(&Change{Blocks: []Entry{e}}); err != nil {
			t.Fatal(err)
		}
	}
	for shard, want := range map[int]string{1: "ab", 2: "x", 7: "", -1: "abxy"} {
		v, err := s.View()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := v.Blocks(shard, func(b []byte) error { got += string(b); return nil }); err != nil {
			t.Fatal(err)
		}
		v.Close()
		if got != want {
			t.Errorf("shard %d: %q, want %q", shard, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"in use": {func(t *testing.T, dir string) { mustOpen(t, dir) }, "is in use by another process"},
		"not a database": {func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, File), []byte(strings.Repeat("no", 8192)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is not an event store"},
		"a newer format": {func(t *testing.T, dir string) {
			s := mustOpen(t, dir)
			tx, err := s.db.Begin(true)
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.Bucket(metaBucket).Put(versionKey, []byte("2")); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, `format version "2"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tc.prepare(t, dir)
			if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
