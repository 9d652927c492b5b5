//! A run of the learner's program: started, watched, stopped, cleaned up after.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

pub use crate::folder::RunFolder;
use crate::{
    audit::{Audit, Program},
    cgroup::Cgroup,
    descendants::{self, Adoption},
    ending::{self, Left},
    enter::{self, Entry, Identity},
    hook, machine,
    map::Entries,
    plan::RunSpec,
    refusal::Refusal,
    stream::Stream,
    verdict::Failure,
};

/// Who the learner's program runs as when the runner is root. From the range that systemd keeps
/// for dynamic users, so that it is nobody else: <https://systemd.io/UIDS-GIDS/>.
pub const LEARNER_UID: u32 = 61_777;
/// Time between the stop signal and the kill.
const GRACE: Duration = Duration::from_secs(5);

/// What a program printed, up to the limit.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Standard output, without the ready line.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Processes that the program left behind; they were ended.
    pub left_behind: usize,
}

impl Output {
    /// The last `n` lines of standard error, for messages.
    fn complaint(&self) -> String {
        let lines: Vec<&str> = self.stderr.lines().collect();
        let tail = &lines[lines.len().saturating_sub(12)..];
        if tail.is_empty() {
            "It printed nothing on standard error.".to_owned()
        } else {
            format!("It said:\n{}", indent(tail))
        }
    }
}

impl Output {
    /// Whether the program reports that the kernel refused one of its BPF programs.
    fn no_refusal(&self) -> Result<(), Failure> {
        match Refusal::find(&self.stderr) {
            Some(refusal) => Err(Failure::Refused(Box::new(refusal))),
            None => Ok(()),
        }
    }

    /// Whether `line` is one of the lines printed.
    ///
    /// # Errors
    /// [`Failure::Learner`], showing what was printed instead.
    pub fn expect_line(&self, line: &str) -> Result<(), Failure> {
        if self.stdout.lines().any(|found| found.trim() == line) {
            return Ok(());
        }
        let lines: Vec<&str> = self.stdout.lines().take(8).collect();
        Err(Failure::learner(if lines.is_empty() {
            format!("your program printed nothing; expected the line `{line}`.")
        } else {
            format!(
                "expected the line `{line}`; your program printed:\n{}",
                indent(&lines)
            )
        }))
    }
}

fn indent(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// How to start the learner's program. Made by [`crate::session::Session::learner`].
#[derive(Debug)]
pub struct Launch<'a> {
    pub(crate) spec: &'a RunSpec,
    pub(crate) artifacts: &'a BTreeMap<String, PathBuf>,
    pub(crate) capabilities: &'a [u8],
    pub(crate) privileged: bool,
    pub(crate) perf_events_only: bool,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
}

impl Launch<'_> {
    /// What `$NAME` in the run's arguments and environment stands for.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }

    /// Starts the program and waits until it says that it is ready.
    ///
    /// # Errors
    /// [`Failure::Learner`] when it ends, floods, or says nothing in time;
    /// [`Failure::Infrastructure`] when it could not be started.
    pub fn start(self) -> Result<Learner, Failure> {
        let ready = self.spec.ready.clone();
        let mut learner = self.spawn()?;
        learner.wait_ready(&ready)?;
        Ok(learner)
    }

    /// Starts a program that ends by itself, and waits for its end.
    ///
    /// # Errors
    /// As [`Launch::start`]; also when the program ends with another status than 0.
    pub fn run_to_end(self) -> Result<(Output, RunFolder), Failure> {
        let mut learner = self.spawn()?;
        let status = learner.wait_exit(learner.deadline)?;
        learner.finish(status)
    }

    fn expand(&self, text: &str) -> String {
        self.values
            .iter()
            .rev()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${name}"), value)
            })
    }

    fn spawn(self) -> Result<Learner, Failure> {
        let started =
            |what: &str, error: io::Error| Failure::infrastructure(format!("{what}: {error}"));
        let built = |name: &String| {
            self.artifacts
                .get(name)
                .ok_or_else(|| Failure::infrastructure(format!("artifact {name} was not built")))
        };
        // As root, a program that needs no privilege gets none either.
        let is_root = rustix::process::geteuid().is_root();
        let folder =
            RunFolder::new(is_root).map_err(|error| started("cannot make a run folder", error))?;
        // Copies: the learner's user may not be able to reach the build folder, and must not be
        // able to change what is being graded.
        let program = folder.bring(built(&self.spec.artifact)?, 0o755)?;
        let mut env: BTreeMap<String, String> = self
            .spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), self.expand(value)))
            .collect();
        env.extend(self.env.clone());
        if let Some(bpf) = &self.spec.bpf {
            let object = folder.bring(built(bpf)?, 0o644)?;
            env.insert("LAB_BPF".into(), object.display().to_string());
        }
        env.insert("LAB_OUT".into(), folder.out().display().to_string());
        let (cgroup, audit) = if self.privileged {
            let cgroup =
                Cgroup::create("learner").map_err(|error| started("no control group", error))?;
            let audit = Audit::start(cgroup.path())
                .map_err(|error| started("the audit could not start", error))?;
            (Some(cgroup), Some(audit))
        } else if is_root {
            // A container may have no control groups to offer; the program needs none.
            (Cgroup::create("learner").ok(), None)
        } else {
            (None, None)
        };
        let entry = Entry {
            program,
            args: self
                .spec
                .args
                .iter()
                .map(|arg| OsString::from(self.expand(arg)))
                .collect(),
            folder: folder.out(),
            identity: is_root.then(|| Identity {
                uid: LEARNER_UID,
                capabilities: self.capabilities.to_vec(),
                cgroups: cgroup
                    .iter()
                    .flat_map(Cgroup::folders)
                    .map(Path::to_path_buf)
                    .collect(),
                mounts: self.privileged,
                // Where a link would not tell where it leads, libraries can do without: they look
                // whether the kernel knows such links.
                links: !self.perf_events_only || hook::perf_links_tell(machine::kernel_version()),
            }),
            cpu_seconds: u64::from(self.spec.seconds) + 5,
        };
        let (runner, its_end) = UnixStream::pair()?;
        let adoption = cgroup.is_none().then(Adoption::begin);
        let mut child = Command::new("/proc/self/exe")
            .arg(enter::COMMAND)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .envs(env)
            .stdin(OwnedFd::from(its_end))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| started("cannot start the learner's program", error))?;
        let plan = serde_json::to_vec(&entry).map_err(io::Error::other)?;
        (&runner).write_all(&plan)?;
        runner.shutdown(Shutdown::Write)?;
        let limit = (self.spec.output_kib as usize) << 10;
        let stdout = Stream::read(child.stdout.take(), limit);
        let stderr = Stream::read(child.stderr.take(), limit);
        Ok(Learner {
            _left: adoption.map(|adoption| {
                let session = ending::register(Left::Session(child.id()));
                (adoption, session)
            }),
            child,
            runner,
            status: None,
            left_behind: 0,
            stdout,
            stderr,
            cgroup,
            audit,
            folder: Some(folder),
            deadline: Instant::now() + Duration::from_secs(self.spec.seconds.into()),
            seconds: self.spec.seconds,
            stop: self.spec.stop,
            ready: String::new(),
        })
    }
}

/// The learner's program while it runs. Dropping it ends it and all that it started.
#[derive(Debug)]
pub struct Learner {
    child: Child,
    /// Says why the program could not be started; closed once it runs.
    runner: UnixStream,
    /// Once it has ended, which is noticed by [`Learner::ended`].
    status: Option<ExitStatus>,
    /// Processes that were there when it had ended; they were ended.
    left_behind: usize,
    /// Without a control group: how what it leaves behind is found.
    _left: Option<(Adoption, ending::Token)>,
    stdout: Stream,
    stderr: Stream,
    // Before `cgroup`: its perf events refer to the group.
    audit: Option<Audit>,
    cgroup: Option<Cgroup>,
    folder: Option<RunFolder>,
    deadline: Instant,
    seconds: u32,
    stop: i32,
    ready: String,
}

impl Learner {
    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the program has in the kernel.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the run is not privileged.
    pub fn audit(&mut self) -> Result<&mut Audit, Failure> {
        let pids = self.cgroup.as_ref().map(Cgroup::pids).unwrap_or_default();
        let audit = self.audit.as_mut().ok_or_else(|| {
            Failure::infrastructure("this lab runs without root, so nothing is audited")
        })?;
        audit.refresh(&pids)?;
        Ok(audit)
    }

    /// Stops all of the learner's processes; reads what the kernel holds, has the workload
    /// `act`, and reads again; then lets the processes go on. BPF programs run on meanwhile, so
    /// what grew between the two readings was written in the kernel: no process of the learner
    /// could, and what they write before or afterwards is not looked at.
    ///
    /// `runs` counts how often `program` ran in that time. A reading that fails is kept for the
    /// check that it belongs to: the map may be one that the learner's program does not use yet.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the processes can't be stopped; else those of `act`.
    pub fn witness<S, T>(
        &mut self,
        program: &Program,
        read: impl Fn() -> Result<S, Failure>,
        act: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<Witnessed<S, T>, Failure> {
        let (Some(cgroup), Some(audit)) = (&self.cgroup, &self.audit) else {
            return Err(Failure::infrastructure(
                "this lab runs without root, so nothing can be witnessed",
            ));
        };
        let frozen = cgroup.freeze()?;
        let ran = audit.runs(program)?;
        let before = read();
        let outcome = act()?;
        let after = read();
        let runs = audit.runs(program)? - ran;
        frozen.thaw()?;
        Ok(Witnessed {
            before,
            after,
            runs,
            outcome,
        })
    }

    /// What was printed so far.
    pub fn printed(&self) -> Output {
        Output {
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            left_behind: 0,
        }
    }

    /// Sends the stop signal and waits for the end.
    ///
    /// # Errors
    /// [`Failure::Learner`] when the program ended before, does not end within five seconds, or
    /// ends with an error.
    pub fn stop(self) -> Result<Output, Failure> {
        self.stop_with_files().map(|(output, _)| output)
    }

    /// As [`Learner::stop`], and gives the folder that the program wrote its files to.
    ///
    /// # Errors
    /// As [`Learner::stop`].
    pub fn stop_with_files(mut self) -> Result<(Output, RunFolder), Failure> {
        if let Some(status) = self.ended()? {
            return Err(Failure::learner(format!(
                "your program {} before it was told to stop. {}",
                describe(status),
                self.printed().complaint()
            )));
        }
        self.signal(self.stop);
        let status = self.wait_exit(Instant::now() + GRACE)?;
        self.finish(status)
    }

    fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to a child that has not been waited for, so its id is still its.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }

    /// The exit status, once the program has ended. What it left behind is ended then, before the
    /// status is collected: until then the process id is its own, and so is its group's.
    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let pid = Pid::from_child(&self.child);
            if waitid(WaitId::Pid(pid), options)?.is_some() {
                self.left_behind = self.end_rest();
                self.status = Some(self.child.wait()?);
            }
        }
        Ok(self.status)
    }

    /// Ends the program, if it runs, and all that it started. Returns how many processes beside it
    /// there were.
    fn end_rest(&self) -> usize {
        match &self.cgroup {
            Some(cgroup) => cgroup.kill(),
            None => descendants::end(self.child.id()),
        }
    }

    /// Waits for the line `ready`.
    fn wait_ready(&mut self, ready: &str) -> Result<(), Failure> {
        self.ready = ready.to_owned();
        loop {
            if self.stdout.has_line(ready, Duration::from_millis(20)) {
                return Ok(());
            }
            if let Some(status) = self.ended()? {
                // What it printed last may still be in the pipe.
                self.drain();
                if self.stdout.has_line(ready, Duration::ZERO) {
                    return Ok(());
                }
                let output = self.printed();
                self.own_failure()?;
                output.no_refusal()?;
                return Err(Failure::learner(format!(
                    "your program {} before it was ready. {}",
                    describe(status),
                    output.complaint()
                )));
            }
            self.check_flood()?;
            if Instant::now() > self.deadline {
                return Err(Failure::learner(format!(
                    "your program did not print `{ready}` within {} s, so its probes were not in place. {}",
                    self.seconds,
                    self.printed().complaint()
                )));
            }
        }
    }

    fn wait_exit(&mut self, deadline: Instant) -> Result<ExitStatus, Failure> {
        let mut pause = Duration::from_micros(200);
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            self.check_flood()?;
            if Instant::now() > deadline {
                return Err(Failure::learner(if deadline == self.deadline {
                    format!("your program did not end within {} s.", self.seconds)
                } else {
                    format!(
                        "your program did not end within {} s of the signal that tells it to stop (SIGINT), and was ended by force.",
                        GRACE.as_secs()
                    )
                }));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    fn check_flood(&self) -> Result<(), Failure> {
        for (stream, name) in [
            (&self.stdout, "standard output"),
            (&self.stderr, "standard error"),
        ] {
            if let Some(limit) = stream.flooded() {
                return Err(Failure::learner(format!(
                    "your program printed more than {} KiB on {name} and was ended. It began with: {}",
                    limit >> 10,
                    stream.text().lines().next().unwrap_or_default()
                )));
            }
        }
        Ok(())
    }

    /// Waits for the last output, and judges the exit status.
    fn finish(mut self, status: ExitStatus) -> Result<(Output, RunFolder), Failure> {
        self.drain();
        self.check_flood()?;
        let mut output = self.printed();
        output.left_behind = self.left_behind;
        self.own_failure()?;
        if !status.success() {
            output.no_refusal()?;
            return Err(Failure::learner(format!(
                "your program {}. {}",
                describe(status),
                output.complaint()
            )));
        }
        let ready = std::mem::take(&mut self.ready);
        if !ready.is_empty() {
            output.stdout = output
                .stdout
                .lines()
                .filter(|line| *line != ready)
                .map(|line| format!("{line}\n"))
                .collect();
        }
        let folder = self
            .folder
            .take()
            .ok_or_else(|| Failure::infrastructure("the run folder is gone"))?;
        Ok((output, folder))
    }

    /// Tells a failure of [`enter`] from one of the program. For a child that has ended.
    fn own_failure(&self) -> Result<(), Failure> {
        let mut message = String::new();
        (&self.runner).read_to_string(&mut message)?;
        if message.is_empty() {
            Ok(())
        } else {
            Err(Failure::infrastructure(message))
        }
    }

    /// Waits until both pipes are closed. A process that was left behind could keep them open,
    /// so not for ever.
    fn drain(&self) {
        for stream in [&self.stdout, &self.stderr] {
            stream.wait_closed(Duration::from_secs(1));
        }
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.end_rest();
            let _ = self.child.wait();
        }
    }
}

/// What was seen while the learner's processes stood still.
#[derive(Debug)]
pub struct Witnessed<S, T = ()> {
    /// What was read before the workload acted.
    pub before: Result<S, Failure>,
    /// What was read afterwards.
    pub after: Result<S, Failure>,
    /// How often the program ran in between.
    pub runs: u64,
    /// What the workload gave.
    pub outcome: T,
}

impl<S, T> Witnessed<S, T> {
    /// What was read before and after, if both could be.
    ///
    /// # Errors
    /// That of the reading that failed.
    pub fn both(self) -> Result<(S, S), Failure> {
        Ok((self.before?, self.after?))
    }
}

impl<T> Witnessed<Entries, T> {
    /// By how much each entry grew; those that did not are left out.
    ///
    /// # Errors
    /// That of the reading that failed.
    pub fn growth(self) -> Result<Entries, Failure> {
        let (before, after) = self.both()?;
        let grown = after.into_iter().map(|(key, count)| {
            let had = before.get(&key).copied().unwrap_or(0);
            (key, count.wrapping_sub(had))
        });
        Ok(grown.filter(|&(_, grew)| grew > 0).collect())
    }
}

/// How a program ended, as a verb phrase.
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "ended".to_owned(),
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(libc::SIGKILL)) => {
            "was killed (SIGKILL; too much memory is one reason)".to_owned()
        }
        (None, Some(libc::SIGXCPU)) => "used up its CPU time and was ended".to_owned(),
        (None, Some(libc::SIGSEGV)) => "crashed (SIGSEGV)".to_owned(),
        (None, Some(libc::SIGABRT)) => "aborted (SIGABRT)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}
