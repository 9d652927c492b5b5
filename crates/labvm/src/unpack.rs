//! What a check needs out of a kernel's Debian packages: the kernel and its modules.

use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};

use crate::{Error, error::While as _, image};

/// Files of a kernel that has been unpacked.
pub const VMLINUX: &str = "vmlinux";
pub const RELEASE: &str = "release";
pub const MODULES: &str = "modules";

/// Unpacks the packages `debs` into the folder `to`: `vmlinux`, `release` (as `uname -r`), and
/// `modules/NAME.ko`, packed as the distribution packs them (`.ko.xz`).
///
/// # Errors
/// When a package can't be read or holds no kernel, or there is no room.
pub fn unpack(debs: &[impl AsRef<Path>], to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to.join(MODULES)).while_(|| format!("cannot make {}", to.display()))?;
    let mut release = None;
    for deb in debs {
        let deb = deb.as_ref();
        let what = || format!("cannot unpack {}", deb.display());
        let mut child = Command::new("dpkg-deb")
            .arg("--fsys-tarfile")
            .arg(deb)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .while_(|| "cannot start dpkg-deb".to_owned())?;
        let stream = child.stdout.take().ok_or_else(|| Error::new(what(), ""))?;
        let mut archive = tar::Archive::new(stream);
        for entry in archive.entries().while_(what)? {
            let mut entry = entry.while_(what)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let path = entry.path().while_(what)?.into_owned();
            if let Some(found) = release_of_image(&path) {
                let mut image = Vec::new();
                entry.read_to_end(&mut image).while_(what)?;
                fs::write(to.join(VMLINUX), image::extract(&image)?.0)
                    .while_(|| format!("cannot write {}", to.display()))?;
                release = Some(found);
            } else if let Some(name) = module(&path) {
                entry
                    .unpack(to.join(MODULES).join(name))
                    .while_(|| format!("cannot write {}", to.display()))?;
            }
        }
        let status = child.wait().while_(what)?;
        if !status.success() {
            return Err(Error::new(format!("{}: {status}", what()), ""));
        }
    }
    let release = release.ok_or_else(|| Error::new("the packages hold no kernel", ""))?;
    fs::write(to.join(RELEASE), release).while_(|| format!("cannot write {}", to.display()))
}

/// The release of a kernel image, by its path: `boot/vmlinuz-RELEASE`, or since Linux 7.0
/// `usr/lib/modules/RELEASE/vmlinuz`.
fn release_of_image(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if let Some(release) = name.strip_prefix("vmlinuz-") {
        return Some(release.to_owned());
    }
    (name == "vmlinuz").then(|| path.parent()?.file_name()?.to_str().map(str::to_owned))?
}

/// The file name of a module.
fn module(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let inside = path.components().any(|part| part.as_os_str() == "modules");
    (inside && name.contains(".ko")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_modules_are_known_by_their_paths() {
        for (path, release, name) in [
            (
                "./boot/vmlinuz-6.1.0-56-cloud-amd64",
                Some("6.1.0-56-cloud-amd64"),
                None,
            ),
            ("./usr/lib/modules/7.2.13/vmlinuz", Some("7.2.13"), None),
            (
                "./lib/modules/6.1.0/kernel/drivers/net/veth.ko",
                None,
                Some("veth.ko"),
            ),
            (
                "./usr/lib/modules/7.2.13/kernel/net/x.ko.xz",
                None,
                Some("x.ko.xz"),
            ),
            ("./lib/modules/6.1.0/modules.builtin", None, None),
            ("./usr/share/doc/veth.ko", None, None),
        ] {
            let path = Path::new(path);
            assert_eq!(release_of_image(path).as_deref(), release, "{path:?}");
            assert_eq!(module(path), name, "{path:?}");
        }
    }
}
