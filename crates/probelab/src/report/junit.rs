//! JUnit XML after the schema that Ant's JUnit task is held to, the strictest in use: one test
//! suite a lab, one test case a check. It knows neither "skipped" nor points, so what was skipped
//! or not reached is a case that passed with a line of output saying so, and points are properties.

use std::fmt::Write as _;

use super::{LabReport, Report, StepReport, Word};

/// The whole document.
pub fn document(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (id, lab) in report.labs.iter().enumerate() {
        suite(&mut out, report, lab, id);
    }
    out.push_str("</testsuites>\n");
    out
}

/// One test case.
struct Case<'a> {
    step: &'a str,
    name: &'a str,
    verdict: Word,
    message: &'a str,
    seconds: f64,
}

fn suite(out: &mut String, report: &Report, lab: &LabReport, id: usize) {
    let mut remarks = String::new();
    let cases: Vec<Case<'_>> = if lab.steps.is_empty() {
        vec![whole(lab, &mut remarks)]
    } else {
        let steps = lab.steps.iter();
        steps.flat_map(|step| cases(step, &mut remarks)).collect()
    };
    let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
    // xs:dateTime without a zone or a fraction, which this schema's pattern refuses.
    let timestamp = report.started.get(..19).unwrap_or(&report.started);
    let _ = writeln!(
        out,
        "  <testsuite id=\"{id}\" package=\"probelab\" name=\"{}\" timestamp=\"{timestamp}\" hostname=\"localhost\" \
         tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.3}\">",
        escape(&lab.lab),
        cases.len(),
        count(Word::Fail),
        count(Word::Error),
        lab.check_seconds
    );
    out.push_str("    <properties>\n");
    for (name, value) in [
        ("points", lab.points.to_string()),
        ("of", lab.of.to_string()),
        ("verdict", lab.verdict.word().to_owned()),
        ("revision", lab.revision.to_string()),
        ("on", lab.on.clone()),
        ("kernel", lab.kernel.clone()),
        ("arch", lab.arch.clone()),
        ("accelerator", lab.accelerator.clone().unwrap_or_default()),
        ("outcome", lab.outcome.clone().unwrap_or_default()),
        ("seed", report.seed.to_string()),
        ("hash", lab.hash.clone()),
    ] {
        let _ = writeln!(
            out,
            "      <property name=\"{name}\" value=\"{}\"/>",
            escape(&value)
        );
    }
    out.push_str("    </properties>\n");
    for case in &cases {
        case.write(out, lab);
    }
    let _ = writeln!(
        out,
        "    <system-out>{}</system-out>\n    <system-err></system-err>\n  </testsuite>",
        escape(&remarks)
    );
}

/// The one case of a lab of which no step was run.
fn whole<'a>(lab: &'a LabReport, remarks: &mut String) -> Case<'a> {
    if lab.verdict == Word::Skipped {
        let _ = writeln!(remarks, "skipped: {}", lab.message);
    }
    Case {
        step: "lab",
        name: "build",
        verdict: lab.verdict,
        message: &lab.message,
        seconds: lab.build_seconds,
    }
}

/// The checks of a step.
fn cases<'a>(step: &'a StepReport, remarks: &mut String) -> Vec<Case<'a>> {
    let seconds = step.seconds / step.checks.len().max(1) as f64;
    // An error belongs to the first check that could not be made.
    let mut untold = step.verdict == Word::Error;
    let mut cases = Vec::new();
    for check in &step.checks {
        let (verdict, message) = match check.verdict {
            Some(verdict) => (verdict, check.message.as_str()),
            None if untold => {
                untold = false;
                (Word::Error, step.message.as_str())
            }
            None => {
                let why = match step.verdict {
                    Word::Skipped => format!("skipped: {}", step.message),
                    _ => "not reached".to_owned(),
                };
                let _ = writeln!(remarks, "{}/{}: {why}", step.step, check.check);
                (Word::Skipped, "")
            }
        };
        cases.push(Case {
            step: &step.step,
            name: &check.check,
            verdict,
            message,
            seconds,
        });
    }
    if untold {
        // All checks were made, and the check itself went wrong afterwards.
        cases.push(Case {
            step: &step.step,
            name: "step",
            verdict: Word::Error,
            message: &step.message,
            seconds: 0.0,
        });
    }
    cases
}

impl Case<'_> {
    fn write(&self, out: &mut String, lab: &LabReport) {
        let _ = write!(
            out,
            "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
            escape(&lab.lab),
            escape(self.step),
            escape(self.name),
            self.seconds
        );
        let element = match self.verdict {
            Word::Fail => "failure",
            Word::Error => "error",
            Word::Pass | Word::Skipped => {
                out.push_str("/>\n");
                return;
            }
        };
        let first = self.message.lines().next().unwrap_or_default();
        let _ = writeln!(
            out,
            ">\n      <{element} type=\"{}\" message=\"{}\">{}</{element}>\n    </testcase>",
            self.verdict.word(),
            escape(first),
            escape(self.message)
        );
    }
}

/// Text for XML: markup escaped, characters that XML 1.0 forbids replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_characters_never_reach_the_document() {
        assert_eq!(
            escape("a<b & \"c\"\u{1b}[0m\u{0}"),
            "a&lt;b &amp; &quot;c&quot;\u{fffd}[0m\u{fffd}"
        );
    }
}
