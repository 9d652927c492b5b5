//! Verifier logs in, classes and explanations out.
//!
//! [`diagnose`] reads the text that the kernel's verifier gives when it refuses a program, as a
//! loader passes it on (aya's `VerifierLog`, or what libbpf prints), and says which rule was
//! broken, where in the learner's source, why the rule exists, and what usually mends it.
//!
//! The verifier's wording changes from kernel to kernel; a [`Class`] does not, and neither does
//! its id. Messages of Linux 5.10 to 7.3 are known (`kernel/bpf/verifier.c`; from 7.3 also the
//! reports of `kernel/bpf/diagnostics.c`). Nothing here needs a kernel.
//!
//! ```
//! let log = "; *calls += 1; @ opens.bpf.c:24\n\
//!            8: (79) r1 = *(u64 *)(r0 +0)\n\
//!            R0 invalid mem access 'map_value_or_null'\n";
//! let diagnosis = verifier_doctor::diagnose(log);
//! assert_eq!(diagnosis.class.id(), "maybe-null-map-value");
//! assert_eq!(diagnosis.insn, Some(8));
//! println!("{diagnosis}");
//! ```

mod class;
mod explain;
mod log;
mod pattern;

use std::fmt;

pub use class::Class;

/// What is wrong with a refused program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnosis {
    /// The rule that was broken.
    pub class: Class,
    /// The verifier's own message, one line; empty when the log holds none.
    pub message_line: String,
    /// The instruction that the message is about, counted from 0.
    pub insn: Option<u32>,
    /// The source line that the instruction was compiled from. The log has it only when the
    /// object carries line information (BTF).
    pub source: Option<Source>,
    /// What the verifier knew, and why it had to refuse.
    pub explanation: &'static str,
    /// What usually mends it.
    pub next_step: &'static str,
}

/// A line of the program's source, as far as the log tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source {
    /// The file's name without its folder. Older logs, such as those of Linux 6.1, do not tell it.
    pub file: Option<String>,
    /// Counted from 1. Older logs, such as those of Linux 6.1, do not tell it.
    pub line: Option<u32>,
    /// The line's text, trimmed. May be empty where the compiler left it out.
    pub text: String,
}

/// Reads a verifier log. Any text will do: what is not understood is of [`Class::Unknown`].
pub fn diagnose(log: &str) -> Diagnosis {
    diagnose_among(log, |_| true)
}

/// Reads a verifier log as [`diagnose`] does. Of the source lines that lead to the refused
/// instruction it takes the nearest in a file that `is_own` accepts by name, if there is one:
/// in Rust the very nearest is often a library's function, inlined.
pub fn diagnose_among(log: &str, is_own: impl Fn(&str) -> bool) -> Diagnosis {
    let log = log::Log::read(log);
    let found = pattern::find(&log);
    let class = found.class;
    let insn = found.insn.or_else(|| log.insn_before(found.at));
    let mut sources = log.sources_of(insn, found.at);
    let own = |source: &Source| source.file.as_deref().is_none_or(&is_own);
    let report = log.report_source();
    let source = report
        .clone()
        .filter(own)
        .or_else(|| sources.clone().find(own))
        .or(report)
        .or_else(|| sources.next());
    Diagnosis {
        class,
        message_line: found.message,
        insn,
        source,
        explanation: class.explanation(),
        next_step: class.next_step(),
    }
}

impl fmt::Display for Diagnosis {
    /// As a learner reads it: the class, the place, the verifier's words, why, what next.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.class.id(), self.class.title())?;
        if let Some(source) = &self.source {
            write!(f, "  at ")?;
            if let Some(file) = &source.file {
                write!(f, "{file}")?;
                if let Some(line) = source.line {
                    write!(f, ":{line}")?;
                }
                write!(f, ": ")?;
            }
            writeln!(f, "{}", source.text)?;
        }
        if !self.message_line.is_empty() {
            write!(f, "  the verifier said")?;
            if let Some(insn) = self.insn {
                write!(f, ", at instruction {insn}")?;
            }
            writeln!(f, ": {}", self.message_line)?;
        }
        let next = format!("Next: {}", self.next_step);
        write!(f, "\n{}\n\n{}", wrapped(self.explanation), wrapped(&next))
    }
}

/// A paragraph in lines of at most 88 characters, as explanations are shown.
pub fn wrapped(paragraph: &str) -> String {
    const WIDTH: usize = 88;
    let mut text = String::with_capacity(paragraph.len());
    let mut used = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if used > 0 {
            let fits = used + 1 + length <= WIDTH;
            text.push(if fits { ' ' } else { '\n' });
            used = if fits { used + 1 } else { 0 };
        }
        text.push_str(word);
        used += length;
    }
    text
}
