//! The verifier's messages, kernel by kernel, and the class of each.
//!
//! Words are those of `verbose()` calls in kernel/bpf/verifier.c (and, where said, other files)
//! of Linux 5.10 to 7.3. A `*` stands for any text.

use crate::{class::Class, log::Log};

/// What was found: the class, the line that says so, its place in the log, and the instruction
/// where the message itself names one.
pub(crate) struct Found {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) at: usize,
    pub(crate) insn: Option<u32>,
}

use Class::*;

/// In order: the first that fits a line decides.
const MESSAGES: &[(&str, Class)] = &[
    ("R* !read_ok", UninitialisedRegister),
    ("frame pointer is read only", ReadOnlyMemory),
    // 5.10: `invalid indirect read from stack off -8+0 size 8`; later with `R10`.
    (
        "invalid indirect read from stack *off *+* size *",
        UninitialisedStack,
    ),
    (
        "invalid read from stack *off *+* size *",
        UninitialisedStack,
    ),
    // `…_or_null` is the type's name of a pointer that was not yet compared with NULL.
    (
        "R* invalid mem access 'map_value_or_null'*",
        MaybeNullMapValue,
    ),
    ("R* invalid mem access '*_or_null*'*", MaybeNullPointer),
    (
        "R* pointer arithmetic on map_value_or_null prohibited*",
        MaybeNullMapValue,
    ),
    (
        "R* pointer arithmetic on *_or_null* prohibited*",
        MaybeNullPointer,
    ),
    ("R* type=map_value_or_null expected=*", MaybeNullMapValue),
    ("R* type=*_or_null* expected=*", MaybeNullPointer),
    ("Possibly NULL pointer passed to *", MaybeNullPointer),
    // `scalar` was called `inv` before Linux 5.18.
    ("R* invalid mem access 'scalar'*", ScalarAsPointer),
    ("R* invalid mem access 'inv'*", ScalarAsPointer),
    ("R* invalid mem access '*'*", InvalidDereference),
    ("R* type=* expected=*", WrongArgumentType),
    (
        "invalid access to map value, value_size=*",
        OutOfBoundsMapValue,
    ),
    ("invalid access to packet, off=*", OutOfBoundsPacket),
    ("R* offset is outside of the packet*", OutOfBoundsPacket),
    ("invalid access to memory, mem_size=*", OutOfBoundsMemory),
    ("invalid access to map key, *", OutOfBoundsMapValue),
    // 5.10: `invalid stack off=-520 size=8`, `invalid stack type R1 off=-8 access_size=16`.
    ("invalid stack off=*", OutOfBoundsStack),
    ("invalid stack type R*", OutOfBoundsStack),
    ("invalid write to stack R* off=*", OutOfBoundsStack),
    ("invalid read from stack R* off=*", OutOfBoundsStack),
    (
        "invalid indirect access to stack R* off=*",
        OutOfBoundsStack,
    ),
    ("invalid variable-offset * stack R*", OutOfBoundsStack),
    (
        "invalid unbounded variable-offset * stack R*",
        OutOfBoundsStack,
    ),
    (
        "R* unbounded indirect variable offset stack access*",
        OutOfBoundsStack,
    ),
    ("R* variable stack access prohibited*", OutOfBoundsStack),
    ("variable stack access var_off=*", OutOfBoundsStack),
    ("invalid variable stack access *", OutOfBoundsStack),
    (
        "R* unbounded memory access, use 'var &= const'*",
        UnboundedSize,
    ),
    (
        "R* min value is negative, either use unsigned or 'var &= const'*",
        UnboundedSize,
    ),
    ("R* invalid zero-sized read*", UnboundedSize),
    (
        "math between * pointer and register with unbounded min value*",
        UnboundedOffset,
    ),
    (
        "math between * pointer and * is not allowed*",
        UnboundedOffset,
    ),
    ("value * makes * pointer be out of bounds*", UnboundedOffset),
    ("* pointer offset * is not allowed*", UnboundedOffset),
    ("R* pointer arithmetic *prohibited*", PointerArithmetic),
    (
        "R* 32-bit pointer arithmetic prohibited*",
        PointerArithmetic,
    ),
    (
        "R* bitwise operator * on pointer prohibited*",
        PointerArithmetic,
    ),
    ("R* tried to *subtract pointer*", PointerArithmetic),
    ("R* tried to add from different maps*", PointerArithmetic),
    ("R* pointer comparison prohibited*", PointerArithmetic),
    ("R* pointer += pointer prohibited*", PointerArithmetic),
    ("R* leaks addr *", PointerLeak),
    ("R* partial copy of pointer*", PointerLeak),
    ("write into map forbidden*", ReadOnlyMemory),
    ("write to * prohibited*", ReadOnlyMemory),
    ("cannot write into *", ReadOnlyMemory),
    ("R* cannot write into *", ReadOnlyMemory),
    ("only read * is supported*", ReadOnlyMemory),
    ("infinite loop detected at insn *", UnboundedLoop),
    ("back-edge from insn * to *", UnboundedLoop),
    (
        "BPF program is too large. Processed * insn*",
        TooManyInstructions,
    ),
    (
        "The sequence of * jumps is too complex*",
        TooManyInstructions,
    ),
    ("unreachable insn *", UnreachableCode),
    ("last insn is not an exit or jmp*", BadControlFlow),
    ("no exit/jump at end of program*", BadControlFlow),
    ("jump out of range from insn * to *", BadControlFlow),
    ("jump into the middle of ldimm64 insn *", BadControlFlow),
    ("combined stack size of * calls is *", StackTooBig),
    ("the call stack of * frames is too deep*", StackTooBig),
    (
        "tail_calls are not allowed when call stack of previous frames is *",
        StackTooBig,
    ),
    ("Unreleased reference id=*", LeakedReference),
    ("* would lead to reference leak*", LeakedReference),
    ("* inside bpf_spin_lock-ed region*", LockHeld),
    ("bpf_spin_unlock is missing*", LockHeld),
    (
        "function calls are not allowed while holding a lock*",
        LockHeld,
    ),
    ("At program exit the register R*", BadReturnValue),
    ("At * return the register R*", BadReturnValue),
    (
        "At subprogram exit the register R* is not a scalar value*",
        BadReturnValue,
    ),
    ("program of this type cannot use helper *", HelperNotAllowed),
    // What older kernels say, 6.1 for one.
    ("unknown func *#*", HelperNotAllowed),
    ("helper call is not allowed in probe*", HelperNotAllowed),
    (
        "calling kernel function * is not allowed*",
        HelperNotAllowed,
    ),
    (
        "cannot call GPL-restricted function from non-GPL compatible program*",
        GplOnlyHelper,
    ),
    (
        "cannot call GPL only function from proprietary program*",
        GplOnlyHelper,
    ),
    // libbpf puts this number (0xbad2310) where it found no match, and in its copy of the log
    // writes the second line instead (tools/lib/bpf/relo_core.c, libbpf.c).
    ("invalid func unknown#195896080*", CoreRelocation),
    ("*<invalid CO-RE relocation>*", CoreRelocation),
    ("failed to resolve CO-RE relocation *", CoreRelocation),
    ("invalid func *#*", UnknownFunction),
    ("BPF_STX uses reserved fields", UnknownInstruction),
    ("BPF_XADD uses reserved fields", UnknownInstruction),
    ("BPF_ATOMIC uses *", UnknownInstruction),
    ("unknown opcode *", UnknownInstruction),
    ("invalid bpf_context access off=*", BadContextAccess),
    ("dereference of modified ctx ptr *", BadContextAccess),
    ("dereference of modified * ptr *", InvalidDereference),
    ("variable ctx access *", BadContextAccess),
    (
        "variable * access var_off=* disallowed*",
        InvalidDereference,
    ),
    ("misaligned * access off *", Misaligned),
];

/// Messages about a range that do not name the memory: the register's type does.
const RANGES: &[&str] = &[
    "R* unbounded memory access, make sure to bounds check any * access*",
    "R* min value is negative, either use unsigned index or do a if (index >=0) check*",
    "R* min value is outside of the * range*",
    "R* max value is outside of the * range*",
];

/// What is wrong with the program that this log is about.
pub(crate) fn find(log: &Log<'_>) -> Found {
    for (at, line) in log.messages() {
        if let Some((_, class)) = MESSAGES.iter().find(|(pattern, _)| fits(line, pattern)) {
            return Found {
                class: *class,
                message: line.to_owned(),
                at,
                insn: named_insn(line, *class),
            };
        }
    }
    for (at, line) in log.messages() {
        if RANGES.iter().any(|pattern| fits(line, pattern)) {
            let register = line.split(' ').next().unwrap_or_default();
            return Found {
                class: out_of_bounds(log.register_type(register, at).unwrap_or_default()),
                message: line.to_owned(),
                at,
                insn: None,
            };
        }
    }
    if let Some((at, header, text)) = log.report() {
        return Found {
            class: of_report(header, &text),
            message: header.to_owned(),
            at,
            insn: None,
        };
    }
    let (at, message) = log
        .messages()
        .next()
        .map_or((usize::MAX, String::new()), |(at, line)| {
            (at, line.to_owned())
        });
    Found {
        class: Unknown,
        message,
        at,
        insn: None,
    }
}

/// The class of an access outside of what a register of this type points to.
fn out_of_bounds(register_type: &str) -> Class {
    match register_type {
        "fp" => OutOfBoundsStack,
        "pkt" | "pkt_meta" => OutOfBoundsPacket,
        t if t.ends_with("mem") => OutOfBoundsMemory,
        // Values of maps; also what the states do not tell, for most programs mean one.
        _ => OutOfBoundsMapValue,
    }
}

/// The class of a report without a message of the older kind (kernel/bpf/diagnostics.c).
fn of_report(header: &str, text: &str) -> Class {
    let says = |words: &str| text.contains(words);
    match header.split_once(": ").map_or(header, |(_, title)| title) {
        "Unreadable register" => UninitialisedRegister,
        "Invalid dereference" if says("is an integer scalar") => ScalarAsPointer,
        "Invalid dereference" if says("nullable map value") => MaybeNullMapValue,
        "Invalid dereference" if says("may be NULL") => MaybeNullPointer,
        "Invalid dereference" if says("a context pointer") => BadContextAccess,
        "Invalid dereference" => InvalidDereference,
        "Access outside bounds" if says("is a stack pointer") => OutOfBoundsStack,
        "Access outside bounds" if says("packet") => OutOfBoundsPacket,
        "Access outside bounds" if says("is a memory pointer") => OutOfBoundsMemory,
        "Access outside bounds" => OutOfBoundsMapValue,
        "Invalid call argument" => WrongArgumentType,
        "Unreleased resource" => LeakedReference,
        _ => Unknown,
    }
}

/// The instruction that a message names itself.
fn named_insn(line: &str, class: Class) -> Option<u32> {
    let about_flow = matches!(class, UnboundedLoop | UnreachableCode | BadControlFlow);
    let (_, rest) = line.split_once("insn ").filter(|_| about_flow)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..digits].parse().ok()
}

/// Whether `line` is `pattern`, in which each `*` stands for any text.
fn fits(line: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (line, pattern, expected) in [
            ("R0 !read_ok", "R* !read_ok", true),
            ("R10 !read_ok", "R* !read_ok", true),
            ("R0 read_ok", "R* !read_ok", false),
            ("abc", "abc", true),
            ("abcd", "abc", false),
            ("abcd", "abc*", true),
            ("aa", "a*aa", false),
            ("", "*", true),
        ] {
            assert_eq!(fits(line, pattern), expected, "{line} {pattern}");
        }
    }

    #[test]
    fn every_message_pattern_can_be_reached() {
        // A pattern is dead when an earlier one fits every line that it fits; its own text, with
        // the stars left in, is such a line.
        for (at, (pattern, class)) in MESSAGES.iter().enumerate() {
            let first = MESSAGES
                .iter()
                .position(|(earlier, _)| fits(pattern, earlier));
            assert!(
                first.is_none_or(|first| first == at || MESSAGES[first].1 == *class),
                "{pattern}"
            );
        }
    }
}
