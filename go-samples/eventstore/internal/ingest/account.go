// Package ingest takes decoded events to disk: it picks a shard for each,
// keeps the open events of a shard until they fill a block, and acknowledges
// what is committed.
//
// # Functions that a tracer can attach to
//
// Three functions of this package are stable places for a uprobe. Their
// symbols in the binary are the import path and the name; the linker escapes
// dots only after the path's last slash, and there is none there:
//
//	probelab.dev/go-samples/eventstore/internal/ingest.RecordSize
//	probelab.dev/go-samples/eventstore/internal/ingest.RouteTenant
//	probelab.dev/go-samples/eventstore/internal/ingest.SealBlock
//
// Each keeps its symbol in every build (//go:noinline) and is a leaf with a
// small frame, so the compiler leaves out the stack check. A function with
// that check starts again from its first instruction when the stack has
// grown, and a probe there fires twice for one call.
//
// In Go's register ABI (cmd/compile/abi-internal.md) the words of the
// arguments, on amd64, are:
//
//	RecordSize   shard in AX, size in BX
//	RouteTenant  address of the bytes in AX, length in BX
//	SealBlock    address of the first value in AX, length in BX, capacity in CX
//
// and results return in AX. On arm64 they are R0, R1, R2 and R0.
package ingest

import (
	"math/bits"
	"sync/atomic"
)

// Shards is the number of independent block sequences.
const Shards = 8

var shardBytes [Shards]atomic.Int64

// RecordSize accounts size bytes of encoded event to shard. It is called once
// for each event that the store has accepted, with the length of the event as
// it came in.
//
// noinline: a probe needs the symbol, and inlining would remove it.
//
//go:noinline
func RecordSize(shard int, size int) {
	shardBytes[uint(shard)%Shards].Add(int64(size))
}

// ShardBytes returns the bytes accounted to shard since the process started.
func ShardBytes(shard int) int64 { return shardBytes[shard].Load() }

// RouteTenant returns the shard of an event on its way in, by its tenant. It
// is called once for each event; queries use ShardOf.
//
// noinline: a probe needs the symbol, and inlining would remove it.
//
//go:noinline
func RouteTenant(tenant string) int { return ShardOf(tenant) }

// ShardOf returns the shard of a tenant: the 32-bit FNV-1a hash of its bytes,
// modulo Shards.
func ShardOf(tenant string) int {
	h := uint32(2166136261)
	for i := range len(tenant) {
		h = (h ^ uint32(tenant[i])) * 16777619
	}
	return int(h % Shards)
}

// SealBlock returns how many bytes the values of a block take once encoded as
// zigzag varints of differences. It is called once for each sealed block, with
// the values in the order of arrival.
//
// noinline: a probe needs the symbol, and inlining would remove it.
//
//go:noinline
func SealBlock(values []int64) int {
	n, prev := 0, int64(0)
	for _, v := range values {
		d := v - prev
		n += (bits.Len64(uint64(d<<1)^uint64(d>>63)|1) + 6) / 7
		prev = v
	}
	return n
}
