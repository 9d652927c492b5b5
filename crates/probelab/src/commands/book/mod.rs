//! `lab book`: builds the book, shows it, and holds it to what the repository really does.
//!
//! | module | what |
//! | --- | --- |
//! | [`page`] | the book's Markdown: headings, links, commands whose output is shown |
//! | [`claims`] | `book/claims.toml`, and the page made of it |
//! | [`generated`] | files of the book that are written by `lab` |
//! | [`cmdrun`] | commands shown with their output |
//! | [`includes`] | code taken from tested files |
//! | [`links`] | links, and the table of contents against the labs |
//! | [`mdbook`] | the program that renders it all |

mod claims;
mod cmdrun;
mod generated;
mod includes;
mod links;
mod mdbook;
mod page;

use console::style;
use course::Course;

pub use cmdrun::Mode;
use page::Fault;

use crate::{
    site::Site,
    trouble::{Exit, Outcome},
};

/// Where the book's pages are, relative to the checkout.
const PAGES: &str = "book/src";

/// `lab book --build`.
pub fn build(site: &Site) -> Outcome {
    refresh(site)?;
    mdbook::build(site)
}

/// `lab book`.
pub fn serve(site: &Site) -> Outcome {
    refresh(site)?;
    mdbook::serve(site)
}

/// `lab book --check` and `lab book --update`.
pub fn check(site: &Site, only: Option<&str>, mode: Mode) -> Outcome {
    let course = Course::load(&site.root)?;
    let mut faults = Vec::new();
    match mode {
        Mode::Compare => faults.extend(generated::stale(site, &course)?),
        Mode::Write => faults.extend(generated::write(site, &course)?),
    }
    let mut pages = page::read_all(&site.root.join(PAGES))?;
    faults.extend(includes::check(&site.root, &pages));
    faults.extend(links::check(&site.root.join(PAGES), &pages));
    faults.extend(links::check_contents(&pages, &course));
    faults.extend(cmdrun::check(site, &mut pages, only, mode)?);
    faults.extend(mdbook::check(site)?);
    let commands: usize = pages.iter().map(|page| page.commands().0.len()).sum();
    report(&faults, pages.len(), commands)
}

/// Writes what is generated, so that the book that is looked at is the current one.
fn refresh(site: &Site) -> Outcome<()> {
    let course = Course::load(&site.root)?;
    for fault in generated::write(site, &course)? {
        errln!("{fault}");
    }
    Ok(())
}

fn report(faults: &[Fault], pages: usize, commands: usize) -> Outcome {
    for fault in faults {
        outln!("{} {fault}", style("book").red().bold());
    }
    Ok(if faults.is_empty() {
        outln!("{pages} pages, {commands} commands with their output: all as they should be");
        Exit::Pass
    } else {
        outln!("{} to mend", faults.len());
        Exit::Fail
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::page;

    #[test]
    fn every_finding_of_the_doctor_is_explained() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(super::PAGES)
            .join("reference/troubleshooting.md");
        let ids = page::page("t.md", &fs::read_to_string(file).expect("the page")).heading_ids();
        for finding in labcheck::machine::findings() {
            let id = finding.what.replace(' ', "-");
            assert!(ids.contains(&id), "no heading for {}", finding.what);
        }
    }
}
