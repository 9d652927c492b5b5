// Command cached keeps values by key, as many as it has room for.
//
//	cached serve --addr 127.0.0.1:8080 --policy lfu
package main

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"sync/atomic"

	"probelab.dev/go-samples/kit/service"
	"probelab.dev/go-samples/monorepo/internal/cache"
	"probelab.dev/go-samples/monorepo/internal/hashing"
)

const (
	maxBody  = 1 << 20
	maxKey   = 256
	maxValue = 4096
	shards   = 16 // each with its own lock
)

type store struct {
	hasher       hashing.Hasher
	shards       [shards]*cache.Cache[[]byte]
	hits, misses atomic.Int64
}

func main() {
	service.Main("cached", service.Command{Name: "serve", Summary: "answers POST /batch", New: flags})
}

func flags(fs *flag.FlagSet) service.Build {
	room := fs.Int("room", 16_384, "how many `values` are kept")
	policy := fs.String("policy", "lfu", "what goes when another comes: `lru` or lfu")
	return func(r *service.Routes) (func() error, error) {
		newPolicy, ok := map[string]func(i int) cache.Policy{
			"lru": func(int) cache.Policy { return cache.NewLRU() },
			"lfu": func(i int) cache.Policy { return cache.NewLFU(uint64(i)) },
		}[*policy]
		if !ok || *room < shards {
			return nil, fmt.Errorf("%w: --policy is %q and --room %d; they must be lru or lfu, and at least %d", service.ErrUsage, *policy, *room, shards)
		}
		s := &store{hasher: hashing.FNV{}}
		for i := range s.shards {
			s.shards[i] = cache.New[[]byte](*room/shards, newPolicy(i))
		}
		gauge := func(name string, value func() float64) { r.Metrics.NewGauge(r.Prefix+"_"+name, value) }
		gauge("hits", func() float64 { return float64(s.hits.Load()) })
		gauge("misses", func() float64 { return float64(s.misses.Load()) })
		gauge("values", func() (n float64) {
			for _, c := range s.shards {
				n += float64(c.Len())
			}
			return n
		})
		r.Handle("POST /batch", s.batch)
		return nil, nil
	}
}

// batch takes lines: get KEY, or set KEY VALUE. It answers a line for each:
// +VALUE, - when there is none, or ! when it was set.
func (s *store) batch(w http.ResponseWriter, r *http.Request) error {
	body, err := service.Body(w, r, maxBody)
	if err != nil {
		return err
	}
	out := make([]byte, 0, len(body))
	line := 0
	for text := range bytes.Lines(body) {
		line++
		if out, err = s.one(out, bytes.TrimSuffix(text, []byte("\n"))); err != nil {
			return service.Errorf(http.StatusBadRequest, "line %d: %v; the lines before it are done", line, err)
		}
	}
	_, _ = w.Write(out) // the client has gone if this fails
	return nil
}

func (s *store) one(out, line []byte) ([]byte, error) {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	key, value, hasValue := bytes.Cut(rest, []byte(" "))
	set := string(verb) == "set"
	switch {
	case !set && string(verb) != "get":
		return out, fmt.Errorf("%q is not get or set", verb)
	case len(key) == 0 || len(key) > maxKey:
		return out, fmt.Errorf("a key has 1 to %d bytes, not %d", maxKey, len(key))
	case set != hasValue || len(value) > maxValue:
		return out, fmt.Errorf("it must be get KEY, or set KEY VALUE of at most %d bytes", maxValue)
	}
	shard := s.shards[s.hasher.Hash(key)%shards]
	if set {
		shard.Put(key, bytes.Clone(value))
		return append(out, "!\n"...), nil
	}
	found, ok := shard.Get(key)
	if !ok {
		s.misses.Add(1)
		return append(out, "-\n"...), nil
	}
	s.hits.Add(1)
	return append(append(append(out, '+'), found...), '\n'), nil
}
