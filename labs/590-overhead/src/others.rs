//! perf and bpftrace, as they are used.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::table::Who;

/// How long one may take to begin, or to end.
const GRACE: Duration = Duration::from_secs(60);

/// A program that looks.
pub struct Looking {
    who: Who,
    child: Child,
    folder: PathBuf,
}

impl Looking {
    /// Starts perf or bpftrace: stacks of one process, `hz` times a second. Both want to be root.
    pub fn start(who: Who, pid: u32, hz: u32) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("overhead-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let mut command = Command::new(who.name());
        if who == Who::Perf {
            let hz = hz.to_string();
            command.args(["record", "-e", "cpu-clock", "--call-graph", "fp"]);
            command.args(["-F", &hz, "-p", &pid.to_string(), "-o"]);
            command.arg(folder.join("perf.data"));
        } else {
            // Naming all stacks in the end can take it minutes, so they are dropped.
            let script = format!(
                "profile:hz:{hz} /pid == {pid}/ {{ @s[ustack] = count(); @ = count(); }} END {{ clear(@s); }}"
            );
            command.env("BPFTRACE_MAP_KEYS_MAX", "65536");
            command.args(["-f", "json", "-e", &script]);
        }
        let said = File::create(folder.join("said"))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .with_context(|| format!("cannot start {}", who.name()))?;
        let mut looking = Self { who, child, folder };
        looking.await_readiness()?;
        Ok(looking)
    }

    /// bpftrace says that it attaches before it does; perf says nothing when it is ready.
    fn await_readiness(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + GRACE;
        while self.who == Who::Bpftrace && self.said()?.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(500));
        match self.child.try_wait()? {
            Some(_) => bail!("{} ends: {}", self.who.name(), self.said()?.trim()),
            None => Ok(()),
        }
    }

    fn said(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.join("said"))?)
    }

    /// Ends it; gives the number of samples.
    pub fn stop(mut self) -> anyhow::Result<u64> {
        let until = Instant::now() + GRACE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > until {
                bail!("{} does not end", self.who.name());
            }
            // More than once: bpftrace misses one now and then.
            // SAFETY: a signal to a child that was not waited for, so its id is still its.
            unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGINT) };
            let again = Instant::now() + Duration::from_secs(2);
            while self.child.try_wait()?.is_none() && Instant::now() < again {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let said = self.said()?;
        let samples = match self.who {
            // [ perf record: Captured and wrote 0.1 MB FILE (123 samples) ]
            Who::Perf => said
                .split_once(" samples)")
                .and_then(|(before, _)| before.rsplit_once('(')),
            // {"type": "map", "data": {"@": 123}}
            _ => said
                .split_once("\"@\": ")
                .map(|(_, rest)| ("", rest.split('}').next().unwrap_or(rest))),
        };
        samples
            .and_then(|(_, number)| number.trim().parse().ok())
            .with_context(|| format!("{} has no samples: {}", self.who.name(), said.trim()))
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
