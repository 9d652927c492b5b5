//! The first process of a guest: makes the machine usable, takes a job from the host, runs it in a
//! child, passes on what that prints, and switches the machine off.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Write as _},
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, Resource, Rlimit, WaitOptions, setrlimit, wait},
    system::{RebootCommand, init_module, reboot},
    time::{ClockId, Timespec, clock_settime},
};

use crate::{
    initramfs::MODULES,
    protocol::{self, FromGuest, Job, ToGuest},
};

/// Bytes of randomness that a job brings.
pub const ENTROPY: usize = 64;
/// The port's name on both sides.
pub const PORT: &str = "probelab";
/// Exit status of a check runner that could not begin, or broke.
const NOT_STARTED: u8 = 101;
/// All that programs find in their environment; the kernel gives the first process other things.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/root")];

/// Whether this process is to be a guest's first one.
pub fn is_first_process() -> bool {
    rustix::process::getpid() == Pid::INIT && Path::new("/modules").is_dir()
}

/// What is done in a child of the first process.
#[derive(Clone, Copy, Debug)]
pub struct Commands {
    /// Takes the job's plan on standard input, prints what is passed on to the host, and gives the
    /// exit status.
    pub run: fn() -> u8,
    /// This program's first argument with which it prepares what all jobs need; what it leaves in
    /// memory is in the saved guest.
    pub rehearse: Option<&'static str>,
}

/// Runs as the first process. Never returns: the machine is off in the end.
pub fn main(commands: Commands) -> ! {
    let given: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    // SAFETY: this process has only this thread.
    unsafe {
        given.iter().for_each(|name| std::env::remove_var(name));
        ENVIRONMENT
            .iter()
            .for_each(|(name, value)| std::env::set_var(name, value));
    }
    if let Err(error) = serve(commands) {
        eprintln!("probelab guest: {error}");
    }
    let _ = io::stderr().flush();
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    // If even that fails the kernel panics, which the host sees.
    std::process::exit(1)
}

fn serve(commands: Commands) -> io::Result<()> {
    prepare().map_err(|error| io::Error::other(format!("cannot prepare the machine: {error}")))?;
    let port = open_port()?;
    let host = Host {
        port: Arc::new(Mutex::new(port.try_clone()?)),
    };
    let hello = FromGuest::Hello { release: release() };
    host.say(&hello)?;
    let outcome = take_job(port, || {
        if let Some(command) = commands.rehearse {
            rehearse(command)?;
        }
        host.say(&hello)
    })
    .and_then(|job| run(&host, &job, commands.run));
    if let Err(error) = &outcome {
        host.say(&FromGuest::Broken {
            why: error.to_string(),
        })?;
    }
    outcome
}

/// The connection to the host, shared with the thread that shows that we are alive.
#[derive(Clone)]
struct Host {
    port: Arc<Mutex<File>>,
}

impl Host {
    fn say(&self, what: &FromGuest) -> io::Result<()> {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        protocol::send_to_host(&mut *port, what)
    }
}

fn release() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}

/// File systems, limits, modules, control groups, the loopback device.
fn prepare() -> io::Result<()> {
    for (kind, place, options) in [
        ("proc", "/proc", None),
        ("sysfs", "/sys", None),
        ("devtmpfs", "/dev", None),
        ("tmpfs", "/run", Some(c"mode=0755")),
        ("tmpfs", "/tmp", Some(c"mode=1777")),
        ("tracefs", "/sys/kernel/tracing", None),
        ("debugfs", "/sys/kernel/debug", None),
        ("bpf", "/sys/fs/bpf", None),
        ("cgroup2", "/sys/fs/cgroup", None),
    ] {
        mount(kind, place, kind, MountFlags::empty(), options)
            .map_err(|error| io::Error::new(error.kind(), format!("{place}: {error}")))?;
    }
    fs::create_dir_all("/dev/shm")?;
    fs::set_permissions("/tmp", fs::Permissions::from_mode(0o1777))?;
    // Before 5.11 BPF maps are charged to it, and 64 KiB are too few.
    setrlimit(
        Resource::Memlock,
        Rlimit {
            current: None,
            maximum: None,
        },
    )?;
    // Debian's kernels begin with 3, at which CAP_PERFMON is not enough to open an event.
    fs::write("/proc/sys/kernel/perf_event_paranoid", "2")?;
    for file in fs::read_to_string(Path::new(MODULES).join("order"))
        .unwrap_or_default()
        .lines()
    {
        load(file)?;
    }
    bring_up_loopback()?;
    // Those that the kernel has; a learner's group takes its limits from them.
    for controller in ["+cpu", "+memory", "+pids"] {
        let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", controller);
    }
    Ok(())
}

/// The only network device that a guest has (netdevice(7)).
fn bring_up_loopback() -> io::Result<()> {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )?;
    // SAFETY: all zeros are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request lives until the call returns.
    let outcome = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    if outcome == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Loads a module; one that is there already is no error.
fn load(file: &str) -> io::Result<()> {
    let path = Path::new(MODULES).join(file);
    match init_module(&fs::read(&path)?, c"") {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(io::Error::other(format!("the module {file}: {error}"))),
    }
}

/// The virtio port with our name. It appears a moment after its driver.
fn open_port() -> io::Result<File> {
    for _ in 0..2000 {
        for entry in fs::read_dir("/sys/class/virtio-ports")
            .into_iter()
            .flatten()
            .flatten()
        {
            if fs::read_to_string(entry.path().join("name")).is_ok_and(|name| name.trim() == PORT) {
                let path = PathBuf::from("/dev").join(entry.file_name());
                return OpenOptions::new().read(true).write(true).open(path);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(io::Error::other("there is no connection to the host"))
}

fn rehearse(command: &str) -> io::Result<()> {
    let status = Command::new("/proc/self/exe")
        .arg(command)
        .stdin(Stdio::null())
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("the rehearsal failed: {status}")))
}

/// Reads the job, and lays out its files.
fn take_job(port: File, rehearse: impl Fn() -> io::Result<()>) -> io::Result<Job> {
    let mut port = BufReader::with_capacity(1 << 16, port);
    let mut job = None;
    loop {
        match protocol::next_of_host(&mut port).map_err(io::Error::other)? {
            ToGuest::Job(found) => job = Some(found),
            ToGuest::File(file) => {
                let path = Path::new(&file.path);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write(path, &file.bytes)?;
                fs::set_permissions(path, fs::Permissions::from_mode(file.mode))?;
            }
            ToGuest::Go => break,
            ToGuest::Rehearse => rehearse()?,
        }
    }
    job.ok_or_else(|| io::Error::other("the host sent no job"))
}

/// Before anything else runs: a guest that was restored has the randomness and the time of when it
/// was saved, as all its copies have.
fn freshen(job: &Job) -> io::Result<()> {
    /// `struct rand_pool_info` and ioctl numbers (include/uapi/linux/random.h).
    #[repr(C)]
    struct Pool {
        bits: libc::c_int,
        bytes: libc::c_int,
        buffer: [u8; ENTROPY],
    }
    const ADD: libc::c_ulong = 0x4008_5203;
    const RESEED: libc::c_ulong = 0x5207;

    let mut pool = Pool {
        bits: ENTROPY as libc::c_int * 8,
        bytes: ENTROPY as libc::c_int,
        buffer: [0; ENTROPY],
    };
    let given = job.entropy.get(..ENTROPY);
    pool.buffer.copy_from_slice(
        given.ok_or_else(|| io::Error::other("the host sent too little entropy"))?,
    );
    let generator = File::open("/dev/urandom")?;
    // SAFETY: the structure is laid out as the kernel wants it, and lives until the calls return.
    let outcomes = unsafe {
        [
            libc::ioctl(generator.as_raw_fd(), ADD as _, &raw const pool),
            libc::ioctl(generator.as_raw_fd(), RESEED as _),
        ]
    };
    // RNDRESEEDCRNG is from Linux 4.17 on, which is older than any kernel here.
    if outcomes.contains(&-1) {
        return Err(io::Error::last_os_error());
    }
    let (seconds, nanoseconds) = job.time;
    clock_settime(
        ClockId::Realtime,
        Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        },
    )?;
    Ok(())
}

fn run(host: &Host, job: &Job, runner: fn() -> u8) -> io::Result<()> {
    freshen(job)?;
    for module in &job.modules {
        load(module)?;
    }
    // Before anything of a learner's runs.
    host.say(&FromGuest::Alive {
        nonce: job.nonce.clone(),
    })?;
    let child = fork(runner)?;
    let beat = host.clone();
    let nonce = job.nonce.clone();
    std::thread::spawn(move || {
        let alive = FromGuest::Alive { nonce };
        while beat.say(&alive).is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let mut input = child.input;
    let plan = job.plan.clone();
    std::thread::spawn(move || input.write_all(plan.as_bytes()));
    let mut lines = 0;
    for text in BufReader::new(child.output).lines() {
        host.say(&FromGuest::Line {
            nonce: job.nonce.clone(),
            number: lines,
            text: text?,
        })?;
        lines += 1;
    }
    let status = reap_until(child.pid)?;
    host.say(&FromGuest::Done {
        nonce: job.nonce.clone(),
        lines,
        status,
    })
}

/// A child of the first process.
struct Forked {
    pid: Pid,
    /// To its standard input.
    input: PipeWriter,
    /// From its standard output.
    output: PipeReader,
}

/// Starts `runner` in a copy of this process: where every instruction is translated, executing the
/// program again would be a thirtieth of a short check.
fn fork(runner: fn() -> u8) -> io::Result<Forked> {
    let (its_input, input) = io::pipe()?;
    let (output, its_output) = io::pipe()?;
    // SAFETY: this process has no other thread yet, so that no lock is held by one that the copy lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = std::panic::catch_unwind(|| {
                // Without the connection to the host, and with standard error as it is.
                let ready = rustix::stdio::dup2_stdin(its_input)
                    .and_then(|()| rustix::stdio::dup2_stdout(its_output))
                    .map_err(io::Error::from)
                    .and_then(|()| close_all_but_standard());
                match ready {
                    Ok(()) => runner(),
                    Err(error) => {
                        eprintln!("probelab guest: cannot start the check runner: {error}");
                        NOT_STARTED
                    }
                }
            });
            std::process::exit(status.unwrap_or(NOT_STARTED).into())
        }
        pid => Ok(Forked {
            pid: Pid::from_raw(pid).ok_or_else(|| io::Error::other("a process without number"))?,
            input,
            output,
        }),
    }
}

fn close_all_but_standard() -> io::Result<()> {
    // SAFETY: the caller uses none of them any more, nor drops an owner of one.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Waits for `child`, and for whatever else has ended: nobody else will.
fn reap_until(child: Pid) -> io::Result<Option<i32>> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == child => return Ok(status.exit_status()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
