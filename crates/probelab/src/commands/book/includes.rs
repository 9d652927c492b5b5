//! Code in the book comes from files that are tested: `{{#include PATH:ANCHOR}}`. mdBook leaves a
//! block empty, without a word, when the anchor is missing.

use std::{fs, path::Path, sync::LazyLock};

use regex::Regex;

use super::page::{Fault, Page};

/// As mdBook finds them (`mdbook-driver`, `builtin_preprocessors/links.rs`); a backslash escapes.
static DIRECTIVE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\\\{\{#.*\}\}|\{\{\s*#([a-zA-Z0-9_]+)\s+([^}]+)\}\}").ok());

/// Whether everything that pages include is there.
pub fn check(root: &Path, pages: &[Page]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for page in pages {
        let Some(directive) = DIRECTIVE.as_ref() else {
            continue;
        };
        for found in directive.captures_iter(&page.text) {
            let (Some(kind), Some(target)) = (found.get(1), found.get(2)) else {
                continue;
            };
            if let Err(what) = one(root, page, kind.as_str(), target.as_str().trim()) {
                faults.push(Fault::new(page.at(page.line(kind.start())), what));
            }
        }
    }
    faults
}

fn one(root: &Path, page: &Page, kind: &str, target: &str) -> Result<(), String> {
    match kind {
        "include" | "rustdoc_include" => {}
        "title" => return Ok(()),
        other => {
            return Err(format!(
                "{{{{#{other}}}}} is not used in this book; use #include"
            ));
        }
    }
    let (path, anchor) = target.split_once(':').unwrap_or((target, ""));
    let file = root
        .join(super::PAGES)
        .join(&page.path)
        .with_file_name("")
        .join(path);
    let file = file
        .canonicalize()
        .map_err(|_| format!("includes {path}, which is not there"))?;
    if !file.starts_with(root) {
        return Err(format!("includes {path}, which is outside the checkout"));
    }
    if anchor.is_empty() {
        return Ok(());
    }
    if !anchor
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        || anchor.starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(format!(
            "includes {target} by lines, which move; put `// ANCHOR: name` and `// ANCHOR_END: name` around them"
        ));
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {path}: {error}"))?;
    match lines_of(&text, anchor) {
        Some(0) => Err(format!("the anchor {anchor} of {path} holds nothing")),
        Some(_) => Ok(()),
        None => Err(format!(
            "{path} has no `ANCHOR: {anchor}` that a later `ANCHOR_END: {anchor}` closes"
        )),
    }
}

/// How many lines `anchor` holds; none when it is not opened and closed.
fn lines_of(text: &str, anchor: &str) -> Option<usize> {
    let is = |line: &str, mark: &str| {
        line.split_once(mark).is_some_and(|(_, rest)| {
            rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
                .find(|word| !word.is_empty())
                == Some(anchor)
        })
    };
    let mut lines = text.lines().skip_while(|line| !is(line, "ANCHOR:"));
    lines.next()?;
    let mut count = 0;
    for line in lines {
        if is(line, "ANCHOR_END:") {
            return Some(count);
        }
        count += usize::from(!line.trim().is_empty());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{super::page::page, *};

    const CODE: &str = "fn f() {\n    // ANCHOR: body\n    g();\n    // ANCHOR_END: body\n}\n\
                        // ANCHOR: open\n// ANCHOR: empty\n\n// ANCHOR_END: empty\n";

    /// A checkout with `labs/x.rs`, and what is said of a page of it.
    fn faults(text: &str) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder");
        let base = root.path().canonicalize().expect("a path");
        for folder in ["book/src/labs", "labs"] {
            fs::create_dir_all(base.join(folder)).expect("a folder");
        }
        fs::write(base.join("labs/x.rs"), CODE).expect("written");
        check(&base, &[page("labs/a.md", text)])
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn what_is_there_may_be_included() {
        for text in [
            "{{#include ../../../labs/x.rs:body}}",
            "{{#include ../../../labs/x.rs}}",
            "{{ #rustdoc_include ../../../labs/x.rs:body }}",
            r"\{{#include nowhere.rs}}",
            "{{#title A title}}",
        ] {
            assert_eq!(faults(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (text, part) in [
            ("{{#include ../../../labs/y.rs}}", "not there"),
            ("{{#include ../../../labs/x.rs:bod}}", "no `ANCHOR: bod`"),
            ("{{#include ../../../labs/x.rs:open}}", "no `ANCHOR: open`"),
            ("{{#include ../../../labs/x.rs:empty}}", "holds nothing"),
            ("{{#include ../../../labs/x.rs:2}}", "by lines"),
            ("{{#include ../../../labs/x.rs:2:3}}", "by lines"),
            (
                "{{#include ../../../../../../../../../etc/passwd}}",
                "outside",
            ),
            ("{{#playground ../../../labs/x.rs}}", "use #include"),
        ] {
            let faults = faults(&format!("# T\n\n{text}\n"));
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert!(
                faults[0].starts_with("book/src/labs/a.md:3: "),
                "{faults:?}"
            );
            assert!(faults[0].contains(part), "{text}: {faults:?}");
        }
    }
}
