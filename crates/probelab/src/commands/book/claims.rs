//! `book/claims.toml`: what is claimed of all this, by whom, what tests it, and what was measured
//! here. `book/src/claims.md` is made of it.
//!
//! A claim is a table `[[claim]]`:
//!
//! | key | what |
//! | --- | --- |
//! | `id` | names it, `[a-z0-9-]{1,32}` |
//! | `text` | the claim, in a sentence |
//! | `source` | who says so |
//! | `tested-by` | slugs of labs (also planned ones), or commands of `lab` |
//! | `measured` | `not measured`, or what `command` gave, with machine and interval |
//! | `command` | the command of `lab` that measured it; only with a figure |

use std::{collections::BTreeSet, fmt::Write as _};

use clap::Parser as _;
use course::{Course, ID_RULE, is_id};
use serde::Deserialize;

use super::page::Fault;
use crate::{
    cli::{Cli, Command},
    commands::bench,
};

/// Where the claims are, relative to the checkout.
pub const FILE: &str = "book/claims.toml";
/// What stands for a figure that nobody has measured here.
const NOT_MEASURED: &str = "not measured";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    claim: Vec<Claim>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Claim {
    id: String,
    text: String,
    source: String,
    tested_by: Vec<String>,
    measured: String,
    command: Option<String>,
}

/// The page made of the claims, or what is wrong with them.
pub fn page(text: &str, course: &Course) -> Result<String, Vec<Fault>> {
    let claims: Claims = toml::from_str(text).map_err(|error| {
        let place = match error.span() {
            Some(span) => format!(
                "{FILE}:{}",
                text[..span.start.min(text.len())].matches('\n').count() + 1
            ),
            None => FILE.to_owned(),
        };
        vec![Fault::new(place, error.message())]
    })?;
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for claim in &claims.claim {
        for what in mistakes(claim, course) {
            faults.push(Fault::new(format!("{FILE}: claim {}", claim.id), what));
        }
        if !seen.insert(&claim.id) {
            faults.push(Fault::new(
                FILE,
                format!("two claims are called {}", claim.id),
            ));
        }
    }
    if faults.is_empty() {
        Ok(render(&claims.claim, course))
    } else {
        Err(faults)
    }
}

fn mistakes(claim: &Claim, course: &Course) -> Vec<String> {
    let mut mistakes = Vec::new();
    if !is_id(&claim.id) {
        mistakes.push(format!("a bad id; {ID_RULE}"));
    }
    for (key, value) in [
        ("text", &claim.text),
        ("source", &claim.source),
        ("measured", &claim.measured),
    ] {
        if value.trim().is_empty() {
            mistakes.push(format!("`{key}` is empty"));
        }
    }
    if claim.tested_by.is_empty() {
        mistakes
            .push("`tested-by` names nothing; a claim that nothing tests has no place here".into());
    }
    for test in &claim.tested_by {
        if test.starts_with("lab ") {
            mistakes.extend(bad_command(test));
        } else if !has_lab(course, test) && !is_planned(course, test) {
            mistakes.push(format!(
                "`tested-by` names {test}, which is neither a lab, nor planned in course.toml, nor a command that begins with `lab `"
            ));
        }
    }
    match (&claim.command, claim.measured.as_str()) {
        (None, NOT_MEASURED) => {}
        (Some(command), figure) if figure != NOT_MEASURED => mistakes.extend(bad_command(command)),
        (Some(_), _) => mistakes.push(format!("`command` without a figure: `measured` is \"{NOT_MEASURED}\"")),
        (None, _) => mistakes.push(format!(
            "a figure without the command of `lab` that measured it; else write measured = \"{NOT_MEASURED}\""
        )),
    }
    mistakes
}

/// Why `command` is no command of this program.
fn bad_command(command: &str) -> Option<String> {
    let words = command.split_whitespace();
    match Cli::try_parse_from(words) {
        _ if !command.starts_with("lab ") => Some(format!("`{command}` is not a command of `lab`")),
        Err(_) => Some(format!("`{command}` is not a command that `lab` knows")),
        Ok(cli) => match cli.command {
            Command::Bench {
                name: Some(name), ..
            } if !bench::exists(&name) => Some(format!("there is no bench {name}")),
            _ => None,
        },
    }
}

fn has_lab(course: &Course, slug: &str) -> bool {
    course.labs.iter().any(|lab| lab.slug == *slug)
}

fn is_planned(course: &Course, slug: &str) -> bool {
    course.planned.iter().any(|planned| *planned == *slug)
}

fn render(claims: &[Claim], course: &Course) -> String {
    let mut out = format!(
        "<!-- Made of {FILE} by `lab book`. Don't edit. -->\n\n# Claims\n\n{}\n",
        INTRODUCTION.trim()
    );
    let measured = claims.iter().filter(|c| c.command.is_some()).count();
    let _ = writeln!(
        out,
        "\nClaims: {}. Measured here: {measured}.",
        claims.len()
    );
    for claim in claims {
        let tests: Vec<String> = claim
            .tested_by
            .iter()
            .map(|test| match test {
                command if command.starts_with("lab ") => format!("`{command}`"),
                slug if has_lab(course, slug) => format!("[{slug}](labs/{slug}.md)"),
                slug => format!("{slug} (planned)"),
            })
            .collect();
        let figure = match &claim.command {
            Some(command) => format!("{}, by `{command}`", one_line(&claim.measured)),
            None => NOT_MEASURED.to_owned(),
        };
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n- Source: {}\n- Tested by: {}\n- Measured here: {figure}\n",
            claim.id,
            one_line(&claim.text),
            one_line(&claim.source),
            tests.join(", "),
        );
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const INTRODUCTION: &str = "
What is said of profilers, of eBPF and of PGO, and what tests it here. A figure stands on this page
only when a command of this repository gave it; figures that others measured are part of the claim,
not of the answer.
";

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[claim]]\nid = \"one\"\ntext = \"It is so.\"\nsource = \"Somebody.\"\n\
                        tested-by = [\"first-probe\", \"monorepo\", \"lab tour\"]\nmeasured = \"not measured\"\n";

    fn course() -> Course {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Course::load(&root).expect("the course loads")
    }

    #[test]
    fn a_claim_becomes_a_section() {
        let page = page(GOOD, &course()).expect("no faults");
        for part in [
            "Claims: 1. Measured here: 0.",
            "## one\n\nIt is so.\n",
            "[first-probe](labs/first-probe.md)",
            "monorepo (planned)",
            "`lab tour`",
            "- Measured here: not measured",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn a_figure_is_shown_with_its_command() {
        let text = GOOD.replace(
            "\"not measured\"",
            "\"0.3 [0.2, 0.4]\"\ncommand = \"lab bench edit --rounds 20\"",
        );
        let page = page(&text, &course()).expect("no faults");
        assert!(
            page.contains("0.3 [0.2, 0.4], by `lab bench edit --rounds 20`"),
            "{page}"
        );
    }

    #[test]
    fn mistakes_are_told() {
        let course = course();
        let with = |command: &str| format!("\"3 %\"\ncommand = \"{command}\"");
        for (from, to, part) in [
            ("\"one\"", "\"One\"".to_owned(), "bad id"),
            ("\"It is so.\"", "\"\"".to_owned(), "`text` is empty"),
            ("first-probe", "first-prob".to_owned(), "neither a lab"),
            (
                "[\"first-probe\", \"monorepo\", \"lab tour\"]",
                "[]".to_owned(),
                "names nothing",
            ),
            ("lab tour", "lab detour".to_owned(), "not a command that"),
            ("\"not measured\"", "\"3 %\"".to_owned(), "a figure without"),
            ("\"not measured\"", with("perf stat"), "not a command of"),
            (
                "\"not measured\"",
                with("lab bench nothing"),
                "no bench nothing",
            ),
            ("measured =", "measure =".to_owned(), "measure"),
            (
                "measured = \"not measured\"",
                "measured = \"not measured\"\ncommand = \"lab tour\"".to_owned(),
                "without a figure",
            ),
        ] {
            let faults = page(&GOOD.replace(from, &to), &course).expect_err(part);
            assert!(
                faults.iter().any(|fault| fault.what.contains(part)),
                "{part}: {faults:?}"
            );
        }
        let faults = page(&format!("{GOOD}{GOOD}"), &course).expect_err("twice");
        assert!(faults[0].what.contains("two claims"), "{faults:?}");
    }
}
