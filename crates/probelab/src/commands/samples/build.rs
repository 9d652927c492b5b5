//! A service, built.

use std::{collections::BTreeSet, path::Path};

use pgo::decisions::{self, Decision};

use super::Sample;
use crate::{
    build::go,
    site::Site,
    trouble::{OrTrouble as _, Outcome, Trouble},
};

impl Sample {
    /// Builds the service; returns what the compiler decided in its own packages.
    ///
    /// # Errors
    /// When go is missing, or refuses.
    pub fn build(
        &self,
        site: &Site,
        to: &Path,
        profile: Option<&Path>,
    ) -> Outcome<BTreeSet<Decision>> {
        self.build_package(site, self.folder, to, profile)
    }

    /// Builds its load.
    ///
    /// # Errors
    /// As for [`Sample::build`].
    pub fn build_load(&self, site: &Site, to: &Path) -> Outcome<()> {
        self.build_package(site, self.load, to, None).map(drop)
    }

    fn build_package(
        &self,
        site: &Site,
        package: &str,
        to: &Path,
        profile: Option<&Path>,
    ) -> Outcome<BTreeSet<Decision>> {
        let pgo = profile.map_or_else(
            || "-pgo=off".into(),
            |profile| format!("-pgo={}", profile.display()),
        );
        let folder = self.folder;
        let output = go::command()
            .current_dir(site.root.join("go-samples").join(folder))
            .arg("build")
            .arg(pgo)
            // The account costs no code: the program is the same with and without it.
            .arg(format!(
                "-gcflags=probelab.dev/go-samples/{folder}/...=-m=2"
            ))
            .arg("-o")
            .arg(to)
            .arg(format!("./cmd/{package}"))
            .output()
            .or_infrastructure(|| "cannot start go: `./lab setup` installs it".to_owned())?;
        let account = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let first = account
                .lines()
                .find(|line| !line.starts_with('#'))
                .unwrap_or_default();
            return Err(Trouble::infrastructure(
                format!("{folder}/cmd/{package} does not build: {first}"),
                "see `lab doctor`",
            ));
        }
        Ok(decisions::parse(&account))
    }
}
