//! What this machine can do, and how to make it able to: the facts behind `lab doctor` and
//! behind a `skipped` or `error` verdict.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::mounts;

/// One thing that labs may need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was looked at: `kernel`, `btf`, `tracefs`, …
    pub what: &'static str,
    /// Good, bad, or bad only for some.
    pub state: State,
    /// One sentence: what is.
    pub found: String,
    /// What to do about it; empty when nothing needs doing.
    pub fix: String,
}

/// How a [`Finding`] matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// As it should be.
    Good,
    /// Labs run, with a limit that the finding names.
    Warning,
    /// Labs that need it can't run.
    Bad,
}

/// The running kernel's release, as `uname -r` says.
pub fn release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// Where a program is that can be started by its name.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// The running kernel's version: major, minor.
pub fn kernel_version() -> (u16, u16) {
    parse_version(&release())
}

/// Major and minor of a release: `6.18.44-cloud` is (6, 18); what has no number is 0.
pub fn parse_version(release: &str) -> (u16, u16) {
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Whether this process may do what the check runner does.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the kernel describes its own types.
pub fn has_btf() -> bool {
    Path::new("/sys/kernel/btf/vmlinux").exists()
}

/// Whether the running kernel was built with `option` (`CONFIG_…`); `None` where the machine does
/// not tell, in /proc/config.gz or /boot.
pub fn is_built_with(option: &str) -> Option<bool> {
    let options = procfs::kernel_config().ok()?;
    Some(matches!(
        options.get(option),
        Some(procfs::ConfigSetting::Yes | procfs::ConfigSetting::Module)
    ))
}

/// Whether processes have the same numbers here as in the kernel's own eyes, which are those that BPF
/// programs see; a container usually has its own.
pub fn has_the_kernels_process_numbers() -> bool {
    // PROC_PID_INIT_INO (include/linux/proc_ns.h) is the number of the first namespace.
    // A kernel without such namespaces has no such file.
    fs::read_link("/proc/self/ns/pid").map_or(true, |namespace| {
        namespace.as_os_str() == "pid:[4026531836]"
    })
}

/// Everything that native eBPF labs need of a machine.
pub fn findings() -> Vec<Finding> {
    let facts = Facts::gather();
    facts.findings()
}

/// What stands in the way of every lab that has something in the kernel, seen as the check runner:
/// one sentence that says what is wrong and what to do.
pub fn obstacle() -> Option<String> {
    Facts::gather().obstacle()
}

/// What [`Facts::findings`] judges; apart from it, so that the judgement can be tested.
#[derive(Clone, Debug)]
struct Facts {
    kernel: (u16, u16),
    release: String,
    root: bool,
    sudo: bool,
    btf: bool,
    tracefs: Option<&'static str>,
    cgroup2: bool,
    unprivileged_bpf: Option<String>,
    perf_event_paranoid: Option<i32>,
    memlock_bytes: Option<u64>,
    resource_capability: bool,
    lockdown: String,
    kernels_process_numbers: bool,
}

impl Facts {
    fn gather() -> Self {
        let release = release();
        // What can't be read is as if it were not mounted.
        let mounts = mounts::all().unwrap_or_default();
        let read = |path: &str| {
            fs::read_to_string(path)
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let effective = rustix::thread::capabilities(None)
            .map_or(rustix::thread::CapabilitySet::empty(), |sets| {
                sets.effective
            });
        Self {
            kernel: parse_version(&release),
            release,
            root: is_root(),
            sudo: ["/usr/bin/sudo", "/bin/sudo", "/usr/local/bin/sudo"]
                .iter()
                .any(|path| Path::new(path).exists()),
            btf: has_btf(),
            tracefs: ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"]
                .into_iter()
                .find(|place| {
                    mounts
                        .iter()
                        .any(|mount| mount.mount_point == Path::new(place))
                }),
            cgroup2: !mounts::points(&mounts, "cgroup2", None).is_empty(),
            unprivileged_bpf: read("/proc/sys/kernel/unprivileged_bpf_disabled"),
            perf_event_paranoid: read("/proc/sys/kernel/perf_event_paranoid")
                .and_then(|value| value.parse().ok()),
            memlock_bytes: rustix::process::getrlimit(rustix::process::Resource::Memlock).maximum,
            resource_capability: effective.contains(rustix::thread::CapabilitySet::SYS_RESOURCE),
            lockdown: read("/sys/kernel/security/lockdown").unwrap_or_default(),
            kernels_process_numbers: has_the_kernels_process_numbers(),
        }
    }

    fn obstacle(&self) -> Option<String> {
        let bad = self.findings().into_iter().find(|finding| {
            // A lab that needs BTF says so itself, and is skipped.
            finding.state == State::Bad && finding.what != "btf"
        })?;
        Some(format!("{}: {}. {}", bad.what, bad.found, bad.fix))
    }

    fn findings(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        let mut say = |what, state, found: String, fix: &str| {
            all.push(Finding {
                what,
                state,
                found,
                fix: if state == State::Good {
                    String::new()
                } else {
                    fix.to_owned()
                },
            });
        };
        let old = self.kernel < (5, 10);
        say(
            "kernel",
            if old { State::Bad } else { State::Good },
            format!("Linux {}", self.release),
            "Labs need Linux 5.10 or newer: use a newer kernel, or a virtual machine with one.",
        );
        say(
            "root",
            if self.root || self.sudo {
                State::Good
            } else {
                State::Bad
            },
            if self.root {
                "you are root".to_owned()
            } else if self.sudo {
                "sudo is there; `lab` shows the command before it uses it".to_owned()
            } else {
                "you are not root, and there is no sudo".to_owned()
            },
            "Loading BPF programs needs root for the check (your own program runs without it). Ask for sudo, or check in a virtual machine: `lab check --on vm`.",
        );
        say(
            "btf",
            if self.btf { State::Good } else { State::Bad },
            if self.btf {
                "the kernel describes its types (/sys/kernel/btf/vmlinux)"
            } else {
                "/sys/kernel/btf/vmlinux is missing"
            }
            .to_owned(),
            "Labs that read kernel structures are skipped. Use a kernel built with CONFIG_DEBUG_INFO_BTF=y; distribution kernels since 2021 are.",
        );
        match self.tracefs {
            Some(place) => say("tracefs", State::Good, format!("mounted at {place}"), ""),
            None if self.root || self.sudo => say(
                "tracefs",
                State::Good,
                "not mounted; `lab` mounts it for the check only".to_owned(),
                "",
            ),
            None => say(
                "tracefs",
                State::Bad,
                "not mounted".to_owned(),
                "As root: mount -t tracefs nodev /sys/kernel/tracing",
            ),
        }
        say(
            "cgroup2",
            if self.cgroup2 {
                State::Good
            } else {
                State::Bad
            },
            if self.cgroup2 {
                "mounted"
            } else {
                "no cgroup2 hierarchy is mounted"
            }
            .to_owned(),
            "As root: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified",
        );
        if let Some(value) = &self.unprivileged_bpf {
            let sentence = match value.as_str() {
                "0" => "off for nobody: any user may load some programs",
                "1" => "off until the next boot for users without CAP_BPF",
                _ => "off for users without CAP_BPF",
            };
            // Labs give the capability, so nothing needs doing either way.
            say("unprivileged bpf", State::Good, sentence.to_owned(), "");
        }
        // Debian's kernels know a third level, from which on CAP_PERFMON does not do.
        let closed = self.perf_event_paranoid.is_some_and(|level| level > 2);
        say(
            "perf events",
            if closed { State::Bad } else { State::Good },
            if closed {
                "closed to all but CAP_SYS_ADMIN (kernel.perf_event_paranoid is above 2)"
            } else {
                "open to programs with CAP_PERFMON"
            }
            .to_owned(),
            "As root, until the next boot: sysctl kernel.perf_event_paranoid=2. Or use a virtual machine: `lab check --on vm`.",
        );
        let enough =
            self.memlock_bytes.is_none_or(|bytes| bytes >= 64 << 20) || self.resource_capability;
        let charged = self.kernel < (5, 11);
        say(
            "memlock",
            match (enough, charged) {
                (true, _) => State::Good,
                (false, false) => State::Warning,
                (false, true) => State::Bad,
            },
            if enough {
                "can be raised".to_owned()
            } else {
                format!(
                    "limited to {} KiB, and can't be raised here{}",
                    self.memlock_bytes.unwrap_or(0) >> 10,
                    if charged {
                        ""
                    } else {
                        "; this kernel (5.11 or newer) does not charge BPF maps to it"
                    }
                )
            },
            if charged {
                "Before Linux 5.11 BPF maps are charged to this limit. Raise it for root: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the service that starts you."
            } else {
                "Nothing needs doing."
            },
        );
        if !self.kernels_process_numbers {
            say(
                "process numbers",
                State::Bad,
                "processes have other numbers here than in the kernel, and BPF programs see the kernel's; so it is in WSL 2 and in most containers".to_owned(),
                "Check in a virtual machine: `lab check --on vm`. (A container can share the kernel's numbers: docker run --pid=host.)",
            );
        }
        if self.lockdown.contains("[confidentiality]") {
            say(
                "lockdown",
                State::Bad,
                "the kernel is locked down for confidentiality".to_owned(),
                "Reading kernel memory from BPF is refused. Boot with lockdown=integrity, or use a virtual machine.",
            );
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            kernel: (6, 12),
            release: "6.12.0".into(),
            root: true,
            sudo: false,
            btf: true,
            tracefs: Some("/sys/kernel/tracing"),
            cgroup2: true,
            unprivileged_bpf: Some("2".into()),
            perf_event_paranoid: Some(2),
            memlock_bytes: None,
            resource_capability: true,
            lockdown: String::new(),
            kernels_process_numbers: true,
        }
    }

    fn state(facts: &Facts, what: &str) -> State {
        facts
            .findings()
            .into_iter()
            .find(|finding| finding.what == what)
            .expect("the finding is there")
            .state
    }

    #[test]
    fn a_usual_machine_has_nothing_to_mend() {
        assert!(
            good()
                .findings()
                .iter()
                .all(|finding| finding.state == State::Good && finding.fix.is_empty())
        );
    }

    #[test]
    fn each_lack_is_found_and_has_a_fix() {
        let cases: [(&str, State, Facts); 8] = [
            (
                "kernel",
                State::Bad,
                Facts {
                    kernel: (5, 4),
                    ..good()
                },
            ),
            (
                "root",
                State::Bad,
                Facts {
                    root: false,
                    ..good()
                },
            ),
            (
                "btf",
                State::Bad,
                Facts {
                    btf: false,
                    ..good()
                },
            ),
            (
                "tracefs",
                State::Bad,
                Facts {
                    tracefs: None,
                    root: false,
                    ..good()
                },
            ),
            (
                "cgroup2",
                State::Bad,
                Facts {
                    cgroup2: false,
                    ..good()
                },
            ),
            (
                "perf events",
                State::Bad,
                Facts {
                    perf_event_paranoid: Some(3),
                    ..good()
                },
            ),
            (
                "process numbers",
                State::Bad,
                Facts {
                    kernels_process_numbers: false,
                    ..good()
                },
            ),
            (
                "lockdown",
                State::Bad,
                Facts {
                    lockdown: "none integrity [confidentiality]".into(),
                    ..good()
                },
            ),
        ];
        for (what, expected, facts) in cases {
            let found = facts
                .findings()
                .into_iter()
                .find(|finding| finding.what == what)
                .expect("the finding is there");
            assert_eq!(found.state, expected, "{what}");
            assert!(!found.fix.is_empty(), "{what} has no fix");
        }
    }

    #[test]
    fn an_obstacle_comes_with_its_fix() {
        assert_eq!(good().obstacle(), None);
        assert_eq!(
            Facts {
                btf: false,
                ..good()
            }
            .obstacle(),
            None
        );
        let stuck = Facts {
            kernel: (5, 10),
            memlock_bytes: Some(64 << 10),
            resource_capability: false,
            ..good()
        };
        assert_eq!(
            stuck.obstacle().as_deref(),
            Some(
                "memlock: limited to 64 KiB, and can't be raised here. Before Linux 5.11 BPF maps \
                 are charged to this limit. Raise it for root: `ulimit -l unlimited`, or \
                 LimitMEMLOCK=infinity in the service that starts you."
            )
        );
    }

    #[test]
    fn memlock_matters_only_before_5_11() {
        let stuck = Facts {
            memlock_bytes: Some(64 << 10),
            resource_capability: false,
            ..good()
        };
        assert_eq!(state(&stuck, "memlock"), State::Warning);
        assert_eq!(
            state(
                &Facts {
                    kernel: (5, 10),
                    ..stuck
                },
                "memlock"
            ),
            State::Bad
        );
    }

    #[test]
    fn versions_are_read_from_any_release_name() {
        assert_eq!(parse_version("6.18.44-fc-v669"), (6, 18));
        assert_eq!(parse_version("5.10.0-35-cloud-amd64"), (5, 10));
        assert_eq!(parse_version("odd"), (0, 0));
    }
}
