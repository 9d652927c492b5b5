//! What `lab` prints. Unlike `println!` it goes on when nobody reads: `lab check | head -1` still
//! grades, records and ends with its own status. What can't be written for another reason, say to
//! a full disk, is told by [`failure`].

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::Mutex,
};

static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints to standard output, as `print!` does.
macro_rules! out {
    ($($what:tt)*) => { $crate::screen::to_output(format_args!($($what)*)) };
}

/// Prints a line to standard output, as `println!` does.
macro_rules! outln {
    () => { $crate::screen::to_output(format_args!("\n")) };
    ($($what:tt)*) => { $crate::screen::to_output(format_args!("{}\n", format_args!($($what)*))) };
}

/// Prints to standard error, as `eprint!` does.
macro_rules! err {
    ($($what:tt)*) => { $crate::screen::to_error(format_args!($($what)*)) };
}

/// Prints a line to standard error, as `eprintln!` does.
macro_rules! errln {
    () => { $crate::screen::to_error(format_args!("\n")) };
    ($($what:tt)*) => { $crate::screen::to_error(format_args!("{}\n", format_args!($($what)*))) };
}

pub fn to_output(what: Arguments<'_>) {
    note(io::stdout().lock().write_fmt(what));
}

pub fn to_error(what: Arguments<'_>) {
    // Where would a failure to say something be said?
    let _ = io::stderr().lock().write_fmt(what);
}

/// Why something that should be on standard output is not there.
pub fn failure() -> Option<io::Error> {
    note(io::stdout().lock().flush());
    FAILURE.lock().ok()?.take()
}

fn note(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            if let Ok(mut first) = FAILURE.lock() {
                first.get_or_insert(error);
            }
        }
        _ => {}
    }
}
