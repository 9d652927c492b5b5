//! Which function an address lies in.

use crate::tables::Tables;

/// The number of the function that has the instruction at `pc`; `None` where no Go code is.
///
/// A function's code reaches to where the next one begins: what the linker fills gaps with
/// counts as the function's before it.
pub fn find(tables: &Tables, pc: u64) -> Option<usize> {
    let offset = u32::try_from(pc.saturating_sub(tables.text)).unwrap_or(u32::MAX);
    // The function is number `low` or a later one, and none from `high` on.
    let (mut low, mut high) = (0, tables.count);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if tables.entry(middle) <= offset {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}
