//! What a learner's program leaves running where there is no control group to find it by.
//!
//! The program leads a session of its own. What it starts is in that session or has made another
//! one; nothing comes back into ours. And while we are a subreaper (prctl(2)), a process whose
//! parent has ended becomes our child. So children of ours in other sessions are its, and there is
//! no other way out. (One such program at a time: what two leave behind can't be told apart.)

use std::time::{Duration, Instant};

use procfs::process::{Process, Stat};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};

/// Orphans of our descendants become our children for as long as this is there.
#[derive(Debug)]
pub(crate) struct Adoption(());

impl Adoption {
    pub(crate) fn begin() -> Self {
        // What we can't adopt, we only don't find.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        Self(())
    }
}

impl Drop for Adoption {
    fn drop(&mut self) {
        let _ = rustix::process::set_child_subreaper(None);
    }
}

/// Ends the session's leader and whatever it started, and waits until nothing is left. Returns
/// how many there were beside the leader, whose exit status stays to be read.
pub(crate) fn end(leader: u32) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let mut ended = 0;
    loop {
        let strangers = strangers(leader);
        if strangers.is_empty() || Instant::now() > deadline {
            return ended;
        }
        for pid in strangers {
            let _ = kill_process(pid, Signal::KILL);
            if matches!(waitpid(Some(pid), WaitOptions::empty()), Ok(Some(_))) {
                ended += 1;
            }
        }
    }
}

/// Our children that are in another session than we are, `leader` left out.
fn strangers(leader: u32) -> Vec<Pid> {
    // From /proc, where a session begun outside our PID namespace is 0, as it is for getsid(2); but
    // rustix holds that for impossible.
    let Ok(us) = Process::myself().and_then(|us| us.stat()) else {
        return Vec::new();
    };
    // A /proc of another namespace has numbers that are not ours to kill by.
    if us.pid != std::process::id().cast_signed() {
        return Vec::new();
    }
    let Ok(processes) = procfs::process::all_processes() else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat: &Stat| stat.ppid == us.pid && stat.session != us.session)
        .filter(|stat| stat.pid != leader.cast_signed())
        .filter_map(|stat| Pid::from_raw(stat.pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt as _,
        process::{Command, Stdio},
    };

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_double_fork_into_another_session_is_found() {
        let _adoption = Adoption::begin();
        // One in the program's own session; one in another; and a child of that one.
        let script = "sleep 300 & setsid sh -c 'sleep 301 & exec sleep 302' & sleep 0.2; exit 7";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        // SAFETY: setsid is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                Ok(())
            });
        }
        let mut leader = command.spawn().expect("sh");
        let id = WaitId::Pid(Pid::from_child(&leader));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(id, options).expect("it ends");
        // What is in its group is killed at once, so what is counted is what was still to be
        // collected.
        assert_eq!(end(leader.id()), 3);
        assert_eq!(strangers(leader.id()), []);
        assert_eq!(leader.wait().expect("its status").code(), Some(7));
    }

    /// As in a container: the session was begun outside, so it has no number here.
    #[test]
    fn it_is_found_in_a_pid_namespace_whose_session_was_begun_outside() {
        let unshare = [
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ];
        let can = Command::new("unshare").args(unshare).arg("true").output();
        if !can.is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: no PID namespace of one's own may be made here");
            return;
        }
        let name = "descendants::tests::a_double_fork_into_another_session_is_found";
        let done = Command::new("unshare")
            .args(unshare)
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", name])
            .output()
            .expect("unshare");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
}
