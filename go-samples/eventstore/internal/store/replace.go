package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Key is where a block is kept.
type Key struct {
	Shard int
	Seq   uint64
}

func (k Key) bytes() []byte { return binary.BigEndian.AppendUint64(shardPrefix(k.Shard), k.Seq) }

// Keyed calls fn for every block, oldest first within a shard.
func (v *View) Keyed(fn func(k Key, data []byte) error) error {
	return v.tx.Bucket(blocksBucket).ForEach(func(k, data []byte) error {
		return fn(Key{int(binary.BigEndian.Uint16(k)), binary.BigEndian.Uint64(k[2:])}, data)
	})
}

// Block returns the block at a key; nil when there is none.
func (v *View) Block(k Key) []byte { return v.tx.Bucket(blocksBucket).Get(k.bytes()) }

// Replace puts one block in the place of several, all or nothing. It takes the
// place of the first, so that blocks stay in the order of arrival.
func (s *Store) Replace(old []Key, data []byte) error {
	if len(old) == 0 {
		return errors.New("there is no block to replace")
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		blocks := tx.Bucket(blocksBucket)
		for _, k := range old {
			if blocks.Get(k.bytes()) == nil {
				return fmt.Errorf("block %d of shard %d is gone", k.Seq, k.Shard)
			}
			if err := blocks.Delete(k.bytes()); err != nil {
				return err
			}
		}
		return blocks.Put(old[0].bytes(), data)
	})
}
