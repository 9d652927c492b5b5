//! The files that a `lab.toml` names: that they are there, inside the lab, and nothing else is.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Folder, shown, shown_list};
use crate::table::{At, Doc, Table};

/// Files that a learner must not change: they decide what a build or a check does.
const NOT_FOR_LEARNERS: &[&str] = &[
    "lab.toml",
    "check.rs",
    "build.rs",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain",
    "rust-toolchain.toml",
];

/// Folders likewise, at any depth.
const FOLDERS_NOT_FOR_LEARNERS: &[&str] = &["wrong", "target", ".cargo", ".git"];

pub(super) fn edit(lab: &mut Table<'_>, folder: &Folder) -> Vec<PathBuf> {
    let doc = lab.doc;
    let there = lab.know("edit");
    let found = lab.strings("edit");
    if found.is_empty() {
        doc.report(
            &lab.span,
            "a lab names no file for the learner",
            if there {
                "`edit` is empty"
            } else {
                "`edit` is missing"
            },
            "name the files that a learner changes: `edit = [\"ebpf/src/main.rs\"]`",
        );
    }
    let mut edit = Vec::new();
    for at in found {
        let Some(path) = inside(doc, folder, &at) else {
            continue;
        };
        let file = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let in_forbidden_folder = path.parent().is_some_and(|parent| {
            parent
                .iter()
                .any(|c| FOLDERS_NOT_FOR_LEARNERS.iter().any(|f| c == *f))
        });
        if NOT_FOR_LEARNERS.contains(&file) || in_forbidden_folder {
            doc.report(
                &at.span,
                format!("`{}` is not for learners to change", at.value),
                "decides what a build or a check does",
                "take it out of `edit`; put the learner's part into a source file",
            );
        } else if !folder.dir.join(&path).is_file() {
            doc.report(
                &at.span,
                format!("`{}` is not a file", at.value),
                "not a file",
                "name each file that a learner changes; a folder can't stand for its files",
            );
        } else {
            edit.push(path);
        }
    }
    edit
}

/// The path if it is of something inside the lab and no link is on the way.
pub(super) fn inside(doc: &Doc, folder: &Folder, at: &At<&str>) -> Option<PathBuf> {
    let path = PathBuf::from(at.value);
    if at.value == "." {
        return Some(path);
    }
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)))
        // `components()` drops `.` and doubled `/`: one file must have one spelling.
        && shown(&path) == at.value
        && !at.value.contains('\\');
    if !plain {
        doc.report(
            &at.span,
            format!("`{}` is not a path inside the lab's folder", at.value),
            "absolute, or with `.`, `..`, `\\`",
            format!("write it from {}, like `src/main.rs`", folder.shown),
        );
        return None;
    }
    let mut step = folder.dir.clone();
    for part in path.components() {
        step.push(part);
        match fs::symlink_metadata(&step) {
            Ok(meta) if meta.is_symlink() => {
                doc.report(
                    &at.span,
                    format!("`{}` passes through a symbolic link", at.value),
                    "a link can lead out of the lab",
                    "put a file or folder in the link's place",
                );
                return None;
            }
            Ok(_) => {}
            Err(e) => {
                let why = match e.kind() {
                    io::ErrorKind::NotFound => "it is not there".to_owned(),
                    _ => e.to_string(),
                };
                doc.report(
                    &at.span,
                    format!("`{}` can't be read: {why}", at.value),
                    "no such file",
                    format!("create {}/{}, or correct the path", folder.shown, at.value),
                );
                return None;
            }
        }
    }
    Some(path)
}

/// A planted wrong answer's folder holds some of the `edit` files and nothing else.
pub(super) fn wrong_folder(doc: &Doc, folder: &Folder, name: &At<&str>, edit: &[PathBuf]) {
    let rel = Path::new("wrong").join(name.value);
    let place = format!("{}/{}", folder.shown, shown(&rel));
    let Some(files) = files_in(&folder.dir.join(&rel)) else {
        doc.report(
            &name.span,
            format!("the wrong answer `{}` has no folder {place}", name.value),
            "no such folder",
            format!("create it and put the wrong {} there", shown_list(edit)),
        );
        return;
    };
    match strangers(&files, edit) {
        _ if files.is_empty() => doc.report(
            &name.span,
            format!("the folder {place} is empty"),
            "nothing in it",
            format!("put the wrong {} there", shown_list(edit)),
        ),
        strange if !strange.is_empty() => doc.report(
            &name.span,
            format!(
                "{place} holds {}, which is not in `edit`",
                shown_list(&strange)
            ),
            "holds more than a submission may",
            format!("remove it; a submission holds only {}", shown_list(edit)),
        ),
        _ => {}
    }
}

/// A folder under `wrong/` that no [[wrong]] names would never be tried.
pub(super) fn undeclared_wrong_folders(doc: &Doc, folder: &Folder, named: &[String]) {
    let Ok(entries) = fs::read_dir(folder.dir.join("wrong")) else {
        return;
    };
    let mut found: Vec<String> = entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| !named.contains(name))
        .collect();
    found.sort();
    for name in found {
        doc.report(
            &(0..0),
            format!("no [[wrong]] names {}/wrong/{name}", folder.shown),
            "it would never be tried",
            format!("add a [[wrong]] with `name = \"{name}\"`, or remove it"),
        );
    }
}

/// The solution's folder holds `edit` files, solved, and nothing else.
pub(super) fn solution(doc: &Doc, folder: &Folder, edit: &[PathBuf]) {
    if !folder.has_solutions {
        return;
    }
    let place = &folder.solution_shown;
    let files = files_in(&folder.solution).unwrap_or_default();
    if files.is_empty() {
        doc.report_about(
            place,
            format!("the lab {} has no solution in {place}", folder.shown),
            format!("put the solved {} there", shown_list(edit)),
        );
        return;
    }
    let strange = strangers(&files, edit);
    if !strange.is_empty() {
        doc.report_about(
            place,
            format!(
                "{place} holds {}, which is not in `edit`",
                shown_list(&strange)
            ),
            format!("remove it; a solution holds only {}", shown_list(edit)),
        );
    }
}

fn strangers(files: &[PathBuf], edit: &[PathBuf]) -> Vec<PathBuf> {
    if edit.is_empty() {
        // Told of already; then every file would be a stranger.
        return Vec::new();
    }
    files
        .iter()
        .filter(|f| !edit.contains(f))
        .cloned()
        .collect()
}

/// Everything in a folder that is not itself a folder, sorted; `None` if it is no folder.
/// Links are not followed, and `target` folders, left by builds, are passed over.
fn files_in(dir: &Path) -> Option<Vec<PathBuf>> {
    fn walk(dir: &Path, under: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let rel = under.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                found.push(rel);
            } else if entry.file_name() != "target" {
                walk(&entry.path(), &rel, found)?;
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(dir, Path::new(""), &mut found).ok()?;
    found.sort();
    Some(found)
}
