//! How `lab` ends: exit codes, and errors that carry one.

use std::process::ExitCode;

use miette::{Diagnostic, Report};

/// How a command ended. The numbers are part of the interface: `lab --help` and the book list them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for passed, or was done.
    Pass = 0,
    /// A check failed: the learner's program is wrong.
    Fail = 1,
    /// The command can't be carried out as given.
    Usage = 2,
    /// The machine, or Probelab, is at fault. Points are unchanged.
    Infrastructure = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error on its way to the screen.
#[derive(Debug)]
pub struct Trouble {
    /// How `lab` ends.
    pub exit: Exit,
    /// What is printed.
    pub report: Report,
}

/// What commands return.
pub type Outcome<T = Exit> = Result<T, Trouble>;

impl Trouble {
    /// A command that can't be carried out as given.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            report: simple(message, help),
        }
    }

    /// Something that is not the user's fault.
    pub fn infrastructure(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit: Exit::Infrastructure,
            report: simple(message, help),
        }
    }
}

/// One sentence, and what to do.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Simple {
    message: String,
    #[help]
    help: Option<String>,
}

fn simple(message: impl Into<String>, help: impl Into<String>) -> Report {
    let help = help.into();
    Report::new(Simple {
        message: message.into(),
        help: (!help.is_empty()).then_some(help),
    })
}

/// Lets `?` turn any error into [`Trouble`] of a stated kind.
pub trait OrTrouble<T> {
    /// An error of the machine: what could not be done, and why.
    fn or_infrastructure(self, what: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: std::fmt::Display> OrTrouble<T> for Result<T, E> {
    fn or_infrastructure(self, what: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Trouble::infrastructure(format!("{}: {error}", what()), ""))
    }
}

/// A mistake in what the user named.
impl From<course::NotFound> for Trouble {
    fn from(error: course::NotFound) -> Self {
        Self {
            exit: Exit::Usage,
            report: Report::new(error),
        }
    }
}

/// A mistake in the course's own files.
impl From<course::Problems> for Trouble {
    fn from(error: course::Problems) -> Self {
        Self {
            exit: Exit::Usage,
            report: Report::new(error),
        }
    }
}

impl From<course::OverlayError> for Trouble {
    fn from(error: course::OverlayError) -> Self {
        let exit = match error {
            course::OverlayError::NothingToTake { .. } | course::OverlayError::Refused { .. } => {
                Exit::Usage
            }
            course::OverlayError::BadLab { .. } | course::OverlayError::Io { .. } => {
                Exit::Infrastructure
            }
        };
        Self {
            exit,
            report: Report::new(error),
        }
    }
}

impl From<course::ProgressError> for Trouble {
    fn from(error: course::ProgressError) -> Self {
        Self {
            exit: Exit::Infrastructure,
            report: Report::new(error),
        }
    }
}
