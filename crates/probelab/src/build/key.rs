//! What an artifact is built from, as one hash.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use course::{Artifact, ArtifactKind};

use super::Builder;
use crate::{
    trouble::{OrTrouble as _, Outcome},
    versions,
};

/// Grows when what `lab` passes to a compiler changes.
const RECIPE: u32 = 9;

/// Our own crates that learners' user-space programs may depend on.
const USED: [&str; 4] = ["labkit", "gosym", "goprof", "verifier-doctor"];

/// A hash of the artifact's sources, of the libraries of ours that it uses, and of the versions
/// that compile it.
pub fn of(builder: &Builder<'_>, artifact: &Artifact) -> Outcome<String> {
    let mut hash = blake3::Hasher::new();
    hash.update(format!("{RECIPE} {artifact:?}").as_bytes());
    let root = &builder.site.root;
    let inputs: Vec<PathBuf> = match artifact.kind {
        ArtifactKind::Cargo => {
            hash.update(versions::stable().as_bytes());
            let ours = USED.iter().flat_map(|name| {
                let folder = root.join("crates").join(name);
                [folder.join("src"), folder.join("Cargo.toml")]
            });
            ours.filter(|path| path.exists())
                .chain([root.join("labs/Cargo.lock")])
                .collect()
        }
        ArtifactKind::BpfRust => {
            for name in ["BPF_NIGHTLY", "BPF_LINKER", "BPF_LLVM"] {
                hash.update(versions::pinned(name).as_bytes());
            }
            vec![
                root.join("crates/labkit-ebpf"),
                root.join("labs/Cargo.lock"),
            ]
        }
        ArtifactKind::Go => {
            hash.update(versions::pinned("GO").as_bytes());
            Vec::new()
        }
        ArtifactKind::BpfC => {
            hash.update(super::c::clang_name().as_encoded_bytes());
            headers(&builder.tree)
                .or_infrastructure(|| format!("cannot read {}", builder.tree.display()))?
        }
        ArtifactKind::Kmod => {
            // Without headers the lab is skipped.
            let headers = super::kernel_headers().unwrap_or_default();
            hash.update(headers.as_os_str().as_encoded_bytes());
            Vec::new()
        }
        ArtifactKind::Cbpf | ArtifactKind::Answers => Vec::new(),
    };
    // The folders of other artifacts inside this one's are no part of it.
    let own = builder.place(&artifact.path);
    let others: Vec<PathBuf> = builder
        .lab
        .artifacts
        .iter()
        .map(|other| builder.tree.join(&other.path))
        .filter(|other| *other != own && other.starts_with(&own))
        .collect();
    add(&mut hash, &own, &others)
        .and_then(|()| {
            inputs
                .iter()
                .try_for_each(|input| add(&mut hash, input, &[]))
        })
        .or_infrastructure(|| format!("cannot read what {} is built from", artifact.name))?;
    if let Some(profile) = &artifact.pgo {
        add(&mut hash, &builder.place(profile), &[])
            .or_infrastructure(|| format!("cannot read {}", profile.display()))?;
    }
    Ok(hash.finalize().to_hex().to_string())
}

/// The C headers of a tree.
fn headers(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            found.extend(headers(&path)?);
        } else if path.extension().is_some_and(|kind| kind == "h") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Adds a file, or a folder's files in order of their names.
fn add(hash: &mut blake3::Hasher, path: &Path, without: &[PathBuf]) -> io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = fs::read_dir(path)?
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?;
        entries.sort();
        for entry in entries {
            let name = entry.file_name().unwrap_or_default();
            // Cargo's own, not inputs.
            if name == "target" || name == "Cargo.lock" || without.contains(&entry) {
                continue;
            }
            add(hash, &entry, without)?;
        }
        return Ok(());
    }
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    let bytes = fs::read(path)?;
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(&bytes);
    Ok(())
}
