//! How a guest ended.

/// Every way in which a job in a virtual machine can end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The check runner ended, with this exit status; what it printed is whole.
    Done(Option<i32>),
    /// The guest was still at work when its time was over.
    TimeOut,
    /// The guest's kernel gave up. The first lines of its complaint.
    Panic(String),
    /// The guest started anew.
    Reset,
    /// The guest switched itself off before it was done.
    PowerOff,
    /// The guest's kernel ended our own processes for want of memory.
    OutOfMemory,
    /// The guest printed or sent more than any check does.
    Flood(&'static str),
    /// The guest said nothing more, though it runs.
    Silence,
    /// What the guest sent is not what our part of it sends.
    Forged(String),
    /// Our part of the guest could not do its work.
    Broken(String),
    /// The guest never got as far as waiting for a job.
    NeverReady(String),
    /// QEMU itself failed.
    Qemu(String),
}

impl Outcome {
    /// Whether another attempt may do better: only when the guest was never ready, so that nothing of
    /// a learner's has run.
    pub fn may_be_retried(&self) -> bool {
        matches!(self, Self::NeverReady(_))
    }

    /// Stable, for reports and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::TimeOut => "time-out",
            Self::Panic(_) => "panic",
            Self::Reset => "reset",
            Self::PowerOff => "power-off",
            Self::OutOfMemory => "out-of-memory",
            Self::Flood(_) => "flood",
            Self::Silence => "silence",
            Self::Forged(_) => "forged",
            Self::Broken(_) => "broken",
            Self::NeverReady(_) => "never-ready",
            Self::Qemu(_) => "qemu",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(Some(0)) => f.write_str("the checks were made"),
            Self::Done(Some(status)) => {
                write!(f, "the check runner ended with exit status {status}")
            }
            Self::Done(None) => f.write_str("the check runner was ended by a signal"),
            Self::TimeOut => f.write_str("the virtual machine's time was over"),
            Self::Panic(why) => write!(f, "the virtual machine's kernel panicked: {why}"),
            Self::Reset => f.write_str("the virtual machine was reset from inside"),
            Self::PowerOff => f.write_str("the virtual machine was switched off from inside"),
            Self::OutOfMemory => f.write_str("the virtual machine ran out of memory"),
            Self::Flood(what) => write!(f, "the virtual machine flooded {what}"),
            Self::Silence => f.write_str("the virtual machine stopped answering"),
            Self::Forged(why) => write!(f, "the virtual machine sent what it should not: {why}"),
            Self::Broken(why) => write!(f, "the virtual machine could not do its part: {why}"),
            Self::NeverReady(why) => write!(f, "the virtual machine did not come up: {why}"),
            Self::Qemu(why) => write!(f, "QEMU failed: {why}"),
        }
    }
}

/// The first lines of a kernel's complaint, from its console.
pub(crate) fn panic_of(console: &str) -> Option<String> {
    let lines: Vec<&str> = console.lines().map(message).collect();
    let end = lines
        .iter()
        .position(|line| line.contains("Kernel panic"))?;
    // What led to it comes before.
    let begin = lines[..end]
        .iter()
        .position(|line| {
            [
                "BUG:",
                "Oops",
                "general protection",
                "sysrq: ",
                "kernel BUG",
            ]
            .iter()
            .any(|mark| line.contains(mark))
        })
        .unwrap_or(end);
    let mut shown: Vec<&str> = lines[begin..end].iter().take(3).copied().collect();
    shown.push(lines[end]);
    Some(shown.join("; "))
}

/// Whether the kernel ended a process for want of memory, of the whole machine or of a group.
pub(crate) fn ran_out_of_memory(console: &str) -> bool {
    console.contains("Out of memory: Killed process")
        || console.contains("System is deadlocked on memory")
}

/// A console line without the kernel's time stamp.
fn message(line: &str) -> &str {
    match line.split_once("] ") {
        Some((stamp, rest)) if stamp.trim_start().starts_with('[') => rest,
        _ => line,
    }
    .trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_first_lines() {
        let console = "[    1.0] sysrq: Trigger a crash\r\n[    1.1] Kernel panic - not syncing: sysrq triggered crash\r\n[    1.2] CPU: 0\r\n";
        assert_eq!(
            panic_of(console).as_deref(),
            Some("sysrq: Trigger a crash; Kernel panic - not syncing: sysrq triggered crash")
        );
        assert_eq!(panic_of("[    1.0] all is well\n"), None);
        assert!(!ran_out_of_memory(console));
        assert!(ran_out_of_memory(
            "[ 2.0] Out of memory: Killed process 61 (init)\n"
        ));
    }
}
