//! Where things are: the course, the learner's folder, what is built.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use course::{Arch, Course, Lab};

use crate::trouble::{OrTrouble as _, Outcome, Trouble};

/// The places of one checkout.
#[derive(Clone, Debug)]
pub struct Site {
    /// The checkout: `course.toml`, `labs/`, `solutions/`.
    pub root: PathBuf,
    /// An instructor's `course.toml` and labs, from `--course`.
    pub course_dir: Option<PathBuf>,
}

impl Site {
    /// Finds the checkout: `$PROBELAB_ROOT`, which the launcher sets, else the nearest folder
    /// upwards that holds `course.toml` and `labs`.
    pub fn find(course_dir: Option<PathBuf>) -> Outcome<Self> {
        let start = match env::var_os("PROBELAB_ROOT") {
            Some(root) => PathBuf::from(root),
            None => env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        };
        let root = start
            .ancestors()
            .find(|folder| folder.join("course.toml").is_file() && folder.join("labs").is_dir())
            .ok_or_else(|| {
                Trouble::usage(
                    format!("{} is not inside a Probelab checkout", start.display()),
                    "go to the folder that holds `lab` and run `./lab` there",
                )
            })?;
        Ok(Self {
            root: fs::canonicalize(root).unwrap_or_else(|_| root.to_owned()),
            course_dir,
        })
    }

    /// Reads the course.
    pub fn course(&self) -> Outcome<Course> {
        Ok(match &self.course_dir {
            Some(dir) => Course::load_with(&self.root, dir)?,
            None => Course::load(&self.root)?,
        })
    }

    /// Where learners work.
    pub fn my(&self) -> PathBuf {
        self.root.join("my")
    }

    /// Where a learner works on `lab`.
    pub fn my_lab(&self, lab: &Lab) -> PathBuf {
        self.my().join(lab.slug.as_str())
    }

    /// The tree that a variant of a lab is built in. Two levels below the root, as `labs/NNN-slug`
    /// and `my/slug` are, so that a relative path in a Cargo.toml means the same in all three.
    pub fn tree(&self, lab: &Lab, variant: &str) -> PathBuf {
        self.root
            .join(".lab")
            .join(format!("{}.{variant}", lab.slug))
    }

    /// The file by which one check at a time uses [`Site::tree`]. Its folder is made.
    pub fn tree_lock(&self, lab: &Lab, variant: &str) -> Outcome<PathBuf> {
        let trees = self.root.join(".lab");
        fs::create_dir_all(&trees)
            .or_infrastructure(|| format!("cannot make {}", trees.display()))?;
        Ok(trees.join(format!("{}.{variant}.lock", lab.slug)))
    }

    /// What was built of a variant.
    pub fn out(&self, lab: &Lab, variant: &str, arch: Arch) -> PathBuf {
        let folder = if arch == Arch::HERE {
            "out".to_owned()
        } else {
            format!("out-{arch}")
        };
        self.target()
            .join(folder)
            .join(format!("{}.{variant}", lab.slug))
    }

    /// Everything that can be made again.
    pub fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// `path` as a learner would type it: relative to the checkout where it is inside.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// The file of this program. If it was built anew since it was started, that is the new one.
pub fn this_program() -> std::io::Result<PathBuf> {
    let program = env::current_exe()?;
    // What the kernel adds to the path of a file that is gone (proc_pid_exe(5)).
    let replaced = program
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"))
        .map(PathBuf::from);
    Ok(replaced.filter(|path| path.is_file()).unwrap_or(program))
}
