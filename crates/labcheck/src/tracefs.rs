//! A view of tracefs that an unprivileged program may read.
//!
//! To attach to a tracepoint a program reads `events/CATEGORY/NAME/id`, which tracefs shows to
//! root only (0440). Remounting tracefs with other permissions would change it for the whole
//! machine, so the learner's program sees, in its own mount namespace, a folder that holds
//! copies of just these files and of `format`.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, mount};

/// Where tracefs is looked for, in the order in which libbpf and aya do.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Copies live as long as the machine is up: events come and go with modules, but an id that
/// was given is not given again.
const VIEW: &str = "/run/probelab/tracing";

/// Mounts tracefs in this mount namespace if it is not mounted, and returns where it is.
///
/// # Errors
/// When the kernel has no tracefs, or mounting is not allowed.
pub(crate) fn mounted() -> io::Result<&'static Path> {
    if let Some(place) = PLACES
        .into_iter()
        .map(Path::new)
        .find(|place| place.join("events").is_dir())
    {
        return Ok(place);
    }
    let place = Path::new(PLACES[0]);
    mount(
        "nodev",
        place,
        "tracefs",
        MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV,
        None,
    )
    .map_err(|error| {
        io::Error::other(format!(
            "tracefs is not mounted and can't be: {error}. As root: mount -t tracefs nodev {}",
            place.display()
        ))
    })?;
    Ok(place)
}

/// Puts the readable view over [`PLACES`]`[0]`, in this mount namespace.
///
/// # Errors
/// When tracefs can't be mounted or the view can't be made.
pub(crate) fn show_view() -> io::Result<()> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let view = PathBuf::from(format!("{VIEW}-{}", boot.trim()));
    if !view.exists() {
        make(mounted()?, &view)?;
    }
    rustix::mount::mount_bind(&view, PLACES[0])?;
    Ok(())
}

/// Copies `id` and `format` of every event.
fn make(tracefs: &Path, view: &Path) -> io::Result<()> {
    let parent = view
        .parent()
        .ok_or_else(|| io::Error::other("the view has no parent folder"))?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)?;
    // Made aside and renamed, so that nobody sees half a view.
    let aside = tempfile::Builder::new()
        .prefix("tracing.")
        .tempdir_in(parent)?;
    for category in fs::read_dir(tracefs.join("events"))?.flatten() {
        if !category.path().is_dir() {
            continue;
        }
        for event in fs::read_dir(category.path())?.flatten() {
            let Ok(id) = fs::read(event.path().join("id")) else {
                continue;
            };
            let to = aside
                .path()
                .join("events")
                .join(category.file_name())
                .join(event.file_name());
            fs::create_dir_all(&to)?;
            fs::write(to.join("id"), id)?;
            fs::write(to.join("format"), fs::read(event.path().join("format"))?)?;
        }
    }
    fs::set_permissions(aside.path(), fs::Permissions::from_mode(0o755))?;
    match fs::rename(aside.path(), view) {
        // Somebody else was first.
        Err(_) if view.exists() => Ok(()),
        other => other,
    }
}
