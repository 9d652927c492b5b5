//! One QEMU process: started, listened to, and ended with us however we end.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::UNIX_EPOCH,
};

use command_fds::{CommandFdExt as _, FdMapping};
use course::Arch;

use crate::{
    Error, error::While as _, guest::PORT, initramfs::Initramfs, kernels::Ready, snapshot::Snapshot,
};

/// Descriptors of QEMU's that are ends of ours.
const PORT_FD: i32 = 3;
const QMP_FD: i32 = 4;
/// The state of a saved guest, and its memory.
const STATE_FD: i32 = 5;
const MEMORY_FD: i32 = 6;

/// How fast guests run: with the processor's help, or every instruction in software.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accelerator {
    /// The kernel's virtual machines.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

impl Accelerator {
    /// As QEMU calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// What a machine is made of.
#[derive(Clone, Copy, Debug)]
pub struct Machine<'a> {
    pub kernel: &'a Ready,
    pub initramfs: &'a Initramfs,
    pub accelerator: Accelerator,
    /// MiB.
    pub memory: u32,
    /// Whether unsigned modules, and the like, are kept out (kernel_lockdown(7)).
    pub lockdown: bool,
}

/// What a machine finds in its memory.
#[derive(Clone, Copy, Debug)]
pub enum Memory<'a> {
    /// Nothing.
    Empty,
    /// Nothing; what it writes is kept in this file, which grows to the memory's size.
    KeptIn(&'a File),
    /// What a saved guest left, of which it has its own copy: a page is read when it is touched, and
    /// what is written is not kept. It stands still until it is let go on.
    Saved(&'a Snapshot),
}

impl Memory<'_> {
    /// Of `mib` MiB. The files are known by descriptors: nobody can exchange them.
    fn arguments(self, mib: u32) -> Vec<String> {
        let share = match self {
            Self::Empty => return Vec::new(),
            Self::KeptIn(_) => "on",
            Self::Saved(_) => "off",
        };
        let mut arguments = vec![
            "-object".into(),
            format!(
                "memory-backend-file,id=ram,size={mib}M,mem-path=/proc/self/fd/{MEMORY_FD},share={share}"
            ),
            "-machine".into(),
            "memory-backend=ram".into(),
        ];
        if let Self::Saved(_) = self {
            arguments.extend(["-incoming".into(), "defer".into()]);
        }
        arguments
    }

    /// The files, with the numbers that they have in QEMU.
    fn descriptors(self) -> io::Result<Vec<FdMapping>> {
        let mapping = |file: File, child_fd| FdMapping {
            parent_fd: OwnedFd::from(file),
            child_fd,
        };
        Ok(match self {
            Self::Empty => Vec::new(),
            Self::KeptIn(memory) => vec![mapping(memory.try_clone()?, MEMORY_FD)],
            // Each reads the state from the beginning, so each has opened it itself.
            Self::Saved(saved) => vec![
                mapping(saved.memory.try_clone()?, MEMORY_FD),
                mapping(again(&saved.state)?, STATE_FD),
            ],
        })
    }
}

/// The same file, opened anew, even if its name is gone.
fn again(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// What QEMU calls the file with a saved guest's state.
pub(crate) fn state_uri() -> String {
    format!("fd:{STATE_FD}")
}

/// A QEMU process. Dropping it ends it.
#[derive(Debug)]
pub struct Qemu {
    child: Child,
    /// The connection to the guest's first process.
    pub port: UnixStream,
    /// QEMU's own, by which it tells how the guest ended (QMP).
    pub qmp: UnixStream,
    /// What the guest's kernel prints.
    pub console: Option<std::process::ChildStdout>,
    /// What QEMU itself complains of.
    pub complaints: Option<std::process::ChildStderr>,
}

/// The program for guests of an architecture.
pub fn program(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86_64",
        Arch::Aarch64 => "qemu-system-aarch64",
    }
}

/// The Debian package of [`program`].
pub fn package(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "qemu-system-x86",
        Arch::Aarch64 => "qemu-system-arm",
    }
}

/// What differs between architectures in how a machine is started.
struct Board {
    machine: &'static str,
    /// Without the processor's help.
    translated: &'static str,
    console: &'static str,
    /// For the kernel alone.
    append: &'static str,
}

impl Board {
    fn of(arch: Arch) -> Self {
        match arch {
            Arch::X86_64 => Self {
                machine: "pc",
                // cmpxchg16b under TCG makes some kernels oops.
                // SMAP ends a translated block at each access to a program's memory.
                translated: "max,-cx16,-smap,-smep,-avx",
                console: "ttyS0",
                append: " tsc=reliable no_timer_check",
            },
            Arch::Aarch64 => Self {
                machine: "virt",
                // Pointer authentication in software costs more than all the rest.
                translated: "max,pauth-impdef=on",
                console: "ttyAMA0",
                append: "",
            },
        }
    }
}

impl Machine<'_> {
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let board = Board::of(self.kernel.arch);
        let mut append = format!(
            "console={} quiet panic=-1 mitigations=off init_on_alloc=0{} lsm=landlock,lockdown,yama,apparmor,bpf",
            board.console, board.append
        );
        if self.lockdown {
            append += " lockdown=integrity";
        }
        let cpu = match self.accelerator {
            Accelerator::Kvm => "host",
            Accelerator::Tcg => board.translated,
        };
        let memory = self.memory.to_string();
        let port = format!("socket,id=port,fd={PORT_FD}");
        let qmp = format!("socket,id=qmp,fd={QMP_FD}");
        let own = format!("virtserialport,chardev=port,name={PORT}");
        let mut args: Vec<OsString> = [
            "-M",
            board.machine,
            "-accel",
            self.accelerator.word(),
            "-cpu",
            cpu,
            "-m",
            &memory,
            "-smp",
            "1",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-nic",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
            "-device",
            "virtio-serial-pci",
            "-chardev",
            &port,
            "-device",
            &own,
            "-chardev",
            &qmp,
            "-mon",
            "chardev=qmp,mode=control",
            "-append",
            &append,
        ]
        .map(OsString::from)
        .into();
        args.extend(["-kernel".into(), self.kernel.vmlinux.clone().into()]);
        args.extend(["-initrd".into(), self.initramfs.file.clone().into()]);
        args
    }

    /// Starts the machine.
    ///
    /// # Errors
    /// When QEMU is not there, or the saved guest.
    pub fn start(&self, memory: Memory<'_>) -> Result<Qemu, Error> {
        let failed = |error: io::Error| {
            Error::new(
                format!("cannot start {}: {error}", program(self.kernel.arch)),
                format!("it is in the package {}", package(self.kernel.arch)),
            )
        };
        let (port, its_port) = UnixStream::pair().map_err(failed)?;
        let (qmp, its_qmp) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(program(self.kernel.arch));
        command
            .args(self.arguments())
            .args(memory.arguments(self.memory))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Away from the terminal: its Ctrl-C is for us, and we end QEMU.
            .process_group(0);
        let mut descriptors = vec![
            FdMapping {
                parent_fd: OwnedFd::from(its_port),
                child_fd: PORT_FD,
            },
            FdMapping {
                parent_fd: OwnedFd::from(its_qmp),
                child_fd: QMP_FD,
            },
        ];
        descriptors.extend(memory.descriptors().map_err(failed)?);
        command
            .fd_mappings(descriptors)
            .map_err(|error| failed(io::Error::other(error)))?;
        let mut child = spawn(command).map_err(failed)?;
        Ok(Qemu {
            console: child.stdout.take(),
            complaints: child.stderr.take(),
            child,
            port,
            qmp,
        })
    }
}

impl Qemu {
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it.
    pub fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a process that is killed when this one ends, even by SIGKILL.
///
/// The kernel sends that signal when the *thread* ends that made the process (prctl(2),
/// `PR_SET_PDEATHSIG`), so all are made by one thread that lasts as long as we do.
fn spawn(mut command: Command) -> io::Result<Child> {
    use std::sync::OnceLock;
    type Order = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

    let us = rustix::process::getpid();
    // SAFETY: both calls are plain system calls, which may be made between fork and exec.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
            // We may have ended before it took effect.
            if rustix::process::getppid() == Some(us) {
                Ok(())
            } else {
                Err(io::Error::other("its parent is gone"))
            }
        });
    }
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, incoming) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in incoming {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts machines is gone");
    spawner
        .send((command, answer))
        .map_err(|_| gone(mpsc::RecvError))?;
    child.recv().map_err(gone)?
}

/// Reads `from` to its end into memory of at most `limit` bytes: the beginning, and the end.
pub fn read_capped(mut from: impl Read, limit: usize, mut grew: impl FnMut(usize)) -> Capped {
    let mut capped = Capped::default();
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        capped.add(&buffer[..n], limit);
        grew(capped.total);
    }
    capped
}

/// The beginning and the end of a stream.
#[derive(Clone, Debug, Default)]
pub struct Capped {
    first: Vec<u8>,
    last: std::collections::VecDeque<u8>,
    /// Bytes in all.
    pub total: usize,
}

impl Capped {
    fn add(&mut self, bytes: &[u8], limit: usize) {
        self.total += bytes.len();
        let room = (limit / 2)
            .saturating_sub(self.first.len())
            .min(bytes.len());
        self.first.extend_from_slice(&bytes[..room]);
        self.last.extend(&bytes[room..]);
        let over = self.last.len().saturating_sub(limit / 2);
        self.last.drain(..over);
    }

    /// As text, with a note where something was left out.
    pub fn text(&self) -> String {
        let last: Vec<u8> = self.last.iter().copied().collect();
        let left_out = self.total - self.first.len() - last.len();
        let mut text = String::from_utf8_lossy(&self.first).into_owned();
        if left_out > 0 {
            text += &format!("\n[{left_out} bytes left out]\n");
        }
        text + &String::from_utf8_lossy(&last)
    }
}

/// Where QEMU is, if it is installed.
pub fn path(arch: Arch) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program(arch)))
        .find(|file| file.is_file())
}

/// Which QEMU there is: the program itself stands for its version, which it takes longer to tell.
///
/// # Errors
/// When it is not installed.
pub fn identity(arch: Arch) -> Result<String, Error> {
    let program = path(arch).ok_or_else(|| {
        Error::new(
            format!("{} is not installed", program(arch)),
            format!("it is in the package {}", package(arch)),
        )
    })?;
    let meta = fs::metadata(&program).while_(|| format!("cannot read {}", program.display()))?;
    let changed = meta
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    Ok(format!("{program:?} {} {changed:?}", meta.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_beginning_and_the_end_are_kept() {
        let flood = [b"begin ".to_vec(), vec![b'.'; 100_000], b" end".to_vec()].concat();
        let mut most = 0;
        let capped = read_capped(flood.as_slice(), 1000, |total| most = total);
        let text = capped.text();
        assert_eq!((capped.total, most), (flood.len(), flood.len()));
        assert!(text.starts_with("begin ...") && text.ends_with(". end"));
        assert!(text.contains("[99010 bytes left out]"), "{text}");
        let short = read_capped(&b"all of it"[..], 1000, |_| {});
        assert_eq!(short.text(), "all of it");
    }
}
