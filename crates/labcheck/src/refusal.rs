//! A program that the kernel refused: found in what the learner's program printed, explained in
//! words, with the verifier's log kept for those who want it.

use std::path::PathBuf;

pub use verifier_doctor::Class;
use verifier_doctor::{Diagnosis, Source};

/// What `labkit` prints before the program's name, and after the log (crates/labkit/src/refusal.rs).
const BEGIN: &str = "=== verifier log of ";
const END: &str = "=== end of verifier log";

/// A refused program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// Its name, as it says itself.
    pub program: String,
    /// What the verifier wrote.
    pub log: String,
    /// What a check wants said first.
    pub remark: String,
}

impl Refusal {
    /// The refusal that a learner's program reports on standard error.
    pub(crate) fn find(stderr: &str) -> Option<Self> {
        let (_, rest) = stderr.split_once(BEGIN)?;
        let (program, rest) = rest.split_once('\n')?;
        // A log without an end was cut off by the limit on output; what there is will do.
        let log = rest.split_once(END).map_or(rest, |(log, _)| log);
        Some(Self {
            program: program.trim().to_owned(),
            log: log.trim_end().to_owned(),
            remark: String::new(),
        })
    }

    /// The rule that was broken.
    pub fn class(&self) -> Class {
        verifier_doctor::diagnose(&self.log).class
    }

    /// What the learner reads. `edit` are the learner's files; `find_line` says on which line of
    /// one of them a text stands, for kernels that tell a source line's text and not its number.
    pub(crate) fn message(
        &self,
        folder: &str,
        edit: &[PathBuf],
        find_line: impl Fn(&PathBuf, &str) -> Option<u32>,
    ) -> String {
        let own = |name: &str| {
            edit.iter()
                .find(|file| file.file_name().is_some_and(|its| its == name))
        };
        let diagnosis = verifier_doctor::diagnose_among(&self.log, |name| own(name).is_some());
        let mut text = self.remark.clone();
        if !text.is_empty() {
            text.push('\n');
        }
        let Diagnosis {
            class,
            message_line,
            insn,
            source,
            explanation,
            next_step,
        } = diagnosis;
        text += &format!(
            "the kernel refused your program {}: {}.",
            self.program,
            class.title()
        );
        if let Some(source) = source {
            let (file, line) = match &source {
                Source {
                    file: Some(file),
                    line,
                    ..
                } => (own(file), *line),
                Source { text, .. } => edit
                    .iter()
                    .find_map(|file| Some((Some(file), Some(find_line(file, text)?))))
                    .unwrap_or_default(),
            };
            if let Some(file) = file {
                let line = line.map_or(String::new(), |line| format!(":{line}"));
                text += &format!("\nLook at {folder}/{}{line}:", file.display());
            }
            if !source.text.is_empty() {
                text += &format!("\n    {}", source.text);
            }
        }
        if !message_line.is_empty() {
            let at = insn.map_or(String::new(), |insn| format!(", at instruction {insn}"));
            text += &format!("\nThe verifier said{at}: {message_line}");
        }
        let why = verifier_doctor::wrapped(explanation);
        let next = verifier_doctor::wrapped(&format!("Next: {next_step}"));
        text + &format!("\nClass: {class}\n\n{why}\n\n{next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STDERR: &str = "warming up\n\
        === verifier log of count_opens\n\
        ; *calls += 1; @ opens.bpf.c:21\n\
        8: (79) r1 = *(u64 *)(r0 +0)\n\
        R0 invalid mem access 'map_value_or_null'\n\
        === end of verifier log\n\
        Error: the kernel refused the program count_opens\n";

    #[test]
    fn a_log_is_found_between_its_marks() {
        let refusal = Refusal::find(STDERR).expect("a refusal");
        assert_eq!(refusal.program, "count_opens");
        assert!(
            refusal.log.ends_with("'map_value_or_null'"),
            "{}",
            refusal.log
        );
        assert_eq!(refusal.class(), Class::MaybeNullMapValue);
    }

    #[test]
    fn the_marks_are_those_that_labkit_prints() {
        let labkit = include_str!("../../labkit/src/refusal.rs");
        for mark in [BEGIN, END] {
            assert!(labkit.contains(&format!("= {mark:?};")), "{mark}");
        }
    }

    #[test]
    fn what_holds_no_log_is_no_refusal() {
        for stderr in ["", "Error: no such map", "=== verifier log of x"] {
            assert_eq!(Refusal::find(stderr), None, "{stderr}");
        }
    }

    #[test]
    fn the_learner_is_shown_their_own_file() {
        let refusal = Refusal::find(STDERR).expect("a refusal");
        let message = refusal.message("my/lab", &["bpf/opens.bpf.c".into()], |_, _| None);
        assert!(
            message.contains("Look at my/lab/bpf/opens.bpf.c:21:\n    *calls += 1;\n"),
            "{message}"
        );
    }

    #[test]
    fn an_older_kernel_names_no_line_so_the_text_is_looked_up() {
        let refusal = Refusal::find(&STDERR.replace(" @ opens.bpf.c:21", "")).expect("a refusal");
        let edit = ["a.c".into(), "b.c".into()];
        let message = refusal.message("my/lab", &edit, |file, text| {
            (file.ends_with("b.c") && text == "*calls += 1;").then_some(7)
        });
        assert!(message.contains("Look at my/lab/b.c:7:"), "{message}");
    }
}
