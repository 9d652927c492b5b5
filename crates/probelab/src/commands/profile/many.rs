//! Recording many processes: a profile for each Go program that ran.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime},
};

use goprof::{Meta, Program, Survey, Surveyed, Where};

use super::{LOOK, SECONDS, interrupted, output::File, overview, told};
use crate::{
    cli::Profile as Options,
    commands::pgo::Checked,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

/// Without --output; not used if it is there.
const FOLDER: &str = "profiles";

/// Runs the command.
pub fn run(options: &Options, which: &Where) -> Outcome {
    let folder = folder_of_output(options)?;
    let interrupted = interrupted()?;
    let mut survey = Survey::start(which, options.rate()).map_err(told)?;
    make(&folder)?;
    let (clock, began) = (Instant::now(), SystemTime::now());
    let limit = Duration::from_secs(options.seconds.unwrap_or(SECONDS));
    errln!("recording for {} s; Ctrl-C ends it", limit.as_secs());
    while !interrupted.load(Ordering::Relaxed) && clock.elapsed() < limit {
        std::thread::sleep(LOOK.min(limit.saturating_sub(clock.elapsed())));
        survey.look().map_err(told)?;
    }
    let lasted = clock.elapsed();
    let surveyed = survey.result().map_err(told)?;
    drop(survey);

    summary(&surveyed, lasted, options.hz);
    let meta = Meta::of(options.hz, began, lasted);
    let mut names = Names::default();
    let mut usable = false;
    if !surveyed.programs.is_empty() {
        outln!("\n samples  processes  calls  hot  profile");
    }
    for mut program in surveyed.programs {
        let path = folder.join(names.of(&program));
        let profile = goprof::to_profile(&program.samples, &mut program.symbols, meta);
        File::create(&path, true)?.write(&goprof::encode(&profile))?;
        let checked = Checked::of(profile);
        usable |= checked.is_usable();
        let (calls, hot) = checked.calls();
        outln!(
            "{:>8}  {:>9}  {calls:>5}  {hot:>3}  {} ({})",
            program.samples.total(),
            program.processes,
            path.display(),
            checked.verdict(),
        );
    }
    match usable {
        true => {
            outln!(
                "\n`lab pgo check PROFILE` says what a profile is good for, and what would make it better."
            );
            Ok(Exit::Pass)
        }
        false => {
            outln!("\nNo profile can be used for PGO. Record under load, or for longer.");
            Ok(Exit::Fail)
        }
    }
}

/// The folder for the profiles.
fn folder_of_output(options: &Options) -> Outcome<PathBuf> {
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None if Path::new(FOLDER).exists() => {
            return Err(Trouble::usage(
                format!("{FOLDER} is there already, and may hold profiles that you want"),
                "say --output FOLDER; profiles in a folder that is named are written over",
            ));
        }
        None => PathBuf::from(FOLDER),
    };
    if folder.exists() && !folder.is_dir() {
        return Err(Trouble::usage(
            format!("{} is no folder", folder.display()),
            "many processes are written to a folder, a file for each program",
        ));
    }
    Ok(folder)
}

/// Makes the folder if it is not there.
fn make(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|error| {
        Trouble::usage(
            format!("cannot make the folder {}: {error}", folder.display()),
            "name a place that you may write",
        )
    })?;
    // Whether it may be written to is better known before anything is recorded.
    tempfile::tempfile_in(folder)
        .map(drop)
        .or_infrastructure(|| format!("cannot write to {}", folder.display()))
}

/// What was seen in all.
fn summary(surveyed: &Surveyed, lasted: Duration, hz: u32) {
    let in_go: u64 = surveyed
        .programs
        .iter()
        .map(|program| program.samples.total())
        .sum();
    let shares = [
        (in_go, "in Go programs"),
        (surveyed.other, "in other programs"),
        (
            surveyed.no_stack,
            "without a stack in user space, such as the kernel's own threads",
        ),
        (
            surveyed.lost,
            "not kept: more different stacks than there is room for",
        ),
    ];
    overview(surveyed.samples, lasted, hz, "", &shares);
    if surveyed.records_lost > 0 {
        outln!(
            "{} events of processes were lost: the machine was too busy, and programs may be missing or wrong",
            surveyed.records_lost
        );
    }
}

/// Names of files that were given.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// Of its main package, else of its file, the last part; with its build id if there is one already.
    fn of(&mut self, program: &Program) -> String {
        let package = program.package.as_deref();
        // What the go command calls a package that was built from single files, and what tests are.
        let package = package.filter(|package| *package != "command-line-arguments");
        let whole = package.unwrap_or(&program.path);
        let last = whole.rsplit('/').next().unwrap_or(whole);
        let id = program.build_id.chars().filter(char::is_ascii_alphanumeric);
        let id: String = id.take(12).collect();
        let candidates = [last.to_owned(), format!("{last}-{id}")].into_iter();
        let numbered = (2..).map(|number| format!("{last}-{id}-{number}"));
        let name = candidates
            .chain(numbered)
            .find(|name| !self.0.contains(name));
        let name = name.unwrap_or_default();
        self.0.insert(name.clone());
        format!("{name}.pprof")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(package: Option<&str>, path: &str, build_id: &str) -> Program {
        Program {
            path: path.to_owned(),
            package: package.map(str::to_owned),
            build_id: build_id.to_owned(),
            processes: 1,
            samples: goprof::Samples::default(),
            symbols: goprof::Symbolizer::new(&[], |_| None),
            repairs: goprof::Repairs::default(),
        }
    }

    #[test]
    fn files_are_named_after_the_main_package_and_never_twice() {
        let mut names = Names::default();
        for (package, path, build_id, want) in [
            (
                Some("example.com/cmd/server"),
                "/app/main",
                "aa/bb",
                "server.pprof",
            ),
            (
                Some("example.org/server"),
                "/app/s",
                "0123456789abcdef",
                "server-0123456789ab.pprof",
            ),
            (
                Some("example.org/server"),
                "/app/t",
                "0123456789abcdef",
                "server-0123456789ab-2.pprof",
            ),
            (
                Some("command-line-arguments"),
                "/tmp/tool",
                "",
                "tool.pprof",
            ),
            (None, "/usr/bin/stripped", "", "stripped.pprof"),
        ] {
            assert_eq!(names.of(&program(package, path, build_id)), want);
        }
    }
}
