//! Runs a plan as root: the only thing that `lab` does with privilege.
//!
//! The plan goes in on standard input and what was found comes back on standard output, a JSON line
//! each, so that what was found before a failure is not lost.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use labcheck::{machine, plan::Plan, verdict::StepResult};
use serde::{Deserialize, Serialize};

use crate::{registry, site};

/// The hidden command that [`run`] starts as root.
pub const COMMAND: &str = "__run";

/// A line from the process that runs as root.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// It runs: what goes wrong from here on is not sudo's doing.
    Started,
    Result(Box<StepResult>),
    /// Nothing can be checked.
    Failed(String),
}

/// Starts this program again as root with the plan.
///
/// # Errors
/// One sentence: why it could not be done, and what to do.
pub fn run(plan: &Plan, interactive: bool) -> Result<Vec<StepResult>, String> {
    const NO_PRIVILEGE: &str = "checks of BPF programs run as root, and you are not";
    let program =
        site::this_program().map_err(|error| format!("cannot find this program: {error}"))?;
    let sudo = machine::on_path("sudo")
        .ok_or_else(|| format!("{NO_PRIVILEGE}; there is no sudo here. Ask for it, or check in a virtual machine: `lab check --on vm`."))?;
    let mut command = Command::new(sudo);
    // Without a person at the keyboard a question for a password would wait for ever.
    if !interactive {
        command.arg("--non-interactive");
    }
    command.arg("--").arg(&program).arg(COMMAND);
    if interactive {
        errln!(
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
    let mut started = false;
    let mut results = Vec::new();
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Line::Started) => started = true,
            Ok(Line::Result(result)) => results.push(*result),
            Ok(Line::Failed(why)) => return Err(why),
            // sudo's own words, or those of what it runs first.
            Err(_) => errln!("{line}"),
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match (started, status.success()) {
        (false, _) => Err(format!(
            "{NO_PRIVILEGE}; sudo refused ({status}). Run `sudo -v` first, or ask for sudo."
        )),
        (true, false) if results.is_empty() => {
            Err(format!("the check runner ended early ({status})"))
        }
        _ => Ok(results),
    }
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

/// Entry point of the process that runs as root; gives its exit status.
pub fn main() -> u8 {
    let say = |line: Line| {
        if let Ok(json) = serde_json::to_string(&line) {
            outln!("{json}");
        }
    };
    let mut json = String::new();
    let plan = std::io::stdin()
        .read_to_string(&mut json)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str::<Plan>(&json).map_err(|error| error.to_string()));
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => {
            errln!("lab {COMMAND} is for `lab` itself: {error}");
            return 2;
        }
    };
    say(Line::Started);
    let Some(checks) = registry::checks(&plan.slug) else {
        say(Line::Failed(format!(
            "this `lab` was built without the checks of {}",
            plan.slug
        )));
        return 3;
    };
    labcheck::runner::run(&plan, checks, |result| say(Line::Result(Box::new(result))));
    0
}
