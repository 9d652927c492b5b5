//! Maps of a learner's program, read from outside.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use crate::{bpf, cpus, verdict::Failure};

/// Entries of a map whose values count: by key, the sum over CPUs.
pub type Entries = BTreeMap<Vec<u8>, u64>;

/// A map of the learner's program, read from outside.
#[derive(Clone, Debug)]
pub struct Map {
    pub(crate) fd: Arc<OwnedFd>,
    pub(crate) kind: u32,
    pub(crate) key: usize,
    pub(crate) value: usize,
}

impl Map {
    /// Whether each CPU has a value of its own (`BPF_MAP_TYPE_PERCPU_HASH`, `_PERCPU_ARRAY`,
    /// `_LRU_PERCPU_HASH`).
    pub fn is_per_cpu(&self) -> bool {
        matches!(self.kind, 5 | 6 | 10)
    }

    /// The values of `key`: one, or one for each possible CPU; empty where there is no entry.
    ///
    /// # Errors
    /// [`Failure::Learner`] when the map's key has another size than `key`.
    pub fn get(&self, key: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        if key.len() != self.key {
            return Err(Failure::learner(format!(
                "the map's key has {} bytes; the check looks up one of {}.",
                self.key,
                key.len()
            )));
        }
        let copies = if self.is_per_cpu() {
            cpus::possible()?
        } else {
            1
        };
        let each = if self.is_per_cpu() {
            self.value.next_multiple_of(8)
        } else {
            self.value
        };
        let mut bytes = vec![0; each * copies];
        Ok(match bpf::lookup(self.fd.as_fd(), key, &mut bytes)? {
            None => Vec::new(),
            Some(()) => bytes
                .chunks(each)
                .map(|value| value[..self.value].to_vec())
                .collect(),
        })
    }

    /// The sum over CPUs of a `u64` value; 0 where there is no entry.
    ///
    /// # Errors
    /// [`Failure::Learner`] when the map's values are not `u64`.
    pub fn sum_u64(&self, key: &[u8]) -> Result<u64, Failure> {
        self.get(key)?.into_iter().try_fold(0u64, |sum, value| {
            let bytes: [u8; 8] = value.as_slice().try_into().map_err(|_| {
                Failure::learner(format!(
                    "the map's values have {} bytes; the check expects a u64.",
                    value.len()
                ))
            })?;
            Ok(sum.wrapping_add(u64::from_ne_bytes(bytes)))
        })
    }

    /// All keys, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the kernel refuses.
    pub fn keys(&self, limit: usize) -> Result<Vec<Vec<u8>>, Failure> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut next = vec![0; self.key];
        while keys.len() < limit
            && bpf::next_key(self.fd.as_fd(), keys.last().map(Vec::as_slice), &mut next)?
        {
            keys.push(next.clone());
        }
        Ok(keys)
    }

    /// All entries, at most `limit`, of a map with `u64` values and keys of `key` bytes.
    ///
    /// # Errors
    /// [`Failure::Learner`] when keys or values have another size.
    pub fn entries(&self, key: usize, limit: usize) -> Result<Entries, Failure> {
        if key != self.key {
            return Err(Failure::learner(format!(
                "the map's key has {} bytes; the check looks up one of {key}.",
                self.key
            )));
        }
        let keys = self.keys(limit)?.into_iter();
        keys.map(|key| {
            let count = self.sum_u64(&key)?;
            Ok((key, count))
        })
        .collect()
    }
}
