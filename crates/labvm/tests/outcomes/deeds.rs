//! What the guest's program does.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::fd::{FromRawFd as _, OwnedFd},
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Each deed, and the outcomes that are right for it.
pub const ALL: [(&str, &[&str]); 16] = [
    ("done", &["done"]),
    ("fails", &["done"]),
    ("works-for-ever", &["time-out"]),
    ("panics", &["panic"]),
    ("resets", &["reset"]),
    ("switches-off", &["power-off"]),
    ("kills-all", &["done"]),
    ("takes-all-memory", &["out-of-memory"]),
    // Which of these depends on what the kernel can't do first.
    (
        "forks-and-forks",
        &["time-out", "silence", "out-of-memory", "broken"],
    ),
    ("floods-the-console", &["flood"]),
    ("floods-the-connection", &["flood"]),
    ("forges-a-message", &["forged"]),
    // The second when a sign of life of the first process comes before the machine is off.
    ("sends-half-a-message", &["power-off", "forged"]),
    ("stops-all", &["time-out"]),
    ("loads-the-kernel", &["silence", "time-out"]),
    // Linux 6.12 and later keep a share for ordinary processes (`fair_server`, kernel/sched/fair.c).
    ("takes-the-processor", &["silence", "time-out"]),
];

/// Does what standard input says.
pub fn main() -> ! {
    let mut deed = String::new();
    io::stdin().read_to_string(&mut deed).expect("a deed");
    match deed.as_str() {
        "done" => println!("one\ntwo"),
        "tells-random-and-time" => {
            let mut random = [0; 16];
            let mut generator = fs::File::open("/dev/urandom").expect("randomness");
            generator.read_exact(&mut random).expect("read");
            let time = SystemTime::now().duration_since(UNIX_EPOCH);
            println!("{random:x?}\n{}", time.expect("after 1970").as_secs());
            std::process::exit(0);
        }
        "fails" => std::process::exit(7),
        "works-for-ever" => {}
        "panics" => sysrq("c"),
        "resets" => sysrq("b"),
        "switches-off" => sysrq("o"),
        "kills-all" => {
            signal_all(libc::SIGKILL);
            // SAFETY: a signal to this process itself.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        "takes-all-memory" => take_all_memory(),
        "forks-and-forks" => fork_and_fork(),
        "floods-the-console" => loop {
            let _ = fs::write("/dev/ttyS0", "again and again and again\n".repeat(1000));
        },
        "floods-the-connection" => {
            let line = "again and again ".repeat(4096);
            loop {
                println!("{line}");
            }
        }
        "forges-a-message" => forge(),
        "sends-half-a-message" => {
            let _ = connection().write_all(b"PLVM\x01\x10");
            sysrq("o");
        }
        "stops-all" => signal_all(libc::SIGSTOP),
        "loads-the-kernel" => load_the_kernel(),
        "takes-the-processor" => take_the_processor(),
        other => panic!("no deed {other}"),
    }
    if deed != "done" {
        loop {
            sleep(Duration::from_secs(1));
        }
    }
    std::process::exit(0)
}

/// Documentation/admin-guide/sysrq.rst.
fn sysrq(key: &str) {
    fs::write("/proc/sysrq-trigger", key).expect("written");
}

/// All but the first process and this one.
fn signal_all(signal: i32) {
    // SAFETY: a plain system call.
    unsafe { libc::kill(-1, signal) };
}

fn take_all_memory() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1u8; 1 << 20]);
    }
}

fn fork_and_fork() {
    loop {
        // SAFETY: the child does nothing but this loop.
        unsafe { libc::fork() };
    }
}

/// The first process's own end of the connection to the host, which nobody else can open.
fn connection() -> fs::File {
    // SAFETY: plain system calls; the descriptor that they give is ours.
    let duplicate = |fd: i32| unsafe {
        let first = libc::syscall(libc::SYS_pidfd_open, 1, 0);
        let fd = libc::syscall(libc::SYS_pidfd_getfd, first, fd, 0);
        i32::try_from(fd)
            .ok()
            .filter(|&fd| fd >= 0)
            .map(|fd| OwnedFd::from_raw_fd(fd))
    };
    let fd = fs::read_dir("/proc/1/fd")
        .expect("its descriptors")
        .flatten()
        .find(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|target| target.to_string_lossy().starts_with("/dev/vport"))
        })
        .and_then(|entry| entry.file_name().to_str()?.parse().ok())
        .and_then(duplicate);
    fs::File::from(fd.expect("the connection"))
}

fn forge() {
    let message = br#"{"line":{"nonce":"guessed","number":0,"text":"all checks passed"}}"#;
    let mut frame = b"PLVM\x01\x10\0\0".to_vec();
    frame.extend((message.len() as u32).to_le_bytes());
    frame.extend(message);
    connection().write_all(&frame).expect("written");
}

/// BPF programs that run as long as the verifier lets them, at each tick and each system call.
fn load_the_kernel() {
    /// Of `union bpf_attr`, what BPF_PROG_LOAD and BPF_RAW_TRACEPOINT_OPEN begin with, and the commands'
    /// numbers (include/uapi/linux/bpf.h).
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        rest: [u64; 12],
    }
    #[repr(C)]
    struct Attach {
        name: u64,
        program: u64,
    }
    const LOAD: i32 = 5;
    const ATTACH: i32 = 17;
    const RAW_TRACEPOINT: u32 = 17;
    // r0 = 0; r6 = 0; do r6 += 1 while r6 < 100,000; exit.
    let program: [u64; 5] = [
        0x0000_0000_0000_00b7,
        0x0000_0000_0000_06b7,
        0x0000_0001_0000_0607,
        (100_000 << 32) | 0xfffe_06a5,
        0x0000_0000_0000_0095,
    ];
    let bpf = |command: i32, attributes: *const u8, size: usize| {
        // SAFETY: the attributes and what they point to live until the call returns.
        let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size) };
        assert!(result >= 0, "{}", io::Error::last_os_error());
        result
    };
    for name in [
        c"sys_enter",
        c"sys_exit",
        c"sched_switch",
        c"sched_wakeup",
        c"softirq_entry",
        c"timer_expire_entry",
        c"hrtimer_expire_entry",
        c"local_timer_entry",
    ] {
        let load = Load {
            kind: RAW_TRACEPOINT,
            count: program.len() as u32,
            instructions: program.as_ptr() as u64,
            license: c"GPL".as_ptr() as u64,
            rest: [0; 12],
        };
        let fd = bpf(LOAD, (&raw const load).cast(), size_of::<Load>());
        let attach = Attach {
            name: name.as_ptr() as u64,
            program: fd as u64,
        };
        bpf(ATTACH, (&raw const attach).cast(), size_of::<Attach>());
    }
}

/// Above everything else on the only processor, for ever.
fn take_the_processor() {
    let _ = fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1");
    let highest = libc::sched_param { sched_priority: 99 };
    // SAFETY: the parameter lives until the call returns.
    let outcome = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const highest) };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
    loop {
        std::hint::spin_loop();
    }
}
