//! `[[artifact]]` and `[run]`.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::{Folder, files};
use crate::id::Slug;
use crate::lab::{Artifact, ArtifactKind, OutputFormat, Run, Signal};
use crate::near::{list, suggest};
use crate::table::{At, Doc, Table, kind};

/// What the path of a sample service starts with; it is relative to the course, not to the lab.
const GO_SAMPLES: &str = "go-samples/";

/// A lab's artifacts, and whether they were read without a mistake: one that was not would make
/// every mention of it a mistake too.
pub(super) struct Artifacts {
    pub(super) all: Vec<Artifact>,
    pub(super) sound: bool,
}

pub(super) fn artifacts(lab: &mut Table<'_>, folder: &Folder) -> Vec<Artifact> {
    let doc = lab.doc;
    let mut all: Vec<Artifact> = Vec::new();
    let tables = lab.tables("artifact", "an artifact");
    if tables.is_empty() {
        doc.report(
            &lab.span,
            "a lab has no artifact",
            "no [[artifact]]",
            "add an [[artifact]] with `name`, `kind` and `path`: what is built, or read, before \
             checking",
        );
    }
    for mut t in tables {
        let name_at = t.str("name", "\"program\"");
        let name = name_at
            .as_ref()
            .and_then(|at| doc.id::<Slug>(at, "an artifact's name"));
        let kind = t.str("kind", "\"cargo\"").and_then(|at| {
            doc.choice(&at, "kind", ArtifactKind::WORDS)?;
            ArtifactKind::from_word(at.value)
        });
        // A Go program may be one of the course's samples instead of the lab's own.
        let inside = |at: &At<&str>| match kind {
            Some(ArtifactKind::Go) if at.value.starts_with(GO_SAMPLES) => {
                files::inside(doc, &folder.course(), at)
            }
            _ => files::inside(doc, folder, at),
        };
        let path = t.str("path", "\".\"").and_then(|at| inside(&at));
        let pgo_at = t.opt_str("pgo");
        let ldflags = t.opt_str("ldflags");
        let package = t.opt_str("package");
        let bin = t.opt_str("bin");
        let pgo = pgo_at.as_ref().and_then(inside);
        if let Some(kind) = kind {
            use ArtifactKind::{BpfRust, Cargo, Go};
            only_for(doc, "pgo", pgo_at.as_ref(), kind, &[Go]);
            only_for(doc, "ldflags", ldflags.as_ref(), kind, &[Go]);
            only_for(
                doc,
                "package",
                package.as_ref(),
                kind,
                &[Cargo, BpfRust, Go],
            );
            only_for(doc, "bin", bin.as_ref(), kind, &[Cargo, BpfRust]);
        }
        if let (Some(name), Some(at)) = (&name, &name_at)
            && all.iter().any(|a| a.name == *name)
        {
            doc.report(
                &at.span,
                format!("two artifacts are called `{name}`"),
                "the second one",
                "give each its own name",
            );
        }
        t.finish();
        if let Some(name) = name {
            all.push(Artifact {
                name,
                // After a mistake any kind will do: the lab is not handed out.
                kind: kind.unwrap_or(ArtifactKind::Answers),
                path: path.unwrap_or_default(),
                pgo,
                ldflags: ldflags.map(|flags| flags.value.to_owned()),
                package: package.map(|p| p.value.to_owned()),
                bin: bin.map(|b| b.value.to_owned()),
            });
        }
    }
    all
}

fn only_for(
    doc: &Doc,
    key: &str,
    at: Option<&At<&str>>,
    kind: ArtifactKind,
    kinds: &[ArtifactKind],
) {
    if let Some(at) = at
        && !kinds.contains(&kind)
    {
        let words: Vec<&str> = kinds.iter().map(|k| k.word()).collect();
        doc.report(
            &at.span,
            format!("an artifact of kind `{kind}` takes no `{key}`"),
            "means nothing here",
            format!("remove `{key}`; it is for {}", list(&words)),
        );
    }
}

/// Reads `[run]`. A step's own overrides, key by key, that of the lab (`base`).
pub(super) fn run(t: &mut Table<'_>, artifacts: &Artifacts, base: Option<&Run>) -> Option<Run> {
    let mut r = t.table("run", "a run")?;
    let doc = r.doc;
    let artifact_at = match base {
        Some(_) => r.opt_str("artifact"),
        None => r.str("artifact", "\"program\""),
    };
    let artifact = artifact_at.and_then(|at| {
        let found = known(doc, &at, artifacts)?;
        if found.kind != ArtifactKind::Cargo {
            doc.report(
                &at.span,
                format!(
                    "`{}` is of kind `{}`, and only a `cargo` artifact is run",
                    at.value, found.kind
                ),
                "can't be run",
                "name the user-space program; other kinds are loaded or read by checks",
            );
        }
        Some(found.name.clone())
    });
    let bpf = r.opt_str("bpf").and_then(|at| {
        let found = known(doc, &at, artifacts)?;
        if matches!(
            found.kind,
            ArtifactKind::Cargo | ArtifactKind::Answers | ArtifactKind::Go
        ) {
            doc.report(
                &at.span,
                format!(
                    "`{}` is of kind `{}`, which gives no object to load",
                    at.value, found.kind
                ),
                "no BPF object",
                "name an artifact of kind `bpf-rust`, `bpf-c`, `cbpf` or `kmod`",
            );
        }
        Some(found.name.clone())
    });
    // Absent is not the same as empty: an empty list of a step takes the lab's arguments away.
    let args = r.know("args").then(|| {
        let args = r.strings_with_repeats("args");
        args.iter().map(|a| a.value.to_owned()).collect()
    });
    let env = r.know("env").then(|| env(&mut r));
    let ready = r.opt_str("ready").map(|at| at.value.to_owned());
    let stop = r.opt_str("stop").and_then(|at| {
        doc.choice(&at, "stop", Signal::WORDS)?;
        Signal::from_word(at.value)
    });
    let output = r.opt_str("output").and_then(|at| {
        doc.choice(&at, "output", OutputFormat::WORDS)?;
        OutputFormat::from_word(at.value)
    });
    let seconds = r.opt_int("seconds", 1..=600).map(|s| s.value);
    let output_kib = r.opt_int("output-kib", 1..=16_384).map(|s| s.value);
    r.finish();
    Some(Run {
        artifact: artifact.or_else(|| base.map(|b| b.artifact.clone()))?,
        bpf: bpf.or_else(|| base.and_then(|b| b.bpf.clone())),
        args: args
            .or_else(|| base.map(|b| b.args.clone()))
            .unwrap_or_default(),
        env: env
            .or_else(|| base.map(|b| b.env.clone()))
            .unwrap_or_default(),
        ready: ready
            .or_else(|| base.map(|b| b.ready.clone()))
            .unwrap_or_else(|| "ready".to_owned()),
        stop: stop.or(base.map(|b| b.stop)).unwrap_or(Signal::Int),
        output: output
            .or(base.map(|b| b.output))
            .unwrap_or(OutputFormat::Lines),
        seconds: seconds.or(base.map(|b| b.seconds)).unwrap_or(20),
        output_kib: output_kib.or(base.map(|b| b.output_kib)).unwrap_or(64),
    })
}

/// The artifact of that name.
pub(super) fn known<'a>(
    doc: &Doc,
    at: &At<&str>,
    artifacts: &'a Artifacts,
) -> Option<&'a Artifact> {
    if !artifacts.sound {
        return None;
    }
    let found = artifacts.all.iter().find(|a| a.name == *at.value);
    if found.is_none() {
        let names: Vec<&str> = artifacts.all.iter().map(|a| a.name.as_str()).collect();
        doc.report(
            &at.span,
            format!("no artifact is called `{}`", at.value),
            "unknown artifact",
            suggest(at.value, &names, "the lab has no artifact yet"),
        );
    }
    found
}

fn env(run: &mut Table<'_>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let Some(t) = run.table("env", "an environment") else {
        return variables;
    };
    for (key, value) in t.entries() {
        let DeValue::String(text) = value.get_ref() else {
            t.doc.report(
                &value.span(),
                format!(
                    "the variable `{}` must be a string, and here it is {}",
                    key.value,
                    kind(value)
                ),
                "should be a string",
                "put it in quotation marks",
            );
            continue;
        };
        let named_well =
            key.value.bytes().enumerate().all(|(i, b)| {
                b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit())
            });
        if key.value.is_empty() || !named_well || key.value.starts_with("LAB_") {
            t.doc.report(
                &key.span,
                format!("`{}` can't be a variable of a run", key.value),
                "bad name",
                "use letters, digits and `_`; names that start with LAB_ are the harness's own",
            );
            continue;
        }
        variables.insert(key.value.to_owned(), text.as_ref().to_owned());
    }
    variables
}

/// Reads a list of artifact names.
pub(super) fn names(t: &mut Table<'_>, artifacts: &Artifacts) -> Option<Vec<Slug>> {
    if !t.know("artifacts") {
        return None;
    }
    let doc = t.doc;
    let found = t.strings("artifacts");
    Some(
        found
            .iter()
            .filter_map(|at| known(doc, at, artifacts).map(|a| a.name.clone()))
            .collect(),
    )
}
