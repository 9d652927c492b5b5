//! The Go services of `go-samples/`, as benches and the tour use them: built, started, given their load.

pub mod arms;
mod build;

/// A service and its load, by where they are. All take the same commands: `serve --addr`, and the load
/// `--addr --seed --mix --requests --workers --seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// As people call it.
    pub name: &'static str,
    /// Folder in `go-samples`, and the service's package below `cmd`.
    folder: &'static str,
    /// The load's package below `cmd`.
    load: &'static str,
    /// Whether it keeps data, in a folder that it is told.
    keeps_data: bool,
}

/// Where PGO finds something to do.
pub const EVENT_STORE: Sample = Sample {
    name: "event store",
    folder: "eventstore",
    load: "eventload",
    keeps_data: true,
};

/// What Go's own tutorial measures.
pub const MARKDOWN: Sample = Sample {
    name: "markdown",
    folder: "markdown",
    load: "markdownload",
    keeps_data: false,
};

/// Where PGO finds little to do.
pub const ORCHESTRATOR: Sample = Sample {
    name: "orchestrator",
    folder: "orchestrator",
    load: "orchestratorload",
    keeps_data: false,
};
