//! What can go wrong between asking for a virtual machine and having one. Never the learner's fault.

/// One sentence, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What is wrong, and where.
    pub message: String,
    /// What to do; empty when there is nothing.
    pub help: String,
}

impl Error {
    /// An error with something to do about it.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// Adds what was being done to an error of the system.
pub(crate) trait While<T> {
    fn while_(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: std::fmt::Display> While<T> for Result<T, E> {
    fn while_(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::new(format!("{}: {error}", doing()), ""))
    }
}
