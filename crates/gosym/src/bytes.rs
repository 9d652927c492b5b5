//! Checked little-endian reads. Go writes these tables in the target's byte order, and both
//! supported architectures are little-endian.

pub(crate) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

pub(crate) fn i32_at(data: &[u8], at: usize) -> Option<i32> {
    u32_at(data, at).map(|v| v as i32)
}

pub(crate) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// A 64-bit offset or count that must also be an index into `data`.
pub(crate) fn index_at(data: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(data, at)?)
        .ok()
        .filter(|v| *v <= data.len())
}

/// Longest string accepted. The longest linker names are those of deeply nested generics, a few
/// kilobytes; the bound keeps a table that lost its terminators from being walked to its end.
const MAX_STRING: usize = 64 << 10;

/// A NUL-terminated string that starts at `at`; `None` when it is out of range or unterminated.
pub(crate) fn c_str_at(data: &[u8], at: usize) -> Option<&[u8]> {
    let tail = data.get(at..)?;
    let tail = &tail[..tail.len().min(MAX_STRING)];
    let end = tail.iter().position(|b| *b == 0)?;
    Some(&tail[..end])
}
