//! `lab test`: every test there is, with progress and with where the time went.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use console::style;
use course::Arch;

use crate::{
    site::Site,
    trouble::{Exit, Outcome, Trouble},
    versions,
};

/// One phase: a name, what it proves, and the command, run from the root of the checkout.
struct Phase {
    name: &'static str,
    command: &'static str,
}

/// Quick ones first. `$LAB` is this program, `$STATICCHECK` a version, `$OTHER_ARCH` the processors that
/// this machine has not.
const PHASES: [Phase; 17] = [
    Phase {
        name: "rustfmt",
        command: "cargo fmt --all --check && ci/fmt-labs",
    },
    Phase {
        name: "shellcheck",
        command: "ci/shellcheck",
    },
    Phase {
        name: "launcher",
        command: "ci/launcher-test",
    },
    Phase {
        name: "vagrantfile",
        command: "ci/vagrant-validate",
    },
    Phase {
        name: "clippy",
        command: "cargo clippy --workspace --all-targets --locked -- -D warnings",
    },
    // Tests of virtual machines want them; which are pinned, and fetched once.
    Phase {
        name: "kernels",
        command: "\"$LAB\" vm kernels all",
    },
    Phase {
        name: "rust-tests",
        command: "cargo test --workspace --locked --no-fail-fast",
    },
    Phase {
        name: "go-lint",
        command: "ci/go-lint",
    },
    Phase {
        name: "go-tests",
        command: "for module in go-samples/*/; do (cd \"$module\" && go test ./...); done",
    },
    Phase {
        name: "verify",
        command: "\"$LAB\" verify",
    },
    Phase {
        name: "verify-fixtures",
        command: "\"$LAB\" --course fixtures/course verify",
    },
    // All of it on one kernel, and on the others enough to see that labs work there.
    Phase {
        name: "verify-vm",
        command: "\"$LAB\" verify --kernel 6.12",
    },
    Phase {
        name: "verify-kernels",
        command: "\"$LAB\" verify --brief --kernel 5.10,6.1,newest",
    },
    // The other processors that learners have: emulated here.
    Phase {
        name: "verify-other-arch",
        command: "\"$LAB\" verify --brief --arch $OTHER_ARCH --kernel 6.12",
    },
    // Programs that break the rules, where root in the guest is all that they could win.
    Phase {
        name: "verify-misbehaves",
        command: "\"$LAB\" --course fixtures/course verify misbehaves --kernel 5.10,6.12",
    },
    Phase {
        name: "profiler-kernels",
        command: "\"$LAB\" --course fixtures/course verify known-calls --brief --kernel all && \"$LAB\" --course fixtures/course verify known-calls --brief --arch $OTHER_ARCH --kernel 6.12",
    },
    Phase {
        name: "book",
        command: "\"$LAB\" book --check",
    },
];

/// Runs the command.
pub fn run(site: &Site, only: Option<&str>) -> Outcome {
    let phases: Vec<&Phase> = PHASES
        .iter()
        .filter(|phase| only.is_none_or(|only| phase.name.contains(only)))
        .collect();
    if phases.is_empty() {
        let names: Vec<&str> = PHASES.iter().map(|phase| phase.name).collect();
        return Err(Trouble::usage(
            "no phase has that in its name",
            format!("phases: {}", names.join(", ")),
        ));
    }
    let program = crate::site::this_program().map_err(|error| {
        Trouble::infrastructure(format!("cannot find this program: {error}"), "")
    })?;
    let mut times = Vec::new();
    for (at, phase) in phases.iter().enumerate() {
        outln!(
            "{} {}/{} {}",
            style("==").bold(),
            at + 1,
            phases.len(),
            style(phase.name).bold()
        );
        let begin = Instant::now();
        let end = shell(&site.root, &program, phase.command);
        times.push((phase.name, begin.elapsed().as_secs_f64(), end));
        if end == End::Failed {
            outln!("{} {}", style("FAILED").red().bold(), phase.name);
        }
    }
    outln!("\nphase              seconds");
    for (name, seconds, end) in &times {
        outln!("{name:<18} {seconds:>7.1}  {}", end.word());
    }
    outln!(
        "{:<18} {:>7.1}",
        "all",
        times.iter().map(|(_, seconds, _)| seconds).sum::<f64>()
    );
    let count = |wanted| times.iter().filter(|(_, _, end)| *end == wanted).count();
    let failed = count(End::Failed);
    let skipped = count(End::Skipped);
    outln!(
        "{} passed, {failed} failed{}",
        count(End::Passed),
        if skipped == 0 {
            String::new()
        } else {
            format!(", {skipped} skipped (it said why)")
        }
    );
    Ok(if failed == 0 { Exit::Pass } else { Exit::Fail })
}

/// How a phase ended.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

fn other_arch() -> Arch {
    match Arch::HERE {
        Arch::X86_64 => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    }
}

/// What a phase ends with when this machine lacks what it needs, having said so; as in automake.
const SKIPPED: i32 = 77;

fn shell(root: &Path, program: &Path, command: &str) -> End {
    let status = Command::new("sh")
        .args(["-eu", "-c", command])
        .current_dir(root)
        .stdin(Stdio::null())
        .env("LAB", program)
        .env("RUSTUP_TOOLCHAIN", versions::stable())
        .env("GOTOOLCHAIN", format!("go{}", versions::pinned("GO")))
        .env("STATICCHECK", versions::pinned("STATICCHECK"))
        .env("OTHER_ARCH", other_arch().word())
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => End::Passed,
        Ok(Some(SKIPPED)) => End::Skipped,
        _ => End::Failed,
    }
}
