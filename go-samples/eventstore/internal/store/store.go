// Package store keeps blocks and not yet sealed events in one bbolt file.
//
// Bucket "blocks" maps shard (2 bytes) and sequence (8 bytes), both
// big-endian, to a sealed block. Bucket "pending" maps the same kind of key to
// events that were acknowledged and are not yet in a block. Bucket "meta"
// holds the format's version. A block and the removal of the pending events
// that it holds are one transaction.
package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// File is the name of the database in the data directory.
	File    = "events.db"
	version = "1"

	lockWait = 2 * time.Second
	// initialMap is address space, not memory: below this size the file grows
	// without remapping, for which bbolt would wait for all queries to end.
	initialMap = 256 << 20
)

var (
	blocksBucket  = []byte("blocks")
	pendingBucket = []byte("pending")
	metaBucket    = []byte("meta")
	versionKey    = []byte("version")
)

// Store is an open database. One process at a time can hold it.
type Store struct{ db *bbolt.DB }

// Open opens or creates the database in dir.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("can't make the data directory: %w; give --data a directory that you can write", err)
	}
	path := filepath.Join(dir, File)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, InitialMmapSize: initialMap})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use by another process: stop it, or give another --data", path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%s is not an event store (%w): restore it from a copy, or give another --data", path, err)
	case err != nil:
		return nil, fmt.Errorf("can't open %s: %w", path, err)
	}
	if err := db.Update(prepare); err != nil {
		_ = db.Close() // the error to report is the one above
		return nil, fmt.Errorf("can't use %s: %w", path, err)
	}
	return &Store{db}, nil
}

func prepare(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucketIfNotExists(metaBucket)
	if err != nil {
		return err
	}
	switch v := meta.Get(versionKey); {
	case v == nil:
		err = meta.Put(versionKey, []byte(version))
	case string(v) != version:
		return fmt.Errorf("it has format version %q; this program reads version %s", v, version)
	}
	for _, name := range [][]byte{blocksBucket, pendingBucket} {
		if err == nil {
			_, err = tx.CreateBucketIfNotExists(name)
		}
	}
	return err
}

// Close waits for transactions and closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Entry is data of one shard.
type Entry struct {
	Shard int
	Data  []byte
}

// Change is what one transaction does: blocks are added, all pending entries
// of the shards in Sealed are removed, then the entries in Pending are added.
type Change struct {
	Blocks  []Entry
	Sealed  []int
	Pending []Entry
}

// Empty reports whether committing c would do nothing.
func (c *Change) Empty() bool {
	return len(c.Blocks) == 0 && len(c.Sealed) == 0 && len(c.Pending) == 0
}

// Commit applies c; when it returns nil, c is on disk.
func (s *Store) Commit(c *Change) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		pending := tx.Bucket(pendingBucket)
		for _, shard := range c.Sealed {
			if err := removeShard(pending, shard); err != nil {
				return err
			}
		}
		if err := putAll(tx.Bucket(blocksBucket), c.Blocks); err != nil {
			return err
		}
		return putAll(pending, c.Pending)
	})
}

func putAll(b *bbolt.Bucket, entries []Entry) error {
	for _, e := range entries {
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		key := binary.BigEndian.AppendUint64(shardPrefix(e.Shard), seq)
		if err := b.Put(key, e.Data); err != nil {
			return err
		}
	}
	return nil
}

func removeShard(b *bbolt.Bucket, shard int) error {
	c := b.Cursor()
	prefix := shardPrefix(shard)
	// Seek again each time: a cursor may skip a key after Delete.
	for k, _ := c.Seek(prefix); hasPrefix(k, prefix); k, _ = c.Seek(prefix) {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// Pending calls fn for every entry not yet in a block, oldest first within a shard.
func (s *Store) Pending(fn func(Entry) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(pendingBucket).ForEach(func(k, v []byte) error {
			return fn(Entry{int(binary.BigEndian.Uint16(k)), v})
		})
	})
}

// View is a consistent view of the blocks at one moment.
type View struct{ tx *bbolt.Tx }

// View starts one. The caller must Close it.
func (s *Store) View() (*View, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("can't read the store: %w", err)
	}
	return &View{tx}, nil
}

// Close ends the view; data handed out by Blocks is no longer valid.
func (v *View) Close() { _ = v.tx.Rollback() } // a read-only transaction has nothing to lose

// Blocks calls fn for each block of a shard, or of all when shard is negative.
func (v *View) Blocks(shard int, fn func(data []byte) error) error {
	c := v.tx.Bucket(blocksBucket).Cursor()
	var prefix []byte
	if shard >= 0 {
		prefix = shardPrefix(shard)
	}
	for k, data := c.Seek(prefix); k != nil && hasPrefix(k, prefix); k, data = c.Next() {
		if err := fn(data); err != nil {
			return err
		}
	}
	return nil
}

func shardPrefix(shard int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(shard)) }

func hasPrefix(key, prefix []byte) bool {
	return len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}
