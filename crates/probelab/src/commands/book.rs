//! `lab book`.

use std::process::Command;

use crate::{
    site::Site,
    trouble::{Exit, Outcome, Trouble},
};

/// Runs the command.
pub fn run(site: &Site, build_only: bool) -> Outcome {
    let mut mdbook = Command::new("mdbook");
    if build_only {
        mdbook.arg("build");
    } else {
        mdbook.args(["serve", "--open", "--hostname", "127.0.0.1"]);
    }
    let status = mdbook
        .arg(site.root.join("book"))
        .status()
        .map_err(|error| {
            Trouble::infrastructure(
                format!("cannot start mdbook: {error}"),
                "`./lab setup --all` installs it",
            )
        })?;
    Ok(if status.success() {
        Exit::Pass
    } else {
        Exit::Infrastructure
    })
}
