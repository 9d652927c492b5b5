//! Debian's package manager with a private state: it verifies Debian's signatures, and knows this
//! machine's proxies and certificates, without touching this machine's own packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{
    Error,
    error::While as _,
    package::{Package, mirror},
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const HELPER: &str = "/usr/lib/apt/apt-helper";

/// An apt of our own, about one suite and one architecture.
#[derive(Debug)]
pub struct Apt {
    folder: tempfile::TempDir,
}

impl Apt {
    /// Reads the lists of `suite` (`bookworm`; with its security updates) for `architecture`
    /// (`amd64`).
    ///
    /// # Errors
    /// When apt is missing, or the lists can't be had or are not signed by Debian.
    pub fn of_suite(suite: &str, architecture: &str) -> Result<Self, Error> {
        if !Path::new(KEYRING).exists() {
            return Err(Error::new(
                format!("Debian's keys are not at {KEYRING}"),
                "sudo apt-get install debian-archive-keyring",
            ));
        }
        let apt = Self::new(architecture)?;
        let mut sources = format!(
            "deb [signed-by={KEYRING}] {} {suite} main\n",
            mirror("debian")
        );
        // The unstable suite has no security updates of its own.
        if suite != "sid" {
            sources += &format!(
                "deb [signed-by={KEYRING}] {} {suite}-security main\n",
                mirror("debian-security")
            );
        }
        apt.write("etc/sources.list", &sources)?;
        apt.run("apt-get", &["update", "--quiet"], |why| {
            Error::new(
                format!("the package lists of Debian {suite} can't be had: {why}"),
                "check the network; PROBELAB_DEBIAN_MIRROR names another mirror",
            )
        })?;
        Ok(apt)
    }

    fn new(architecture: &str) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("probelab-apt-")
            .tempdir()
            .while_(|| "cannot make a folder for apt".to_owned())?;
        let apt = Self { folder };
        for place in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(apt.path().join(place))
                .while_(|| "cannot make a folder for apt".to_owned())?;
        }
        apt.write("state/status", "")?;
        let own = apt.path().display();
        let mut settings = format!(
            "Dir \"{own}\";\nDir::Etc \"{own}/etc\";\nDir::Etc::sourcelist \"{own}/etc/sources.list\";\n\
             Dir::State \"{own}/state\";\nDir::State::status \"{own}/state/status\";\nDir::Cache \"{own}/cache\";\n\
             APT::Architecture \"{architecture}\";\nAPT::Architectures {{ \"{architecture}\"; }};\n\
             APT::Sandbox::User \"\";\nAcquire::Languages \"none\";\n"
        );
        for line in acquire_settings() {
            settings += &line;
            settings.push('\n');
        }
        apt.write("settings", &settings)?;
        Ok(apt)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        fs::write(self.path().join(name), text).while_(|| "cannot write apt's settings".to_owned())
    }

    fn run(
        &self,
        program: &str,
        args: &[&str],
        failed: impl FnOnce(String) -> Error,
    ) -> Result<String, Error> {
        let output = Command::new(program)
            .args(args)
            .env("APT_CONFIG", self.path().join("settings"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| {
                Error::new(
                    format!("cannot start {program}: {error}"),
                    "kernels come from Debian's packages, so this needs Debian or Ubuntu; or give a \
                     kernel of your own: --kernel PATH",
                )
            })?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(failed(complaint(&output)))
        }
    }

    /// The packages that the kernel of the meta-package `meta` is made of, newest version: those with
    /// the kernel itself and its modules.
    ///
    /// # Errors
    /// When the suite has no such package.
    pub fn kernel_of(&self, meta: &str) -> Result<Vec<Package>, Error> {
        let image = self
            .depends(meta)?
            .into_iter()
            .find(|name| name.starts_with("linux-image-"))
            .ok_or_else(|| Error::new(format!("{meta} names no kernel"), ""))?;
        // Since Linux 7.0 the image package is empty and depends on two that hold the parts.
        let mut parts: Vec<String> = self
            .depends(&image)?
            .into_iter()
            .filter(|name| name.starts_with("linux-binary-") || name.starts_with("linux-modules-"))
            .collect();
        if parts.is_empty() {
            parts.push(image);
        }
        parts.iter().map(|name| self.package(name)).collect()
    }

    fn depends(&self, package: &str) -> Result<Vec<String>, Error> {
        let text = self.run("apt-cache", &["depends", package], |why| {
            Error::new(format!("Debian has no package {package}: {why}"), "")
        })?;
        Ok(text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: "))
            .map(str::to_owned)
            .collect())
    }

    /// A package, newest version.
    ///
    /// # Errors
    /// When the suite has no such package.
    pub fn package(&self, name: &str) -> Result<Package, Error> {
        let args = ["download", "--print-uris", name];
        let text = self.run("apt-get", &args, |why| {
            Error::new(format!("Debian has no package {name}: {why}"), "")
        })?;
        parse_uri(name, &text).ok_or_else(|| {
            Error::new(
                format!("apt describes {name} in an unknown way: {}", text.trim()),
                "",
            )
        })
    }
}

/// Downloads one pinned package from `uri` to `to`, a path that is not there yet.
///
/// # Errors
/// When it is gone from the mirror, or is not what was pinned; nothing is written then.
pub fn download(package: &Package, uri: &str, architecture: &str, to: &Path) -> Result<(), Error> {
    let apt = Apt::new(architecture)?;
    // In a folder of its own, since apt leaves what it refuses beside it.
    let folder = tempfile::Builder::new()
        .prefix(".part-")
        .tempdir_in(to.parent().unwrap_or(Path::new(".")))
        .while_(|| format!("cannot write {}", to.display()))?;
    let aside = folder.path().join("package.deb");
    apt.run(
        HELPER,
        &[
            "download-file",
            uri,
            &aside.display().to_string(),
            &format!("SHA256:{}", package.sha256),
        ],
        |why| explain(package, uri, &why),
    )?;
    fs::rename(&aside, to).while_(|| format!("cannot keep {}", to.display()))
}

/// Why a download failed, for people.
fn explain(package: &Package, uri: &str, why: &str) -> Error {
    let Package { name, version, .. } = package;
    if why.contains("404") {
        Error::new(
            format!("{name} {version} is no longer at {uri}"),
            "Debian keeps only the newest: `lab vm kernels --refresh` pins that; or name a mirror that \
             keeps old ones in PROBELAB_DEBIAN_MIRROR",
        )
    } else if why.contains("Hash Sum mismatch") {
        Error::new(
            format!("what {uri} holds is not {name} {version} as it is pinned (SHA-256 differs)"),
            "nothing of it was kept; try again, or another mirror in PROBELAB_DEBIAN_MIRROR",
        )
    } else if why.contains("No space left") {
        Error::new(
            format!(
                "the disk is full: {name} has {} MB",
                package.size / 1_000_000
            ),
            "make room, or put the cache elsewhere with XDG_CACHE_HOME",
        )
    } else {
        Error::new(
            format!("{name} {version} can't be downloaded: {why}"),
            "check the network; PROBELAB_DEBIAN_MIRROR names another mirror",
        )
    }
}

/// This machine's own settings of how to download: proxies, certificates, whether a mirror is an old
/// copy.
fn acquire_settings() -> Vec<String> {
    let output = Command::new("apt-config")
        .arg("dump")
        .stdin(Stdio::null())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("Acquire::") && !line.starts_with("Acquire::Languages"))
        .map(str::to_owned)
        .collect()
}

/// The first complaint of a command, without apt's mark before it.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines().find_map(|line| {
        line.strip_prefix("E: ")
            .or_else(|| line.strip_prefix("Err:"))
    });
    marked
        .or_else(|| lines().next_back())
        .unwrap_or("it gave no reason")
        .to_owned()
}

/// Reads what `apt-get download --print-uris` prints: 'URI' FILE SIZE SHA256:HASH.
fn parse_uri(name: &str, text: &str) -> Option<Package> {
    let mut words = text.lines().find(|line| line.starts_with('\''))?.split(' ');
    let uri = words.next()?.trim_matches('\'');
    let file = words.next()?;
    let size = words.next()?.parse().ok()?;
    let sha256 = words.next()?.strip_prefix("SHA256:")?;
    let (archive, path) = ["debian-security", "debian"].iter().find_map(|archive| {
        let (_, path) = uri.split_once(&format!("/{archive}/"))?;
        Some((*archive, path))
    })?;
    let version = file.strip_prefix(name)?.strip_prefix('_')?;
    let version = version.rsplit_once('_')?.0;
    Some(Package {
        name: name.to_owned(),
        version: version.replace("%3a", ":"),
        archive: archive.to_owned(),
        path: path.to_owned(),
        size,
        sha256: sha256.to_owned(),
    })
}

/// Where downloads are kept: `$XDG_CACHE_HOME/probelab`, else `~/.cache/probelab`.
pub fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(home)
        .unwrap_or_else(std::env::temp_dir)
        .join("probelab")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};

    use super::*;

    #[test]
    fn a_package_is_read_from_what_apt_prints() {
        let package = parse_uri(
            "linux-image-6.12.116+deb13-cloud-amd64",
            "'http://m.example/debian-security/pool/updates/main/l/x/linux-image-6.12.116%2bdeb13-cloud-amd64_6.12.116-1_amd64.deb' \
             linux-image-6.12.116+deb13-cloud-amd64_6.12.116-1_amd64.deb 34619436 SHA256:376c\n",
        )
        .expect("a package");
        assert_eq!(package.version, "6.12.116-1");
        assert_eq!(package.archive, "debian-security");
        assert!(package.path.starts_with("pool/updates/main/"));
        assert_eq!(
            (package.size, package.sha256.as_str()),
            (34_619_436, "376c")
        );
        assert_eq!(parse_uri("linux-image", "E: nothing\n"), None);
    }

    /// A mirror on this machine that answers one request with `answer`.
    fn mirror_that_says(answer: &'static str) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                while lines.next().is_some_and(|line| !line.is_empty()) {}
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        format!("http://{address}/debian/pool/x.deb")
    }

    #[test]
    fn what_is_gone_or_is_something_else_is_not_kept() {
        if !Path::new(HELPER).exists() {
            eprintln!("skipped: needs {HELPER}");
            return;
        }
        let package = Package {
            name: "linux-image".into(),
            version: "6.1-1".into(),
            archive: "debian".into(),
            path: "pool/x.deb".into(),
            size: 5,
            sha256: "00".repeat(32),
        };
        for (answer, expected) in [
            (
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                "no longer",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
                "SHA-256",
            ),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let to = folder.path().join("x.deb");
            let error = download(&package, &mirror_that_says(answer), "amd64", &to);
            let error = error.expect_err(expected);
            assert!(error.message.contains(expected), "{error:?}");
            let left = fs::read_dir(folder.path()).expect("readable").count();
            assert_eq!(left, 0, "{expected}");
        }
    }

    #[test]
    fn failures_of_a_download_say_what_to_do() {
        let package = Package {
            name: "linux-image".into(),
            version: "6.1-1".into(),
            archive: "debian".into(),
            path: "pool/x.deb".into(),
            size: 26_000_000,
            sha256: "00".into(),
        };
        for (why, message, help) in [
            ("404  Not Found [IP: ::1]", "no longer", "--refresh"),
            ("Hash Sum mismatch", "SHA-256", "nothing of it was kept"),
            ("write: No space left on device", "26 MB", "XDG_CACHE_HOME"),
            ("Could not resolve 'x'", "Could not resolve", "network"),
        ] {
            let error = explain(&package, "http://x/pool/x.deb", why);
            assert!(error.message.contains(message), "{error:?}");
            assert!(error.help.contains(help), "{error:?}");
        }
    }
}
