//! A view of tracefs that an unprivileged program may read.
//!
//! To attach to a tracepoint a program reads `events/CATEGORY/NAME/id`, which tracefs shows to
//! root only (0440). Remounting tracefs with other permissions would change it for the whole
//! machine, so the learner's program sees, in its own mount namespace, a folder that holds
//! copies of just these files and of `format`.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rustix::mount::{MountFlags, mount};

use crate::scratch::{self, Scratch};

/// Where tracefs is looked for, in the order in which libbpf and aya do.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Where views are kept. A view is good for as long as the machine is up and no module comes or
/// goes: with those come events, and an id is given again after its event is gone
/// (`register_trace_event`, kernel/trace/trace_output.c).
const VIEWS: &str = "/run/probelab";
/// After which a view is taken for unused.
const UNUSED: Duration = Duration::from_secs(6 * 3600);
/// Grows when what is in a view changes.
const VERSION: u32 = 1;

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
    rustix::mount::mount_bind(view()?, PLACES[0])?;
    Ok(())
}

/// Makes the view, for [`show_view`] to find it made.
///
/// # Errors
/// As [`show_view`].
pub(crate) fn prepare_view() -> io::Result<()> {
    view().map(|_| ())
}

/// The view of the events that there are now.
fn view() -> io::Result<PathBuf> {
    let views = Path::new(VIEWS);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    // Missing where the kernel has no loadable modules.
    let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
    let view = views.join(format!(
        "tracing-{VERSION}-{}-{:016x}",
        boot.trim(),
        identity(&modules)
    ));
    if !view.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(views)?;
        scratch::sweep(views);
        remove_unused(views);
        make(mounted()?, &view)?;
    }
    // By which others see that it is in use.
    fs::File::open(&view)?.set_modified(SystemTime::now())?;
    Ok(view)
}

/// Removes views that nobody has used for longer than any run takes: some thousand small files each.
fn remove_unused(views: &Path) {
    for entry in fs::read_dir(views).into_iter().flatten().flatten() {
        let is_view = entry.file_name().to_string_lossy().starts_with("tracing-");
        let used = entry.metadata().and_then(|meta| meta.modified());
        let unused = used.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > UNUSED));
        if is_view && unused {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// A hash of which modules are loaded, and where (proc_modules(5): name, size, users, users' names,
/// state, address).
fn identity(modules: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for line in modules.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields.first(), fields.get(5)).hash(&mut hasher);
    }
    hasher.finish()
}

/// Copies `id` and `format` of every event.
fn make(tracefs: &Path, view: &Path) -> io::Result<()> {
    let parent = view
        .parent()
        .ok_or_else(|| io::Error::other("the view has no parent folder"))?;
    // Made aside and renamed, so that nobody sees half a view.
    let aside = Scratch::within(parent, "tracing")?;
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
    match fs::rename(aside.path(), view) {
        // Somebody else was first.
        Err(_) if view.exists() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_for_one_set_of_modules_however_they_are_used() {
        let one =
            "veth 45056 0 - Live 0xffffffffc0a1e000\nnf_nat 12 1 veth, Live 0xffffffffc0b00000\n";
        let used =
            "veth 45056 3 - Live 0xffffffffc0a1e000\nnf_nat 12 2 veth, Live 0xffffffffc0b00000\n";
        let moved =
            "veth 45056 0 - Live 0xffffffffc0a2e000\nnf_nat 12 1 veth, Live 0xffffffffc0b00000\n";
        assert_eq!(identity(one), identity(used));
        assert_ne!(identity(one), identity(moved));
        assert_ne!(identity(one), identity(""));
    }
}
