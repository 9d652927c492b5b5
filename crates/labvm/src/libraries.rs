//! The shared libraries of programs, found as the dynamic linker finds them, to be put into a guest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use course::Arch;
use object::{
    Endianness, FileKind,
    elf::{FileHeader64, PT_INTERP},
    read::{
        ReadCache, ReadRef,
        elf::{Dyn as _, FileHeader as _, ProgramHeader as _},
    },
};

use crate::{Error, error::While as _, sysroot};

/// [`common`] and what they need, and what `init` does.
///
/// # Errors
/// When a library is not found.
pub fn base(init: &Path, arch: Arch) -> Result<BTreeSet<(PathBuf, PathBuf)>, Error> {
    let common = common(arch);
    let files = common.iter().map(|(_, file)| file.as_path());
    let mut all = of(files.chain([init]), arch)?;
    for (path, file) in &common {
        let file = fs::canonicalize(file).while_(|| format!("cannot read {}", file.display()))?;
        all.insert((path.clone(), file));
    }
    Ok(all)
}

/// The libraries and the dynamic linker of `programs`: for each, the path that the program will look
/// for it at, and the file on this machine.
///
/// # Errors
/// When a library is not found.
pub fn of<'a>(
    programs: impl IntoIterator<Item = &'a Path>,
    arch: Arch,
) -> Result<BTreeSet<(PathBuf, PathBuf)>, Error> {
    let mut found = BTreeSet::new();
    let mut queue: Vec<PathBuf> = programs.into_iter().map(Path::to_path_buf).collect();
    let mut seen: BTreeSet<PathBuf> = queue.iter().cloned().collect();
    while let Some(program) = queue.pop() {
        let needs = needs(&program)?;
        let libraries = needs.libraries.iter().map(|name| {
            library(name, arch).ok_or_else(|| {
                Error::new(
                    format!(
                        "{} needs the library {name} for {arch}, which is not here",
                        program.display()
                    ),
                    "install it, or build the program again",
                )
            })
        });
        // A program names its dynamic linker by its whole path.
        let interpreter = needs.interpreter.map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let file = if path.is_file() {
                path.clone()
            } else {
                library(&name, arch).map_or_else(|| path.clone(), |(_, file)| file)
            };
            Ok((path, file))
        });
        for found_at in libraries.chain(interpreter) {
            let (path, file) = found_at?;
            let file =
                fs::canonicalize(&file).while_(|| format!("cannot read {}", file.display()))?;
            if seen.insert(path.clone()) {
                queue.push(file.clone());
            }
            found.insert((path, file));
        }
    }
    Ok(found)
}

/// Libraries that nearly every program here uses, those of them that this machine has: they are in
/// each guest, so that one saved guest serves all labs.
fn common(arch: Arch) -> Vec<(PathBuf, PathBuf)> {
    [
        "libc.so.6",
        "libgcc_s.so.1",
        "libm.so.6",
        "libelf.so.1",
        "libz.so.1",
    ]
    .iter()
    .filter_map(|name| library(name, arch))
    .collect()
}

/// A library: where a program of that architecture looks for it, and the file here.
fn library(name: &str, arch: Arch) -> Option<(PathBuf, PathBuf)> {
    places(arch)
        .into_iter()
        .map(|(there, here)| (Path::new(&there).join(name), Path::new(&here).join(name)))
        .find(|(_, here)| here.is_file())
}

/// Where libraries are, as ld.so(8) has it on Debian, there and here. What cross compilers come with
/// lies apart.
fn places(arch: Arch) -> Vec<(String, String)> {
    let mut places: Vec<(String, String)> = [
        format!("/lib/{arch}-linux-gnu"),
        format!("/usr/lib/{arch}-linux-gnu"),
    ]
    .map(|folder| (folder.clone(), folder))
    .into();
    if arch == Arch::HERE {
        places.extend(
            ["/lib64", "/lib", "/usr/lib"].map(|folder| (folder.to_owned(), folder.to_owned())),
        );
    } else {
        places.push((
            format!("/lib/{arch}-linux-gnu"),
            format!("/usr/{arch}-linux-gnu/lib"),
        ));
        for folder in ["lib", "usr/lib"].map(|folder| format!("{folder}/{arch}-linux-gnu")) {
            let here = sysroot::folder(arch).join(&folder);
            places.push((format!("/{folder}"), here.display().to_string()));
        }
    }
    places
}

#[derive(Default)]
struct Needs {
    interpreter: Option<PathBuf>,
    libraries: Vec<String>,
}

/// What a program asks the dynamic linker for; nothing, if it is no 64-bit ELF file.
fn needs(program: &Path) -> Result<Needs, Error> {
    let file = fs::File::open(program).while_(|| format!("cannot read {}", program.display()))?;
    // Reads the few places that are looked at.
    let file = ReadCache::new(file);
    if !matches!(FileKind::parse(&file), Ok(FileKind::Elf64)) {
        return Ok(Needs::default());
    }
    parse(&file).while_(|| format!("{} is a damaged program", program.display()))
}

fn parse<'a>(bytes: impl ReadRef<'a>) -> object::Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let mut needs = Needs::default();
    for segment in header.program_headers(endian, bytes)? {
        if segment.p_type(endian) == PT_INTERP
            && let Ok(Some(path)) = segment.interpreter(endian, bytes)
        {
            needs.interpreter = Some(PathBuf::from(String::from_utf8_lossy(path).into_owned()));
        }
    }
    let sections = header.sections(endian, bytes)?;
    if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        for entry in entries {
            if entry.tag(endian) == object::elf::DT_NEEDED {
                let name = entry.string(endian, strings)?;
                needs
                    .libraries
                    .push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_comes_with_libc_and_its_linker() {
        let found = of([Path::new("/bin/sh")], Arch::HERE).expect("libraries");
        let has = |text: &str| {
            found
                .iter()
                .any(|(path, _)| path.to_string_lossy().contains(text))
        };
        assert!(has("libc.so.6") && has("/ld-linux"), "{found:?}");
        assert!(found.iter().all(|(_, file)| file.is_file()));
        assert!(
            of([Path::new("/etc/passwd")], Arch::HERE)
                .expect("none")
                .is_empty()
        );
    }
}
