// Package hashing spreads keys over shards and servers.
package hashing

import (
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Hasher maps a key to 64 bits.
type Hasher interface{ Hash(key []byte) uint64 }

// XX is xxHash64: for long keys.
type XX struct{}

// Hash implements Hasher.
func (XX) Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// FNV is FNV-1a with a last mixing (its high bits hardly depend on the last
// bytes of short keys).
type FNV struct{}

// Hash implements Hasher.
func (FNV) Hash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// Ring is consistent hashing: when a server comes or goes, only its share of
// the keys moves.
type Ring struct {
	hasher Hasher
	points []point
}

type point struct {
	at     uint64
	server int
}

// NewRing places servers 0 to n-1 on a ring, each at so many points.
func NewRing(h Hasher, n, points int) *Ring {
	r := &Ring{hasher: h}
	for server := range n {
		for i := range points {
			key := strconv.AppendInt(strconv.AppendInt(nil, int64(server), 10), int64(-1-i), 10)
			r.points = append(r.points, point{h.Hash(key), server})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return a.server - b.server
	})
	return r
}

// Server returns the server of a key.
func (r *Ring) Server(key []byte) int {
	at := r.hasher.Hash(key)
	low, high := 0, len(r.points)
	for low < high {
		if mid := (low + high) / 2; r.points[mid].at < at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return r.points[low%len(r.points)].server
}
