//! Workloads: processes that a check starts, whose every act it knows.
//!
//! A workload waits for a line on standard input before each act and answers with a line on
//! standard output once it is done, so that a check knows exactly what happened between two
//! moments. It lives until its input is closed.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    fmt::Write as _,
    fs,
    io::{self, BufRead, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    ptr,
    sync::mpsc,
    time::Duration,
};

use crate::{learner::LEARNER_UID, scratch::Scratch, verdict::Failure};

/// The hidden argument of `lab` that runs [`main`].
pub(crate) const COMMAND: &str = "__workload";

/// A workload process. Dropping it ends it.
#[derive(Debug)]
pub struct Workload {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    name: String,
    patience: Duration,
    /// Of a copied program. Removed with the workload.
    folder: Option<Scratch>,
}

impl Workload {
    /// A process that makes system calls when told to; see [`Workload::call`].
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it can't be started.
    pub fn syscalls() -> Result<Self, Failure> {
        let mut workload =
            Self::start(Command::new("/proc/self/exe").arg(COMMAND), "the workload")?;
        workload.expect("ready")?;
        Ok(workload)
    }

    /// Another program as a workload, such as a Go service that `lab` built.
    ///
    /// `as_learner` runs it as the learner's user, which lets the learner's program read its
    /// /proc files. It is a copy then, in a folder of its own that it may write and starts in:
    /// where the program was built, that user may not be allowed to look.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it can't be started.
    pub fn program(path: &Path, args: &[&OsStr], as_learner: bool) -> Result<Self, Failure> {
        let name = path.file_name().map_or_else(
            || path.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        if !as_learner {
            return Self::start(Command::new(path).args(args), &name);
        }
        let folder = Scratch::new("workload")?;
        let copy = folder.path().join(&name);
        fs::copy(path, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        let mut command = Command::new(copy);
        command.args(args).current_dir(folder.path());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(LEARNER_UID), Some(LEARNER_UID))?;
            command.uid(LEARNER_UID).gid(LEARNER_UID);
        }
        let mut workload = Self::start(&mut command, &name)?;
        workload.folder = Some(folder);
        Ok(workload)
    }

    fn start(command: &mut Command, name: &str) -> Result<Self, Failure> {
        // SAFETY: prctl is async-signal-safe, and its arguments are plain numbers.
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                },
            );
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| Failure::infrastructure(format!("cannot start {name}: {error}")))?;
        let (send, lines) = mpsc::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            input: child.stdin.take(),
            child,
            lines,
            name: name.to_owned(),
            patience: Duration::from_secs(20),
            folder: None,
        })
    }

    /// The file that the process runs.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the process is gone.
    pub fn executable(&self) -> Result<PathBuf, Failure> {
        Ok(fs::read_link(format!("/proc/{}/exe", self.pid()))?)
    }

    /// The file of a library that the process has mapped, by the beginning of its name:
    /// `libc.so`.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the process is gone or uses no such library.
    pub fn library(&self, name: &str) -> Result<PathBuf, Failure> {
        fs::read_to_string(format!("/proc/{}/maps", self.pid()))?
            .lines()
            // Address, permissions, offset, device, inode, then the path.
            .filter_map(|line| Some(Path::new(line.split_whitespace().nth(5)?)))
            .find(|path| {
                path.file_name()
                    .is_some_and(|file| file.to_string_lossy().starts_with(name))
            })
            .map(Path::to_path_buf)
            .ok_or_else(|| Failure::infrastructure(format!("{} uses no {name}", self.name)))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits longer (or less long) than 20 s for each answer.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends one line.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the workload is gone.
    pub fn send(&mut self, line: &str) -> Result<(), Failure> {
        let gone = |error: io::Error| {
            Failure::infrastructure(format!("{} ended early: {error}", self.name))
        };
        let input = self
            .input
            .as_mut()
            .ok_or_else(|| Failure::infrastructure("the workload's input is closed"))?;
        input
            .write_all(line.as_bytes())
            .and_then(|()| input.write_all(b"\n"))
            .and_then(|()| input.flush())
            .map_err(gone)
    }

    /// The next line that the workload prints.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when none comes in time.
    pub fn receive(&mut self) -> Result<String, Failure> {
        self.lines.recv_timeout(self.patience).map_err(|_| {
            let how = match self.child.try_wait() {
                Ok(Some(status)) => format!("ended ({status})"),
                _ => format!("did not answer within {} s", self.patience.as_secs()),
            };
            Failure::infrastructure(format!("{} {how}", self.name))
        })
    }

    /// Waits for exactly this line.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when another comes, or none.
    pub fn expect(&mut self, line: &str) -> Result<(), Failure> {
        match self.receive()? {
            found if found == line => Ok(()),
            found => Err(Failure::infrastructure(format!(
                "{} printed {found:?} where {line:?} was expected",
                self.name
            ))),
        }
    }

    /// Makes these system calls, in this order: (name, how often). Names: `openat`, `getppid`,
    /// `close`, `unlinkat`, `mkdirat`, `statx`, `readlinkat`, `umask`, `pread64`, `pwrite64`.
    /// Each is made exactly so often between the call and the return of this function.
    ///
    /// After a colon may stand what the call is given: a path (`openat:/etc/none`), a size
    /// (`pread64:4096`) or a text (`pwrite64:hello`), without white space. Reads and writes go to
    /// a descriptor that is not open: they are entered, and fail.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when the workload is gone or knows no such call.
    pub fn call(&mut self, calls: &[(&str, u64)]) -> Result<(), Failure> {
        let mut line = String::new();
        for (name, count) in calls {
            let _ = write!(line, "{name} {count} ");
        }
        self.send(line.trim_end())?;
        self.expect("done")
    }

    /// Closes the input and waits for the last line that the workload prints.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it prints nothing.
    pub fn finish(mut self) -> Result<String, Failure> {
        drop(self.input.take());
        let mut last = self.receive()?;
        while let Ok(line) = self.lines.recv_timeout(self.patience) {
            last = line;
        }
        Ok(last)
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number that a system call of [`Workload::call`] has on this machine's processor.
///
/// # Errors
/// [`Failure::Infrastructure`] when no workload makes it.
pub fn syscall_number(name: &str) -> Result<i64, Failure> {
    Ok(match name {
        "openat" => libc::SYS_openat,
        "getppid" => libc::SYS_getppid,
        "close" => libc::SYS_close,
        "unlinkat" => libc::SYS_unlinkat,
        "mkdirat" => libc::SYS_mkdirat,
        "statx" => libc::SYS_statx,
        "readlinkat" => libc::SYS_readlinkat,
        "umask" => libc::SYS_umask,
        "pread64" => libc::SYS_pread64,
        "pwrite64" => libc::SYS_pwrite64,
        _ => {
            return Err(Failure::infrastructure(format!(
                "no workload makes the system call {name}"
            )));
        }
    })
}

/// Makes one system call, with an argument that not all look at.
type Call = fn(&CStr);

/// The system calls that a workload can make, without side effects that last.
#[cfg(target_os = "linux")]
fn syscall(name: &str) -> Option<Call> {
    // Raw calls: a C library is free to use another call than the one its function is named for.
    Some(match name {
        // SAFETY (all of these): paths are NUL-terminated strings that outlive the call, other
        // arguments are numbers, and the calls change nothing but this process.
        "openat" => |path| {
            // SAFETY: as said above; the descriptor is closed by a call that is not openat.
            unsafe {
                let fd = libc::syscall(
                    libc::SYS_openat,
                    libc::AT_FDCWD,
                    path.as_ptr(),
                    libc::O_RDONLY,
                );
                if fd >= 0 {
                    libc::syscall(libc::SYS_close, fd);
                }
            }
        },
        // SAFETY: as said above.
        "getppid" => |_| unsafe {
            libc::syscall(libc::SYS_getppid);
        },
        // SAFETY: as said above; -1 is never an open descriptor.
        "close" => |_| unsafe {
            libc::syscall(libc::SYS_close, -1);
        },
        // SAFETY: as said above; the path does not exist.
        "unlinkat" => |path| unsafe {
            libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0);
        },
        // SAFETY: as said above; the parent does not exist, so nothing is made.
        "mkdirat" => |path| unsafe {
            libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path.as_ptr(), 0o700);
        },
        // SAFETY: as said above; a null buffer makes the call fail after it was entered.
        "statx" => |path| unsafe {
            libc::syscall(libc::SYS_statx, libc::AT_FDCWD, path.as_ptr(), 0, 0, 0);
        },
        // SAFETY: as said above; a buffer of length 0 is refused after the call was entered.
        "readlinkat" => |path| unsafe {
            libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, path.as_ptr(), 0, 0);
        },
        // SAFETY: as said above; -1 is never an open descriptor, so the buffer is never looked at.
        "pread64" => |size| unsafe {
            let size: usize = size
                .to_str()
                .unwrap_or_default()
                .parse()
                .unwrap_or_default();
            libc::syscall(libc::SYS_pread64, -1, ptr::null::<u8>(), size, 0_i64);
        },
        // SAFETY: as said above; the buffer is as long as the call is told.
        "pwrite64" => |text| unsafe {
            libc::syscall(
                libc::SYS_pwrite64,
                -1,
                text.as_ptr(),
                text.count_bytes(),
                0_i64,
            );
        },
        // SAFETY: as said above.
        "umask" => |_| unsafe {
            libc::syscall(libc::SYS_umask, 0o022);
        },
        _ => return None,
    })
}

/// A call as [`Workload::call`] names it, with its argument.
fn order(text: &str) -> Option<(Call, CString)> {
    let (name, argument) = text
        .split_once(':')
        .unwrap_or((text, "/nonexistent/probelab/workload"));
    Some((syscall(name)?, CString::new(argument).ok()?))
}

/// Entry point of the process behind [`Workload::syscalls`].
pub(crate) fn main(_: &[OsString]) -> ExitCode {
    let mut out = io::stdout();
    let mut say = move |line: &str| {
        // A write and no more: standard output's own buffering makes no other call.
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    };
    say("ready");
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut answer = "done".to_owned();
        for pair in words.chunks(2) {
            match pair {
                [call, count] => match (order(call), count.parse::<u64>()) {
                    // On a thread of its own, so that thread id and process id differ: a
                    // program that takes one for the other must not be right by luck.
                    (Some((call, argument)), Ok(count)) => std::thread::scope(|scope| {
                        scope.spawn(|| (0..count).for_each(|_| call(&argument)));
                    }),
                    _ => answer = format!("unknown workload {call} {count}"),
                },
                _ => answer = "a name without a count".to_owned(),
            }
        }
        say(&answer);
    }
    ExitCode::SUCCESS
}
