//! Starts a program so that it can be looked at from its first instruction on.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command},
};

/// For ptrace's address and data, which are as long as a pointer.
const NOTHING: libc::c_long = 0;

/// A command that was started and stands before its first instruction: its files are mapped, and
/// nothing of it has run (ptrace(2), PTRACE_TRACEME). It ends when this is dropped, and with this process,
/// however that ends.
///
/// To be used by the thread that started it only.
#[derive(Debug)]
pub struct Held {
    child: Option<Child>,
}

impl Held {
    /// Starts `command`.
    ///
    /// # Errors
    /// When it can't be started, or may not be traced.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // SAFETY: the call is one system call; it takes no memory and no lock.
        unsafe {
            command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            })
        };
        let mut held = Self {
            child: Some(command.spawn()?),
        };
        let mut status = 0;
        // SAFETY: the status lives until the call returns.
        let waited = unsafe { libc::waitpid(held.pid(), &raw mut status, 0) };
        if waited == -1 {
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(status) {
            held.child = None;
            return Err(io::Error::other("it ended before it began"));
        }
        // SAFETY: the options are a number, given in the place of an address.
        let set = unsafe {
            libc::ptrace(
                libc::PTRACE_SETOPTIONS,
                held.pid(),
                NOTHING,
                libc::c_long::from(libc::PTRACE_O_EXITKILL),
            )
        };
        if set == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(held)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Lets it go.
    ///
    /// # Errors
    /// When somebody else has ended it.
    pub fn release(mut self) -> io::Result<Child> {
        // SAFETY: neither address nor signal is given.
        if unsafe { libc::ptrace(libc::PTRACE_DETACH, self.pid(), NOTHING, NOTHING) } == -1 {
            return Err(io::Error::last_os_error());
        }
        self.child
            .take()
            .ok_or_else(|| io::Error::other("it has ended"))
    }

    fn pid(&self) -> libc::pid_t {
        self.id().cast_signed()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
