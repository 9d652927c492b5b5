//! A checkout in a temporary folder, with one lab in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository that is tested.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository is there")
}

pub struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    /// A new checkout with first-probe, which nobody has started.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let from = repository();
        // All labs, as the lock file that they share demands; one of them is in this course.
        for path in [
            "Cargo.toml",
            "labs",
            "solutions",
            "crates/labkit",
            "crates/labkit-ebpf",
            "crates/gosym",
            "crates/goprof",
            "go-samples",
        ] {
            copy(&from.join(path), &root.join(path));
        }
        let others: Vec<String> = fs::read_dir(root.join("labs"))
            .expect("labs")
            .filter_map(|entry| {
                Some(
                    entry
                        .ok()?
                        .file_name()
                        .to_str()?
                        .split_once('-')?
                        .1
                        .to_owned(),
                )
            })
            .filter(|slug| slug != "first-probe")
            .collect();
        fs::write(
            root.join("course.toml"),
            format!(
                "title = \"A test course\"\ndefault-track = \"all\"\nplanned = [\"later\"]\n\n\
                 [track.all]\ntitle = \"Everything\"\nsummary = \"Both labs.\"\nlabs = [\"first-probe\", \"later\"]\n\n\
                 [labs]\nexclude = {others:?}\n"
            ),
        )
        .expect("course.toml");
        // What is compiled once is compiled once for the tests too.
        fs::create_dir_all(from.join("target")).expect("target");
        std::os::unix::fs::symlink(from.join("target"), root.join("target")).expect("a link");
        Self { folder }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A command that runs `lab` here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command
            .args(args)
            .current_dir(self.root())
            .env("PROBELAB_ROOT", self.root())
            .env("NO_COLOR", "1")
            .env_remove("CI");
        command
    }

    /// Runs `lab` and returns all that it showed, with its exit status.
    pub fn lab(&self, args: &[&str]) -> String {
        screen(args, &self.command(args).output().expect("lab runs"))
    }

    /// Replaces text in a learner's file.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root().join("my/first-probe").join(file);
        let text = fs::read_to_string(&path).expect("the file is there");
        assert!(text.contains(from), "{file} holds no {from:?}");
        fs::write(path, text.replace(from, to)).expect("written");
    }

    /// Puts the solution into the learner's folder.
    pub fn solve(&self) {
        copy(
            &self.root().join("solutions/010-first-probe"),
            &self.root().join("my/first-probe"),
        );
    }
}

/// A command that runs `lab` in the repository itself, where all labs are.
pub fn in_repository(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command
        .args(args)
        .current_dir(repository())
        .env("PROBELAB_ROOT", repository())
        .env("NO_COLOR", "1");
    command
}

/// Compares a text with its snapshot.
pub fn assert_text(name: &str, text: &str) {
    settings().bind(|| insta::assert_snapshot!(name, text));
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// What a person saw.
pub fn screen(args: &[&str], output: &Output) -> String {
    let mut text = format!("$ lab {}\n", args.join(" "));
    text += &String::from_utf8_lossy(&output.stdout);
    text += &String::from_utf8_lossy(&output.stderr);
    text += &format!(
        "[exit {}]\n",
        output
            .status
            .code()
            .map_or("by signal".to_owned(), |code| code.to_string())
    );
    text
}

/// Compares a screen with its snapshot; what differs from run to run is blanked.
pub fn assert_screen(name: &str, text: &str, checkout: &Checkout) {
    let root = checkout.root().display().to_string();
    let mut settings = settings();
    settings.add_filter(&root, "CHECKOUT");
    settings.add_filter(r"seed \d+", "seed SEED");
    settings.add_filter(r"--seed \d+", "--seed SEED");
    settings.add_filter(r"process \d+", "process PID");
    settings.add_filter(r"\d{8}T\d{6}(\.\d+)?Z?", "TIME");
    settings.add_filter(r"pgo_[0-9a-f]{48}", "pgo_TOKEN");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME");
    settings.add_filter(r"we made \d+ openat calls", "we made N openat calls");
    settings.add_filter(r"/\S+/registry/src/[^/]+/", "REGISTRY/");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("readable") {
            let entry = entry.expect("an entry");
            if entry.file_name() != "target" {
                copy(&entry.path(), &to.join(entry.file_name()));
            }
        }
    } else {
        fs::copy(from, to).expect("copied");
    }
}
