use crate::GoVersion;

/// Functions that the runtime treats specially, from `internal/abi/symtab.go` (`FuncID`).
///
/// The numbers in a binary depend on the Go version that linked it: 1.22 inserted `Corostart`,
/// 1.25 inserted `RunCleanups`, and both moved everything after them. This enum is the same for
/// all versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FuncId {
    Normal,
    Abort,
    Asmcgocall,
    AsyncPreempt,
    Cgocallback,
    Corostart,
    DebugCall,
    GcBgMarkWorker,
    Goexit,
    Gogo,
    Gopanic,
    HandleAsyncEvent,
    Mcall,
    Morestack,
    Mstart,
    Panicwrap,
    Rt0Go,
    RunFinalizers,
    RunCleanups,
    RuntimeMain,
    Sigpanic,
    Systemstack,
    SystemstackSwitch,
    /// Compiler-generated: method wrappers, hash and equality functions, deferwrap and the like.
    Wrapper,
    /// A number that no known Go version uses.
    Unknown,
}

use FuncId::*;

const GO_1_20: [FuncId; 22] = [
    Normal,
    Abort,
    Asmcgocall,
    AsyncPreempt,
    Cgocallback,
    DebugCall,
    GcBgMarkWorker,
    Goexit,
    Gogo,
    Gopanic,
    HandleAsyncEvent,
    Mcall,
    Morestack,
    Mstart,
    Panicwrap,
    Rt0Go,
    RunFinalizers,
    RuntimeMain,
    Sigpanic,
    Systemstack,
    SystemstackSwitch,
    Wrapper,
];
const GO_1_22: [FuncId; 23] = [
    Normal,
    Abort,
    Asmcgocall,
    AsyncPreempt,
    Cgocallback,
    Corostart,
    DebugCall,
    GcBgMarkWorker,
    Goexit,
    Gogo,
    Gopanic,
    HandleAsyncEvent,
    Mcall,
    Morestack,
    Mstart,
    Panicwrap,
    Rt0Go,
    RunFinalizers,
    RuntimeMain,
    Sigpanic,
    Systemstack,
    SystemstackSwitch,
    Wrapper,
];
const GO_1_25: [FuncId; 24] = [
    Normal,
    Abort,
    Asmcgocall,
    AsyncPreempt,
    Cgocallback,
    Corostart,
    DebugCall,
    GcBgMarkWorker,
    Goexit,
    Gogo,
    Gopanic,
    HandleAsyncEvent,
    Mcall,
    Morestack,
    Mstart,
    Panicwrap,
    Rt0Go,
    RuntimeMain,
    RunFinalizers,
    RunCleanups,
    Sigpanic,
    Systemstack,
    SystemstackSwitch,
    Wrapper,
];

impl FuncId {
    pub(crate) fn table(version: GoVersion) -> &'static [FuncId] {
        match version.minor {
            ..=21 => &GO_1_20,
            22..=24 => &GO_1_22,
            _ => &GO_1_25,
        }
    }

    /// The table whose last entry is `highest`: `Wrapper` is always last, and every Go program
    /// has wrappers. For binaries whose build information was removed.
    pub(crate) fn table_ending_at(highest: u8) -> &'static [FuncId] {
        match highest {
            ..=21 => &GO_1_20,
            22 => &GO_1_22,
            _ => &GO_1_25,
        }
    }

    /// Whether a wrapper that called this function is left out of stacks. It is kept when it
    /// called the panic machinery itself (`elideWrapperCalling` in `runtime/traceback.go`).
    pub fn hides_calling_wrapper(self) -> bool {
        !matches!(self, Gopanic | Sigpanic | Panicwrap)
    }

    /// Whether the runtime pushed this call itself, so that the "return address" above it is the
    /// interrupted instruction, not the one after a call (`isInjectedCall` in
    /// `runtime/traceback.go`).
    pub fn is_injected_call(self) -> bool {
        matches!(self, Sigpanic | AsyncPreempt | DebugCall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapper_is_the_last_id_of_each_version() {
        for (minor, last) in [(20, 21), (21, 21), (22, 22), (24, 22), (25, 23), (26, 23)] {
            let table = FuncId::table(GoVersion { major: 1, minor });
            assert_eq!(table.get(last), Some(&Wrapper), "Go 1.{minor}");
            assert_eq!(table.len(), last + 1, "Go 1.{minor}");
        }
    }

    #[test]
    fn a_wrapper_calling_the_panic_machinery_is_kept() {
        for (id, hidden) in [
            (Normal, true),
            (Wrapper, true),
            (Gopanic, false),
            (Sigpanic, false),
            (Panicwrap, false),
        ] {
            assert_eq!(id.hides_calling_wrapper(), hidden, "{id:?}");
        }
    }
}
