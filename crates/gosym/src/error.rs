use std::path::PathBuf;

/// Why a file cannot be read as a Go binary. Each message says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("cannot open {}: {source}; check the path and that you may read it", path.display())]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot read the binary: {0}")]
    Read(#[from] std::io::Error),
    #[error("not an ELF file; give the Linux executable itself, not a script or a package")]
    NotElf,
    #[error("this ELF file is {0}; only 64-bit little-endian amd64 and arm64 are read")]
    Unsupported(String),
    #[error(
        "no Go function table (.gopclntab) found; this is not a Go program, or it was packed after linking"
    )]
    NotGo,
    #[error("built by Go {found}, whose tables lack start lines; rebuild with Go 1.20 or later")]
    TooOld { found: &'static str },
    #[error(
        "the Go function table is damaged: {0}; copy or build the binary again and compare sizes"
    )]
    Damaged(&'static str),
    #[error(
        "the runtime's module data was not found (linked by {version}); its layout is known for Go 1.20 to 1.26"
    )]
    NoModuleData { version: String },
}
