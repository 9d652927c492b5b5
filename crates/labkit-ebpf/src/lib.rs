//! What every BPF program of a lab needs and no lab teaches.
//!
//! It also keeps the processor's architecture out of learners' code: function arguments and
//! return values are asked for by position, registers by what they are for.
#![no_std]

mod go;
mod registers;

pub use go::go_arg;
pub use registers::Registers;

/// Declares the licence of a BPF object. The kernel offers many helpers only to programs whose
/// licence is compatible with the GPL (`license_is_gpl_compatible`, include/linux/license.h).
#[macro_export]
macro_rules! license {
    () => {
        #[unsafe(link_section = "license")]
        #[unsafe(no_mangle)]
        static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
    };
}

// A BPF program can't panic at run time: whatever would panic is refused by the verifier, or
// was removed by the compiler. The language wants a handler all the same.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
