//! The truth: what `gosym` says of addresses that we draw, of every kind that look-ups go wrong at,
//! in a program without symbol table and DWARF. gosym's own tests compare it with Go's runtime.
//!
//! Who prints the right lines has the right answer, however it was come by; so a second program, of
//! which nothing was told, follows the first.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use gosym::{Binary, Frame};
use labcheck::{prelude::*, scratch::Scratch};

pub const STEPS: Steps = &[
    ("functions", functions),
    ("lines", lines),
    ("inlined", inlined),
];

/// An address, and why it is asked about.
struct Asked {
    pc: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    /// Anywhere in a function but at its entry.
    Inside,
    /// Its first instruction.
    Entry,
    /// The last byte before the next function: on amd64 most often in a gap. (On arm64 there are
    /// none: the assembler makes a function's code as long as it should be.)
    Last,
    /// Where no Go code is.
    Outside,
    /// The first byte of another line than the byte before, or that byte.
    LineChange,
    /// Where inlined code is.
    Inlined,
}

impl Kind {
    fn phrase(self) -> &'static str {
        match self {
            Self::Inside => "an instruction",
            Self::Entry => "the first instruction",
            Self::Last => "the last byte before the next function",
            Self::Outside => "no Go code",
            Self::LineChange => "where a line begins or ends",
            Self::Inlined => "inlined code",
        }
    }
}

/// A program to look addresses up in.
struct Target {
    path: PathBuf,
    binary: Binary,
}

impl Target {
    fn open(lab: &mut Session, artifact: &str) -> Result<Self, Failure> {
        let path = lab.artifact(artifact)?;
        let binary = Binary::open(&path).map_err(broken)?;
        Ok(Self { path, binary })
    }

    /// So many addresses of each kind, in random order.
    fn draw(&self, lab: &mut Session, wanted: &[(Kind, usize)]) -> Vec<Asked> {
        let functions: Vec<(u64, u64, bool)> = self
            .binary
            .functions()
            .filter(|function| function.entry + 1 < function.end)
            .map(|function| {
                (
                    function.entry,
                    function.end,
                    function.name.starts_with("main."),
                )
            })
            .collect();
        // Half of them are in package main, so that most of what is told can be found in boxes/main.go.
        let ours: Vec<_> = functions.iter().copied().filter(|f| f.2).collect();
        let mut asked = Vec::new();
        for &(kind, count) in wanted {
            for number in 0..count {
                let (entry, end, _) = match number % 2 {
                    0 => *lab.rng.pick(&functions),
                    _ => *lab.rng.pick(&ours),
                };
                let pc = match kind {
                    Kind::Inside => lab.rng.between(entry + 1..=end - 1),
                    Kind::Entry => entry,
                    Kind::Last => end - 1,
                    Kind::Outside => self.outside(lab, number),
                    Kind::LineChange => self.line_change(lab, entry, end),
                    // Of some: the one with the most calls.
                    Kind::Inlined => (0..40)
                        .map(|_| lab.rng.between(entry..=end - 1))
                        .max_by_key(|&pc| self.binary.frames_at(pc).len())
                        .unwrap_or(entry),
                };
                asked.push(Asked { pc, kind });
            }
        }
        lab.rng.shuffle(&mut asked);
        asked
    }

    fn outside(&self, lab: &mut Session, number: usize) -> u64 {
        let first = self.binary.functions().map(|f| f.entry).min().unwrap_or(0);
        let end = self.binary.functions().map(|f| f.end).max().unwrap_or(0);
        match number {
            0 => first - 1,
            1 => end,
            2 => 0,
            3 => u64::MAX,
            number if number % 2 == 0 => lab.rng.between(0..=first - 1),
            number if number % 4 == 1 => end + lab.rng.between(0..=1 << 20),
            // Whose low 32 bits are those of code.
            _ => lab.rng.between(first..=end - 1) + (lab.rng.between(1..=1 << 20) << 32),
        }
    }

    fn line_change(&self, lab: &mut Session, entry: u64, end: u64) -> u64 {
        let line = |pc| self.binary.file_line(pc);
        let from = lab.rng.between(entry..=end - 1);
        // Gaps are another matter.
        let change = (from + 1..end.min(from + 400))
            .find(|&pc| line(pc) != line(pc - 1) && line(pc).is_some());
        change.map_or(entry, |pc| pc - lab.rng.between(0..=1))
    }

    /// What is to be printed of `pc`.
    fn truth(&self, pc: u64, print: Print) -> String {
        let Some(function) = self.binary.function_at(pc) else {
            return format!("{pc:x}\t?");
        };
        let place = |frame: &Frame| format!("{}:{}", frame.file, frame.line);
        let frames = self.binary.frames_at(pc);
        let mut line = format!("{pc:x}");
        match print {
            Print::Functions => line += &format!("\t{}", function.name),
            Print::Lines => {
                let place = frames.first().map(place).unwrap_or_default();
                line += &format!("\t{}\t{place}", function.name);
            }
            Print::Calls => {
                for frame in &frames {
                    let (place, start) = (place(frame), frame.start_line);
                    let _ = write!(line, "\t{}\t{place}\t{start}", frame.function);
                }
            }
        }
        line
    }
}

/// What the learner's program is to print.
#[derive(Clone, Copy)]
enum Print {
    Functions,
    Lines,
    Calls,
}

impl Print {
    /// The learner's file and the text that marks the place to look at.
    fn place(self, lab: &Session) -> String {
        match self {
            Self::Functions => lab.place("src/functions.rs", "pub fn find"),
            Self::Lines => lab.place("src/lines.rs", "pub fn value_at"),
            Self::Calls => lab.place("src/inlined.rs", "pub fn calls"),
        }
    }
}

/// What was asked of the learner's program and what it said.
struct Said {
    asked: Vec<Asked>,
    /// What is right, a line an address.
    truth: Vec<String>,
    lines: Vec<String>,
    place: String,
}

impl Said {
    /// Runs the learner's program on `target`.
    fn ask(
        lab: &mut Session,
        target: &Target,
        print: Print,
        wanted: &[(Kind, usize)],
        tell: bool,
    ) -> Result<Self, Failure> {
        let asked = target.draw(lab, wanted);
        let truth: Vec<String> = asked
            .iter()
            .map(|asked| target.truth(asked.pc, print))
            .collect();
        if tell {
            lab.set_truth(truth.join("\n"));
        }
        let folder = Scratch::new("addresses")?;
        let list: String = asked
            .iter()
            .map(|asked| format!("{:x}\n", asked.pc))
            .collect();
        let list = put(folder.path(), "addresses", &list)?;
        let (output, _) = lab
            .learner()?
            .set("PROGRAM", target.path.display())
            .set("ADDRESSES", list.display())
            .run_to_end()?;
        let lines: Vec<String> = output.stdout.lines().map(str::to_owned).collect();
        if lines.len() != asked.len() {
            return Err(Failure::learner(format!(
                "we gave your program {} addresses; it printed {} lines.",
                asked.len(),
                lines.len()
            )));
        }
        Ok(Self {
            asked,
            truth,
            lines,
            place: print.place(lab),
        })
    }

    /// Whether all lines about addresses of `kinds` (all of them, where that is empty) are right;
    /// `part` takes from a line what is looked at.
    fn judge<'l>(
        &'l self,
        kinds: &[Kind],
        part: impl Fn(&'l str) -> Vec<&'l str>,
    ) -> Result<(), Failure> {
        let of_kinds = self.asked.iter().zip(self.truth.iter().zip(&self.lines));
        let looked_at: Vec<_> = of_kinds
            .filter(|(asked, _)| kinds.is_empty() || kinds.contains(&asked.kind))
            .collect();
        let wrong: Vec<_> = looked_at
            .iter()
            .filter(|(_, (truth, line))| part(truth) != part(line))
            .collect();
        // Where few things are known there is less to read.
        let shortest = wrong.iter().min_by_key(|(_, (truth, _))| truth.len());
        let Some((asked, (truth, line))) = shortest else {
            return Ok(());
        };
        let shown = |line: &'l str| part(line).join("  ");
        Err(Failure::learner(format!(
            "of {} addresses {} were wrong, such as {:x} ({}):\n    right  {}\n    yours  {}\nLook at {}.",
            looked_at.len(),
            wrong.len(),
            asked.pc,
            asked.kind.phrase(),
            shown(truth),
            shown(line),
            self.place
        )))
    }
}

/// The whole line.
fn all(line: &str) -> Vec<&str> {
    line.split('\t').skip(1).collect()
}

/// Of each call: its name, place and start line, by number.
fn each(line: &str, field: usize) -> Vec<&str> {
    line.split('\t').skip(1 + field).step_by(3).collect()
}

fn functions(lab: &mut Session) -> Result<(), Stop> {
    let (boxes, store) = (Target::open(lab, "boxes")?, Target::open(lab, "store")?);
    let kinds = [
        (Kind::Inside, 200),
        (Kind::Entry, 80),
        (Kind::Last, 80),
        (Kind::Outside, 40),
    ];
    let said = Said::ask(lab, &boxes, Print::Functions, &kinds, true);
    let said = lab.require("answers", said)?;
    lab.require("names", said.judge(&[Kind::Inside], all))?;
    lab.require("entries", said.judge(&[Kind::Entry], all))?;
    lab.require("gaps", said.judge(&[Kind::Last], all))?;
    lab.require("outside", said.judge(&[Kind::Outside], all))?;
    other(lab, "other-program", &store, Print::Functions, &kinds)
}

fn lines(lab: &mut Session) -> Result<(), Stop> {
    let (boxes, store) = (Target::open(lab, "boxes")?, Target::open(lab, "store")?);
    let kinds = [
        (Kind::Entry, 80),
        (Kind::Inside, 120),
        (Kind::LineChange, 120),
        (Kind::Last, 80),
        (Kind::Outside, 10),
    ];
    let said = Said::ask(lab, &boxes, Print::Lines, &kinds, false);
    let said = lab.require("answers-lines", said)?;
    // The first pair of each table says these.
    lab.require("first-lines", said.judge(&[Kind::Entry], all))?;
    lab.require("line-changes", said.judge(&[Kind::LineChange], all))?;
    let ends = said.judge(&[Kind::Last, Kind::Outside], all);
    lab.require("ends-of-tables", ends)?;
    lab.require("lines", said.judge(&[Kind::Inside], all))?;
    other(lab, "other-lines", &store, Print::Lines, &kinds)
}

fn inlined(lab: &mut Session) -> Result<(), Stop> {
    let (boxes, store) = (Target::open(lab, "boxes")?, Target::open(lab, "store")?);
    let kinds = [
        (Kind::Inlined, 160),
        (Kind::Inside, 120),
        (Kind::Last, 30),
        (Kind::Outside, 10),
    ];
    let said = Said::ask(lab, &boxes, Print::Calls, &kinds, false);
    let said = lab.require("answers-calls", said)?;
    lab.require("calls", said.judge(&[], |line| each(line, 0)))?;
    lab.require("call-lines", said.judge(&[], |line| each(line, 1)))?;
    lab.require("start-lines", said.judge(&[], |line| each(line, 2)))?;
    other(lab, "other-calls", &store, Print::Calls, &kinds)
}

/// The event store, a service of some thousand functions, of which the learner's program was told
/// nothing before.
fn other(
    lab: &mut Session,
    check: &str,
    store: &Target,
    print: Print,
    kinds: &[(Kind, usize)],
) -> Result<(), Stop> {
    let said = Said::ask(lab, store, print, kinds, false);
    let outcome = said
        .and_then(|said| said.judge(&[], all))
        .map_err(|failure| match failure {
            Failure::Learner(why) => {
                Failure::Learner(format!("in another program, the event store: {why}"))
            }
            other => other,
        });
    lab.require(check, outcome)
}

/// A file that everybody may read.
fn put(folder: &Path, name: &str, text: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    Ok(path)
}
