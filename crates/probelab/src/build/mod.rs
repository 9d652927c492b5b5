//! Builds the artifacts of one variant of a lab (a learner's, the solution, the starter, a
//! planted wrong answer), as the user, never as root.
//!
//! All labs share two target folders, one for user space and one for BPF, so dependencies,
//! `core` among them, are compiled once for the whole course. What is built is copied out, under
//! a key of everything that it was built from; an artifact whose key still holds is not built
//! again, which is why an edit of the BPF side does not relink the user-space side.

mod c;
mod cargo;
pub mod go;
mod key;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

pub use self::{c::kernel_headers, cargo::program};
use course::{Arch, Artifact, ArtifactKind, Lab};

use crate::{
    lock::Lock,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

/// The learner's code does not compile. Not an error of `lab`: a verdict.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejected {
    /// The first error, as the compiler shows it, with paths as the learner knows them.
    pub first_error: String,
    /// How many errors there are.
    pub count: usize,
}

/// What a build came to.
pub type Built<T> = Outcome<Result<T, Rejected>>;

/// Builds for one variant.
pub struct Builder<'a> {
    pub site: &'a Site,
    pub lab: &'a Lab,
    /// Where the files are.
    pub tree: PathBuf,
    /// Where what is built goes.
    pub out: PathBuf,
    /// The processors that it is built for.
    pub arch: Arch,
    /// How the learner's folder is called in messages.
    pub shown_as: String,
}

impl Builder<'_> {
    /// Builds `artifacts` in order. Returns their files by name.
    pub fn build(&self, artifacts: &[&Artifact]) -> Built<BTreeMap<String, PathBuf>> {
        let mut files = BTreeMap::new();
        let mut stale = Vec::new();
        for artifact in artifacts {
            let key = key::of(self, artifact)?;
            match self.kept(artifact, &key) {
                Some(file) => drop(files.insert(artifact.name.to_string(), file)),
                None => stale.push(*artifact),
            }
        }
        if stale.is_empty() {
            return Ok(Ok(files));
        }
        fs::create_dir_all(&self.out)
            .or_infrastructure(|| format!("cannot make {}", self.out.display()))?;
        // One build at a time: two would overwrite each other's files in the shared folders.
        let _lock = Lock::wait(&self.site.target().join("build.lock"), "another build")?;
        for artifact in stale {
            // What it is made of may have changed while we waited.
            let key = key::of(self, artifact)?;
            match self.build_one(artifact, &key)? {
                Ok(file) => files.insert(artifact.name.to_string(), file),
                Err(rejected) => return Ok(Err(rejected)),
            };
        }
        Ok(Ok(files))
    }

    /// Where an artifact's key, and its file's name, are written down.
    fn notes(&self, artifact: &Artifact) -> (PathBuf, PathBuf) {
        (
            self.out.join(format!("{}.key", artifact.name)),
            self.out.join(format!("{}.name", artifact.name)),
        )
    }

    /// What was built before from just these sources.
    fn kept(&self, artifact: &Artifact, key: &str) -> Option<PathBuf> {
        let (key_file, name_file) = self.notes(artifact);
        (fs::read_to_string(key_file).ok()? == key).then_some(())?;
        let file = self.out.join(fs::read_to_string(name_file).ok()?);
        file.is_file().then_some(file)
    }

    /// A target folder that all labs share: one for each kind of code, and for each architecture other
    /// than this machine's.
    fn shared(&self, kind: &str) -> PathBuf {
        let target = self.site.target();
        if self.arch == Arch::HERE {
            target.join(kind)
        } else {
            target.join(format!("{kind}-{}", self.arch))
        }
    }

    /// Where an artifact's path leads: into the tree, or to a sample service of the course.
    fn place(&self, path: &Path) -> PathBuf {
        let base = if path.starts_with("go-samples") {
            &self.site.root
        } else {
            &self.tree
        };
        base.join(path)
    }

    fn build_one(&self, artifact: &Artifact, key: &str) -> Built<PathBuf> {
        let (key_file, name_file) = self.notes(artifact);
        // No key while the file is being replaced: an interrupted build is done again.
        let _ = fs::remove_file(&key_file);
        let begin = Instant::now();
        let built = match artifact.kind {
            ArtifactKind::Cargo => cargo::user(self, artifact)?,
            ArtifactKind::BpfRust => cargo::bpf(self, artifact)?,
            ArtifactKind::BpfC => c::bpf(self, artifact)?,
            ArtifactKind::Go => go::build(self, artifact)?,
            ArtifactKind::Kmod => c::kernel_module(self, artifact)?,
            ArtifactKind::Cbpf | ArtifactKind::Answers => Ok(self.tree.join(&artifact.path)),
        };
        let file = match built {
            Ok(file) => file,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let name = self.keep(artifact, &file)?;
        fs::write(&name_file, &name)
            .and_then(|()| fs::write(&key_file, key))
            .or_infrastructure(|| "cannot record the build".to_owned())?;
        if std::env::var_os("PROBELAB_TIMING").is_some() {
            errln!(
                "built {} in {:.3} s",
                artifact.name,
                begin.elapsed().as_secs_f64()
            );
        }
        Ok(Ok(self.out.join(name)))
    }

    /// Copies what was built out of the shared folder, where the next build replaces it.
    fn keep(&self, artifact: &Artifact, file: &Path) -> Outcome<String> {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| {
                Trouble::infrastructure(format!("{} has no usable name", file.display()), "")
            })?;
        // Artifacts may be called alike; a program that is running can't be written to, only replaced.
        let kept = format!("{}-{name}", artifact.name);
        let to = self.out.join(&kept);
        let aside = self.out.join(format!(".{kept}"));
        fs::copy(file, &aside)
            .and_then(|_| fs::rename(&aside, &to))
            .or_infrastructure(|| format!("cannot keep {}", file.display()))?;
        Ok(kept)
    }

    /// A compiler's message with the build tree's paths replaced by the learner's.
    fn learner_paths(&self, text: &str) -> String {
        text.replace(
            &format!("{}/", self.tree.display()),
            &format!("{}/", self.shown_as),
        )
        .replace(&format!("{}", self.tree.display()), &self.shown_as)
    }
}
