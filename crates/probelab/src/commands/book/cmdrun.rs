//! Output shown in the book is what a run prints. `<!-- cmdrun: COMMAND -->` before a fenced block
//! names the command; it runs in the root of the checkout, through `sh`, with `lab` being this
//! program.

use std::{
    collections::HashMap,
    fs, io,
    io::Read as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use similar::TextDiff;

use super::page::{Fault, Page};
use crate::{
    lock,
    site::Site,
    trouble::{Exit, OrTrouble as _, Outcome},
};

/// What to do with the output of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Compare it with what the page shows.
    Compare,
    /// Put it into the page.
    Write,
}

/// What a command did.
#[derive(Clone, Debug)]
struct Ran {
    output: String,
    code: Option<i32>,
}

/// Runs the commands of the pages whose path contains `only`.
pub fn check(
    site: &Site,
    pages: &mut [Page],
    only: Option<&str>,
    mode: Mode,
) -> Outcome<Vec<Fault>> {
    let shell = Shell::new(site)?;
    let mut ran: HashMap<String, Ran> = HashMap::new();
    let mut faults = Vec::new();
    for page in pages {
        if only.is_some_and(|only| !page.path.contains(only)) {
            continue;
        }
        let (commands, mistakes) = page.commands();
        faults.extend(mistakes);
        let mut replacements = Vec::new();
        for shown in &commands {
            let fresh = match ran.get(&shown.command) {
                Some(fresh) => fresh.clone(),
                None => {
                    outln!("{}: {}", page.path, shown.command);
                    let fresh = shell.run(&shown.command)?;
                    ran.insert(shown.command.clone(), fresh.clone());
                    fresh
                }
            };
            match judge(&page.text[shown.output.clone()], &fresh, mode) {
                Ok(None) => {}
                Ok(Some(new)) => replacements.push((shown.output.clone(), new)),
                Err(what) => faults.push(Fault::new(
                    page.at(shown.line),
                    format!("`{}` {what}", shown.command),
                )),
            }
        }
        let mut text = page.text.clone();
        // From the end, so that the places of the others stay right.
        for (place, new) in replacements.into_iter().rev() {
            text.replace_range(place, &new);
        }
        if text != page.text {
            let path = site.root.join(super::PAGES).join(&page.path);
            fs::write(&path, &text)
                .or_infrastructure(|| format!("cannot write {}", path.display()))?;
            page.text = text;
        }
    }
    Ok(faults)
}

/// What the page is to hold instead of `old`, if anything; or what is wrong.
fn judge(old: &str, fresh: &Ran, mode: Mode) -> Result<Option<String>, String> {
    let new = normal(&fresh.output);
    if fresh.code == Some(Exit::Infrastructure as i32) {
        return Err(format!(
            "could not do its work on this machine, so the page can't be compared:\n{new}"
        ));
    }
    if let Some(code @ (126 | 127)) = fresh.code {
        return Err(format!("is no command here (status {code}):\n{new}"));
    }
    if fresh.code.is_none() {
        return Err(format!("was ended by a signal:\n{new}"));
    }
    if new.contains("```") || new.contains("~~~") {
        return Err("prints what would close the page's block".to_owned());
    }
    if normal(old) == new {
        return Ok(None);
    }
    if mode == Mode::Write {
        return Ok(Some(new));
    }
    let diff = TextDiff::from_lines(old, new.as_str());
    Err(format!(
        "prints something else than the page shows; `lab book --update` takes it over:\n{}",
        diff.unified_diff()
            .header("the page", "a run")
            .context_radius(2)
    ))
}

/// Without colours, blanks at line ends and what is said while others build, and with exactly one line end
/// at the end.
fn normal(output: &str) -> String {
    let text = console::strip_ansi_codes(output);
    let lines = text.trim_end().lines().map(str::trim_end);
    let lines: Vec<&str> = lines.filter(|line| !lock::is_notice(line)).collect();
    if lines.is_empty() {
        String::new()
    } else {
        lines.join("\n") + "\n"
    }
}

/// Where commands run.
struct Shell<'a> {
    root: &'a Path,
    /// Holds a link `lab` to this program.
    folder: tempfile::TempDir,
    path: std::ffi::OsString,
}

impl<'a> Shell<'a> {
    fn new(site: &'a Site) -> Outcome<Self> {
        let make = || -> io::Result<_> {
            let folder = tempfile::Builder::new()
                .prefix("probelab-book-")
                .tempdir()?;
            std::os::unix::fs::symlink(crate::site::this_program()?, folder.path().join("lab"))?;
            let rest = std::env::var_os("PATH").unwrap_or_default();
            let folders =
                std::iter::once(folder.path().to_owned()).chain(std::env::split_paths(&rest));
            let path = std::env::join_paths(folders).map_err(io::Error::other)?;
            Ok((folder, path))
        };
        let (folder, path) =
            make().or_infrastructure(|| "cannot prepare to run commands".into())?;
        Ok(Self {
            root: &site.root,
            folder,
            path,
        })
    }

    /// Runs `command`, both outputs in one stream, as on a terminal without colours.
    fn run(&self, command: &str) -> Outcome<Ran> {
        let start = || -> io::Result<(String, ExitStatus)> {
            let (mut reader, writer) = io::pipe()?;
            let mut child = {
                // Dropped with the block, so that only the child holds the writing end.
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", command])
                    .current_dir(self.root)
                    .env("PATH", &self.path)
                    .env("PROBELAB_ROOT", self.root)
                    .env("NO_COLOR", "1")
                    .env("LC_ALL", "C.UTF-8")
                    .env("TMPDIR", self.folder.path())
                    .env_remove("CLICOLOR_FORCE")
                    .stdin(Stdio::null())
                    .stdout(writer.try_clone()?)
                    .stderr(writer);
                shell.spawn()?
            };
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            Ok((String::from_utf8_lossy(&bytes).into_owned(), child.wait()?))
        };
        let (output, status) = start().or_infrastructure(|| format!("cannot run `{command}`"))?;
        Ok(Ran {
            output,
            code: status.code(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::page::page, *};

    fn ran(output: &str, code: i32) -> Ran {
        Ran {
            output: output.to_owned(),
            code: Some(code),
        }
    }

    #[test]
    fn the_same_output_changes_nothing() {
        for (old, new) in [
            ("pass\n", "pass\n"),
            ("pass\n", "\u{1b}[32mpass\u{1b}[0m\n"),
            ("pass  \n", "pass\n\n"),
            ("pass\n", "waiting for another build to end …\npass\n"),
            ("", ""),
        ] {
            for mode in [Mode::Compare, Mode::Write] {
                assert_eq!(judge(old, &ran(new, 0), mode), Ok(None), "{old:?} {new:?}");
            }
        }
    }

    #[test]
    fn other_output_is_told_or_taken_over() {
        // A check that fails (status 1) may well be what the page shows.
        for code in [0, 1, 2] {
            let fresh = ran("two\n", code);
            let told = judge("one\n", &fresh, Mode::Compare).expect_err("stale");
            assert!(told.contains("-one") && told.contains("+two"), "{told}");
            assert_eq!(
                judge("one\n", &fresh, Mode::Write),
                Ok(Some("two\n".into()))
            );
        }
    }

    #[test]
    fn a_run_that_shows_nothing_about_the_page_is_never_taken_over() {
        for (fresh, part) in [
            (ran("error, not your fault\n", 3), "could not do its work"),
            (ran("sh: 1: labb: not found\n", 127), "is no command"),
            (ran("```\n", 0), "close the page's block"),
            (
                Ran {
                    output: String::new(),
                    code: None,
                },
                "signal",
            ),
        ] {
            for mode in [Mode::Compare, Mode::Write] {
                let told = judge("one\n", &fresh, mode).expect_err("refused");
                assert!(told.contains(part), "{told}");
            }
        }
    }

    #[test]
    fn pages_are_updated_in_place_and_then_agree() {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Site {
            root: folder.path().to_owned(),
            course_dir: None,
        };
        fs::create_dir_all(folder.path().join(super::super::PAGES)).expect("a folder");
        let text = "A\n<!-- cmdrun: echo one; echo 2 >&2 -->\n```text\nold\n```\n\n\
                    <!-- cmdrun: echo ${PROBELAB_ROOT##*/} | wc -l -->\n```text\n```\nB\n";
        let mut pages = [page("a.md", text)];
        let faults = check(&site, &mut pages, None, Mode::Compare);
        assert_eq!(faults.map(|faults| faults.len()).ok(), Some(2));
        let faults = check(&site, &mut pages, None, Mode::Write);
        assert_eq!(faults.map(|faults| faults.len()).ok(), Some(0));
        let written = fs::read_to_string(folder.path().join("book/src/a.md")).expect("written");
        assert_eq!(
            written,
            text.replace("old\n", "one\n2\n")
                .replace("```text\n```", "```text\n1\n```")
        );
        let faults = check(&site, &mut pages, None, Mode::Compare);
        assert_eq!(faults.map(|faults| faults.len()).ok(), Some(0));
        // Left out, so not run.
        pages[0].text = text.to_owned();
        let faults = check(&site, &mut pages, Some("b.md"), Mode::Compare);
        assert_eq!(faults.map(|faults| faults.len()).ok(), Some(0));
    }
}
