//! The linker of BPF objects: bpf-linker, first without `core`.
//!
//! Most of bpf-linker's time goes into reading `core`, of which a BPF program rarely needs
//! anything that was not inlined into it. So the object is linked without it first, and that
//! object is taken if nothing in it is undefined; else it is linked with everything. (Measured for
//! first-probe: 0.03 s without `core` and `compiler_builtins`, 0.31 s with them.)

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use object::{Object as _, ObjectSymbol as _};

/// The name by which this program is the linker, since rustc can't pass it a first argument.
const NAME: &str = "bpf-link";
/// What the linker says when bpf-linker can't be run: not the fault of what it should link.
pub const NOT_STARTED: &str = "cannot start bpf-linker";

/// A path that is this program under the linker's name, in `target`.
///
/// # Errors
/// When the link can't be made.
pub fn path(target: &Path) -> std::io::Result<PathBuf> {
    let link = fs::canonicalize(target)?.join(NAME);
    let this = crate::site::this_program()?;
    if fs::read_link(&link).ok().as_deref() != Some(&this) {
        let aside = link.with_extension(std::process::id().to_string());
        std::os::unix::fs::symlink(&this, &aside)?;
        fs::rename(&aside, &link)?;
    }
    Ok(link)
}

/// Links, if this program was called as the linker.
pub fn called(args: &[OsString]) -> Option<ExitCode> {
    let name = Path::new(args.first()?).file_name()?;
    (name == NAME).then(|| link(&args[1..]))
}

fn link(args: &[OsString]) -> ExitCode {
    let without: Vec<&OsString> = args.iter().filter(|arg| !is_library_of_rust(arg)).collect();
    if without.len() < args.len()
        && let Ok(output) = linker().args(&without).output()
        && output.status.success()
        && output_of(args).is_some_and(is_complete)
    {
        err!("{}", String::from_utf8_lossy(&output.stderr));
        return ExitCode::SUCCESS;
    }
    match linker().args(args).status() {
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            errln!("{NOT_STARTED}: {error}. `./lab setup` installs it.");
            ExitCode::FAILURE
        }
    }
}

/// bpf-linker: the one that the launcher found, else the one on the search path.
fn linker() -> Command {
    Command::new(env::var_os("PROBELAB_BPF_LINKER").unwrap_or_else(|| "bpf-linker".into()))
}

/// Whether an argument is the archive of `core` or `compiler_builtins`.
fn is_library_of_rust(arg: &OsStr) -> bool {
    let name = Path::new(arg)
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    name.ends_with(".rlib")
        && (name.starts_with("libcore-") || name.starts_with("libcompiler_builtins-"))
}

/// The file that follows `-o`.
fn output_of(args: &[OsString]) -> Option<&Path> {
    let at = args.iter().position(|arg| arg == "-o")?;
    args.get(at + 1).map(Path::new)
}

/// Whether an object is there and has no undefined symbol.
fn is_complete(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| {
        object::File::parse(&*bytes).is_ok_and(|object| {
            // The first symbol of an ELF table stands for none.
            object
                .symbols()
                .all(|symbol| !symbol.is_undefined() || symbol.index().0 == 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rusts_own_archives_are_left_out() {
        for (arg, expected) in [
            ("/x/deps/libcore-0123.rlib", true),
            ("/x/deps/libcompiler_builtins-0123.rlib", true),
            ("/x/deps/libaya_ebpf-0123.rlib", false),
            ("/x/libcore-0123.rlib/other.o", false),
            ("-o", false),
        ] {
            assert_eq!(is_library_of_rust(OsStr::new(arg)), expected, "{arg}");
        }
    }

    #[test]
    fn what_is_no_object_is_not_complete() {
        assert!(!is_complete(Path::new("/nonexistent")));
        assert!(!is_complete(Path::new("/dev/null")));
    }

    #[test]
    fn the_output_is_what_follows_o() {
        let args: Vec<OsString> = ["a.o", "-o", "out", "b.o"].map(OsString::from).to_vec();
        assert_eq!(output_of(&args), Some(Path::new("out")));
        assert_eq!(output_of(&args[..1]), None);
    }
}
