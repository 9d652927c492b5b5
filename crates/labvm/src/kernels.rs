//! The kernels that checks run on: which, from where, and where they are kept.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use course::Arch;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    apt::{self, Apt},
    error::While as _,
    image,
    package::Package,
    sysroot,
    unpack::{self, MODULES, RELEASE, VMLINUX},
};

/// Debian's suites, one a kernel, oldest first. The unstable one has the newest kernel.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];
/// Where [`Lock`] is, below the checkout.
pub const LOCK: &str = "crates/labvm/kernels.lock";

/// The pinned kernels, as `kernels.lock` has them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// By architecture, oldest kernel first.
    pub kernel: Vec<Kernel>,
    /// See [`crate::sysroot`].
    pub library: Vec<Library>,
}

/// A package of [`crate::sysroot`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Of the processors that it is for.
    pub arch: Arch,
    /// Where it comes from.
    pub package: Package,
}

/// One pinned kernel.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// As it is asked for: `6.12`.
    pub name: String,
    /// Of the processors that it is for.
    pub arch: Arch,
    /// Debian's suite that it comes from.
    pub suite: String,
    /// What it is made of.
    pub package: Vec<Package>,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(file).while_(|| format!("cannot read {}", file.display()))?;
        toml::from_str(&text).map_err(|error| {
            Error::new(
                format!("{} is damaged: {error}", file.display()),
                "`lab vm kernels --refresh` writes a new one",
            )
        })
    }

    /// Asks Debian for the newest kernel of each suite.
    ///
    /// # Errors
    /// When a suite can't be asked.
    pub fn resolve(mut said: impl FnMut(&str)) -> Result<Self, Error> {
        let mut lock = Self::default();
        for &arch in Arch::ALL {
            let debian = arch.debian();
            for suite in SUITES {
                said(&format!("{suite} for {debian}"));
                let apt = Apt::of_suite(suite, debian)?;
                let packages = apt.kernel_of(&format!("linux-image-cloud-{debian}"))?;
                let version = packages.first().map_or("", |package| &package.version);
                lock.kernel.push(Kernel {
                    name: short(version),
                    arch,
                    suite: suite.to_owned(),
                    package: packages,
                });
                if suite == sysroot::SUITE {
                    for name in sysroot::PACKAGES {
                        let package = apt.package(name)?;
                        lock.library.push(Library { arch, package });
                    }
                }
            }
        }
        Ok(lock)
    }

    /// The file's text.
    ///
    /// # Errors
    /// Never for a lock of ours.
    pub fn text(&self) -> Result<String, Error> {
        let body = toml::to_string_pretty(self).while_(|| "cannot write the lock".to_owned())?;
        Ok(format!(
            "# The kernels that checks run on, and libraries to build for their architectures with, from Debian's packages.\n# Written by `lab vm kernels --refresh`.\n\n{body}"
        ))
    }

    /// The kernels of an architecture, oldest first.
    pub fn of(&self, arch: Arch) -> impl DoubleEndedIterator<Item = &Kernel> {
        self.kernel.iter().filter(move |kernel| kernel.arch == arch)
    }

    /// The kernel of that name; `newest` is the last one.
    ///
    /// # Errors
    /// When there is none; the message says which there are.
    pub fn find(&self, name: &str, arch: Arch) -> Result<&Kernel, Error> {
        let found = if name == "newest" {
            self.of(arch).last()
        } else {
            self.of(arch).find(|kernel| kernel.name == name)
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.of(arch).map(|kernel| kernel.name.as_str()).collect();
            Error::new(
                format!("there is no kernel {name}"),
                format!(
                    "choose of: {}, newest, all; or give the path of one of yours",
                    names.join(", ")
                ),
            )
        })
    }
}

/// `6.12.116-1` is 6.12.
fn short(version: &str) -> String {
    version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")
}

/// A kernel that is here and was verified just now.
#[derive(Clone, Debug)]
pub struct Ready {
    /// As it is asked for: `6.12`, or the file's name for one of the user's own.
    pub name: String,
    /// As `uname -r` says.
    pub release: String,
    /// The kernel itself.
    pub vmlinux: PathBuf,
    /// Of the processors that it is for.
    pub arch: Arch,
    /// Of the kernel: BLAKE3, hexadecimal.
    pub hash: String,
    /// Where its modules are; `None` for a kernel of the user's own.
    pub modules: Option<PathBuf>,
}

/// A kernel of the user's own (see [`image::extract`]). What the guest needs (virtio over PCI, its
/// console driver) must be built in.
///
/// # Errors
/// When it can't be read, is no kernel, or does not say which.
pub fn own(file: &Path) -> Result<Ready, Error> {
    let bytes = fs::read(file).while_(|| format!("cannot read {}", file.display()))?;
    let (kernel, arch) = image::extract(&bytes)
        .map_err(|error| Error::new(format!("{}: {error}", file.display()), error.help))?;
    let release = image::release(&kernel).ok_or_else(|| {
        Error::new(
            format!("{} does not say which Linux it is", file.display()),
            "give a bzImage or a vmlinux for x86-64, an Image for arm64",
        )
    })?;
    let vmlinux = if kernel == bytes {
        file.to_owned()
    } else {
        let folder = apt::cache().join("own-kernels");
        let to = folder.join(blake3::hash(&bytes).to_hex().as_str());
        if !to.exists() {
            let what = || format!("cannot write {}", to.display());
            fs::create_dir_all(&folder).while_(what)?;
            let mut aside = tempfile::NamedTempFile::new_in(&folder).while_(what)?;
            std::io::Write::write_all(&mut aside, &kernel).while_(what)?;
            aside.persist(&to).while_(what)?;
        }
        to
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Ready {
        name: name.into_owned(),
        release,
        arch,
        hash: blake3::hash(&bytes).to_hex().to_string(),
        vmlinux,
        modules: None,
    })
}

/// Hashes (BLAKE3, hexadecimal) of what a kernel's folder holds, by relative path.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Manifest {
    file: BTreeMap<String, String>,
}

const MANIFEST: &str = "manifest.toml";

/// The kernels of this machine's user.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

impl Default for Store {
    fn default() -> Self {
        Self::at(apt::cache().join("kernels"))
    }
}

impl Store {
    /// A store in a folder of one's choice.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where `kernel` is kept.
    pub fn folder(&self, kernel: &Kernel) -> PathBuf {
        let version = kernel
            .package
            .first()
            .map_or("", |package| package.version.as_str());
        self.folder.join(format!("{version}-{}", kernel.arch))
    }

    /// Whether `kernel` has been fetched.
    pub fn has(&self, kernel: &Kernel) -> bool {
        self.folder(kernel).join(MANIFEST).is_file()
    }

    /// The kernel: fetched, if it is not here or is damaged, and verified.
    ///
    /// # Errors
    /// When it can't be downloaded or unpacked; nothing half-written stays.
    pub fn ready(&self, kernel: &Kernel, mut said: impl FnMut(&str)) -> Result<Ready, Error> {
        let folder = self.folder(kernel);
        if !is_whole(&folder) {
            self.fetch(kernel, &folder, &mut said)?;
        }
        let release = fs::read_to_string(folder.join(RELEASE))
            .while_(|| format!("cannot read {}", folder.display()))?;
        Ok(Ready {
            name: kernel.name.clone(),
            release,
            arch: kernel.arch,
            hash: manifest(&folder)
                .and_then(|manifest| manifest.file.get(VMLINUX).cloned())
                .unwrap_or_default(),
            vmlinux: folder.join(VMLINUX),
            modules: Some(folder.join(MODULES)),
        })
    }

    fn fetch(
        &self,
        kernel: &Kernel,
        folder: &Path,
        said: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        fs::create_dir_all(&self.folder)
            .while_(|| format!("cannot make {}", self.folder.display()))?;
        // One at a time: the others find it here.
        let lock = self.folder.join(".lock");
        let lock = fs::File::create(&lock).while_(|| format!("cannot make {}", lock.display()))?;
        lock.lock()
            .while_(|| "cannot wait for another download".to_owned())?;
        if is_whole(folder) {
            return Ok(());
        }
        // Made aside and renamed, so that an interruption leaves no half kernel.
        let aside = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.folder)
            .while_(|| format!("cannot write into {}", self.folder.display()))?;
        let mut debs = Vec::new();
        for package in &kernel.package {
            said(&format!(
                "{} {} ({} MB)",
                package.name,
                package.version,
                package.size / 1_000_000
            ));
            let deb = aside.path().join(package.file_name());
            apt::download(package, &package.uri(), kernel.arch.debian(), &deb)?;
            verify(package, &deb)?;
            debs.push(deb);
        }
        let unpacked = aside.path().join("kernel");
        unpack::unpack(&debs, &unpacked)?;
        seal(&unpacked)?;
        let _ = fs::remove_dir_all(folder);
        fs::rename(&unpacked, folder).while_(|| format!("cannot keep {}", folder.display()))
    }
}

/// Whether a package is what was pinned. (apt has looked at it too; this is what a wrong entry in its
/// cache or a mistake of ours would not survive.)
pub(crate) fn verify(package: &Package, deb: &Path) -> Result<(), Error> {
    let bytes = fs::read(deb).while_(|| format!("cannot read {}", deb.display()))?;
    let found: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found == package.sha256 {
        return Ok(());
    }
    Err(Error::new(
        format!(
            "{} has the SHA-256 {found} and not {}, which is pinned",
            package.name, package.sha256
        ),
        "try again, or another mirror in PROBELAB_DEBIAN_MIRROR",
    ))
}

/// Writes down what a folder holds.
fn seal(folder: &Path) -> Result<(), Error> {
    let mut manifest = Manifest::default();
    for file in [VMLINUX, RELEASE] {
        manifest
            .file
            .insert(file.to_owned(), hash(&folder.join(file))?);
    }
    let text = toml::to_string(&manifest).while_(|| "cannot write a manifest".to_owned())?;
    fs::write(folder.join(MANIFEST), text)
        .while_(|| format!("cannot write into {}", folder.display()))
}

fn manifest(folder: &Path) -> Option<Manifest> {
    let text = fs::read_to_string(folder.join(MANIFEST)).ok()?;
    toml::from_str(&text).ok()
}

/// Whether a folder holds what its manifest says.
fn is_whole(folder: &Path) -> bool {
    manifest(folder).is_some_and(|manifest| {
        !manifest.file.is_empty()
            && manifest
                .file
                .iter()
                .all(|(file, wanted)| hash(&folder.join(file)).is_ok_and(|found| found == *wanted))
    })
}

fn hash(file: &Path) -> Result<String, Error> {
    let what = || format!("cannot read {}", file.display());
    // In pieces: it is done at each use, and memory for a whole kernel is dear.
    let opened = fs::File::open(file).while_(what)?;
    let mut hash = blake3::Hasher::new();
    hash.update_reader(opened).while_(what)?;
    Ok(hash.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_kernel_is_not_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        assert!(!is_whole(path));
        fs::write(path.join(VMLINUX), "a kernel").expect("written");
        fs::write(path.join(RELEASE), "6.1").expect("written");
        seal(path).expect("sealed");
        assert!(is_whole(path));
        fs::write(path.join(VMLINUX), "a kernal").expect("written");
        assert!(!is_whole(path));
    }

    #[test]
    fn the_committed_lock_names_four_kernels_for_each_architecture() {
        let lock = Lock::read(Path::new("kernels.lock")).expect("the lock");
        for &arch in Arch::ALL {
            let names: Vec<&str> = lock.of(arch).map(|kernel| kernel.name.as_str()).collect();
            assert_eq!(names.len(), 4, "{arch}: {names:?}");
            assert_eq!(names[..3], ["5.10", "6.1", "6.12"], "{arch}");
            assert_eq!(
                lock.find("newest", arch).expect("the last").name,
                names[3],
                "{arch}"
            );
        }
        let error = lock.find("4.4", Arch::X86_64).expect_err("too old");
        assert!(error.help.contains("6.12"), "{error:?}");
    }
}
