//! Which functions the program of today has, and so which hot calls are still in the source.

use std::collections::HashSet;

use goprof::Edges;
use rusqlite::{OptionalExtension as _, params};

use super::{Error, ServiceName, Store, Time, kin::name_key, service_id};

/// What is kept of a program's function names, for [`Store::set_program`].
pub fn name_keys<'a>(names: impl Iterator<Item = &'a str>) -> Vec<u64> {
    let mut keys: Vec<u64> = names.map(name_key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

impl Store {
    /// Keeps the functions of the program that was last built of a service.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn set_program(&self, name: &ServiceName, keys: &[u64], now: Time) -> Result<(), Error> {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
        let name = name.clone();
        self.index.write(move |connection| {
            let service = service_id(connection, &name)?;
            let text =
                "INSERT OR REPLACE INTO program (service, received, names) VALUES (?1, ?2, ?3)";
            connection.execute(text, params![service, now, bytes])?;
            Ok(())
        })
    }

    /// The part of the weight of the hot calls whose caller and callee the program has; `None` where it is
    /// not known.
    ///
    /// # Errors
    /// When there is no such service.
    pub fn still_there(&self, name: &ServiceName, edges: &Edges) -> Result<Option<f64>, Error> {
        let bytes: Option<Vec<u8>> = self.index.read(|connection| {
            let service = service_id(connection, name)?;
            let found = connection
                .prepare_cached("SELECT names FROM program WHERE service = ?1")?
                .query_row([service], |row| row.get(0));
            Ok(found.optional()?)
        })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let keys: HashSet<u64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|key| u64::from_le_bytes(*key))
            .collect();
        // What was recorded without a name is not Go's.
        let has = |name: &str| name.is_empty() || keys.contains(&name_key(name));
        let (mut all, mut there) = (0.0, 0.0);
        for (edge, weight) in edges.hot() {
            all += weight as f64;
            if has(&edge.caller) && has(&edge.callee) {
                there += weight as f64;
            }
        }
        Ok((all > 0.0).then(|| there / all))
    }
}
