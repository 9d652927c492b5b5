//! What a person sees while a process is recorded: the functions that ran most.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use console::{Term, style};
use goprof::{Recording, Symbolizer};

/// Between two pictures.
const PAUSE: Duration = Duration::from_secs(1);
/// Functions shown.
const ROWS: usize = 10;

/// A table that is drawn over itself; nothing where nobody looks.
pub struct View {
    term: Option<Term>,
    next: Instant,
    lines: usize,
}

impl View {
    /// A view, if one is `wanted` and somebody looks.
    pub fn new(wanted: bool) -> Self {
        let term = Term::stderr();
        Self {
            term: (wanted && term.is_term()).then_some(term),
            next: Instant::now() + PAUSE,
            lines: 0,
        }
    }

    pub fn is_due(&self) -> bool {
        self.term.is_some() && Instant::now() >= self.next
    }

    /// Draws what was recorded so far.
    pub fn show(&mut self, recording: &Recording, symbols: &mut Symbolizer) {
        self.clear();
        let text = table(recording, symbols);
        if let Some(term) = &self.term {
            let width = usize::from(term.size().1);
            for line in text.lines() {
                let _ = term.write_line(&console::truncate_str(line, width, "…"));
                self.lines += 1;
            }
        }
        self.next = Instant::now() + PAUSE;
    }

    /// Takes the table away.
    pub fn clear(&mut self) {
        if let Some(term) = &self.term {
            let _ = term.clear_last_lines(self.lines);
        }
        self.lines = 0;
    }
}

/// The functions that most samples were in: alone, and with what they called.
fn table(recording: &Recording, symbols: &mut Symbolizer) -> String {
    let (samples, _) = goprof::repair(&recording.stacks, symbols);
    let mut functions: HashMap<String, (u64, u64)> = HashMap::new();
    for (stack, count) in samples.iter() {
        let named = symbols.stack(stack);
        let frames = named.locations.iter().flat_map(|location| &location.frames);
        let mut seen = Vec::new();
        for (depth, frame) in frames.enumerate() {
            let entry = functions.entry(frame.function.clone()).or_default();
            if depth == 0 {
                entry.0 += count;
            }
            // A function that calls itself was there once.
            if !seen.contains(&&frame.function) {
                entry.1 += count;
                seen.push(&frame.function);
            }
        }
    }
    let mut functions: Vec<_> = functions.into_iter().collect();
    functions.sort_by(|(a, counts), (b, others)| others.cmp(counts).then(a.cmp(b)));
    let total = samples.total().max(1) as f64;
    let mut text = format!(
        "{} samples; Ctrl-C ends the recording\n  alone  with callees\n",
        style(recording.samples).bold()
    );
    for (name, (alone, with_callees)) in functions.into_iter().take(ROWS) {
        let share = |count: u64| count as f64 / total * 100.0;
        text += &format!(
            "{:>5.1} %  {:>10.1} %  {name}\n",
            share(alone),
            share(with_callees)
        );
    }
    text
}
