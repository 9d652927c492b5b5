//! The last thing that runs before a learner's program: a child of the runner that joins the
//! control group, gets mounts of its own, gives up privilege, and becomes the program.
//!
//! It is a process, not code between fork and exec, because the runner has threads, and
//! because ordinary code can say what went wrong.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::PathBuf,
    process::{Command, ExitCode},
};

use rustix::{
    fs::Mode,
    mount::{MountFlags, mount},
    process::{Resource, Rlimit, Signal, getrlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets, Gid, Uid, UnshareFlags},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use serde::{Deserialize, Serialize};

use crate::mounts;

/// The hidden argument of `lab` that runs [`main`].
pub(crate) const COMMAND: &str = "__enter";

/// What the child is to become.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    /// Folder that the program starts in, and may write.
    pub(crate) folder: PathBuf,
    /// Only when privileged: who to be, what to keep, which groups to join.
    pub(crate) identity: Option<Identity>,
    /// Seconds of CPU time.
    pub(crate) cpu_seconds: u64,
}

/// The learner's program as the kernel sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    /// By number (include/uapi/linux/capability.h).
    pub(crate) capabilities: Vec<u8>,
    pub(crate) cgroups: Vec<PathBuf>,
    /// Own mounts of tracefs and bpffs.
    pub(crate) mounts: bool,
    /// Whether the program may make BPF links.
    pub(crate) links: bool,
}

/// Entry point of the child. Only returns when something failed.
///
/// Standard input is a socket of the runner's. It brings the [`Entry`], and takes back why there
/// will be no learner's program: the runner must be able to tell that from anything that the program
/// itself may print.
pub(crate) fn main() -> ExitCode {
    let outcome = to_runner().and_then(|mut runner| {
        let mut json = String::new();
        runner.read_to_string(&mut json)?;
        let entry: Entry = serde_json::from_str(&json).map_err(io::Error::other)?;
        let Err(error) = enter(&entry);
        runner.write_all(error.to_string().as_bytes())
    });
    if let Err(error) = outcome {
        eprintln!("lab {COMMAND} is for `lab` itself: {error}");
    }
    ExitCode::from(3)
}

/// The socket, moved to where the learner's program does not get it, with nothing left in its place.
fn to_runner() -> io::Result<UnixStream> {
    let runner = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?;
    Ok(runner.into())
}

fn enter(entry: &Entry) -> io::Result<std::convert::Infallible> {
    // The learner's files are the same whatever the caller's umask is, and so is the view of
    // tracefs, which others must be able to read.
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    if let Some(identity) = &entry.identity {
        for folder in &identity.cgroups {
            fs::write(folder.join("cgroup.procs"), "0")
                .map_err(|error| at("cannot join the control group", error))?;
        }
        if identity.mounts {
            own_mounts(identity.uid).map_err(|error| at("cannot set up mounts", error))?;
        }
    }
    limits(entry).map_err(|error| at("cannot set resource limits", error))?;
    if let Some(identity) = &entry.identity {
        drop_privilege(identity).map_err(|error| at("cannot drop privilege", error))?;
    }
    default_signals();
    // After the change of user, which would clear it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    if entry
        .identity
        .as_ref()
        .is_some_and(|identity| !identity.links)
    {
        refuse_links().map_err(|error| at("cannot refuse BPF links", error))?;
    }
    // Out of reach of the caller's terminal, into which the program could type otherwise; and its
    // own process group.
    rustix::process::setsid()?;
    let error = Command::new(&entry.program)
        .args(&entry.args)
        .current_dir(&entry.folder)
        .exec();
    Err(at(
        &format!("cannot run {}", entry.program.display()),
        error,
    ))
}

/// Makes bpf(2) answer BPF_LINK_CREATE as a kernel does that knows no links: libraries then attach to
/// perf events in the older way, of which every kernel tells (`BPF_TASK_FD_QUERY`).
fn refuse_links() -> io::Result<()> {
    // enum bpf_cmd, include/uapi/linux/bpf.h.
    const BPF_LINK_CREATE: u64 = 28;
    let other = |error: seccompiler::Error| io::Error::other(error);
    let backend = |error: seccompiler::BackendError| io::Error::other(error);
    let create = SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        BPF_LINK_CREATE,
    )
    .map_err(backend)?;
    let rule = SeccompRule::new(vec![create]).map_err(backend)?;
    let filter = SeccompFilter::new(
        [(libc::SYS_bpf, vec![rule])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EINVAL.cast_unsigned()),
        std::env::consts::ARCH.try_into().map_err(backend)?,
    )
    .map_err(backend)?;
    let program: BpfProgram = filter.try_into().map_err(backend)?;
    seccompiler::apply_filter(&program).map_err(other)
}

/// A shell ignores SIGINT in what it starts in the background, and that would be inherited: a
/// program that handles no signal must end by the one that tells it to stop.
fn default_signals() {
    for signal in [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ] {
        // SAFETY: the default action needs no handler of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn at(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// A mount namespace whose tracefs is readable and whose bpffs is new: what the program pins
/// there is gone with its last process.
fn own_mounts(uid: u32) -> io::Result<()> {
    // SAFETY: unsharing the mount namespace leaves memory and descriptors as they are.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    mounts::stop_sharing()?;
    crate::tracefs::show_view()?;
    let options = c"mode=0700";
    mount(
        "bpf",
        "/sys/fs/bpf",
        "bpf",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(options),
    )?;
    rustix::fs::chown(
        "/sys/fs/bpf",
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(uid)),
    )?;
    Ok(())
}

/// Sets limits, none above what the caller is held to.
fn limits(entry: &Entry) -> io::Result<()> {
    let limit = |resource, soft: u64, hard: u64| {
        let allowed = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(
            resource,
            Rlimit {
                current: Some(soft.min(allowed)),
                maximum: Some(hard.min(allowed)),
            },
        )
    };
    let both = |resource, value| limit(resource, value, value);
    both(Resource::Core, 0)?;
    // SIGXCPU at the first, which says why; SIGKILL at the second.
    limit(Resource::Cpu, entry.cpu_seconds, entry.cpu_seconds + 1)?;
    both(Resource::Fsize, 64 << 20)?;
    both(Resource::Nofile, 1024)?;
    if entry.identity.is_some() {
        // Of the learner's user, and so of every run on this machine at once. The control group's
        // own limit is lower; this one holds where there is none.
        both(Resource::Nproc, 512)?;
        // Kernels before 5.11 charge BPF maps to this limit; later ones don't look at it. Without
        // CAP_SYS_RESOURCE it can't be raised, which `machine` reports where it matters.
        let _ = setrlimit(
            Resource::Memlock,
            Rlimit {
                current: None,
                maximum: None,
            },
        );
    }
    Ok(())
}

fn drop_privilege(identity: &Identity) -> io::Result<()> {
    let keep = identity
        .capabilities
        .iter()
        .fold(CapabilitySet::empty(), |set, number| {
            set | CapabilitySet::from_bits_retain(1 << number)
        });
    rustix::thread::set_keep_capabilities(true)?;
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.uid));
    for capability in CapabilitySet::all().difference(keep).iter() {
        // The kernel knows fewer capabilities than the library when it is older.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    // Per thread, which is the whole process: it has only this one.
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: keep,
            permitted: keep,
            inheritable: keep,
        },
    )?;
    for capability in keep.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}
