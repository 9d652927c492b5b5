//! A Debian package, pinned.

use std::{env, fs, path::Path};

use serde::{Deserialize, Serialize};

/// One package of a kernel: where it is and what must be in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `linux-image-6.12.…-cloud-amd64`.
    pub name: String,
    /// Debian's version of it.
    pub version: String,
    /// Which archive holds it: `debian` or `debian-security`.
    pub archive: String,
    /// Its path there.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Package {
    /// Where it can be downloaded.
    pub fn uri(&self) -> String {
        format!("{}/{}", mirror(&self.archive), self.path)
    }

    /// Its name in the cache.
    pub fn file_name(&self) -> String {
        format!("{}_{}.deb", self.name, self.version.replace(':', "%3a"))
    }
}

/// The address of an archive: below `$PROBELAB_DEBIAN_MIRROR` (such as http://deb.debian.org), else
/// where this machine's own packages come from if that is Debian, else Debian's own.
pub fn mirror(archive: &str) -> String {
    let base = env::var("PROBELAB_DEBIAN_MIRROR")
        .ok()
        .or_else(|| of_this_machine(Path::new("/etc/apt")))
        .unwrap_or_else(|| "http://deb.debian.org".to_owned());
    format!("{}/{archive}", base.trim_end_matches('/'))
}

/// What stands before `/debian` in this machine's sources (sources.list(5)).
fn of_this_machine(apt: &Path) -> Option<String> {
    let mut files = vec![apt.join("sources.list")];
    let more = fs::read_dir(apt.join("sources.list.d"));
    files.extend(more.into_iter().flatten().flatten().map(|file| file.path()));
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| {
            text.lines()
                .filter(|line| !line.trim_start().starts_with('#'))
                .flat_map(str::split_whitespace)
                .find_map(|word| {
                    let base = word.trim_end_matches('/').strip_suffix("/debian")?;
                    base.starts_with("http").then(|| base.to_owned())
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_debian_and_of_nothing_else() {
        let apt = tempfile::tempdir().expect("a folder");
        let list = apt.path().join("sources.list.d");
        fs::create_dir(&list).expect("a folder");
        fs::write(
            list.join("a.list"),
            "deb https://example.org/apt stable main\n",
        )
        .expect("written");
        assert_eq!(of_this_machine(apt.path()), None);
        fs::write(
            list.join("b.sources"),
            "# URIs: http://old.example/debian\nTypes: deb\nURIs: http://mirror.example/debian/\n",
        )
        .expect("written");
        assert_eq!(
            of_this_machine(apt.path()).as_deref(),
            Some("http://mirror.example")
        );
    }
}
