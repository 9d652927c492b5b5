//! The few bpf(2) calls that an audit makes. Layouts are those of include/uapi/linux/bpf.h,
//! through aya's generated bindings.

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use aya_obj::generated::{
    bpf_attr, bpf_cmd, bpf_link_info, bpf_map_info, bpf_prog_info, bpf_stats_type,
};

/// bpf(2). Returns the call's result, which is a new descriptor for some commands.
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: `attr` is a whole, initialised bpf_attr; every pointer put into it by the callers
    // below is to memory that outlives the call and has the length given beside it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attr),
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// An all-zero `T`.
fn zeroed<T: Zeroable>() -> T {
    // SAFETY: `Zeroable` is implemented below for plain C structures only.
    unsafe { std::mem::zeroed() }
}

/// C structures for which all zeroes is a valid value.
///
/// # Safety
/// An all-zero value must be valid.
pub(crate) unsafe trait Zeroable {}
// SAFETY: plain C structures of integers.
unsafe impl Zeroable for bpf_attr {}
// SAFETY: as above.
unsafe impl Zeroable for bpf_prog_info {}
// SAFETY: as above.
unsafe impl Zeroable for bpf_map_info {}
// SAFETY: as above.
unsafe impl Zeroable for bpf_link_info {}

/// Takes ownership of the descriptor that a call returned.
fn descriptor(result: i64) -> io::Result<OwnedFd> {
    let fd = i32::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn by_id(command: bpf_cmd, id: u32) -> io::Result<OwnedFd> {
    let mut attr = zeroed::<bpf_attr>();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    descriptor(bpf(command, &mut attr)?)
}

/// A descriptor of the program `id`. Needs CAP_SYS_ADMIN.
pub(crate) fn program(id: u32) -> io::Result<OwnedFd> {
    by_id(bpf_cmd::BPF_PROG_GET_FD_BY_ID, id)
}

/// A descriptor of the map `id`. Needs CAP_SYS_ADMIN.
pub(crate) fn map(id: u32) -> io::Result<OwnedFd> {
    by_id(bpf_cmd::BPF_MAP_GET_FD_BY_ID, id)
}

/// A descriptor of the link `id`. Needs CAP_SYS_ADMIN.
pub(crate) fn link(id: u32) -> io::Result<OwnedFd> {
    by_id(bpf_cmd::BPF_LINK_GET_FD_BY_ID, id)
}

/// The ids of all links of the machine. Needs CAP_SYS_ADMIN; empty before Linux 5.8.
pub(crate) fn link_ids() -> Vec<u32> {
    let mut ids = Vec::new();
    let mut last = 0;
    loop {
        let mut attr = zeroed::<bpf_attr>();
        attr.__bindgen_anon_6.__bindgen_anon_1.start_id = last;
        if bpf(bpf_cmd::BPF_LINK_GET_NEXT_ID, &mut attr).is_err() {
            return ids;
        }
        // SAFETY: BPF_LINK_GET_NEXT_ID fills `next_id`, an integer of this union member.
        last = unsafe { attr.__bindgen_anon_6.next_id };
        ids.push(last);
    }
}

/// Fills `info` from the kernel's record of the object behind `fd`.
fn info<T>(fd: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    let mut attr = zeroed::<bpf_attr>();
    attr.info.bpf_fd = fd.as_raw_fd().cast_unsigned();
    attr.info.info_len = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    attr.info.info = std::ptr::from_mut(info) as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    Ok(())
}

/// A program as the kernel knows it, and the ids of its maps.
pub(crate) fn program_info(fd: BorrowedFd<'_>) -> io::Result<(bpf_prog_info, Vec<u32>)> {
    let mut first = zeroed::<bpf_prog_info>();
    info(fd, &mut first)?;
    let mut maps = vec![0u32; first.nr_map_ids as usize];
    let mut second = zeroed::<bpf_prog_info>();
    second.nr_map_ids = first.nr_map_ids;
    second.map_ids = maps.as_mut_ptr() as u64;
    info(fd, &mut second)?;
    maps.truncate(second.nr_map_ids as usize);
    Ok((second, maps))
}

/// A map as the kernel knows it.
pub(crate) fn map_info(fd: BorrowedFd<'_>) -> io::Result<bpf_map_info> {
    let mut result = zeroed::<bpf_map_info>();
    info(fd, &mut result)?;
    Ok(result)
}

/// Where a link is attached. `names` receives what the kernel tells by text: the tracepoint's
/// name, or the probed file's path.
pub(crate) fn link_info(fd: BorrowedFd<'_>) -> io::Result<(bpf_link_info, LinkText)> {
    // Two calls, for the text buffers of a link can only be offered once its type is known.
    let mut first = zeroed::<bpf_link_info>();
    info(fd, &mut first)?;
    let mut text = LinkText {
        name: vec![0; 512],
        offsets: vec![0; 64],
    };
    let mut second = zeroed::<bpf_link_info>();
    let name = text.name.as_mut_ptr() as u64;
    match first.type_ {
        LINK_RAW_TRACEPOINT => {
            second.__bindgen_anon_1.raw_tracepoint.tp_name = name;
            second.__bindgen_anon_1.raw_tracepoint.tp_name_len = 512;
        }
        LINK_UPROBE_MULTI => {
            second.__bindgen_anon_1.uprobe_multi.path = name;
            second.__bindgen_anon_1.uprobe_multi.path_size = 512;
            second.__bindgen_anon_1.uprobe_multi.offsets = text.offsets.as_mut_ptr() as u64;
            second.__bindgen_anon_1.uprobe_multi.count = 64;
        }
        LINK_PERF_EVENT => {
            // SAFETY: for a perf-event link the kernel has filled this member (Linux 6.6+), or
            // left it zero.
            let kind = unsafe { first.__bindgen_anon_1.perf_event.type_ };
            // SAFETY: writes to members of a zeroed union of plain integers.
            unsafe {
                let event = &mut second.__bindgen_anon_1.perf_event.__bindgen_anon_1;
                match kind {
                    PERF_UPROBE | PERF_URETPROBE => {
                        event.uprobe.file_name = name;
                        event.uprobe.name_len = 512;
                    }
                    PERF_TRACEPOINT => {
                        event.tracepoint.tp_name = name;
                        event.tracepoint.name_len = 512;
                    }
                    PERF_KPROBE | PERF_KRETPROBE => {
                        event.kprobe.func_name = name;
                        event.kprobe.name_len = 512;
                    }
                    _ => {}
                }
            }
        }
        _ => return Ok((first, text)),
    }
    info(fd, &mut second)?;
    Ok((second, text))
}

// enum bpf_link_type
pub(crate) const LINK_RAW_TRACEPOINT: u32 = 1;
pub(crate) const LINK_TRACING: u32 = 2;
pub(crate) const LINK_CGROUP: u32 = 3;
pub(crate) const LINK_XDP: u32 = 6;
pub(crate) const LINK_PERF_EVENT: u32 = 7;
pub(crate) const LINK_KPROBE_MULTI: u32 = 8;
pub(crate) const LINK_TCX: u32 = 11;
pub(crate) const LINK_UPROBE_MULTI: u32 = 12;

// enum bpf_perf_event_type
pub(crate) const PERF_UPROBE: u32 = 1;
pub(crate) const PERF_URETPROBE: u32 = 2;
pub(crate) const PERF_KPROBE: u32 = 3;
pub(crate) const PERF_KRETPROBE: u32 = 4;
pub(crate) const PERF_TRACEPOINT: u32 = 5;
pub(crate) const PERF_EVENT: u32 = 6;

/// The text that belongs to a link.
pub(crate) struct LinkText {
    name: Vec<u8>,
    /// File offsets of a multi-uprobe link; unused entries are zero.
    pub(crate) offsets: Vec<u64>,
}

impl LinkText {
    /// The tracepoint's, function's or file's name; empty where the kernel tells none.
    pub(crate) fn name(&self) -> String {
        CStr::from_bytes_until_nul(&self.name)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// What a descriptor of another process is attached to, where it is an older kind of attachment
/// than a link (`BPF_TASK_FD_QUERY`): program id, kind (enum bpf_task_fd_type), name, offset.
pub(crate) fn task_fd(pid: u32, fd: u32) -> io::Result<(u32, u32, String, u64)> {
    let mut name = vec![0u8; 512];
    let mut attr = zeroed::<bpf_attr>();
    attr.task_fd_query.pid = pid;
    attr.task_fd_query.fd = fd;
    attr.task_fd_query.buf = name.as_mut_ptr() as u64;
    attr.task_fd_query.buf_len = 512;
    bpf(bpf_cmd::BPF_TASK_FD_QUERY, &mut attr)?;
    // SAFETY: on success the kernel has filled this member of the union.
    let query = unsafe { attr.task_fd_query };
    let text = LinkText {
        name,
        offsets: Vec::new(),
    };
    Ok((
        query.prog_id,
        query.fd_type,
        text.name(),
        query.probe_offset,
    ))
}

/// Makes the kernel count runs and run time of every program for as long as the descriptor is
/// open. Needs CAP_SYS_ADMIN.
pub(crate) fn enable_stats() -> io::Result<OwnedFd> {
    let mut attr = zeroed::<bpf_attr>();
    attr.enable_stats.type_ = bpf_stats_type::BPF_STATS_RUN_TIME as u32;
    descriptor(bpf(bpf_cmd::BPF_ENABLE_STATS, &mut attr)?)
}

/// The value of `key`, or `None` where the map has no such entry. `value` must be as long as
/// the map's values (for per-CPU maps: eight-byte-aligned value size times possible CPUs).
pub(crate) fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<Option<()>> {
    let mut attr = zeroed::<bpf_attr>();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = key.as_ptr() as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    match bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) {
        Ok(_) => Ok(Some(())),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The key after `key` (the first for `None`), written to `next`; `false` at the end.
pub(crate) fn next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    next: &mut [u8],
) -> io::Result<bool> {
    let mut attr = zeroed::<bpf_attr>();
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd().cast_unsigned();
    attr.__bindgen_anon_2.key = key.map_or(0, |key| key.as_ptr() as u64);
    attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
    match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
