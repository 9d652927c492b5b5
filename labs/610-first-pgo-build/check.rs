//! The truth: what the Go compiler itself says that it decided (`-gcflags=-m=2`), without a profile
//! and with one. CPU time is not looked at.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use course::answers::Question;
use labcheck::{prelude::*, scratch::Scratch};
use pgo::decisions::{Act, Change, Decision, parse};

use crate::build::go;

pub const STEPS: Steps = &[
    ("build", build),
    ("decisions", decisions),
    ("spoilt", spoilt),
];

/// From the tree that a lab is built in, which lies two levels below the course.
const SAMPLE: &str = "../../go-samples/eventstore";
const PROFILE: &str = "profiles/train.pprof";
const MAIN: &str = "./cmd/eventstore";
/// The packages whose decisions are asked for: the service's own.
const OWN: &str = "probelab.dev/go-samples/eventstore/...";
const ARGS: &str = "build.args";
const ANSWERS: &str = "answers.toml";

/// One call of the event store: the question's id, where the call is, how the source writes it,
/// how the compiler names it (the callee, or the call where it goes through an interface).
const CALLS: [(&str, &str, &str, &str); 6] = [
    (
        "decode",
        "internal/ingest/parse.go",
        "dec.Decode(raw",
        "dec.Decode",
    ),
    (
        "next",
        "internal/event/decode.go",
        "d.lex.next()",
        "(*lexer).next",
    ),
    (
        "members",
        "internal/event/decode.go",
        "d.members(ev)",
        "(*JSON).members",
    ),
    ("add", "internal/query/run.go", "g.agg.add(", "g.agg.add"),
    (
        "result",
        "internal/query/run.go",
        "g.agg.result()",
        "g.agg.result",
    ),
    (
        "commit",
        "internal/ingest/commit.go",
        "g.commit(",
        "(*Ingester).commit",
    ),
];
const DECISIONS: &[&str] = &["devirtualised", "inlined", "unchanged"];
const SPELLINGS: &[&str] = &["one", "two", "three"];
/// What `goprof::check` calls what can be wrong with a profile.
const DEFECTS: &[&str] = &[
    "sample-types",
    "no-samples",
    "start-lines",
    "inlined-frames",
];

fn build(lab: &mut Session) -> Result<(), Stop> {
    let sample = sample(lab)?;
    let args = arguments(lab);
    let args = lab.require("args-allowed", args)?;

    let named = names_the_profile(lab, &args, &sample);
    lab.require("names-the-profile", named)?;

    // First, so that a toolchain that does not work is not taken for the learner's mistake.
    let without = without_profile(&sample)?;
    let folder = Scratch::new("build").map_err(Failure::from)?;
    let program = folder.path().join("eventstore");
    let built = go_build(&sample, &args, &program)?;
    let place = lab.place(ARGS, "-");
    let account = lab.require(
        "builds",
        built.map_err(|first| {
            Failure::learner(format!(
                "`go build {} {MAIN}` failed: {first} Look at {place}.",
                args.join(" ")
            ))
        }),
    )?;

    let info = go_output(
        &sample,
        &["version".into(), "-m".into(), program.display().to_string()],
    )?;
    let used = info
        .lines()
        .any(|line| line.trim_start().starts_with("build\t-pgo="));
    lab.require_that("profile-used", used, || {
        format!("`go version -m` of what was built shows no line `build -pgo=`. Look at {place}.")
    })?;

    let change = Change::between(&without, &parse(&account));
    let (inlined, direct) = (change.inlined().count(), change.devirtualised().count());
    lab.require_that("decisions-changed", inlined > 0 && direct > 0, || {
        format!(
            "with the profile the compiler inlined {inlined} more calls and made {direct} direct."
        )
    })?;
    lab.note(format!(
        "Because of the profile the compiler inlined {inlined} more calls and made {direct} direct."
    ));
    Ok(())
}

fn decisions(lab: &mut Session) -> Result<(), Stop> {
    let ids = CALLS.map(|(id, ..)| id);
    let given = given(lab, &ids);
    let given = lab.require("answered", given)?;

    let sample = sample(lab)?;
    let folder = Scratch::new("build").map_err(Failure::from)?;
    let args = [format!("-pgo={PROFILE}")];
    let account =
        go_build(&sample, &args, &folder.path().join("eventstore"))?.map_err(|first| {
            Failure::infrastructure(format!("the event store does not build: {first}"))
        })?;
    let change = Change::between(&without_profile(&sample)?, &parse(&account));
    let mut right = 0;
    for ((_, file, text, name), answer) in CALLS.iter().zip(&given) {
        let source = fs::read_to_string(sample.join(file)).map_err(Failure::from)?;
        if !source.contains(text) {
            return Err(Stop::Error(format!(
                "{file} no longer holds the call {text}"
            )));
        }
        right += usize::from(answer == decided(&change, file, name));
    }
    let place = lab.place(ANSWERS, "[answer]");
    lab.require_that("decisions-right", right == CALLS.len(), || {
        format!(
            "{right} of your {} answers agree with what the compiler did. Build without and with \
             the profile and compare what `-gcflags={OWN}=-m=2` prints. Look at {place}.",
            CALLS.len()
        )
    })
}

fn spoilt(lab: &mut Session) -> Result<(), Stop> {
    let given = given(lab, &["spoilt", "defect"]);
    let given = lab.require("named", given)?;

    let sample = sample(lab)?;
    let folder = Scratch::new("build").map_err(Failure::from)?;
    let mut useless = Vec::new();
    for name in SPELLINGS {
        let profile = lab.file(&format!("profiles/{name}.pprof"));
        if devirtualised_with(&sample, &profile, &folder.path().join(name))? == 0 {
            useless.push((*name, profile));
        }
    }
    let [(spoilt, profile)] = useless.as_slice() else {
        return Err(Stop::Error(format!(
            "{} of the three profiles are of no use, and it should be one",
            useless.len()
        )));
    };
    let place = lab.place(ANSWERS, "spoilt =");
    lab.require_that("spoilt-right", given[0] == *spoilt, || {
        format!(
            "with profile {} the compiler devirtualises calls, so that one is not spoilt. Look at {place}.",
            given[0]
        )
    })?;

    let profile = goprof::read(&fs::read(profile).map_err(Failure::from)?)
        .map_err(|error| Failure::infrastructure(error.to_string()))?;
    let defects: Vec<&str> = goprof::check(&profile)
        .into_iter()
        .filter(|finding| finding.severity == goprof::Severity::Error)
        .map(|finding| finding.id)
        .collect();
    let place = lab.place(ANSWERS, "defect =");
    lab.require_that("defect-right", defects == [given[1].as_str()], || {
        format!(
            "profile {spoilt} is spoilt, but not by its {}. Compare `go tool pprof -raw` of all three. Look at {place}.",
            given[1]
        )
    })
}

/// The folder of the event store.
fn sample(lab: &Session) -> Result<PathBuf, Failure> {
    fs::canonicalize(lab.file(SAMPLE)).map_err(|error| {
        Failure::infrastructure(format!("go-samples/eventstore can't be found: {error}"))
    })
}

/// What the learner wrote in build.args, if it is nothing but what may be there.
fn arguments(lab: &Session) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(lab.file(ARGS))?;
    let mut args = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let allowed = match line.split_once('=') {
            Some(("-pgo", _)) => true,
            Some(("-ldflags", flags)) => flags.split(' ').all(|flag| matches!(flag, "-s" | "-w")),
            _ => line == "-trimpath",
        };
        if !allowed {
            return Err(Failure::learner(format!(
                "`{line}` is not accepted: one argument a line, of -pgo=…, -trimpath, -ldflags=-s, \
                 -ldflags=-w. Look at {}.",
                lab.place(ARGS, line)
            )));
        }
        args.push(line.to_owned());
    }
    Ok(args)
}

/// Whether `-pgo=` names a file with the committed profile's content.
fn names_the_profile(lab: &Session, args: &[String], sample: &Path) -> Result<(), Failure> {
    let given = args.iter().rev().find_map(|arg| arg.strip_prefix("-pgo="));
    let what = match given {
        None | Some("auto") => format!(
            "go build then looks for default.pgo in {MAIN}, and there is none, so it builds without a profile"
        ),
        Some("off") => "that switches profiles off".to_owned(),
        Some(path) => {
            let wanted = fs::read(sample.join(PROFILE))?;
            let path = sample.join(path);
            match fs::metadata(&path) {
                Err(error) => {
                    format!("seen from go-samples/eventstore, that file can't be read ({error})")
                }
                // A device or a pipe might never end.
                Ok(meta) if !meta.is_file() => "that is not a plain file".to_owned(),
                Ok(meta) if meta.len() == 0 => {
                    "that file is empty: go build takes it and says nothing".to_owned()
                }
                Ok(meta) if meta.len() == wanted.len() as u64 && fs::read(&path)? == wanted => {
                    return Ok(());
                }
                Ok(_) => "that file is not the event store's profile".to_owned(),
            }
        }
    };
    let said = given.map_or("there is no -pgo=".to_owned(), |path| {
        format!("-pgo={path}")
    });
    Err(Failure::learner(format!(
        "{said}: {what}. The build runs in go-samples/eventstore, and its profile is {PROFILE} \
         there. Look at {}.",
        lab.place(ARGS, &said)
    )))
}

/// The learner's answers to `ids`.
fn given(lab: &Session, ids: &[&str]) -> Result<Vec<String>, Failure> {
    let mut questions: Vec<Question<'_>> = CALLS.iter().map(|(id, ..)| (*id, DECISIONS)).collect();
    questions.extend([("spoilt", SPELLINGS), ("defect", DEFECTS)]);
    lab.all_answers(ANSWERS, &questions, ids)
}

/// What the profile made of the calls named `name` in `file`.
fn decided(change: &Change, file: &str, name: &str) -> &'static str {
    let here = |decision: &&Decision| decision.file.ends_with(file);
    let direct = change
        .devirtualised()
        .filter(here)
        .any(|decision| matches!(&decision.act, Act::Devirtualised { call, .. } if call == name));
    let inlined = change
        .inlined()
        .filter(here)
        .any(|decision| matches!(&decision.act, Act::Inlined { callee } if callee == name));
    match (direct, inlined) {
        (true, _) => "devirtualised",
        (false, true) => "inlined",
        (false, false) => "unchanged",
    }
}

fn without_profile(sample: &Path) -> Result<BTreeSet<Decision>, Failure> {
    let folder = Scratch::new("build")?;
    let account = go_build(
        sample,
        &["-pgo=off".into()],
        &folder.path().join("eventstore"),
    )?
    .map_err(|first| Failure::infrastructure(format!("the event store does not build: {first}")))?;
    Ok(parse(&account))
}

/// Builds the event store; gives the compiler's account of its own packages, or the first error.
fn go_build(
    sample: &Path,
    args: &[String],
    program: &Path,
) -> Result<Result<String, String>, Failure> {
    let output = go::command()
        .current_dir(sample)
        .arg("build")
        .args(args)
        .arg(format!("-gcflags={OWN}=-m=2"))
        .arg("-o")
        .arg(program)
        .arg(MAIN)
        .output()
        .map_err(|error| Failure::infrastructure(format!("cannot start go: {error}")))?;
    let account = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(Ok(account));
    }
    // The compiler's account comes in front of what went wrong.
    let last = account.lines().rev().find(|line| !line.is_empty());
    Ok(Err(last.unwrap_or("go build gave no reason").to_owned()))
}

/// How many calls a profile makes direct. The go command knows a profile given by `-pgoprofile`
/// only by its path, so `scratch` must be new.
fn devirtualised_with(sample: &Path, profile: &Path, scratch: &Path) -> Result<usize, Failure> {
    let text = |path: &Path| path.display().to_string();
    let convert = [
        "tool",
        "preprofile",
        "-i",
        &text(profile),
        "-o",
        &text(scratch),
    ];
    go_output(sample, &convert.map(str::to_owned))?;
    let output = go::command()
        .current_dir(sample)
        .args(["build", "-pgo=off"])
        .arg(format!("-gcflags=-m=2 -pgoprofile={}", scratch.display()))
        .arg("./internal/...")
        .output()?;
    if !output.status.success() {
        return Err(Failure::infrastructure(
            "the event store's packages do not build",
        ));
    }
    let with = parse(&String::from_utf8_lossy(&output.stderr));
    // Without a profile the compiler devirtualises none of these.
    Ok(Change::between(&BTreeSet::new(), &with)
        .devirtualised()
        .count())
}

fn go_output(sample: &Path, args: &[String]) -> Result<String, Failure> {
    let output = go::command().current_dir(sample).args(args).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::infrastructure(format!(
        "go {} failed: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr).trim_end()
    )))
}
