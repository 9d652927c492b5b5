//! Opening the binaries of a running process.

use std::{path::PathBuf, sync::Arc};

use gosym::Binary;

use crate::maps::DELETED;
use crate::{Error, MapEntry, Symbolizer, parse_maps};

/// A symbolizer for the process as it is mapped now. Binaries are opened as the process has them:
/// also when they were replaced or deleted since, or lie in another mount namespace.
pub fn for_process(pid: u32) -> Result<Symbolizer, Error> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/maps"))
        .map_err(|source| Error::of_process(pid, source))?;
    let mut problem = None;
    let symbolizer = Symbolizer::new(&parse_maps(&text)?, |entry| {
        let opened = candidates(pid, entry).into_iter().map(Binary::open);
        // The last, since the best place is closed to most.
        let mut last_error = None;
        for result in opened {
            match result {
                Ok(binary) => return Some(Arc::new(binary)),
                Err(error) => last_error = Some(error),
            }
        }
        let what = last_error.map(|error| format!("{}: {error}", entry.path));
        problem = problem.take().or(what);
        None
    });
    if symbolizer.has_go() {
        Ok(symbolizer)
    } else {
        let why = problem.unwrap_or_else(|| "no executable file is mapped".to_owned());
        Err(Error::NoGoCode { pid, why })
    }
}

/// Where to open a mapping's file, best first. `map_files` is exact but needs privilege; `exe` is
/// exact for the program itself; the path under the process's root is right unless the file was
/// replaced.
pub(crate) fn candidates(pid: u32, entry: &MapEntry) -> Vec<PathBuf> {
    let m = &entry.mapping;
    let mut paths = vec![format!("/proc/{pid}/map_files/{:x}-{:x}", m.start, m.end).into()];
    let exe = PathBuf::from(format!("/proc/{pid}/exe"));
    let target = std::fs::read_link(&exe).unwrap_or_default();
    let target = target.to_string_lossy();
    if target.strip_suffix(DELETED).unwrap_or(&target) == entry.path {
        paths.push(exe);
    }
    if !entry.deleted {
        paths.push(format!("/proc/{pid}/root{}", entry.path).into());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_go_is_told_so() {
        let error = for_process(std::process::id()).expect_err("this test is Rust");
        let text = error.to_string();
        assert!(text.contains("runs no Go code"), "{text}");
        assert!(text.contains("not a Go program"), "{text}");
    }

    #[test]
    fn a_process_that_is_gone_is_told_so() {
        // Beyond the kernel's largest pid, 2^22.
        let error = for_process(1 << 23).expect_err("no such process");
        assert!(error.to_string().contains("is it still running"), "{error}");
    }
}
