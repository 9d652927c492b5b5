//! `lab new`: a new lab, as a copy of the model lab under its own name.
//!
//! The model is a lab of the course that `lab verify` proves like any other, so what an author
//! begins with can't fall behind the contract.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use course::is_id;

use crate::{
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
    versions,
};

/// The lab that is copied: slug, title, part.
const MODEL: (&str, &str, u16) = ("first-probe", "First probe", 0);

/// Runs the command.
pub fn run(site: &Site, folder: &str, title: Option<&str>) -> Outcome {
    let (number, slug) = name(folder)?;
    let title = title.map_or_else(|| sentence(slug), str::to_owned);
    if title.contains(['"', '\\', '\n']) {
        return Err(Trouble::usage(
            "the title holds a quotation mark, a backslash or a line break",
            "leave them out; lab.toml can be edited afterwards",
        ));
    }
    let course = site.course()?;
    if let Some(other) = course
        .labs
        .iter()
        .find(|lab| lab.slug.as_str() == slug || lab.number == number)
    {
        return Err(Trouble::usage(
            format!("{} has that name or number already", other.folder()),
            "a slug and a number are given once, for ever: choose others",
        ));
    }
    let model = course.find(MODEL.0)?;
    let change = |text: String| {
        text.replace(MODEL.0, slug)
            .replace(
                &format!("title = \"{}\"", MODEL.1),
                &format!("title = \"{title}\""),
            )
            .replace(&format!("# {}\n", MODEL.1), &format!("# {title}\n"))
            .replace(
                &format!("part = {}\n", MODEL.2),
                &format!("part = {}\n", number / 100),
            )
            // The model's page is told from this one's by its number.
            .replace(&model.folder().replace(MODEL.0, slug), folder)
    };
    let mut made = Vec::new();
    let copies = [
        (model.dir.clone(), site.root.join("labs").join(folder)),
        (
            model.solution.clone(),
            site.root.join("solutions").join(folder),
        ),
    ];
    for (from, to) in &copies {
        copy(from, to, &change).or_infrastructure(|| format!("cannot make {}", site.shown(to)))?;
        made.push(site.shown(to));
    }
    let page = site.root.join(format!("book/src/labs/{slug}.md"));
    let model_page = site.root.join(format!("book/src/labs/{}.md", MODEL.0));
    if model_page.is_file() {
        copy(&model_page, &page, &change)
            .or_infrastructure(|| format!("cannot make {}", site.shown(&page)))?;
        made.push(site.shown(&page));
    }
    let locked = lock(&site.root.join("labs"));
    outln!("{title} is a copy of {} for now:", MODEL.0);
    for path in made {
        outln!("    {path}");
    }
    if !locked {
        outln!(
            "labs/Cargo.lock could not be brought up to date: run `cargo update --workspace` in labs/."
        );
    }
    outln!(
        "Prove it:  lab verify {slug}\nThen change it step by step; CONTRIBUTING.md says what each file is.\n\
         Name its page in book/src/SUMMARY.md and the lab in a track of course.toml."
    );
    Ok(Exit::Pass)
}

/// Number and slug of `NNN-slug`.
fn name(folder: &str) -> Outcome<(u16, &str)> {
    let wrong =
        |what: String| Trouble::usage(what, "write it as NNN-slug: `lab new 215-page-faults`");
    let (number, slug) = folder
        .split_once('-')
        .ok_or_else(|| wrong(format!("`{folder}` has no number and slug")))?;
    if !is_id(slug) || slug.starts_with('-') || slug.ends_with('-') {
        return Err(wrong(format!("`{slug}` is no slug: {}", course::ID_RULE)));
    }
    match number.parse::<u16>() {
        Ok(value) if number.len() == 3 && value.is_multiple_of(5) => Ok((value, slug)),
        _ => Err(wrong(format!(
            "`{number}` is no lab number: three digits, part times 100 plus a multiple of five"
        ))),
    }
}

/// `page-faults` is "Page faults".
fn sentence(slug: &str) -> String {
    let text = slug.replace('-', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Copies a file, or a folder's files, with the text changed.
fn copy(from: &Path, to: &Path, change: &impl Fn(String) -> String) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        let entries: Vec<PathBuf> = fs::read_dir(from)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        for entry in entries {
            let name = entry.file_name().unwrap_or_default();
            if name != "target" && name != "Cargo.lock" {
                copy(&entry, &to.join(name), change)?;
            }
        }
        return Ok(());
    }
    fs::write(to, change(fs::read_to_string(from)?))
}

/// Brings the lock file up to date: only the new packages enter it, nobody else's versions move. Says whether
/// it did.
///
/// Without network first, which is quicker and mostly enough; cargo may never have looked a package up that
/// no lab built here needed.
fn lock(labs: &Path) -> bool {
    [true, false].into_iter().any(|offline| {
        let mut cargo = Command::new("cargo");
        cargo
            .args(["update", "--workspace", "--quiet"])
            .args(offline.then_some("--offline"))
            .env("RUSTUP_TOOLCHAIN", versions::stable())
            .current_dir(labs)
            .stdin(Stdio::null());
        if offline {
            cargo.stderr(Stdio::null());
        }
        cargo.status().is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_number_and_a_slug() {
        assert_eq!(
            name("215-page-faults").expect("a good name"),
            (215, "page-faults")
        );
        for bad in [
            "page-faults",
            "21-page",
            "212-page",
            "215",
            "215-",
            "215-Page",
            "215--x",
            "999999-x",
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_title_is_made_of_the_slug() {
        assert_eq!(sentence("page-faults"), "Page faults");
    }
}
