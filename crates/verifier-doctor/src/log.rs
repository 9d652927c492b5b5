//! A verifier log as lines, and what each line is.

use crate::Source;

/// How a line of a log reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Line {
    /// `8: (79) r1 = *(u64 *)(r0 +0)`: an instruction, by number.
    Insn(u32),
    /// `; *calls += 1; @ opens.bpf.c:24`: the source of what follows.
    Source(Source),
    /// States, statistics, and what loaders add.
    Noise,
    /// Anything else: perhaps what is wrong.
    Message,
}

/// A log.
pub(crate) struct Log<'a> {
    lines: Vec<(&'a str, Line)>,
    /// The line `Verification failed: …` (Linux 7.3 and newer), from which on it is prose.
    report: Option<usize>,
}

/// What the header of a report says (kernel/bpf/diagnostics.c, `bpf_diag_header`).
const REPORT: &str = "Verification failed: ";

impl<'a> Log<'a> {
    pub(crate) fn read(text: &'a str) -> Self {
        let lines: Vec<_> = text
            .lines()
            .map(|line| {
                let line = line.trim();
                (line, kind(line))
            })
            .collect();
        let report = lines.iter().position(|(line, _)| line.starts_with(REPORT));
        Self { lines, report }
    }

    /// Lines that may say what is wrong, with their place, last one first. Not those of a report.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let end = self.report.unwrap_or(self.lines.len());
        self.lines[..end]
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, (_, kind))| *kind == Line::Message)
            .map(|(at, (line, _))| (at, *line))
    }

    /// The report, if there is one: its place, its header without the fixed words, and its text.
    pub(crate) fn report(&self) -> Option<(usize, &'a str, String)> {
        let at = self.report?;
        let text: Vec<&str> = self.lines[at..].iter().map(|(line, _)| *line).collect();
        let header = self.lines[at].0.strip_prefix(REPORT)?;
        Some((at, header, text.join(" ")))
    }

    /// The place under the report's `At:`, as `count @ opens.bpf.c:24:12` or `opens.bpf.c:24:12`.
    pub(crate) fn report_source(&self) -> Option<Source> {
        let at = self.report?;
        let from = at
            + self.lines[at..]
                .iter()
                .position(|(line, _)| *line == "At:")?
            + 1;
        let place = self.lines.get(from)?.0;
        let place = place.rsplit_once(" @ ").map_or(place, |(_, place)| place);
        let mut parts = place.rsplitn(3, ':');
        let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
        let line: u32 = line.parse().ok()?;
        // `>>> 24 | *calls += 1;` is the same line with its text.
        let text = self.lines[from..]
            .iter()
            .find_map(|(text, _)| {
                let (number, text) = text.strip_prefix(">>> ")?.split_once(" | ")?;
                (number.trim().parse() == Ok(line)).then(|| text.trim().to_owned())
            })
            .unwrap_or_default();
        Some(Source {
            file: Some(base_name(file)),
            line: Some(line),
            text,
        })
    }

    /// The number of the last instruction before line `at`.
    pub(crate) fn insn_before(&self, at: usize) -> Option<u32> {
        self.lines[..at.min(self.lines.len())]
            .iter()
            .rev()
            .find_map(|(_, kind)| match kind {
                Line::Insn(number) => Some(*number),
                _ => None,
            })
    }

    /// The source lines that led to an instruction as it was last followed before line `at`,
    /// nearest first.
    pub(crate) fn sources_of(
        &self,
        insn: Option<u32>,
        at: usize,
    ) -> impl Iterator<Item = Source> + Clone + '_ {
        let lines = &self.lines[..at.min(self.lines.len())];
        let place = insn.and_then(|insn| {
            lines
                .iter()
                .rposition(|(_, kind)| *kind == Line::Insn(insn))
        });
        lines[..place.unwrap_or(0)]
            .iter()
            .rev()
            .filter_map(|(_, kind)| match kind {
                Line::Source(source) => Some(source.clone()),
                _ => None,
            })
    }

    /// What register `register` held when line `at` was written, as the states before it tell:
    /// `map_value` for `R1_w=map_value(off=0,ks=4,vs=8)`.
    pub(crate) fn register_type(&self, register: &str, at: usize) -> Option<&'a str> {
        self.lines[..at.min(self.lines.len())]
            .iter()
            .rev()
            .find_map(|(line, _)| held(line, register))
    }
}

/// The type that a state line gives to `register`.
fn held<'a>(line: &'a str, register: &str) -> Option<&'a str> {
    line.match_indices(register).find_map(|(at, _)| {
        // `R1` must not be found in `FR1` or `R10`.
        if line[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let rest = &line[at + register.len()..];
        // `_w`, `_r`, `_rw`: marks of older kernels for what an instruction did.
        let rest = rest.strip_prefix('_').map_or(rest, |rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_lowercase())
        });
        let value = rest.strip_prefix('=')?;
        let end = value
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(value.len());
        Some(&value[..end])
    })
}

fn base_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).trim().to_owned()
}

fn kind(line: &str) -> Line {
    if line.is_empty() {
        return Line::Noise;
    }
    if let Some(text) = line.strip_prefix(';') {
        return Line::Source(source(text.trim()));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 0 && line[digits..].starts_with(": ") {
        return match line[..digits].parse() {
            Ok(number) if line[digits + 2..].starts_with('(') => Line::Insn(number),
            // `7: <invalid CO-RE relocation>`: libbpf's words for an instruction.
            _ if line[digits + 2..].starts_with('<') => Line::Message,
            _ => Line::Noise,
        };
    }
    // A state on a line of its own: `R0=scalar() R10=fp0`, ` R1_w=ctx(off=0)`.
    let first = line.split(' ').next().unwrap_or_default();
    if first.starts_with('R') && first.contains('=') && !first.starts_with("R=") {
        return Line::Noise;
    }
    const NOISE: [&str; 19] = [
        "from ",
        "processed ",
        "verification time",
        "stack depth",
        "insns processed",
        "func#",
        "Func#",
        "Validating ",
        "mark_precise",
        "last_idx",
        "regs=",
        "parent ",
        "propagating ",
        "max_states",
        "caller:",
        "callee:",
        "returning from callee",
        "arg#",
        "libbpf: ",
    ];
    // `frame1: R1=…`, but not `frame pointer is read only`.
    let frame = line
        .strip_prefix("frame")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if frame || NOISE.iter().any(|noise| line.starts_with(noise)) || line.starts_with("-- ") {
        return Line::Noise;
    }
    Line::Message
}

/// `*calls += 1; @ opens.bpf.c:24`, or the text alone.
fn source(text: &str) -> Source {
    if let Some((code, place)) = text.rsplit_once("@ ")
        && let Some((file, line)) = place.trim().rsplit_once(':')
        && let Ok(line) = line.parse()
        && !file.contains(' ')
    {
        return Source {
            file: Some(base_name(file)),
            line: Some(line),
            text: code.trim().to_owned(),
        };
    }
    Source {
        text: text.to_owned(),
        ..Source::default()
    }
}
