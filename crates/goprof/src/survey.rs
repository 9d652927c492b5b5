//! Samples all processes, or those of a control group, and tells what was seen by program.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    Error, Rate, RawStack, Repairs, Samples, Symbolizer,
    files::Files,
    images::{Event, Images},
    kernel::{Counted, Kernel, Scope, Tally},
    parse_maps,
    records::Records,
    repair,
    symbolize::build_id,
};

/// `PROC_PID_INIT_INO` (include/linux/proc_ns.h): the first PID namespace, which all processes are in.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Which processes are sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    All,
    /// Those in this directory of a cgroup2 file system, and in those below it.
    ControlGroup(PathBuf),
}

/// Samples many processes, also those that start meanwhile, until it is dropped. A sample is 1/`hz`
/// seconds of CPU time.
#[derive(Debug)]
pub struct Survey {
    kernel: Kernel,
    records: Records,
    images: Images,
    files: Files,
    /// When sampling began, in nanoseconds of CLOCK_MONOTONIC.
    began: u64,
}

/// What was seen.
#[derive(Debug)]
pub struct Surveyed {
    /// Go programs; those with the most samples first.
    pub programs: Vec<Program>,
    /// Samples in all.
    pub samples: u64,
    /// Of these, of what is no Go program.
    pub other: u64,
    /// Of these, without a stack in user space: of the kernel's own threads, too.
    pub no_stack: u64,
    /// Of these, not kept since there was no room.
    pub lost: u64,
    /// What processes did, and could not be told: programs may be missing.
    pub records_lost: u64,
}

/// A Go program, in all processes that ran it.
#[derive(Debug)]
pub struct Program {
    /// Its file, as the first process had it.
    pub path: String,
    /// The import path of its main package, if the build information is there.
    pub package: Option<String>,
    /// GNU's if there is one, else Go's.
    pub build_id: String,
    /// Processes that ran it, when they did.
    pub processes: usize,
    pub samples: Samples,
    /// Names the addresses in `samples`.
    pub symbols: Symbolizer,
    pub repairs: Repairs,
}

impl Survey {
    /// Begins to sample.
    ///
    /// # Errors
    /// [`Error::Privilege`], [`Error::Rate`], [`Error::NoCycles`], [`Error::Namespace`] in a container,
    /// [`Error::ControlGroup`], and [`Error::Sampler`] when the kernel refuses something else.
    pub fn start(which: &Where, rate: impl Into<Rate>) -> Result<Self, Error> {
        // Elsewhere processes have other numbers than the kernel tells, or none.
        let namespace = fs::read_link("/proc/self/ns/pid");
        if namespace.is_ok_and(|namespace| namespace.as_os_str() != FIRST_PID_NAMESPACE) {
            return Err(Error::Namespace);
        }
        let group = match which {
            Where::All => None,
            Where::ControlGroup(path) => Some(control_group(path)?),
        };
        // First what happens from now on, then what there is, then the samples: nothing falls between.
        let mut survey = Self {
            records: Records::start()?,
            images: Images::default(),
            files: Files::default(),
            kernel: Kernel::load(
                &match &group {
                    None => Scope::All,
                    Some(group) => Scope::ControlGroup(group),
                },
                false,
            )?,
            began: 0,
        };
        survey.read_running();
        survey.began = now();
        survey.kernel.attach(rate.into())?;
        Ok(survey)
    }

    /// What the processes are that run already.
    fn read_running(&mut self) {
        for folder in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(process) = folder
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // One that has ended meanwhile is of no interest.
            let maps = fs::read_to_string(folder.path().join("maps")).unwrap_or_default();
            let time = now();
            self.images.add(time, process, Event::Begun);
            let entries = parse_maps(&maps).unwrap_or_default();
            for entry in entries.into_iter().filter(|entry| entry.executable) {
                self.files.keep(process, &entry);
                self.images.add(time, process, Event::Mapped(entry));
            }
        }
    }

    /// Takes notice of programs that were started. To be called several times a second: files of a
    /// process that has ended can be opened only if they still are where they were, and there is room for
    /// some thousands of records only.
    ///
    /// # Errors
    /// [`Error::Sampler`].
    pub fn look(&mut self) -> Result<(), Error> {
        for happened in self.records.read()? {
            if let Event::Mapped(entry) = &happened.event {
                self.files.keep(happened.process, entry);
            }
            self.images
                .add(happened.time, happened.process, happened.event);
        }
        Ok(())
    }

    /// What was seen so far.
    ///
    /// # Errors
    /// [`Error::Sampler`].
    pub fn result(&mut self) -> Result<Surveyed, Error> {
        self.look()?;
        let mut surveyed = Surveyed {
            programs: Vec::new(),
            samples: self.kernel.tally(Tally::Samples)?,
            no_stack: self.kernel.tally(Tally::NoStack)?,
            lost: self.kernel.tally(Tally::Lost)?,
            records_lost: self.records.lost,
            other: 0,
        };
        // Of each process the stacks, by what it was then.
        let mut stacks: BTreeMap<(u32, u64), BTreeMap<RawStack, u64>> = BTreeMap::new();
        for Counted {
            process,
            since,
            stack,
            count,
        } in self.kernel.counted()?
        {
            let key = (process, since.max(self.began));
            *stacks.entry(key).or_default().entry(stack).or_default() += count;
        }
        let mut programs: HashMap<_, Program> = HashMap::new();
        for ((process, since), stacks) in stacks {
            let mapped = self.images.mapped(process, since);
            let symbols = Symbolizer::new(&mapped, |entry| self.files.binary(process, entry));
            let Some((entry, binary)) = symbols.main() else {
                surveyed.other += stacks.values().sum::<u64>();
                continue;
            };
            let path = entry.path.clone();
            let id = (entry.device, entry.inode, path.clone());
            let package = binary.main_package().map(str::to_owned);
            let build_id = build_id(binary);
            let (samples, repairs) = repair(&stacks, &symbols);
            match programs.entry(id) {
                hash_map::Entry::Occupied(mut program) => {
                    program.get_mut().add(&samples, &repairs, &symbols);
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert(Program {
                        path,
                        package,
                        build_id,
                        processes: 1,
                        samples,
                        symbols,
                        repairs,
                    });
                }
            }
        }
        surveyed.programs = programs.into_values().collect();
        surveyed.programs.sort_by_cached_key(|program| {
            (u64::MAX - program.samples.total(), program.path.clone())
        });
        Ok(surveyed)
    }
}

impl Program {
    /// Adds what another process of it did, whose addresses may be others.
    fn add(&mut self, samples: &Samples, repairs: &Repairs, symbols: &Symbolizer) {
        self.processes += 1;
        self.repairs.repaired += repairs.repaired;
        self.repairs.unrepaired += repairs.unrepaired;
        for (stack, count) in samples.iter() {
            let addresses = stack.iter().map(|address| {
                // What the first process does not have stays without a name.
                symbols.translate(*address, &self.symbols).unwrap_or(0)
            });
            self.samples.add(addresses.collect(), count);
        }
    }
}

/// Opens the directory of a control group.
fn control_group(path: &Path) -> Result<File, Error> {
    let no = |why: String| Error::ControlGroup {
        path: path.display().to_string(),
        why,
    };
    if !path.join("cgroup.procs").exists() {
        return Err(no("it has no file cgroup.procs".to_owned()));
    }
    let folder = File::open(path).map_err(|error| no(error.to_string()))?;
    let kind = rustix::fs::fstatfs(&folder).map_err(|error| no(error.to_string()))?;
    // The older hierarchies have other magic numbers (include/uapi/linux/magic.h).
    const CGROUP2: u64 = 0x6367_7270;
    if kind.f_type as u64 != CGROUP2 {
        return Err(no("it is of cgroup version 1".to_owned()));
    }
    Ok(folder)
}

/// CLOCK_MONOTONIC, in nanoseconds, as the kernel's programs and records tell it.
fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
