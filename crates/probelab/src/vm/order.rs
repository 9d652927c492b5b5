//! What a guest is sent.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use course::Lab;
use labcheck::plan::Plan;
use labvm::{host::Order, initramfs, kernels::Ready, libraries, modules, protocol::File};

use crate::trouble::{Outcome, Trouble};

/// Where a job's files are in a guest.
const JOB: &str = "/job";

/// What goes into the guest: the plan with the guest's paths, the files that it names, those of their
/// libraries that are not in the guest's `base`, and the modules that the lab needs. What a learner's
/// program may take is `factor` times what it may take here.
pub fn of(
    lab: &Lab,
    plan: &Plan,
    kernel: &Ready,
    base: &BTreeSet<(PathBuf, PathBuf)>,
    factor: f64,
) -> Outcome<Order> {
    let mut files = Vec::new();
    let mut inside = Plan {
        guest: true,
        tree: PathBuf::from(JOB).join("tree"),
        ..plan.clone()
    };
    for (name, file) in &plan.artifacts {
        let base = file.file_name().unwrap_or_default();
        let path = PathBuf::from(JOB).join("artifacts").join(name).join(base);
        files.push(take(file, &path)?);
        inside.artifacts.insert(name.clone(), path);
    }
    for run in inside.steps.iter_mut().filter_map(|step| step.run.as_mut()) {
        run.seconds = (f64::from(run.seconds) * factor.max(1.0)).ceil() as u32;
    }
    let tree = files_of(&plan.tree)?;
    for file in tree {
        let relative = file.strip_prefix(&plan.tree).unwrap_or(&file);
        files.push(take(&file, &inside.tree.join(relative))?);
    }
    let plan_text = serde_json::to_string(&inside)
        .map_err(|error| Trouble::infrastructure(error.to_string(), ""))?;
    let programs = plan.artifacts.values().map(PathBuf::as_path);
    for (path, file) in libraries::of(programs, kernel.arch)?.difference(base) {
        files.push(take(file, path)?);
    }
    let mut modules = Vec::new();
    if let Some(folder) = &kernel.modules {
        let names: Vec<&str> = lab.needs.modules.iter().map(String::as_str).collect();
        for module in modules::gather(folder, &names)? {
            let file = format!("{}.ko", module.name);
            files.push(File {
                path: format!("{}/{file}", initramfs::MODULES),
                mode: 0o644,
                bytes: module.bytes,
            });
            modules.push(file);
        }
    }
    Ok(Order {
        plan: plan_text,
        modules,
        files,
    })
}

fn take(from: &Path, to: &Path) -> Outcome<File> {
    let read = || -> std::io::Result<File> {
        Ok(File {
            path: to.display().to_string(),
            mode: fs::metadata(from)?.permissions().mode() & 0o777,
            bytes: fs::read(from)?,
        })
    };
    read().map_err(|error| {
        Trouble::infrastructure(format!("cannot read {}: {error}", from.display()), "")
    })
}

/// The files of a tree, without what builds leave in it.
fn files_of(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| {
        Trouble::infrastructure(format!("cannot read {}: {error}", folder.display()), "")
    })?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files.extend(files_of(&path)?);
            }
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
