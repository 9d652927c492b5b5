//! One module a command.

mod bench;
mod book;
mod check;
mod diff;
mod doctor;
mod hint;
mod list;
mod new;
mod next;
mod pgo;
mod profile;
mod reset;
mod samples;
mod start;
mod test;
pub mod tour;
mod verify;
mod vm;

use clap::CommandFactory as _;
use course::Progress;

use crate::{
    cli::{Cli, Command},
    site::Site,
    trouble::{Exit, Outcome},
};

/// Carries out a command line.
pub fn run(cli: Cli) -> Outcome {
    if let Command::Completions { shell } = cli.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "lab", &mut script);
        out!("{}", String::from_utf8_lossy(&script));
        return Ok(Exit::Pass);
    }
    if let Command::Pgo { command } = cli.command {
        return pgo::run(command);
    }
    if let Command::Profile(options) = cli.command {
        return profile::run(&options);
    }
    let site = Site::find(cli.course)?;
    match cli.command {
        Command::Tour => tour::run(&site),
        Command::List { track, format } => list::run(&site, track.as_deref(), format),
        Command::Next { track } => next::run(&site, track.as_deref()),
        Command::Start { lab } => start::run(&site, lab.as_deref()),
        Command::Check(options) => check::run(&site, &options),
        Command::Hint { lab, level, step } => hint::run(&site, &lab, level, step.as_deref()),
        Command::Reset { lab } => reset::run(&site, &lab),
        Command::Diff { lab } => diff::run(&site, &lab),
        Command::Doctor { lab } => doctor::run(&site, lab.as_deref()),
        Command::Verify(options) => verify::run(&site, &options),
        Command::Vm { command } => vm::run(&site, command),
        Command::New { folder, title } => new::run(&site, &folder, title.as_deref()),
        Command::Bench {
            name,
            rounds,
            format,
        } => bench::run(&site, name.as_deref(), rounds, format),
        Command::Test { only } => test::run(&site, only.as_deref()),
        Command::Book {
            build,
            check,
            update,
            only,
        } => {
            let only = only.as_deref();
            match (build, check, update) {
                (_, true, _) => book::check(&site, only, book::Mode::Compare),
                (_, _, true) => book::check(&site, only, book::Mode::Write),
                (true, ..) => book::build(&site),
                _ => book::serve(&site),
            }
        }
        Command::Completions { .. } | Command::Pgo { .. } | Command::Profile(_) => Ok(Exit::Pass),
    }
}

/// Opens the learner's progress, saying so if the file had to be put aside.
fn progress(site: &Site) -> Outcome<Progress> {
    let (progress, notice) = Progress::open(&site.my())?;
    if let Some(notice) = notice {
        errln!("{notice}");
    }
    Ok(progress)
}

/// Saves it.
fn save(progress: &mut Progress) -> Outcome<()> {
    if let Some(notice) = progress.save()? {
        errln!("{notice}");
    }
    Ok(())
}
