//! Libraries for another architecture that Debian's cross compilers do not come with: what labs in C
//! are linked with, here and in a guest. For authors, who prove that labs work there too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use course::Arch;

use crate::{Error, apt, error::While as _, kernels};

/// Packages for linking and for running.
pub(crate) const PACKAGES: [&str; 4] = ["libelf-dev", "libelf1", "zlib1g-dev", "zlib1g"];
/// The suite that they come from: its libraries ask for no newer C library than any cross compiler has.
pub(crate) const SUITE: &str = "bookworm";

/// Where they are, or would be.
pub fn folder(arch: Arch) -> PathBuf {
    apt::cache().join(format!("libraries-{arch}"))
}

/// The folder, with the libraries that `lock` names: fetched, if they are not there.
///
/// # Errors
/// When they can't be downloaded or unpacked; nothing half-written stays.
pub fn ready(lock: &kernels::Lock, arch: Arch) -> Result<PathBuf, Error> {
    let folder = folder(arch);
    let stamp = folder.join("packages");
    let packages: Vec<_> = lock
        .library
        .iter()
        .filter(|library| library.arch == arch)
        .map(|library| &library.package)
        .collect();
    let wanted: String = packages
        .iter()
        .map(|package| format!("{} {}\n", package.file_name(), package.sha256))
        .collect();
    let there = || fs::read_to_string(&stamp).is_ok_and(|found| found == wanted);
    if there() {
        return Ok(folder);
    }
    let above = apt::cache();
    let what = || format!("cannot write into {}", above.display());
    fs::create_dir_all(&above).while_(what)?;
    // One at a time: the others find it here.
    let lock = fs::File::create(folder.with_extension("lock")).while_(what)?;
    lock.lock().while_(what)?;
    if there() {
        return Ok(folder);
    }
    // Made aside and renamed, so that an interruption leaves no half of it.
    let aside = tempfile::Builder::new()
        .prefix(".new-libraries-")
        .tempdir_in(&above)
        .while_(what)?;
    let root = aside.path().join("root");
    fs::create_dir(&root).while_(what)?;
    for package in packages {
        let deb = aside.path().join(package.file_name());
        apt::download(package, &package.uri(), arch.debian(), &deb)?;
        kernels::verify(package, &deb)?;
        unpack(&deb, &root)?;
    }
    fs::write(root.join("packages"), wanted).while_(what)?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&root, &folder).while_(|| format!("cannot keep {}", folder.display()))?;
    Ok(folder)
}

fn unpack(deb: &Path, root: &Path) -> Result<(), Error> {
    let output = Command::new("dpkg-deb")
        .arg("--extract")
        .args([deb, root])
        .output()
        .while_(|| "cannot start dpkg-deb".to_owned())?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(
        format!("cannot unpack {}: {}", deb.display(), why.trim()),
        "",
    ))
}
