//! Keeps the start of the last text that a watched process gives to pwrite64(2).
#![no_std]
#![no_main]

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_probe_read_user},
    macros::{map, tracepoint},
    maps::HashMap,
    programs::TracePointContext,
};

labkit_ebpf::license!();

/// How much of a text is kept.
const KEPT: u64 = 64;

/// The start of a text: the first `len` of `bytes`.
#[repr(C)]
pub struct Text {
    pub len: u64,
    pub bytes: [u8; KEPT as usize],
}

/// The last text, by process id. User space puts in an empty one for each process to watch.
#[map]
static LAST: HashMap<u32, Text> = HashMap::with_max_entries(1024, 0);

// Where the tracepoint's format file (events/syscalls/sys_enter_pwrite64/format) has them.
const BUF: usize = 24;
const COUNT: usize = 32;

#[tracepoint]
pub fn keep_text(ctx: TracePointContext) -> u32 {
    let pid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some(text) = LAST.get_ptr_mut(&pid) else {
        return 0; // not a process to watch
    };
    // SAFETY: the tracepoint's record has a pointer and a number there.
    let (Ok(from), Ok(count)) =
        (unsafe { (ctx.read_at::<*const u8>(BUF), ctx.read_at::<u64>(COUNT)) })
    else {
        return 0;
    };

    // ANCHOR: fix
    let len = count.min(KEPT);
    // ANCHOR_END: fix

    // SAFETY: `text` points to the map's value, and the verifier shows that `len` bytes fit.
    unsafe {
        if bpf_probe_read_user((&raw mut (*text).bytes).cast(), len as u32, from.cast()) == 0 {
            (*text).len = len;
        }
    }
    0
}
