//! Signals that end `lab`: what is running for it is ended, and what it made is removed, first.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Mutex, Once, PoisonError},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::{cgroup, descendants};

/// Something that must not outlive this process.
#[derive(Clone, Debug)]
pub(crate) enum Left {
    /// A folder of files.
    Folder(PathBuf),
    /// A control group and all its processes.
    Cgroup(PathBuf),
    /// A child that leads a session of its own, and what it started.
    Session(u32),
}

/// What there is, oldest first.
static LEFT: Mutex<(u64, BTreeMap<u64, Left>)> = Mutex::new((0, BTreeMap::new()));

/// Dropping it says that the thing is gone.
#[derive(Debug)]
pub(crate) struct Token(u64);

pub(crate) fn register(left: Left) -> Token {
    let mut all = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    all.0 += 1;
    let number = all.0;
    all.1.insert(number, left);
    Token(number)
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut all = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
        all.1.remove(&self.0);
    }
}

/// From now on SIGINT, SIGTERM and SIGHUP clean up before they end this process. Calling it again
/// does nothing. A process that is killed (SIGKILL) can't; the next one cleans up after it.
pub(crate) fn clean_up_on_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            return;
        };
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Never given back: nothing new is begun while we end.
                let all = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
                for left in all.1.values().rev() {
                    remove(left);
                }
                let _ = emulate_default_handler(signal);
            }
        });
    });
}

fn remove(left: &Left) {
    match left {
        Left::Folder(path) => drop(fs::remove_dir_all(path)),
        Left::Cgroup(path) => cgroup::end(path),
        Left::Session(leader) => drop(descendants::end(*leader)),
    }
}
