//! Files of the book that `lab` itself writes. They are committed, so that the book can be read
//! where nothing is installed, and checked, so that they can't be old.

use std::fs;

use course::Course;

use super::{claims, page::Fault};
use crate::{
    report,
    site::Site,
    trouble::{OrTrouble as _, Outcome},
};

/// The page of claims.
const CLAIMS: &str = "book/src/claims.md";
/// The report's JSON Schema.
const SCHEMA: &str = "book/src/reference/report-v1.schema.json";

/// Paths, and what each file is to hold.
type Files = Vec<(&'static str, String)>;

/// The files, and what is wrong with their sources.
fn files(site: &Site, course: &Course) -> Outcome<(Files, Vec<Fault>)> {
    let source = site.root.join(claims::FILE);
    let source = fs::read_to_string(&source)
        .or_infrastructure(|| format!("cannot read {}", claims::FILE))?;
    let mut files = vec![(SCHEMA, report::schema())];
    Ok(match claims::page(&source, course) {
        Ok(page) => {
            files.push((CLAIMS, page));
            (files, Vec::new())
        }
        Err(faults) => (files, faults),
    })
}

/// Which of the files are not as they would be written now.
pub fn stale(site: &Site, course: &Course) -> Outcome<Vec<Fault>> {
    let (files, mut faults) = files(site, course)?;
    for (path, text) in files {
        if fs::read_to_string(site.root.join(path)).ok().as_deref() != Some(text.as_str()) {
            faults.push(Fault::new(
                path,
                "is not what `lab book --build` writes: run that, and commit the file",
            ));
        }
    }
    Ok(faults)
}

/// Writes those that differ.
pub fn write(site: &Site, course: &Course) -> Outcome<Vec<Fault>> {
    let (files, faults) = files(site, course)?;
    for (path, text) in files {
        let full = site.root.join(path);
        if fs::read_to_string(&full).ok().as_deref() != Some(text.as_str()) {
            fs::write(&full, text).or_infrastructure(|| format!("cannot write {path}"))?;
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn site(root: PathBuf) -> Site {
        Site {
            root,
            course_dir: None,
        }
    }

    fn course() -> Course {
        Course::load(&repository()).expect("the course loads")
    }

    /// Set `PROBELAB_UPDATE=1` to write the files instead.
    #[test]
    fn generated_files_of_the_book_are_current() {
        let site = site(repository());
        if std::env::var_os("PROBELAB_UPDATE").is_some() {
            assert_eq!(write(&site, &course()).ok(), Some(Vec::new()));
        }
        assert_eq!(stale(&site, &course()).ok(), Some(Vec::new()));
    }

    #[test]
    fn an_old_file_is_told_and_written_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let course = course();
        fs::create_dir_all(folder.path().join("book/src/reference")).expect("folders");
        fs::copy(
            repository().join(claims::FILE),
            folder.path().join(claims::FILE),
        )
        .expect("copied");
        let site = site(folder.path().to_owned());
        let places = |faults: Outcome<Vec<Fault>>| -> Vec<String> {
            faults
                .into_iter()
                .flatten()
                .map(|fault| fault.place)
                .collect()
        };
        assert_eq!(places(stale(&site, &course)), [SCHEMA, CLAIMS]);
        assert_eq!(places(write(&site, &course)), Vec::<String>::new());
        assert_eq!(places(stale(&site, &course)), Vec::<String>::new());
        fs::write(folder.path().join(CLAIMS), "# Edited by hand\n").expect("written");
        assert_eq!(places(stale(&site, &course)), [CLAIMS]);
    }
}
