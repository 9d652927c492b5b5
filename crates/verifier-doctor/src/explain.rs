//! What each class means, written for someone who meets it for the first time.

use crate::class::Class;

impl Class {
    /// What the verifier knew, and why it had to refuse: a paragraph.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::UninitialisedRegister => {
                "The verifier follows every path through the program and notes which registers \
                 were set on it. On this path an instruction reads a register that nothing has \
                 set, or that a call has wiped: after any helper call R1 to R5 are gone, and \
                 only R0 holds the result. What would be read is left over from the kernel, and \
                 must not reach the program."
            }
            Self::UninitialisedStack => {
                "The stack of a BPF program starts with whatever the kernel left there. The \
                 verifier notes which bytes of it were written. This program reads, or hands to \
                 a helper, bytes that were not. Padding between the fields of a structure \
                 counts: setting every field leaves it unwritten."
            }
            Self::MaybeNullMapValue => {
                "A map lookup gives a pointer to the value, or NULL when the map has no such \
                 key. The verifier can't know what will be in the map when the program runs, so \
                 it calls the result `map_value_or_null` until the program has compared it with \
                 NULL. After the comparison it knows better: on one branch a value, on the \
                 other nothing. This program uses the pointer before any comparison. With a key \
                 that is missing, it would read address 0 inside the kernel."
            }
            Self::MaybeNullPointer => {
                "The helper that gave this pointer may give NULL instead: no room in the ring \
                 buffer, no such socket or task. The type that the verifier noted ends in \
                 `_or_null` until the program has compared the pointer with NULL. This program \
                 uses it before that, so on one of the paths it would use address 0 inside the \
                 kernel."
            }
            Self::ScalarAsPointer => {
                "The verifier notes for every register whether it holds a pointer, and to what, \
                 or a plain number (`scalar`). It lets a program go only through pointers whose \
                 memory it knows: map values, the stack, the context, packets. An address that \
                 was read from memory, such as an argument of a system call or a field of a \
                 kernel structure, is a number to it: nobody can say what is there, or whether \
                 anything is. A pointer also turns into a number when it is changed in ways \
                 that the verifier does not follow, or after what it led to was released."
            }
            Self::InvalidDereference => {
                "The register holds a pointer, but one that may not be followed like this: a \
                 map itself rather than a value of it, an object of the kernel that only \
                 helpers may read, or a pointer that must be used exactly as it was given, \
                 without anything added to it."
            }
            Self::WrongArgumentType => {
                "Each helper says for each argument what it takes: a map, a pointer to memory \
                 that it may read or fill, a number. The verifier compares that with what the \
                 register holds at the call, and here they differ. `scalar` for an expected \
                 pointer often means that the pointer was released before: a ring-buffer record \
                 is gone once it was submitted."
            }
            Self::OutOfBoundsMapValue => {
                "The verifier knows the value's size, and for every number the smallest and \
                 largest that it can be at this point. It adds the offset, the largest index \
                 times the element's size, and the bytes accessed; the sum must not exceed the \
                 value's size (`value_size` in its message, `off` and `size` for the access). \
                 Here it does, if only for one value of the index. What lies behind the value \
                 is other memory of the kernel. A comparison that lets the size itself through \
                 (`>` where `>=` is meant), or that a negative number passes, is the usual \
                 cause."
            }
            Self::OutOfBoundsStack => {
                "A program has 512 bytes of stack for each function, below R10, and every \
                 access must stay inside them: offsets from -512 to -1. The verifier adds the \
                 offset to the size and found that this access may leave them: a buffer that is \
                 too big, an index without an upper limit, or a helper that is told to fill \
                 more bytes than the buffer has."
            }
            Self::OutOfBoundsPacket => {
                "A packet may be as short as it likes, so the verifier gives a program no byte \
                 of it for free. Only a comparison with the packet's end proves that bytes are \
                 there: after `if (data + 14 > data_end) return` it knows that 14 bytes are \
                 (`r=14` in its states). This access reads bytes that no comparison on this \
                 path has proven. A helper that may move the packet makes all that was proven \
                 void."
            }
            Self::OutOfBoundsMemory => {
                "A helper handed out memory of a known size (`mem_size` in the message), a \
                 ring-buffer record for one. The offset plus the bytes accessed may exceed it: \
                 the structure is larger than what was reserved, or an index has no upper \
                 limit."
            }
            Self::UnboundedOffset => {
                "The program adds a number to a pointer. The verifier would have to show that \
                 the result still points into the same memory, and for that the number needs \
                 limits. It knows none here, or limits so wide that no object is that large. A \
                 number that was read from memory or is an argument can be anything until it \
                 was compared."
            }
            Self::UnboundedSize => {
                "A helper that reads or fills memory is told how many bytes. The verifier must \
                 show that the largest size that can occur fits the buffer. It knows nothing of \
                 this number but that it is one: it came from outside (an argument of a system \
                 call, say), so it may be four thousand million, or, taken as signed, below \
                 zero. One call with a large size would write past the buffer, over the \
                 kernel's own stack."
            }
            Self::PointerArithmetic => {
                "A pointer may be moved by adding or subtracting a number, and for some kinds \
                 not even that. Anything else (multiplying it, masking it, adding two of them, \
                 32-bit arithmetic, moving a pointer that may be NULL) leaves the verifier with \
                 no idea where it points."
            }
            Self::PointerLeak => {
                "A kernel address would end where user space can read it: in a map, in a \
                 packet, as the return value. Addresses help attackers, so programs without \
                 CAP_PERFMON may not let them out."
            }
            Self::ReadOnlyMemory => {
                "The verifier knows where a pointer came from, and so what may be done \
                 through it. This memory may be read but not written: constants \
                 (`.rodata`), a map itself or one that is read-only for programs, a string, \
                 the frame pointer, parts of the context, a packet in a hook that only looks."
            }
            Self::UnboundedLoop => {
                "A BPF program must end. The verifier follows a loop round by round, and it \
                 must see something change that leads to the end. Here it came back to an \
                 instruction with the same knowledge as before, so it would go round for ever. \
                 A counter whose limit it can't see, or one that is compared with `!=` and \
                 stepped past, is the usual cause. Kernels before 5.3 refuse every jump \
                 backwards (`back-edge`)."
            }
            Self::TooManyInstructions => {
                "The verifier follows every path, and stops after a million instructions \
                 followed. That is not the program's length: a loop of a hundred rounds counts \
                 a hundred times, and each branch inside it may double the paths. Nothing is \
                 known to be wrong with the program; it is too much work to show that it is \
                 right."
            }
            Self::UnreachableCode => {
                "Before it follows paths, the verifier looks at the jumps alone. It found \
                 instructions that nothing leads to. Compilers leave none, so the program was \
                 written or changed by hand, or a call to a function that never returns was \
                 compiled to nothing after it."
            }
            Self::BadControlFlow => {
                "Every path has to end at an exit instruction, and every jump has to lead to an \
                 instruction of the program. Here one runs past the end or leads elsewhere. \
                 From a compiler it means that it took a place for impossible (a panic, \
                 undefined behaviour) and left out what follows."
            }
            Self::StackTooBig => {
                "All functions of a chain of calls share 512 bytes of stack, each frame rounded \
                 up to 32 (16 with the JIT of newer kernels). Structures kept in local \
                 variables and buffers are what fills it."
            }
            Self::LeakedReference => {
                "What a helper acquires (a ring-buffer record, a socket, a task) has to be \
                 given back, and on every path: submitted, discarded or released. On the path \
                 in the log the program returns without doing so. The kernel has nobody who \
                 would clean up later. An early `return` between the two calls is the usual \
                 cause."
            }
            Self::LockHeld => {
                "While a bpf_spin_lock is held, a program may do little more than read and \
                 write the value that the lock protects: no helper calls, no return. On this \
                 path it still holds the lock."
            }
            Self::BadReturnValue => {
                "A hook gives meaning to the returned number, and the verifier must show that \
                 it lies in the range that the hook takes (the message names it). R0 may hold \
                 another on this path, or was never limited."
            }
            Self::HelperNotAllowed => {
                "Which helpers there are depends on the program's type: a packet filter has no \
                 current process to ask about, a tracing program has no packet. This type of \
                 program does not have this helper, at least on this kernel."
            }
            Self::GplOnlyHelper => {
                "Some helpers, most of those for tracing among them, are offered only to \
                 programs whose licence is compatible with the GPL. The kernel reads it from \
                 the section `license` of the object, and there it found none, or another one."
            }
            Self::UnknownFunction => {
                "The program calls a helper by a number that this kernel does not know. Either \
                 the kernel is older than the helper, or the call was meant for a function that \
                 the linker did not find."
            }
            Self::UnknownInstruction => {
                "BPF's instructions have grown in number: before Linux 5.12 an atomic addition could \
                 not give the old value back, nor was there an atomic exchange or comparison. The \
                 compiler chose an instruction that this kernel does not know."
            }
            Self::CoreRelocation => {
                "The program was compiled against the type descriptions of one kernel and is \
                 loaded into another. The loader looks up every field that it uses in the types \
                 of this kernel (BTF). One was not there, and in place of the instruction it \
                 put a call that is always refused, so that only a path that needs the field \
                 fails."
            }
            Self::BadContextAccess => {
                "What R1 points to at the start, the context, differs by program type, and the \
                 verifier knows which of its bytes may be read or written, and in which sizes. \
                 This access is not among them. On most types the context's pointer must also \
                 be used as it was given: nothing that varies may be added to it."
            }
            Self::Misaligned => {
                "An access of 2, 4 or 8 bytes has to be at an address that is a multiple of its \
                 size: always on the stack, in other memory on processors that ask for it. The \
                 offset here is not."
            }
            Self::Unknown => {
                "The log holds no message that Probelab knows. Its last lines, before the \
                 statistics, say what the verifier objects to; the lines above show how it came \
                 there, one instruction a line, with what each register held. Without any log \
                 the kernel refused before the verifier began: a missing capability, a program \
                 type or an attach point that it does not know."
            }
        }
    }

    /// What usually mends it: one sentence or two.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::UninitialisedRegister => {
                "set the variable on every path before it is used; keep what you need after a call in another variable."
            }
            Self::UninitialisedStack => {
                "write the whole structure first (`= {}` in C with padding set too, `core::mem::zeroed()` in Rust), then its fields."
            }
            Self::MaybeNullMapValue => {
                "compare the result with NULL (`if (value)`, `if let Some(value)`), use it only where it is not, and decide what a missing key means."
            }
            Self::MaybeNullPointer => {
                "compare the pointer with NULL right after the call and return where it is."
            }
            Self::ScalarAsPointer => {
                "copy the bytes with a helper: bpf_probe_read_user for memory of a process, bpf_probe_read_kernel for memory of the kernel; both say so when nothing is there."
            }
            Self::InvalidDereference => {
                "look at what the register holds in the states above the message, and use the helper that reads such an object."
            }
            Self::WrongArgumentType => {
                "compare the arguments with the helper's description, and do not use a pointer after it was released."
            }
            Self::OutOfBoundsMapValue => {
                "limit the index right before the access, with an unsigned comparison that leaves at most the last element."
            }
            Self::OutOfBoundsStack => {
                "limit the index or the size to the buffer's, or move the buffer into a map value if it does not fit 512 bytes."
            }
            Self::OutOfBoundsPacket => {
                "compare the end of what you read with the packet's end first, and return where it lies behind it."
            }
            Self::OutOfBoundsMemory => {
                "reserve as many bytes as the structure has, and limit any index."
            }
            Self::UnboundedOffset => {
                "limit the number before it is added: an unsigned comparison, or a mask (`& 63`) where the size is a power of two."
            }
            Self::UnboundedSize => {
                "limit the size to the buffer's right before the call: `if (size > sizeof(buffer)) size = sizeof(buffer);`, `size.min(64)`, with an unsigned type."
            }
            Self::PointerArithmetic => {
                "do the arithmetic on a number, limit it, and add it to the pointer last."
            }
            Self::PointerLeak => {
                "store what the pointer leads to, not the pointer; or give the loader CAP_PERFMON if that is meant."
            }
            Self::ReadOnlyMemory => "write to a map value or to the stack instead.",
            Self::UnboundedLoop => {
                "count upwards to a constant with `<`, or use bpf_loop() (Linux 5.17) for a number that is not known before."
            }
            Self::TooManyInstructions => {
                "fewer rounds, fewer branches in loops, bpf_loop() (Linux 5.17), or functions that are verified once (global functions in C)."
            }
            Self::UnreachableCode => {
                "look at jumps before the instruction named, and at calls of functions that do not return."
            }
            Self::BadControlFlow => {
                "look for code that can panic or is undefined on the path that leads there, and return a value instead."
            }
            Self::StackTooBig => {
                "move large local variables into a per-CPU array map with one entry."
            }
            Self::LeakedReference => {
                "find the `return` between acquiring and releasing, and release there too."
            }
            Self::LockHeld => "release the lock before the call or the return, on every path.",
            Self::BadReturnValue => {
                "return one of the constants of the hook (XDP_PASS, 0 or 1, …) on every path."
            }
            Self::HelperNotAllowed => {
                "look up which types the helper is for (`bpftool feature probe` lists them), or get the value in another way."
            }
            Self::GplOnlyHelper => {
                "declare a compatible licence: `char LICENSE[] SEC(\"license\") = \"Dual MIT/GPL\";`, in labs `labkit_ebpf::license!();`."
            }
            Self::UnknownFunction => {
                "check the spelling, and from which kernel on the helper exists."
            }
            Self::UnknownInstruction => {
                "do without what the instruction gives: in C, don't use the result of `__sync_fetch_and_add`, or compile with `-mcpu=v1` or `v2`; else say in the lab's `needs` which kernel it takes."
            }
            Self::CoreRelocation => {
                "guard the use with bpf_core_field_exists(), or read the field under the name that this kernel has."
            }
            Self::BadContextAccess => {
                "compare the offset with the hook's description (a tracepoint's `format` file, the context's structure), and do not change the context's pointer."
            }
            Self::Misaligned => {
                "keep fields at multiples of their size: order them from large to small, and avoid packed structures."
            }
            Self::Unknown => "read the raw log from its end (`--raw`).",
        }
    }
}
