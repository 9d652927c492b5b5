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

fn suite(out: &mut String, report: &Report, lab: &LabReport, id: usize) {
    let checks = || {
        lab.steps
            .iter()
            .flat_map(|step| step.checks.iter().map(move |check| (step, check)))
    };
    let failures = checks()
        .filter(|(_, check)| check.verdict == Some(Word::Fail))
        .count();
    let mut errors = lab
        .steps
        .iter()
        .filter(|step| step.verdict == Word::Error)
        .count();
    let whole = lab.steps.is_empty();
    let (mut tests, mut failures) = (checks().count(), failures);
    if whole {
        tests = 1;
        failures = usize::from(lab.verdict == Word::Fail);
        errors = usize::from(lab.verdict == Word::Error);
    }
    // xs:dateTime without a zone or a fraction, which this schema's pattern refuses.
    let timestamp = report.started.get(..19).unwrap_or(&report.started);
    let _ = writeln!(
        out,
        "  <testsuite id=\"{id}\" package=\"probelab\" name=\"{}\" timestamp=\"{timestamp}\" hostname=\"localhost\" \
         tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\">",
        escape(&lab.lab),
        lab.check_seconds
    );
    out.push_str("    <properties>\n");
    for (name, value) in [
        ("points", lab.points.to_string()),
        ("of", lab.of.to_string()),
        ("verdict", lab.verdict.word().to_owned()),
        ("revision", lab.revision.to_string()),
        ("kernel", report.machine.kernel.clone()),
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
    let mut remarks = String::new();
    if whole {
        case(
            out,
            lab,
            "lab",
            "build",
            lab.verdict,
            &lab.message,
            lab.build_seconds,
        );
        if lab.verdict == Word::Skipped {
            let _ = writeln!(remarks, "skipped: {}", lab.message);
        }
    }
    for step in &lab.steps {
        step_cases(out, &mut remarks, lab, step);
    }
    let _ = writeln!(
        out,
        "    <system-out>{}</system-out>\n    <system-err></system-err>\n  </testsuite>",
        escape(&remarks)
    );
}

fn step_cases(out: &mut String, remarks: &mut String, lab: &LabReport, step: &StepReport) {
    let each = step.seconds / step.checks.len().max(1) as f64;
    // An error belongs to the first check that could not be made.
    let mut error_told = false;
    for check in &step.checks {
        let (verdict, message) = match check.verdict {
            Some(verdict) => (verdict, check.message.as_str()),
            None if step.verdict == Word::Error && !error_told => {
                error_told = true;
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
        case(out, lab, &step.step, &check.check, verdict, message, each);
    }
}

fn case(
    out: &mut String,
    lab: &LabReport,
    step: &str,
    name: &str,
    verdict: Word,
    message: &str,
    seconds: f64,
) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{seconds:.3}\"",
        escape(&lab.lab),
        escape(step),
        escape(name)
    );
    let element = match verdict {
        Word::Fail => "failure",
        Word::Error => "error",
        Word::Pass | Word::Skipped => {
            out.push_str("/>\n");
            return;
        }
    };
    let first = message.lines().next().unwrap_or_default();
    let _ = writeln!(
        out,
        ">\n      <{element} type=\"{}\" message=\"{}\">{}</{element}>\n    </testcase>",
        verdict.word(),
        escape(first),
        escape(message)
    );
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
