//! Runs a plan as root: the only thing that `lab` does with privilege.
//!
//! The plan goes in on standard input and results come back on standard output, a JSON line each,
//! so that what was found before a failure is not lost.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use labcheck::{plan::Plan, verdict::StepResult};

use crate::registry;

/// The hidden command that [`run`] starts as root.
pub const COMMAND: &str = "__run";

/// Starts this program again as root with the plan.
///
/// # Errors
/// One sentence: why it could not be done, and what to do.
pub fn run(plan: &Plan, interactive: bool) -> Result<Vec<StepResult>, String> {
    const NO_PRIVILEGE: &str = "checks of BPF programs run as root, and you are not";
    let program =
        std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let sudo = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join("sudo"))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{NO_PRIVILEGE}; there is no sudo here. Ask for it, or use a virtual machine of yours (see the README)."))?;
    let mut command = Command::new(sudo);
    // Without a person at the keyboard a question for a password would wait for ever.
    if !interactive {
        command.arg("--non-interactive");
    }
    command.arg("--").arg(&program).arg(COMMAND);
    if interactive {
        eprintln!(
            "Checking needs root. Your own program will run without it. Running:\n    sudo -- {} {COMMAND}",
            shown(&program)
        );
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{NO_PRIVILEGE}; sudo could not be started: {error}"))?;
    let json = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    // If sudo refuses, nobody reads: the exit status below says so better.
    let _ = child
        .stdin
        .take()
        .map(|mut input| input.write_all(json.as_bytes()));
    let output = child.stdout.take().ok_or("sudo has no output")?;
    let results: Vec<StepResult> = BufReader::new(output)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str(&line).ok())
        .collect();
    let status = child.wait().map_err(|error| error.to_string())?;
    if results.is_empty() && !status.success() {
        return Err(format!(
            "{NO_PRIVILEGE}; sudo refused ({status}). Run `sudo -v` first, or ask for sudo."
        ));
    }
    Ok(results)
}

fn shown(program: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|here| {
            program
                .strip_prefix(here)
                .ok()
                .map(|path| path.display().to_string())
        })
        .unwrap_or_else(|| program.display().to_string())
}

/// Entry point of the process that runs as root.
pub fn main() -> ExitCode {
    let mut json = String::new();
    let plan: Plan = match std::io::stdin()
        .read_to_string(&mut json)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str(&json).map_err(|error| error.to_string()))
    {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("lab {COMMAND} is for `lab` itself: {error}");
            return ExitCode::from(2);
        }
    };
    let Some(steps) = registry::steps(&plan.slug) else {
        eprintln!("no checks for {}", plan.slug);
        return ExitCode::from(3);
    };
    labcheck::runner::run(&plan, steps, |result| {
        if let Ok(line) = serde_json::to_string(&result) {
            println!("{line}");
        }
    });
    ExitCode::SUCCESS
}
