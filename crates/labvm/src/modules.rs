//! A kernel's modules: those that a guest needs, with what they need, ready to be loaded.

use std::{
    collections::BTreeSet,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use object::{Object as _, ObjectSection as _};

use crate::{Error, error::While as _};

/// A module, unpacked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Module {
    /// As lsmod(8) shows it, with underscores.
    pub name: String,
    /// The ELF file.
    pub bytes: Vec<u8>,
}

/// The modules `names` and what they depend on, in an order in which they can be loaded. A name that
/// the folder does not have is taken for one that is built into the kernel.
///
/// # Errors
/// When a module can't be read.
pub fn gather(folder: &Path, names: &[&str]) -> Result<Vec<Module>, Error> {
    let mut seen = BTreeSet::new();
    let mut modules = Vec::new();
    for name in names {
        add(folder, name, &mut seen, &mut modules)?;
    }
    Ok(modules)
}

fn add(
    folder: &Path,
    name: &str,
    seen: &mut BTreeSet<String>,
    modules: &mut Vec<Module>,
) -> Result<(), Error> {
    let name = name.replace('-', "_");
    if !seen.insert(name.clone()) {
        return Ok(());
    }
    let Some(file) = file_of(folder, &name) else {
        return Ok(());
    };
    let bytes = read(&file)?;
    for needed in depends(&bytes) {
        add(folder, &needed, seen, modules)?;
    }
    modules.push(Module { name, bytes });
    Ok(())
}

/// File names keep the hyphens that names lose.
fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let file = entry.file_name();
        let stem = file.to_str()?.split_once(".ko")?.0.replace('-', "_");
        (stem == name).then(|| entry.path())
    })
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let what = || format!("cannot read the module {}", file.display());
    let bytes = fs::read(file).while_(what)?;
    if file.extension().is_some_and(|kind| kind == "xz") {
        let mut unpacked = Vec::new();
        lzma_rs::xz_decompress(&mut Cursor::new(bytes), &mut unpacked)
            .map_err(|error| Error::new(format!("{}: {error:?}", what()), ""))?;
        return Ok(unpacked);
    }
    Ok(bytes)
}

/// `depends=` of the section that modinfo(8) shows.
fn depends(module: &[u8]) -> Vec<String> {
    let section = object::File::parse(module).ok().and_then(|file| {
        file.section_by_name(".modinfo")?
            .data()
            .ok()
            .map(<[u8]>::to_vec)
    });
    section
        .unwrap_or_default()
        .split(|&byte| byte == 0)
        .filter_map(|field| field.strip_prefix(b"depends="))
        .flat_map(|names| names.split(|&byte| byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}
