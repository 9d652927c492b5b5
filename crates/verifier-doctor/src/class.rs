//! The rules of the verifier that programs break, with ids that stay.

use std::fmt;

/// Declares the classes with their ids and one-line titles.
macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $title:literal;)*) => {
        /// A rule of the verifier, as a program breaks it.
        ///
        /// The enum may grow; an id never changes its meaning, and is part of the interface:
        /// learners write it down, reports carry it.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Class {
            $($(#[$doc])* $name,)*
        }

        impl Class {
            /// Every class.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its id, such as `maybe-null-map-value`.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)*
                }
            }

            /// What is wrong, in one line.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

classes! {
    /// `R2 !read_ok`
    UninitialisedRegister = "uninitialised-register", "a value is used that was never set on this path";
    /// `invalid read from stack R10 off -8+0 size 8`
    UninitialisedStack = "uninitialised-stack", "bytes of the stack are read that were never written";
    /// `R0 invalid mem access 'map_value_or_null'`
    MaybeNullMapValue = "maybe-null-map-value", "a map lookup's result is used before it was compared with NULL";
    /// `R0 invalid mem access 'ringbuf_mem_or_null'` and its like
    MaybeNullPointer = "maybe-null-pointer", "a pointer that may be NULL is used before it was compared with NULL";
    /// `R1 invalid mem access 'scalar'` (`'inv'` before Linux 5.18)
    ScalarAsPointer = "scalar-as-pointer", "a plain number is used as an address";
    /// `R1 invalid mem access 'map_ptr'` and its like
    InvalidDereference = "invalid-dereference", "memory is accessed through a pointer that does not allow it";
    /// `R1 type=scalar expected=map_ptr`
    WrongArgumentType = "wrong-argument-type", "a helper is given an argument of another kind than it takes";
    /// `invalid access to map value, value_size=8 off=8 size=8`
    OutOfBoundsMapValue = "out-of-bounds-map-value", "an access may leave the map's value";
    /// `invalid write to stack R10 off=-520 size=8`
    OutOfBoundsStack = "out-of-bounds-stack", "an access may leave the stack frame";
    /// `invalid access to packet, off=0 size=1, R2(id=0,off=0,r=0)`
    OutOfBoundsPacket = "out-of-bounds-packet", "bytes of a packet are accessed without a check that they are there";
    /// `invalid access to memory, mem_size=16 off=16 size=8`
    OutOfBoundsMemory = "out-of-bounds-memory", "an access may leave the memory that a helper handed out";
    /// `math between pkt pointer and register with unbounded min value is not allowed`
    UnboundedOffset = "unbounded-offset", "a number without limits is added to a pointer";
    /// `R2 unbounded memory access, use 'var &= const' or 'if (var < const)'`
    UnboundedSize = "unbounded-size", "a helper is given a size that may be anything";
    /// `R1 pointer arithmetic on map_ptr prohibited` and its like
    PointerArithmetic = "pointer-arithmetic", "arithmetic that the verifier does not allow on a pointer";
    /// `R1 leaks addr into map` and its like
    PointerLeak = "pointer-leak", "a kernel address would become visible outside the kernel";
    /// `write into map forbidden` and its like
    ReadOnlyMemory = "read-only-memory", "memory is written that may only be read";
    /// `infinite loop detected at insn 3`
    UnboundedLoop = "unbounded-loop", "a loop of which the verifier can't see the end";
    /// `BPF program is too large. Processed 1000001 insn`
    TooManyInstructions = "too-many-instructions", "the verifier gave up before it had followed every path";
    /// `unreachable insn 2`
    UnreachableCode = "unreachable-code", "instructions that no path leads to";
    /// `last insn is not an exit or jmp` and its like
    BadControlFlow = "bad-control-flow", "a path leaves the program other than by returning";
    /// `combined stack size of 2 calls is 800. Too large`
    StackTooBig = "stack-too-big", "functions that call each other need more than 512 bytes of stack";
    /// `Unreleased reference id=2 alloc_insn=4`
    LeakedReference = "leaked-reference", "something that was acquired is not released on every path";
    /// `BPF_EXIT instruction … inside bpf_spin_lock-ed region` and its like
    LockHeld = "lock-held", "a lock is held where it must not be";
    /// `At program exit the register R0 has …`
    BadReturnValue = "bad-return-value", "the program may return a number that its hook does not take";
    /// `program of this type cannot use helper bpf_get_stackid#27`
    HelperNotAllowed = "helper-not-allowed", "a helper is called that programs of this type may not use";
    /// `cannot call GPL-restricted function from non-GPL compatible program`
    GplOnlyHelper = "gpl-only-helper", "a helper is called that only GPL-compatible programs may use";
    /// `invalid func unknown#9999`
    UnknownFunction = "unknown-function", "a function is called that this kernel does not have";
    /// `BPF_STX uses reserved fields` before Linux 5.12, `BPF_ATOMIC uses invalid atomic opcode 60` since
    UnknownInstruction = "unknown-instruction", "an instruction is used that this kernel does not have";
    /// `<invalid CO-RE relocation>`
    CoreRelocation = "core-relocation", "the program asks for a type or field that this kernel does not have";
    /// `invalid bpf_context access off=200 size=4`
    BadContextAccess = "bad-context-access", "the context is read where the program may not";
    /// `misaligned stack access off 0+0+-12 size 8`
    Misaligned = "misaligned", "an access is not aligned to its size";
    /// Nothing that this version knows.
    Unknown = "unknown", "a message that Probelab has no explanation for";
}

impl Class {
    /// The class of that id.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.id() == id)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
