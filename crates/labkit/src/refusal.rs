//! When the kernel refuses a program: the verifier's log, where `lab` finds it.
//!
//! The log goes to standard error between two marks, so that a check can read it and explain it.
//! A log that is long keeps its end, for that is where the reason stands.

use std::io::Write as _;

use anyhow::{Result, anyhow};
use aya::programs::ProgramError;

/// The line before a log is this and the program's name. `labcheck` reads both marks.
const BEGIN: &str = "=== verifier log of ";
/// The line after it.
const END: &str = "=== end of verifier log";
/// Bytes of a log that are passed on.
const LIMIT: usize = 40 << 10;

/// Passes on what `load` of a program came to; a refusal's log is printed for `lab`.
///
/// ```no_run
/// # fn f(program: &mut aya::programs::TracePoint) -> anyhow::Result<()> {
/// labkit::loaded("count_openat", program.load())?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the program was not loaded.
pub fn loaded(program: &str, outcome: std::result::Result<(), ProgramError>) -> Result<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => {
            let refused = refused(program, &verifier_log.to_string());
            Err(anyhow::Error::new(io_error).context(refused))
        }
        Err(other) => Err(other.into()),
    }
}

/// Prints the verifier's log of a program that was refused, and gives the error to end with.
/// For loaders other than aya.
pub fn refused(program: &str, log: &str) -> anyhow::Error {
    let mut start = log.len().saturating_sub(LIMIT);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    let log = log[start..].trim_end_matches(['\0', '\n']);
    // Nothing better can be done when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{BEGIN}{program}\n{log}\n{END}");
    anyhow!("the kernel refused the program {program}")
}
