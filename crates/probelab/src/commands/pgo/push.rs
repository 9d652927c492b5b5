//! `lab pgo push`: a profile, or the functions of a program, to the store.

use std::{fs, path::Path};

use gosym::Binary;

use pgo::client::{Ask, Method};

use super::remote::{asked, token, told, url};
use crate::{
    cli::Push,
    trouble::{Exit, Outcome, Trouble},
};

/// Runs the command.
pub fn run(options: &Push) -> Outcome {
    let token = token(&options.remote)?;
    let send = |what: &str, body: Vec<u8>| {
        let url = url(&options.remote, &options.service, what);
        let ask = Ask::new(Method::PUT, &url).map_err(told)?;
        asked(ask.token(token.as_deref()).body(body))
    };
    let read = |path: &Path| {
        fs::read(path).map_err(|error| {
            Trouble::usage(
                format!("cannot read {}: {error}", path.display()),
                "give a profile in pprof format",
            )
        })
    };
    if let Some(path) = &options.profile {
        let what = if options.own {
            "profile?own=true"
        } else {
            "profile"
        };
        let told = send(what, read(path)?)?;
        let value: serde_json::Value = serde_json::from_slice(&told.body).unwrap_or_default();
        let outcome = match value["outcome"].as_str() {
            Some("kept") => "kept",
            Some("known") => "known already",
            _ => "set apart",
        };
        outln!(
            "{}: {outcome} as a profile of {}",
            path.display(),
            options.service
        );
        if let Some(note) = value["note"].as_str() {
            outln!("{note}");
        }
    }
    if let Some(path) = &options.program {
        let binary = Binary::open(path).map_err(|error| {
            Trouble::usage(
                format!("{}: {error}", path.display()),
                "give a program that `go build` made from the source of today",
            )
        })?;
        let mut names: Vec<_> = binary.names().collect();
        names.sort_unstable();
        names.dedup();
        send("program", names.join("\n").into_bytes())?;
        outln!(
            "{}: {} functions are known of {}",
            path.display(),
            names.len(),
            options.service
        );
    }
    Ok(Exit::Pass)
}
