//! Reading a whole course from its folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;

use crate::config::{self, Config};
use crate::id::Slug;
use crate::lab::Lab;
use crate::near::{nearest, suggest};
use crate::parse::{self, Folder, Parsed};
use crate::problem::{Problem, Problems};
use crate::select;
use crate::track::Track;

/// The course as data: what its folder says, checked.
#[derive(Debug, Clone)]
pub struct Course {
    /// The folder that holds `labs/` and `course.toml`.
    pub root: PathBuf,
    /// Its name.
    pub title: String,
    /// The labs chosen, by number.
    pub labs: Vec<Lab>,
    /// Every track, in the file's order, without the labs left out.
    pub tracks: Vec<Track>,
    /// The track for someone who named none.
    pub default_track: Slug,
    /// The highest hint level that may be shown, 0 to 3.
    pub hint_level_cap: u8,
    /// Whether solutions are kept from learners.
    pub hide_solutions: bool,
    /// What labs count, where it is not 1.
    pub weights: BTreeMap<Slug, f64>,
    /// Slugs that tracks may name before their labs are there.
    pub planned: Vec<Slug>,
}

/// A name that no lab or track has.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(help("{help}"))]
pub struct NotFound {
    message: String,
    help: String,
}

impl Course {
    /// Reads `labs/NNN-slug/lab.toml` and `course.toml` under `root`.
    ///
    /// A folder of `labs/` without a `lab.toml` is no lab and is passed over. Solutions are looked
    /// at when there is a `solutions/` folder at all: a course handed out without them loads.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(root: &Path) -> Result<Self, Problems> {
        Loader::default().load(root, None)
    }

    /// As [`Course::load`], with the `course.toml` of `course_dir` (an instructor's) laid over the
    /// course's own: its keys win, its tracks are added or replace those of the same name, and the
    /// folders that its `private` names bring labs (`labs/`, `solutions/`) of their own.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load_with(root: &Path, course_dir: &Path) -> Result<Self, Problems> {
        Loader::default().load(root, Some(course_dir))
    }

    /// The lab of that slug.
    pub fn lab(&self, slug: &Slug) -> Option<&Lab> {
        self.labs.iter().find(|lab| lab.slug == *slug)
    }

    /// The lab that someone typed: `first-probe`, `010`, `10` or `010-first-probe`.
    ///
    /// # Errors
    /// No such lab; the help names the nearest.
    pub fn find(&self, name: &str) -> Result<&Lab, NotFound> {
        let number = name.parse::<u16>().ok();
        let found = self
            .labs
            .iter()
            .find(|lab| lab.slug == *name || Some(lab.number) == number || lab.folder() == name);
        found.ok_or_else(|| {
            if self.planned.iter().any(|slug| *slug == *name) {
                return NotFound {
                    message: format!("the lab `{name}` is planned and not there yet"),
                    help: "`lab list` shows the labs that are there".to_owned(),
                };
            }
            let near = nearest(name, self.labs.iter().map(|lab| lab.slug.as_str()));
            NotFound {
                message: format!("no lab is called `{name}`"),
                help: match near {
                    Some(near) => format!("did you mean `{near}`? `lab list` shows them all"),
                    None => "`lab list` shows them all".to_owned(),
                },
            }
        })
    }

    /// The track of that name, or the default one.
    ///
    /// # Errors
    /// No such track; the help names those there are.
    pub fn track(&self, name: Option<&str>) -> Result<&Track, NotFound> {
        let name = name.unwrap_or(self.default_track.as_str());
        let found = self.tracks.iter().find(|track| track.name == *name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.tracks.iter().map(|t| t.name.as_str()).collect();
            NotFound {
                message: format!("no track is called `{name}`"),
                help: suggest(name, &names, "the course has no track"),
            }
        })
    }

    /// What a lab counts: 1 unless `[weights]` says otherwise.
    pub fn weight(&self, slug: &Slug) -> f64 {
        self.weights.get(slug).copied().unwrap_or(1.0)
    }
}

#[derive(Default)]
struct Loader {
    /// Some lab could not be read at all.
    unread: bool,
    problems: Vec<Problem>,
    labs: Vec<Parsed>,
}

impl Loader {
    fn load(mut self, root: &Path, course_dir: Option<&Path>) -> Result<Course, Problems> {
        let base = self.config(&root.join("course.toml"), "course.toml", true);
        self.labs_of(root, "");
        if let Some(base) = &base {
            self.private(base, root, "");
        }
        let own = course_dir.and_then(|dir| {
            let shown = format!("{}/course.toml", dir.display());
            let own = self.config(&dir.join("course.toml"), &shown, false)?;
            self.private(&own, dir, &format!("{}/", dir.display()));
            Some(own)
        });
        self.same_names();
        let planned: BTreeSet<Slug> = [&base, &own]
            .into_iter()
            .flatten()
            .flat_map(|config| config.planned.iter().map(|at| at.value.clone()))
            .collect();
        self.requirements(&planned);
        let labs: Vec<Lab> = self.labs.iter_mut().filter_map(|p| p.lab.take()).collect();
        // A lab that can't be read would make every mention of it a mistake too.
        if !self.unread && labs.len() == self.labs.len() {
            for config in [&base, &own].into_iter().flatten() {
                select::check_mentions(config, &labs, &planned);
            }
        }
        let course = base
            .as_ref()
            .and_then(|base| select::course(root, labs, planned, base, own.as_ref()));
        let mut problems = self.problems;
        for config in [base, own].into_iter().flatten() {
            problems.extend(config.doc.into_problems());
        }
        for parsed in self.labs {
            problems.extend(parsed.doc.into_problems());
        }
        match course {
            Some(course) if problems.is_empty() => Ok(course),
            _ => Err(Problems(problems)),
        }
    }

    fn config(&mut self, path: &Path, shown: &str, is_root: bool) -> Option<Config> {
        let text = self.read(path, shown, "it names the course's tracks")?;
        Some(config::read(shown, &text, is_root))
    }

    fn read(&mut self, path: &Path, shown: &str, what: &str) -> Option<String> {
        match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(e) => {
                let (why, help) = match e.kind() {
                    io::ErrorKind::NotFound => ("it is not there", format!("create it: {what}")),
                    io::ErrorKind::InvalidData => {
                        ("it is not UTF-8", "save it as UTF-8".to_owned())
                    }
                    _ => ("reading it failed", e.to_string()),
                };
                let message = format!("{shown} can't be read: {why}");
                self.problems.push(Problem::about(shown, message, help));
                None
            }
        }
    }

    /// The labs of the folders that `private` names, relative to the file's own folder.
    fn private(&mut self, config: &Config, dir: &Path, shown: &str) {
        for at in &config.private {
            let root = dir.join(&at.value);
            if root.join("labs").is_dir() {
                self.labs_of(&root, &format!("{shown}{}/", at.value.display()));
            } else {
                config.doc.report(
                    &at.span,
                    format!("`{}` holds no folder `labs`", at.value.display()),
                    "no labs there",
                    "name a folder with `labs/` in it, relative to this file",
                );
            }
        }
    }

    fn labs_of(&mut self, root: &Path, shown: &str) {
        let has_solutions = root.join("solutions").is_dir();
        let mut names: Vec<String> = fs::read_dir(root.join("labs"))
            .map(|entries| {
                entries
                    .flatten()
                    .filter_map(|e| e.file_name().into_string().ok())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        for name in names {
            let dir = root.join("labs").join(&name);
            let place = format!("{shown}labs/{name}");
            let numbered = name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('-');
            if !numbered || !dir.join("lab.toml").exists() {
                continue;
            }
            let Some((number, slug)) = folder_name(&name) else {
                self.unread = true;
                self.problems.push(Problem::about(
                    &place,
                    format!("the folder {place} is not named NNN-slug"),
                    "use three digits that end in 0 or 5, `-`, and a slug of a-z, 0-9 and `-`: \
                     010-first-probe"
                        .to_owned(),
                ));
                continue;
            };
            let folder = Folder {
                slug,
                number,
                solution: root.join("solutions").join(&name),
                solution_shown: format!("{shown}solutions/{name}"),
                has_solutions,
                shown: place.clone(),
                dir: dir.clone(),
            };
            let toml = format!("{place}/lab.toml");
            match self.read(&dir.join("lab.toml"), &toml, "it declares the lab") {
                Some(text) => self.labs.push(parse::lab(&folder, &text)),
                None => self.unread = true,
            }
        }
        self.labs.sort_by_key(|p| p.folder.number);
    }

    fn same_names(&mut self) {
        for (i, this) in self.labs.iter().enumerate() {
            for other in &self.labs[..i] {
                let (a, b) = (&other.folder, &this.folder);
                let (what, fix) = if a.slug == b.slug {
                    (
                        format!("the slug `{}`", b.slug),
                        "a slug is a lab's identity",
                    )
                } else if a.number == b.number {
                    (
                        format!("the number {:03}", b.number),
                        "the number orders the labs",
                    )
                } else {
                    continue;
                };
                self.problems.push(Problem::about(
                    &b.shown,
                    format!("{} and {} both have {what}", a.shown, b.shown),
                    format!("{fix}: rename one of the two folders, and its solution's"),
                ));
            }
        }
    }

    /// Every required lab is known, and none requires itself by a detour.
    fn requirements(&self, planned: &BTreeSet<Slug>) {
        let slugs: Vec<&str> = self.labs.iter().map(|p| p.folder.slug.as_str()).collect();
        for this in &self.labs {
            for at in &this.requires {
                if !slugs.contains(&at.value.as_str()) && !planned.contains(&at.value) {
                    this.doc.report(
                        &at.span,
                        format!("`requires` names `{}`, and there is no such lab", at.value),
                        "unknown lab",
                        match nearest(at.value.as_str(), slugs.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "name a lab's slug, without its number".to_owned(),
                        },
                    );
                } else if self.reaches(&at.value, &this.folder.slug) {
                    this.doc.report(
                        &at.span,
                        format!(
                            "`{}` can never be started: it requires itself",
                            this.folder.slug
                        ),
                        format!("`{}` leads back to `{}`", at.value, this.folder.slug),
                        "remove one `requires` of the circle",
                    );
                }
            }
        }
    }

    /// Whether `from` is `to` or requires it, however far.
    fn reaches(&self, from: &Slug, to: &Slug) -> bool {
        let mut queue = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(slug) = queue.pop() {
            if slug == to {
                return true;
            }
            if seen.insert(slug) {
                let labs = self.labs.iter().filter(|p| p.folder.slug == *slug);
                queue.extend(labs.flat_map(|p| p.requires.iter().map(|at| &at.value)));
            }
        }
        false
    }
}

/// `010-first-probe` as its number and slug.
fn folder_name(name: &str) -> Option<(u16, Slug)> {
    let (digits, slug) = name.split_once('-')?;
    let number: u16 = digits.parse().ok()?;
    let well_formed = digits.len() == 3 && number > 0 && number.is_multiple_of(5);
    well_formed.then_some((number, Slug::new(slug).ok()?))
}
