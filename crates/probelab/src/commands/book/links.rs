//! Links lead somewhere, and the table of contents knows every page and every lab.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Component, Path},
};

use course::Course;

use super::page::{Fault, Page};

/// The table of contents.
const CONTENTS: &str = "SUMMARY.md";

/// Whether every link of every page leads somewhere. Links to other sites are not followed.
pub fn check(src: &Path, pages: &[Page]) -> Vec<Fault> {
    let ids: HashMap<&str, HashSet<String>> = pages
        .iter()
        .map(|page| (page.path.as_str(), page.heading_ids()))
        .collect();
    let mut faults = Vec::new();
    for page in pages {
        for link in page.links() {
            if let Err(what) = one(src, page, &link.to, &ids) {
                faults.push(Fault::new(page.at(link.line), what));
            }
        }
    }
    faults
}

fn one(
    src: &Path,
    page: &Page,
    to: &str,
    ids: &HashMap<&str, HashSet<String>>,
) -> Result<(), String> {
    if to.is_empty() {
        // In the table of contents: a chapter that is announced, and greyed.
        return if page.path == CONTENTS {
            Ok(())
        } else {
            Err("a link without a target".to_owned())
        };
    }
    if ["http:", "https:", "mailto:"]
        .iter()
        .any(|scheme| to.starts_with(scheme))
    {
        return Ok(());
    }
    let (path, fragment) = to.split_once('#').unwrap_or((to, ""));
    let target = if path.is_empty() {
        page.path.clone()
    } else {
        beneath(&page.path, path).ok_or_else(|| {
            format!("the link to {to} leaves the book; only what is under book/src is published")
        })?
    };
    let Some(ids) = ids.get(target.as_str()) else {
        return if target.ends_with(".md") || !src.join(&target).is_file() {
            Err(format!(
                "the link to {to} leads nowhere: there is no {target}"
            ))
        } else if fragment.is_empty() {
            Ok(())
        } else {
            Err(format!("{target} has no headings to link to"))
        };
    };
    if fragment.is_empty() || ids.contains(fragment) {
        return Ok(());
    }
    let mut known: Vec<&str> = ids.iter().map(String::as_str).collect();
    known.sort_unstable();
    Err(format!(
        "{target} has no heading #{fragment}; it has {}",
        known.join(", ")
    ))
}

/// `to`, as seen from `page`, relative to the book's `src`; nothing when it is outside.
fn beneath(page: &str, to: &str) -> Option<String> {
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<&str> = Vec::new();
    let whole = folder.join(to);
    for part in whole.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            // An absolute path replaces the folder when it is joined.
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Whether the table of contents lists every page, and each lab has a page that its part links to.
pub fn check_contents(pages: &[Page], course: &Course) -> Vec<Fault> {
    let labs = course
        .labs
        .iter()
        .map(|lab| (lab.folder(), lab.slug.to_string(), lab.part));
    contents(pages, labs)
}

fn contents(pages: &[Page], labs: impl IntoIterator<Item = (String, String, u8)>) -> Vec<Fault> {
    let targets = |page: &Page| -> BTreeSet<String> {
        page.links()
            .iter()
            .filter_map(|link| {
                let path = link.to.split('#').next().unwrap_or_default();
                beneath(&page.path, path)
            })
            .collect()
    };
    let contents_at = format!("{}/{CONTENTS}", super::PAGES);
    let Some(listed) = pages.iter().find(|page| page.path == CONTENTS).map(targets) else {
        return vec![Fault::new(contents_at, "there is no table of contents")];
    };
    let mut faults = Vec::new();
    for page in pages {
        if page.path != CONTENTS && !listed.contains(&page.path) {
            faults.push(Fault::new(
                page.at(1),
                format!("no reader can find this page: list it in {contents_at}"),
            ));
        }
    }
    for (folder, slug, part) in labs {
        let lab = format!("labs/{slug}.md");
        if !listed.contains(&lab) {
            faults.push(Fault::new(
                format!("labs/{folder}"),
                format!(
                    "has no page: write {}/{lab} and list it in {contents_at}",
                    super::PAGES
                ),
            ));
            continue;
        }
        let prefix = format!("parts/{part}-");
        match pages.iter().find(|page| page.path.starts_with(&prefix)) {
            Some(page) if targets(page).contains(&lab) => {}
            Some(page) => faults.push(Fault::new(
                page.at(1),
                format!("does not link to {lab}, a lab of this part"),
            )),
            None => faults.push(Fault::new(
                contents_at.clone(),
                format!("part {part} has labs and no page {prefix}….md"),
            )),
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{super::page::page, *};

    fn faults(text: &str) -> Vec<String> {
        let src = tempfile::tempdir().expect("a folder");
        std::fs::write(src.path().join("schema.json"), "{}").expect("written");
        let pages = [
            page("labs/a.md", text),
            page("labs/b.md", "# B\n\n## Two words\n"),
            page("index.md", "# Index\n"),
        ];
        check(src.path(), &pages)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for text in [
            "[x](b.md)",
            "[x](b.md#two-words)",
            "# Here\n\n[x](#here)",
            "[x](../index.md)",
            "[x](../schema.json)",
            "[x](https://example.org/no#such)",
            "`[x](no.md)`",
        ] {
            assert_eq!(faults(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_told() {
        for (text, part) in [
            ("[x](c.md)", "there is no labs/c.md"),
            ("[x](b.md#three)", "has b, two-words"),
            ("[x](#nope)", "no heading #nope"),
            ("[x](../../README.md)", "leaves the book"),
            ("[x](/labs/b.md)", "leaves the book"),
            ("[x](../index.html)", "leads nowhere"),
            ("[x](../schema.json#a)", "no headings"),
            ("[x]()", "without a target"),
            ("![x](a.png)", "there is no labs/a.png"),
            ("[x][r]\n\n[r]: gone.md", "there is no labs/gone.md"),
        ] {
            let faults = faults(text);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(faults[0].contains(part), "{text}: {faults:?}");
        }
    }

    #[test]
    fn the_contents_know_every_page_and_lab() {
        let lab = || [("110-one".to_owned(), "one".to_owned(), 1)];
        let whole = [
            page(
                "SUMMARY.md",
                "- [P](parts/1-p.md)\n  - [One](labs/one.md)\n- [Later]()\n",
            ),
            page("parts/1-p.md", "[One](../labs/one.md)"),
            page("labs/one.md", "# One"),
        ];
        assert_eq!(contents(&whole, lab()), []);
        for (what, change, part) in [
            ("no contents", 0, "no table of contents"),
            ("no part", 1, "no page parts/1-"),
        ] {
            let mut pages = whole.to_vec();
            pages.remove(change);
            let faults = contents(&pages, lab());
            assert!(
                faults.iter().any(|f| f.what.contains(part)),
                "{what}: {faults:?}"
            );
        }
        for (at, text, part) in [
            (0, "- [P](parts/1-p.md)\n", "labs/110-one: has no page"),
            (0, "- [One](labs/one.md)\n", "no reader can find this page"),
            (1, "Nothing.", "does not link to labs/one.md"),
        ] {
            let mut pages = whole.to_vec();
            pages[at].text = text.to_owned();
            let faults = contents(&pages, lab());
            assert!(
                faults.iter().any(|f| f.to_string().contains(part)),
                "{text}: {faults:?}"
            );
        }
    }
}
