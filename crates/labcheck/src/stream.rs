//! What a program prints, read while it runs.

use std::{
    io::Read,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// A pipe that is read to its end by a thread, kept up to a limit.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    state: Arc<(Mutex<State>, Condvar)>,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    flooded: bool,
    closed: bool,
}

impl Stream {
    pub(crate) fn read(pipe: Option<impl Read + Send + 'static>, limit: usize) -> Self {
        let stream = Self {
            state: Arc::default(),
            limit,
        };
        let of_thread = stream.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            let Some(mut pipe) = pipe else { return };
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                let mut state = of_thread.lock();
                let room = of_thread.limit.saturating_sub(state.bytes.len());
                state.bytes.extend_from_slice(&buffer[..n.min(room)]);
                // Reading goes on, so that the program is not blocked until it is ended.
                state.flooded |= n > room;
                of_thread.state.1.notify_all();
            }
            of_thread.lock().closed = true;
            of_thread.state.1.notify_all();
        });
        stream
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    pub(crate) fn flooded(&self) -> Option<usize> {
        self.lock().flooded.then_some(self.limit)
    }

    fn wait_while(&self, timeout: Duration, mut wait: impl FnMut(&State) -> bool) -> bool {
        let guard = self.lock();
        let (guard, _) = self
            .state
            .1
            .wait_timeout_while(guard, timeout, |state| wait(state))
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut state = guard;
        !wait(&mut state)
    }

    pub(crate) fn wait_closed(&self, timeout: Duration) {
        self.wait_while(timeout, |state| !state.closed);
    }

    /// Whether the whole line `line` was printed, waiting for at most `timeout`.
    pub(crate) fn has_line(&self, line: &str, timeout: Duration) -> bool {
        let has = |state: &State| {
            state
                .bytes
                .split_inclusive(|&byte| byte == b'\n')
                .any(|text| {
                    text.strip_suffix(b"\n")
                        .is_some_and(|text| text.trim_ascii_end() == line.as_bytes())
                })
        };
        self.wait_while(timeout, |state| {
            !has(state) && !state.closed && !state.flooded
        });
        has(&self.lock())
    }
}
