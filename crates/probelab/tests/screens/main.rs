//! The screens of a learner's first fifteen minutes, each a snapshot of what `lab` really prints.
//!
//! Every test works in a checkout of its own that shares this one's compiled dependencies. Tests
//! that need more than a file system say what, and are ignored with that reason where it is
//! missing.

mod checkout;
mod junit;
mod kernel;
mod kernels;
mod plain;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A test, and what it needs.
type Test = (&'static str, Need, fn());

/// What a test needs of the machine.
#[derive(Clone, Copy)]
enum Need {
    /// Nothing.
    Nothing,
    /// Root, to load BPF programs, and the Rust and BPF tool chains.
    Kernel,
    /// Virtual machines with each kernel, and the tool chains.
    Guests,
    /// The program `xmllint`.
    Xmllint,
    /// The kernel, and `xmllint`.
    KernelAndXmllint,
}

impl Need {
    /// Why it is not met.
    fn lacking(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Kernel if !rustix::process::geteuid().is_root() => {
                Some("needs root, to load BPF programs")
            }
            Self::Kernel if !on_path("bpf-linker") => Some("needs bpf-linker on the search path"),
            Self::Kernel => None,
            Self::KernelAndXmllint => Self::Kernel.lacking().or_else(|| Self::Xmllint.lacking()),
            Self::Guests if !on_path("bpf-linker") => Some("needs bpf-linker on the search path"),
            Self::Guests if !all_kernels() => {
                Some("needs QEMU and all kernels (`lab vm kernels all` fetches them)")
            }
            Self::Guests => None,
            Self::Xmllint if !on_path("xmllint") => Some("needs xmllint (package libxml2-utils)"),
            Self::Xmllint => None,
        }
    }
}

fn all_kernels() -> bool {
    let output = checkout::in_repository(&["vm", "kernels"]).output();
    let listed = |text: &str| text.lines().skip(1).all(|line| line.ends_with("here"));
    let qemu = format!("qemu-system-{}", std::env::consts::ARCH);
    on_path(&qemu)
        && output.is_ok_and(|output| {
            output.status.success() && listed(&String::from_utf8_lossy(&output.stdout))
        })
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

fn main() {
    let tests = [plain::TESTS, kernel::TESTS, kernels::TESTS, junit::TESTS].concat();
    let trials = tests
        .into_iter()
        .map(|(name, need, test)| {
            Trial::ignorable_test(name, move || {
                if let Some(why) = need.lacking() {
                    return Ok(Completion::ignored_with(why));
                }
                // A panic, insta's included, becomes a failure with its message.
                std::panic::catch_unwind(test)
                    .map(|()| Completion::Completed)
                    .map_err(|panic| {
                        let text = panic.downcast_ref::<String>().cloned();
                        Failed::from(text.unwrap_or_else(|| "see above".to_owned()))
                    })
            })
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // They share one build folder, and a machine with two processors gains nothing.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit();
}
