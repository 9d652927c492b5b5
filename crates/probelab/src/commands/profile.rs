//! `lab profile`: records a process to a pprof. Works anywhere, without a checkout of the course.

mod live;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use goprof::{Error, Held, Meta, Recording, Sampler, Samples, Symbolizer};
use tempfile::NamedTempFile;

use super::pgo::Checked;
use crate::{
    cli::Profile as Options,
    site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

/// Without --output; not written over.
const OUTPUT: &str = "cpu.pprof";
/// Without --seconds, of a process that runs already.
const SECONDS: u64 = 30;
/// How often it is looked whether the process still runs.
const LOOK: Duration = Duration::from_millis(50);
/// How long a command may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// The same, before it is told once more: Ctrl-C told all that run in the terminal.
const HEARD: Duration = Duration::from_secs(2);

/// Runs the command.
pub fn run(options: &Options) -> Outcome {
    // Before anything is recorded that could then not be kept.
    let path = path_of_output(options)?;
    if options.flamegraph.as_ref() == Some(&path) {
        return Err(Trouble::usage(
            format!("{} can't be both profile and flame graph", path.display()),
            "say --output and --flamegraph with different files",
        ));
    }
    let output = File::create(&path, options.output.is_some())?;
    let flame_graph = options
        .flamegraph
        .as_deref()
        .map(|path| File::create(path, true))
        .transpose()?;
    let interrupted = interrupted()?;

    let target = Target::of(options)?;
    let pid = target.pid();
    let mut symbols = goprof::for_process(pid).map_err(told)?;
    let sampler = Sampler::start(pid, options.hz, &symbols).map_err(told)?;
    let begin = (Instant::now(), SystemTime::now());
    let mut running = target.go()?;

    let limit = match options.exec.is_empty() {
        true => Some(options.seconds.unwrap_or(SECONDS)),
        false => options.seconds,
    };
    let end = limit.map(|seconds| begin.0 + Duration::from_secs(seconds));
    // A command has the terminal for itself.
    let mut view = live::View::new(options.exec.is_empty());
    while !interrupted.load(Ordering::Relaxed) && running.is_running() {
        let now = Instant::now();
        if end.is_some_and(|end| now >= end) {
            break;
        }
        std::thread::sleep(end.map_or(LOOK, |end| LOOK.min(end - now)));
        if view.is_due() {
            // Without a picture the recording is as good.
            if let Ok(so_far) = sampler.recording() {
                view.show(&so_far, &mut symbols);
            }
        }
    }
    let lasted = begin.0.elapsed();
    view.clear();
    let ended_early = options.exec.is_empty() && !running.is_running();
    // With what was mapped meanwhile, a plugin say. First the map, then whether the process is still the
    // program that it was: of another one the map would be wrong.
    let now = goprof::for_process(pid);
    let recording = sampler.recording().map_err(told)?;
    drop(sampler);
    if let (Ok(now), 0) = (now, recording.execs) {
        symbols = now;
    }
    running.end(interrupted.load(Ordering::Relaxed));

    let (samples, repairs) = goprof::repair(&recording.stacks, &symbols);
    let summary = Summary {
        recording: &recording,
        repairs,
        cut: cut(&samples, &mut symbols),
        lasted,
        hz: options.hz,
    };
    summary.show(ended_early);
    if samples.total() == 0 {
        outln!(
            "It used no CPU time, so there is nothing to write. Record it under load, or for longer."
        );
        return Ok(Exit::Fail);
    }
    let meta = Meta {
        period_nanos: 1_000_000_000 / i64::from(options.hz),
        time_nanos: begin.1.duration_since(UNIX_EPOCH).map_or(0, nanos),
        duration_nanos: nanos(lasted),
    };
    let profile = goprof::to_profile(&samples, &mut symbols, meta);
    output.write(&goprof::encode(&profile))?;
    if let Some(file) = flame_graph {
        let svg = goprof::flame_graph(&profile, &format!("Process {pid}")).map_err(told)?;
        file.write(svg.as_bytes())?;
    }
    let checked = Checked::of(profile);
    checked.show(&path, 5);
    Ok(if checked.is_usable() {
        Exit::Pass
    } else {
        Exit::Fail
    })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn path_of_output(options: &Options) -> Outcome<PathBuf> {
    match &options.output {
        Some(path) => Ok(path.clone()),
        None if Path::new(OUTPUT).exists() => Err(Trouble::usage(
            format!("{OUTPUT} is there already, and may be a profile that you want"),
            "say --output FILE; a file that is named is written over",
        )),
        None => Ok(PathBuf::from(OUTPUT)),
    }
}

/// An error of the profiler's, as one of ours.
fn told(error: Error) -> Trouble {
    let message = error.to_string();
    match error {
        Error::Privilege => {
            let program = site::this_program().unwrap_or_else(|_| "lab".into());
            let words = std::env::args_os().skip(1);
            let words: Vec<String> = words
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            Trouble::infrastructure(
                message,
                format!("run: sudo -- {} {}", program.display(), words.join(" ")),
            )
        }
        Error::Process { .. } | Error::NoGoCode { .. } | Error::Rate { .. } => {
            Trouble::usage(message, "")
        }
        _ => Trouble::infrastructure(message, ""),
    }
}

/// Set by Ctrl-C, or a request to end.
fn interrupted() -> Outcome<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .or_infrastructure(|| "cannot catch signals".to_owned())?;
    }
    Ok(flag)
}

/// What is to be written.
enum File {
    /// A file that is there under its name once it is whole.
    Aside {
        aside: NamedTempFile,
        path: PathBuf,
        /// Whether what is there by then may be replaced.
        replace: bool,
    },
    /// A pipe or a device, which is not replaced.
    Through(fs::File, PathBuf),
}

impl File {
    fn create(given: &Path, replace: bool) -> Outcome<Self> {
        Self::open(given, replace).map_err(|error| {
            Trouble::usage(
                format!("cannot write {}: {error}", given.display()),
                "name a place that you may write",
            )
        })
    }

    fn open(given: &Path, replace: bool) -> io::Result<Self> {
        // Where links lead is what is meant.
        let path = match fs::canonicalize(given) {
            Ok(path) => path,
            Err(_) => given.to_path_buf(),
        };
        let kind = fs::metadata(&path).map(|meta| meta.file_type());
        if kind.is_ok_and(|kind| !kind.is_file() && !kind.is_dir()) {
            let file = fs::File::options().write(true).open(&path)?;
            return Ok(Self::Through(file, path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !folder.is_dir() {
            let why = format!("there is no folder {}", folder.display());
            return Err(io::Error::other(why));
        }
        // As readable as a file that is made in the usual way.
        let aside = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(folder)?;
        Ok(Self::Aside {
            aside,
            path,
            replace,
        })
    }

    fn write(self, bytes: &[u8]) -> Outcome<()> {
        let (path, written) = match self {
            Self::Through(mut file, path) => (path, file.write_all(bytes)),
            Self::Aside {
                mut aside,
                path,
                replace,
            } => {
                let written = aside.write_all(bytes).and_then(|()| {
                    let kept = match replace {
                        true => aside.persist(&path),
                        false => aside.persist_noclobber(&path),
                    };
                    kept.map(drop).map_err(|error| error.error)
                });
                (path, written)
            }
        };
        written.map_err(|error| {
            Trouble::infrastructure(
                format!("cannot write {}: {error}", path.display()),
                "make room, or name another place",
            )
        })
    }
}

/// What is recorded, before it is.
enum Target {
    Running(u32),
    Held(Held),
}

impl Target {
    fn of(options: &Options) -> Outcome<Self> {
        let Some((program, args)) = options.exec.split_first() else {
            return Ok(Self::Running(options.pid.unwrap_or_default()));
        };
        let held = Held::start(Command::new(program).args(args)).map_err(|error| {
            let help = match error.kind() {
                io::ErrorKind::NotFound => "give the program's path",
                _ => "",
            };
            Trouble::usage(format!("cannot start {}: {error}", program.display()), help)
        })?;
        Ok(Self::Held(held))
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Running(pid) => *pid,
            Self::Held(held) => held.id(),
        }
    }

    fn go(self) -> Outcome<Running> {
        match self {
            Self::Running(pid) => Ok(Running::Process(pid)),
            Self::Held(held) => held
                .release()
                .map(Running::Command)
                .or_infrastructure(|| "the command could not be let go".to_owned()),
        }
    }
}

/// What is recorded, meanwhile.
enum Running {
    Process(u32),
    Command(Child),
}

impl Running {
    fn is_running(&mut self) -> bool {
        match self {
            Self::Process(pid) => is_alive(*pid),
            Self::Command(child) => matches!(child.try_wait(), Ok(None)),
        }
    }

    /// Ends a command of ours; one that the terminal has told to end, too, is given time to do so first.
    fn end(&mut self, told_already: bool) {
        let Self::Command(child) = self else { return };
        let ends_within = |child: &mut Child, time: Duration| {
            let until = Instant::now() + time;
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > until {
                    return false;
                }
                std::thread::sleep(LOOK);
            }
            true
        };
        if ends_within(child, if told_already { HEARD } else { Duration::ZERO }) {
            return;
        }
        let pid = rustix::process::Pid::from_child(child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if !ends_within(child, GRACE) {
            errln!(
                "the command does not end; it goes on as process {}",
                child.id()
            );
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(false);
    }
}

/// Whether a process still runs; one that has ended and is not waited for does not.
fn is_alive(pid: u32) -> bool {
    procfs::process::Process::new(pid.cast_signed())
        .and_then(|process| process.stat())
        .is_ok_and(|stat| stat.state != 'Z')
}

/// Samples of stacks that end before the function with which Go's stacks begin.
fn cut(samples: &Samples, symbols: &mut Symbolizer) -> u64 {
    samples
        .iter()
        .filter(|(stack, _)| !symbols.stack(stack).complete)
        .map(|(_, count)| count)
        .sum()
}

/// What there is to say about a recording, beside its profile.
struct Summary<'a> {
    recording: &'a Recording,
    repairs: goprof::Repairs,
    cut: u64,
    lasted: Duration,
    hz: u32,
}

impl Summary<'_> {
    fn show(&self, ended_early: bool) {
        let recording = self.recording;
        let seconds = self.lasted.as_secs_f64();
        let cpu = recording.samples as f64 / f64::from(self.hz);
        outln!(
            "{} samples in {seconds:.1} s: {:.2} CPUs were busy with it",
            recording.samples,
            cpu / seconds.max(f64::MIN_POSITIVE)
        );
        let in_kernel = recording.stacks.iter().filter(|(stack, _)| stack.in_kernel);
        let in_kernel: u64 = in_kernel.map(|(_, count)| count).sum();
        for (count, what) in [
            (
                in_kernel,
                "in the kernel, told by the Go code that called it",
            ),
            (
                self.repairs.repaired,
                "in a function without a frame, its caller found beside the stack",
            ),
            (
                self.repairs.unrepaired,
                "in a function without a frame, its caller unknown",
            ),
            (
                self.cut,
                "with a stack that can't be followed to its beginning",
            ),
            (recording.no_stack, "without a stack in user space"),
            (
                recording.lost,
                "not kept: more different stacks than there is room for",
            ),
        ] {
            if count > 0 {
                let share = count as f64 / recording.samples.max(1) as f64 * 100.0;
                outln!("  {share:>5.1} %  {what}");
            }
        }
        if recording.execs > 0 {
            outln!(
                "the process became another program (execve) while it was recorded; {} samples of that are left out",
                recording.after_exec
            );
        }
        if ended_early {
            outln!("the process ended before the time was over");
        }
    }
}
