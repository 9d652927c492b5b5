//! The program that the lab traces: looks up settings in its environment.
//!
//! Each line on standard input holds names; each is looked up once, in order, and `done` is
//! printed. The standard library's `var_os` calls the C library's getenv(3)
//! (library/std/src/sys/env/unix.rs).

use std::{
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("standard input or output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    for line in io::stdin().lock().lines() {
        for name in line?.split_whitespace() {
            let _ = std::env::var_os(name);
        }
        writeln!(out, "done")?;
    }
    Ok(())
}
