//! The course as data: labs, tracks, a learner's progress, and their files laid over a lab.
//!
//! - [`Course::load`] reads `labs/NNN-slug/lab.toml` and `course.toml`, strictly: every mistake is
//!   a [`Problem`] with its file, line and fix.
//! - [`Progress`] keeps what a learner has passed, in a file that survives `kill -9`.
//! - [`overlay`] lays a learner's files over a pristine copy of a lab.
//! - [`answers::read`] reads the answers that a learner wrote down.
//!
//! # `lab.toml`
//!
//! | key | what it holds |
//! | --- | --- |
//! | `title`, `summary` | text |
//! | `part`, `revision` | whole numbers; `part` is the folder's number / 100 |
//! | `where` | `vm`, `host` or `split` |
//! | `edit` | the files that a learner changes |
//! | `requires` | slugs of labs that this one builds on (may be left out) |
//! | `[needs]` | `kernel`, `config`, `btf`, `program-types`, `helpers`, `attach`, `capabilities`, `modules`, `arch`, `tools`; all may be left out |
//! | `[[artifact]]` | `name`, `kind`, `path` (of a `go` artifact: also `go-samples/…`, a sample of the course); `pgo` and `ldflags` (go), `package` (cargo, bpf-rust, go), `bin` (cargo, bpf-rust) |
//! | `[run]` | `artifact`; `bpf`, `args`, `env`, `ready` ("ready"), `stop` ("SIGINT"), `output` ("lines"), `seconds` (20, to 600), `output-kib` (64, to 16384) |
//! | `[starter]` | `step` and `fails`, a check of that step |
//! | `[[step]]` | `id`, `title`, `minutes` (1–30), `points` (1–100), `checks`; `artifacts`, `[step.run]` (overrides `[run]` key by key) |
//! | `[[step.hint]]` | `level` (1–3), `text`; `on`, a check of the step. Each level once at least without `on` |
//! | `[[wrong]]` | `name`, `step`, `summary`, `caught-by`; `knows-truth`. Two at least; where a program is run, one of them knows the truth |
//!
//! # `course.toml`
//!
//! | key | what it holds |
//! | --- | --- |
//! | `title`, `default-track` | text; an instructor's file may leave them out |
//! | `planned` | slugs that may be named before their labs are there |
//! | `[track.NAME]` | `title`, `summary`, `labs`; `first-steps` (lab = how many of its first steps) |
//! | `[labs]` | `include` (only these), `exclude` |
//! | `[weights]` | lab = 0 to 100; 1 when not named |
//! | `hint-level-cap` | 0 to 3 |
//! | `hide-solutions` | true or false |
//! | `private` | folders with `labs/` and `solutions/` of their own, relative to the file |

pub mod answers;
mod beneath;
mod capability;
mod config;
mod id;
mod lab;
mod load;
mod near;
mod overlay;
mod parse;
mod problem;
pub mod progress;
mod select;
mod store;
mod table;
mod track;
mod verdict;
mod words;

pub use capability::Capability;
pub use id::{BadId, CheckId, ID_RULE, Slug, StepId, is_id};
pub use lab::{
    Arch, Artifact, ArtifactKind, Hint, KernelVersion, Lab, Needs, NotAKernelVersion, OutputFormat,
    Run, Signal, Starter, Step, Where, Wrong,
};
pub use load::{Course, NotFound};
pub use overlay::{MAX_FILE, Overlaid, OverlayError, overlay};
pub use parse::PROGRAM_TYPES;
pub use problem::{Problem, Problems};
pub use progress::{Notice, Progress, ProgressError};
pub use track::Track;
pub use verdict::{StepResult, Verdict};
