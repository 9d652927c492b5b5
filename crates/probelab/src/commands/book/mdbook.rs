//! The program `mdbook`, which renders the book.

use std::{
    io,
    process::{Command, Output},
};

use super::page::Fault;
use crate::{
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

fn command(site: &Site, subcommand: &str) -> Command {
    let mut mdbook = Command::new("mdbook");
    mdbook
        .arg(subcommand)
        .arg(site.root.join("book"))
        .env_remove("RUST_LOG");
    mdbook
}

fn missing(error: &io::Error) -> Trouble {
    Trouble::infrastructure(
        format!("cannot start mdbook: {error}"),
        "`./lab setup --all` installs it",
    )
}

/// Renders into `book/build`.
pub fn build(site: &Site) -> Outcome {
    let status = command(site, "build").status().map_err(|e| missing(&e))?;
    if !status.success() {
        return Ok(Exit::Fail);
    }
    outln!("{}", site.root.join("book/build/index.html").display());
    Ok(Exit::Pass)
}

/// Renders and shows it on the loopback address until interrupted.
pub fn serve(site: &Site) -> Outcome {
    let status = command(site, "serve")
        .args(["--open", "--hostname", "127.0.0.1"])
        .status()
        .map_err(|e| missing(&e))?;
    Ok(if status.success() {
        Exit::Pass
    } else {
        Exit::Infrastructure
    })
}

/// Renders aside, and says what mdbook complains of.
pub fn check(site: &Site) -> Outcome<Vec<Fault>> {
    let folder = tempfile::tempdir().or_infrastructure(|| "cannot make a folder".into())?;
    let output = command(site, "build")
        .arg("--dest-dir")
        .arg(folder.path())
        .output()
        .map_err(|e| missing(&e))?;
    Ok(complaints(&output))
}

fn complaints(output: &Output) -> Vec<Fault> {
    let text =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut faults: Vec<Fault> = text
        .iter()
        .flat_map(|text| text.lines())
        .map(console::strip_ansi_codes)
        .filter(|line| {
            line.split_whitespace()
                .take(3)
                .any(|word| matches!(word, "WARN" | "ERROR"))
        })
        .map(|line| Fault::new("mdbook", line.trim()))
        .collect();
    if faults.is_empty() && !output.status.success() {
        faults.push(Fault::new("mdbook", format!("failed: {}", text[1].trim())));
    }
    faults
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

    use super::*;

    #[test]
    fn complaints_are_warnings_errors_and_failures() {
        for (stderr, status, expected) in [
            (" INFO Book building has started\n", 0, 0),
            (" INFO a page about WARN and ERROR lines\n", 0, 0),
            (" WARN unclosed HTML tag\n INFO done\n", 0, 1),
            (
                "2026-01-01 12:00:00 \u{1b}[31mERROR\u{1b}[0m no such file\n",
                0,
                1,
            ),
            ("thread panicked\n", 101 << 8, 1),
        ] {
            let found = complaints(&Output {
                status: ExitStatus::from_raw(status),
                stdout: Vec::new(),
                stderr: stderr.as_bytes().to_vec(),
            });
            assert_eq!(found.len(), expected, "{stderr:?}: {found:?}");
        }
    }
}
