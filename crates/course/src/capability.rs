//! Linux capabilities, by the names that labs use.

use std::fmt;

/// A capability: `bpf` is `CAP_BPF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// By number, from include/uapi/linux/capability.h (`CAP_CHOWN` is 0, `CAP_LAST_CAP` is 40).
pub(crate) const NAMES: &[&str] = &[
    "chown",
    "dac-override",
    "dac-read-search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux-immutable",
    "net-bind-service",
    "net-broadcast",
    "net-admin",
    "net-raw",
    "ipc-lock",
    "ipc-owner",
    "sys-module",
    "sys-rawio",
    "sys-chroot",
    "sys-ptrace",
    "sys-pacct",
    "sys-admin",
    "sys-boot",
    "sys-nice",
    "sys-resource",
    "sys-time",
    "sys-tty-config",
    "mknod",
    "lease",
    "audit-write",
    "audit-control",
    "setfcap",
    "mac-override",
    "mac-admin",
    "syslog",
    "wake-alarm",
    "block-suspend",
    "audit-read",
    "perfmon",
    "bpf",
    "checkpoint-restore",
];

impl Capability {
    /// `CAP_BPF`, Linux 5.8 on.
    pub const BPF: Self = Self(39);
    /// `CAP_PERFMON`, Linux 5.8 on.
    pub const PERFMON: Self = Self(38);
    /// `CAP_NET_ADMIN`.
    pub const NET_ADMIN: Self = Self(12);
    /// `CAP_SYS_ADMIN`.
    pub const SYS_ADMIN: Self = Self(21);

    /// The capability of that name in `lab.toml`: `sys-admin`.
    pub fn from_name(name: &str) -> Option<Self> {
        let number = NAMES.iter().position(|n| *n == name)?;
        u8::try_from(number).ok().map(Self)
    }

    /// Its number in the kernel's sets.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its name in `lab.toml`.
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }

    /// Its name in the kernel's documentation: `CAP_SYS_ADMIN`.
    pub fn kernel_name(self) -> String {
        format!("CAP_{}", self.name().replace('-', "_").to_uppercase())
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, number, kernel_name) in [
            ("chown", 0, "CAP_CHOWN"),
            ("net-admin", 12, "CAP_NET_ADMIN"),
            ("sys-admin", 21, "CAP_SYS_ADMIN"),
            ("perfmon", 38, "CAP_PERFMON"),
            ("bpf", 39, "CAP_BPF"),
            ("checkpoint-restore", 40, "CAP_CHECKPOINT_RESTORE"),
        ] {
            let found = Capability::from_name(name).map(|c| (c.number(), c.kernel_name()));
            assert_eq!(found, Some((number, kernel_name.to_owned())));
        }
        for constant in [
            (Capability::BPF, "bpf"),
            (Capability::PERFMON, "perfmon"),
            (Capability::NET_ADMIN, "net-admin"),
            (Capability::SYS_ADMIN, "sys-admin"),
        ] {
            assert_eq!(constant.0.name(), constant.1);
        }
    }
}
