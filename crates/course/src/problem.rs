//! Mistakes in the course's own files, each with its place and its fix.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// One mistake: what is wrong, in which file and line, and what to do.
///
/// The message is one sentence. `help()` of the [`Diagnostic`] is the fix. A mistake that is not
/// inside a text file (a missing folder) has no line and names its path in the message.
#[derive(Debug, Clone)]
pub struct Problem {
    message: String,
    help: String,
    file: String,
    place: Option<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    source: NamedSource<Arc<str>>,
    span: Range<usize>,
    line: usize,
    label: String,
}

impl Problem {
    /// A mistake about a file or folder as a whole. `file` is relative to the course root.
    pub(crate) fn about(file: &str, message: String, help: String) -> Self {
        Self {
            message,
            help,
            file: file.to_owned(),
            place: None,
        }
    }

    /// A mistake at `span` (bytes) of a text file.
    pub(crate) fn at(
        text: &Text,
        span: Range<usize>,
        message: String,
        label: String,
        help: String,
    ) -> Self {
        let start = span.start.min(text.text.len());
        let line = 1 + text.text.as_bytes()[..start]
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        Self {
            message,
            help,
            file: text.name.clone(),
            place: Some(Place {
                source: NamedSource::new(&text.name, text.text.clone()),
                span: start..span.end.clamp(start, text.text.len()),
                line,
                label,
            }),
        }
    }

    /// The file or folder, relative to the course root.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line in the file, from 1; `None` when the mistake is not inside a text file.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|p| p.line)
    }

    /// What to do about it.
    pub fn fix(&self) -> &str {
        &self.help
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|p| &p.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(
            Some(place.label.clone()),
            (place.span.start, place.span.len()),
        );
        Some(Box::new(std::iter::once(label)))
    }
}

/// Every mistake found, at least one. Each is a related diagnostic of this one.
#[derive(Debug, Clone)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One line a mistake, `file:line: message (fix)`, for logs and machine output.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|p| match p.line() {
            Some(line) => format!("{}:{line}: {p} ({})", p.file, p.help),
            None => format!("{}: {p} ({})", p.file, p.help),
        })
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "there is a mistake in {}", one.file),
            many => write!(f, "there are {} mistakes to mend", many.len()),
        }
    }
}

impl std::error::Error for Problems {}

impl Diagnostic for Problems {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.0.iter().map(|p| p as &dyn Diagnostic)))
    }
}

/// A text file and the name it goes by in messages.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
}
