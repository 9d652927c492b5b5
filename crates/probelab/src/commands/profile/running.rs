//! The process that is recorded: one that runs already, or a command of ours.

use std::{
    io,
    process::{Child, Command},
    time::{Duration, Instant},
};

use goprof::Held;

use super::LOOK;
use crate::{
    cli::Profile as Options,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// How long a command may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// The same, before it is told once more: Ctrl-C told all that run in the terminal.
const HEARD: Duration = Duration::from_secs(2);

/// What is recorded, before it is.
pub enum Target {
    Running(u32),
    Held(Held),
}

impl Target {
    /// # Errors
    /// When the command can't be started.
    pub fn of(options: &Options) -> Outcome<Self> {
        let Some((program, args)) = options.exec.split_first() else {
            return Ok(Self::Running(options.pid.unwrap_or_default()));
        };
        let held = Held::start(Command::new(program).args(args)).map_err(|error| {
            let help = match error.kind() {
                io::ErrorKind::NotFound => "give the program's path",
                _ => "",
            };
            Trouble::usage(format!("cannot start {}: {error}", program.display()), help)
        })?;
        Ok(Self::Held(held))
    }

    pub fn pid(&self) -> u32 {
        match self {
            Self::Running(pid) => *pid,
            Self::Held(held) => held.id(),
        }
    }

    /// Lets a command run.
    ///
    /// # Errors
    /// When somebody has ended it.
    pub fn go(self) -> Outcome<Running> {
        match self {
            Self::Running(pid) => Ok(Running::Process(pid)),
            Self::Held(held) => held
                .release()
                .map(Running::Command)
                .or_infrastructure(|| "the command could not be let go".to_owned()),
        }
    }
}

/// What is recorded, meanwhile.
pub enum Running {
    Process(u32),
    Command(Child),
}

impl Running {
    pub fn is_running(&mut self) -> bool {
        match self {
            Self::Process(pid) => is_alive(*pid),
            Self::Command(child) => matches!(child.try_wait(), Ok(None)),
        }
    }

    /// Ends a command of ours; one that the terminal has told to end, too, is given time to do so first.
    pub fn end(&mut self, told_already: bool) {
        let Self::Command(child) = self else { return };
        let ends_within = |child: &mut Child, time: Duration| {
            let until = Instant::now() + time;
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > until {
                    return false;
                }
                std::thread::sleep(LOOK);
            }
            true
        };
        if ends_within(child, if told_already { HEARD } else { Duration::ZERO }) {
            return;
        }
        let pid = rustix::process::Pid::from_child(child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if !ends_within(child, GRACE) {
            errln!(
                "the command does not end; it goes on as process {}",
                child.id()
            );
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Whether a process still runs; one that has ended and is not waited for does not.
fn is_alive(pid: u32) -> bool {
    procfs::process::Process::new(pid.cast_signed())
        .and_then(|process| process.stat())
        .is_ok_and(|stat| stat.state != 'Z')
}
