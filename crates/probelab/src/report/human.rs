//! The report as a learner reads it.

use std::fmt::Write as _;

use console::style;

use super::{LabReport, Report, StepReport, Word};

/// One lab: its verdict first, then what to do.
pub fn lab(report: &LabReport, next: Option<&str>) -> String {
    let mut out = String::new();
    let points = format!("{}/{}", report.points, report.of);
    match report.verdict {
        Word::Pass => {
            let _ = writeln!(
                out,
                "{} {points}  {}",
                style("pass").green().bold(),
                report.title
            );
            steps(&mut out, report);
            if let Some(next) = next {
                let _ = writeln!(out, "Next: {next}");
            }
        }
        Word::Fail => {
            let _ = writeln!(
                out,
                "{} {points}  {}",
                style("fail").red().bold(),
                report.title
            );
            steps(&mut out, report);
            let _ = writeln!(out, "\nStuck? `lab hint {}`", report.lab);
        }
        Word::Skipped => {
            let _ = writeln!(
                out,
                "{}  {}",
                style("skipped").yellow().bold(),
                report.title
            );
            let _ = writeln!(out, "{}", reason(report));
        }
        Word::Error => {
            let _ = writeln!(
                out,
                "{}, not your fault  {}",
                style("error").magenta().bold(),
                report.title
            );
            let _ = writeln!(
                out,
                "{}\nPoints unchanged. `lab doctor {}` looks at this machine.",
                reason(report),
                report.lab
            );
        }
    }
    out
}

/// Why a lab was not graded: its own message, else that of the step that was not.
fn reason(report: &LabReport) -> &str {
    match report.trouble() {
        Some(step) if report.message.is_empty() => &step.message,
        _ => &report.message,
    }
}

/// A line a step where there are several; under it what went wrong.
fn steps(out: &mut String, report: &LabReport) {
    for step in &report.steps {
        if report.steps.len() > 1 {
            let mark = match step.verdict {
                Word::Pass => style("pass").green(),
                Word::Fail => style("fail").red(),
                Word::Skipped => style("skip").yellow(),
                Word::Error => style("error").magenta(),
            };
            let _ = writeln!(
                out,
                "  {mark} {:>2}/{:<2} {}: {}",
                step.points, step.of, step.step, step.title
            );
        }
        explain(out, step);
    }
}

fn explain(out: &mut String, step: &StepReport) {
    if let Some(check) = step.failed() {
        let mut lines = check.message.lines();
        let _ = writeln!(
            out,
            "  {}: {}",
            style(&check.check).bold(),
            lines.next().unwrap_or_default()
        );
        for line in lines {
            let _ = writeln!(out, "{}", format!("  {line}").trim_end());
        }
        if !check.detail.is_empty() {
            let _ = writeln!(out, "\n  (`--raw` shows the whole log)");
        }
    } else if !step.message.is_empty() {
        let _ = writeln!(out, "  {}", step.message);
    }
    for note in &step.notes {
        let _ = writeln!(out, "  note: {note}");
    }
}

/// What the explanations were drawn from, in full: for `--raw`.
pub fn raw(report: &LabReport) -> String {
    let mut out = String::new();
    for check in report.steps.iter().flat_map(|step| &step.checks) {
        if !check.detail.is_empty() {
            let title = style(&check.check).bold();
            let _ = writeln!(
                out,
                "\nThe log behind {title}:\n{}",
                check.detail.trim_end()
            );
        }
    }
    out
}

/// All labs in a line; before it, where several kernels were asked for, a table.
pub fn total(report: &Report, kernels: bool) -> String {
    let count = |word| report.labs.iter().filter(|lab| lab.verdict == word).count();
    let table = if kernels {
        table(report)
    } else {
        String::new()
    };
    format!(
        "{table}{} {}: {} pass, {} fail, {} skipped, {} error; {}/{} points",
        report.labs.len(),
        if kernels { "checks" } else { "labs" },
        count(Word::Pass),
        count(Word::Fail),
        count(Word::Skipped),
        count(Word::Error),
        report.points,
        report.of
    )
}

/// Labs by kernels, with a note for each that was not graded.
fn table(report: &Report) -> String {
    const WIDTH: usize = 12;
    let mut labs: Vec<&str> = Vec::new();
    let mut kernels: Vec<&str> = Vec::new();
    for lab in &report.labs {
        if !labs.contains(&lab.lab.as_str()) {
            labs.push(&lab.lab);
        }
        if !kernels.contains(&lab.kernel.as_str()) {
            kernels.push(&lab.kernel);
        }
    }
    let mut notes: Vec<&str> = Vec::new();
    let mut out = format!("\n{:<20}", "lab");
    for kernel in &kernels {
        // `6.12.117+deb13-cloud-amd64`: what comes before the distribution's own.
        let short = kernel.split(['+', '-']).next().unwrap_or(kernel);
        let _ = write!(out, "{short:<WIDTH$}");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for slug in labs {
        let mut line = format!("{slug:<20}");
        for kernel in &kernels {
            let found = report
                .labs
                .iter()
                .find(|lab| lab.lab == slug && lab.kernel == *kernel);
            let cell = found.map_or(String::new(), |lab| match lab.verdict {
                Word::Pass | Word::Fail => lab.verdict.word().to_owned(),
                Word::Skipped | Word::Error => {
                    let why = reason(lab);
                    let at = notes.iter().position(|note| *note == why);
                    let at = at.unwrap_or_else(|| {
                        notes.push(why);
                        notes.len() - 1
                    });
                    format!("{} [{}]", lab.verdict.word(), at + 1)
                }
            });
            let _ = write!(line, "{cell:<WIDTH$}");
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for (at, note) in notes.iter().enumerate() {
        let _ = writeln!(out, "[{}] {note}", at + 1);
    }
    out
}
