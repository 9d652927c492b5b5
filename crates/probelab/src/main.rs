//! `lab`: lists, starts, checks, explains and grades Probelab's labs.

// First: its macros are for all that follows.
#[macro_use]
mod screen;

mod build;
mod check;
mod cli;
mod commands;
mod elevate;
mod link;
mod lock;
mod needs;
mod pool;
mod registry;
mod report;
mod site;
mod trouble;
mod versions;
mod vm;

use std::process::ExitCode;

use clap::Parser as _;

/// musl's own allocator takes half of the time in which a profile is named and written.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    // Between fork and exec memory may be asked for, while another thread of the parent held the lock.
    // SAFETY: there is one thread, and nothing of the allocator is in use by it.
    unsafe { dlmalloc::enable_alloc_after_fork() };
    vm::guest();
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(exit) = link::called(&args).or_else(|| labcheck::internal_command(&args)) {
        return exit;
    }
    if args.get(1).is_some_and(|arg| arg == elevate::COMMAND) {
        return elevate::main().into();
    }
    let cli = cli::Cli::parse();
    // One diagnostics library for every message: plain where nobody sees colours.
    let _ = miette::set_hook(Box::new(|_| {
        let fancy = console::colors_enabled_stderr();
        let theme = if fancy {
            miette::GraphicalTheme::unicode()
        } else {
            miette::GraphicalTheme::unicode_nocolor()
        };
        Box::new(
            miette::MietteHandlerOpts::new()
                .graphical_theme(theme)
                .width(100)
                // Names hold hyphens and slashes: break at spaces only.
                .word_separator(textwrap::WordSeparator::AsciiSpace)
                .build(),
        )
    }));
    let exit = match commands::run(cli) {
        Ok(exit) => exit,
        Err(trouble) => {
            errln!("{:?}", trouble.report);
            trouble.exit
        }
    };
    if let Some(error) = screen::failure() {
        errln!(
            "Part of what `lab` prints could not be written: {error}. Make room, and run the command again."
        );
        return trouble::Exit::Infrastructure.into();
    }
    exit.into()
}
