//! The Go toolchain, for checks that ask it about files of ours.
//!
//! It is run as the owner of the lab's files and with that user's caches, not as root: a check
//! must leave nothing behind that its user can't remove.

use std::{
    fs, io,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{machine, scratch::Scratch, verdict::Failure};

/// Where `go` is looked for after `$PROBELAB_GO` and `$PATH`, which sudo may have shortened.
const PLACES: [&str; 3] = ["/usr/local/go/bin", "/usr/lib/go/bin", "/usr/bin"];

/// A toolchain and a folder for its files, which is removed in the end.
#[derive(Debug)]
pub struct Go {
    program: PathBuf,
    folder: Scratch,
    /// Who it runs as, when that is not us: user, group, home.
    owner: Option<(u32, u32, PathBuf)>,
}

/// What a go command said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it exited with 0.
    pub ok: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error, without the lines by which the go command tells what it downloads.
    pub stderr: String,
}

impl Go {
    /// The pinned toolchain, as the owner of `file`.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] when there is no go command; [`Failure::Infrastructure`] when its
    /// folder can't be made.
    pub fn as_owner_of(file: &Path) -> Result<Self, Failure> {
        let named = std::env::var_os("PROBELAB_GO").map(PathBuf::from);
        let program = named
            .into_iter()
            .chain(machine::on_path("go"))
            .chain(PLACES.map(|folder| Path::new(folder).join("go")))
            .find(|program| program.is_file())
            .ok_or_else(|| {
                Failure::Unsupported(
                    "this step needs Go, and there is no `go` here; `./lab setup` installs it"
                        .to_owned(),
                )
            })?;
        let meta = fs::metadata(file)?;
        let folder = Scratch::new("go")?;
        let us = rustix::process::geteuid();
        let owner = if us.is_root() && meta.uid() != us.as_raw() {
            std::os::unix::fs::chown(folder.path(), Some(meta.uid()), Some(meta.gid()))?;
            Some((meta.uid(), meta.gid(), home_of(meta.uid())?))
        } else {
            None
        };
        Ok(Self {
            program,
            folder,
            owner,
        })
    }

    /// A file of the folder that commands run in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a file into that folder.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it can't be written.
    pub fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.file(name);
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// Runs `go ARGS` in the folder.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`] when it can't be started.
    pub fn run(&self, args: &[&str]) -> Result<Said, Failure> {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("GOTOOLCHAIN", format!("go{}", pinned()))
            .env("GOWORK", "off")
            .env_remove("GOFLAGS")
            .env_remove("GOEXPERIMENT")
            .stdin(Stdio::null());
        if let Some((uid, gid, home)) = &self.owner {
            command.uid(*uid).gid(*gid).env("HOME", home);
            // Root's places, not the owner's.
            for name in [
                "GOCACHE",
                "GOPATH",
                "GOMODCACHE",
                "GOENV",
                "XDG_CACHE_HOME",
                "XDG_CONFIG_HOME",
            ] {
                command.env_remove(name);
            }
        }
        let output = command.output().map_err(|error| {
            Failure::infrastructure(format!("cannot start {}: {error}", self.program.display()))
        })?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        Ok(Said {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: stderr
                .lines()
                .filter(|line| !line.starts_with("go: downloading "))
                .map(|line| format!("{line}\n"))
                .collect(),
        })
    }
}

impl Go {
    /// Whether `go tool NAME` can be run here. Tools that are not part of a release are built when
    /// they are first asked for, so this can take a while, and fail: not the learner's fault.
    ///
    /// # Errors
    /// [`Failure::Infrastructure`], with what the go command says.
    pub fn has_tool(&self, name: &str) -> Result<(), Failure> {
        let said = self.run(&["tool", "-n", name])?;
        if said.ok {
            return Ok(());
        }
        Err(Failure::infrastructure(format!(
            "`go tool {name}` does not work here: {}",
            said.stderr.trim()
        )))
    }
}

/// The version that the course pins.
fn pinned() -> &'static str {
    include_str!("../../../versions.env")
        .lines()
        .find_map(|line| line.strip_prefix("GO="))
        .unwrap_or_default()
}

/// A user's home, from /etc/passwd (passwd(5)).
fn home_of(uid: u32) -> io::Result<PathBuf> {
    let users = fs::read_to_string("/etc/passwd")?;
    home_in(&users, uid)
        .ok_or_else(|| io::Error::other(format!("user {uid} has no home in /etc/passwd")))
}

fn home_in(users: &str, uid: u32) -> Option<PathBuf> {
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields.get(5).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_found_by_user_id() {
        let users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000:A. L.:/home/ada:/bin/sh\nbad\n";
        assert_eq!(home_in(users, 1000), Some(PathBuf::from("/home/ada")));
        assert_eq!(home_in(users, 7), None);
    }

    #[test]
    fn the_pinned_version_is_a_version() {
        assert!(pinned().starts_with("1."), "{}", pinned());
    }
}
