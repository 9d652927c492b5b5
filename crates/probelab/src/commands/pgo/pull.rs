//! `lab pgo pull`: a service's profile for a build.

use std::fs;

use pgo::client::{Ask, Method, StatusCode, Told, header::IF_NONE_MATCH};

use super::remote::{asked, token, told, url};
use crate::{
    cli::Pull,
    commands::profile::output::File,
    trouble::{Exit, Outcome},
};

/// Runs the command.
pub fn run(options: &Pull) -> Outcome {
    let what = match (options.version, options.window) {
        (Some(version), _) => format!("default.pgo?version={version}"),
        (_, Some(window)) => format!("default.pgo?window={}s", window.as_secs()),
        _ => "default.pgo".to_owned(),
    };
    let url = url(&options.remote, &options.service, &what);
    let mut ask = Ask::new(Method::GET, &url)
        .map_err(told)?
        .token(token(&options.remote)?.as_deref());
    if let Some(tag) = tag(options) {
        ask = ask.header(IF_NONE_MATCH, &tag);
    }
    // Before it is asked for: then it is known that there is a place for it.
    let file = File::create(&options.output, true)?;
    let told = asked(ask)?;
    let path = options.output.display();
    if told.status == StatusCode::NOT_MODIFIED {
        outln!("{path}: the same already{}", version(&told));
        return Ok(Exit::Pass);
    }
    file.write(&told.body)?;
    outln!(
        "{path}: {} bytes{}, merged of {} profiles",
        told.body.len(),
        version(&told),
        header(&told, "probelab-profiles")
    );
    Ok(Exit::Pass)
}

/// What the server would call the file that is there: a hash of its bytes without gzip. A file that is
/// not written is not newer, and nothing is built again for it.
fn tag(options: &Pull) -> Option<String> {
    let bytes = fs::read(&options.output).ok()?;
    let raw = goprof::unpack(&bytes, goprof::DEFAULT_LIMIT).ok()?;
    Some(format!("\"{}\"", blake3::hash(&raw).to_hex()))
}

fn version(told: &Told) -> String {
    match header(told, "probelab-version") {
        "" => String::new(),
        number => format!(", version {number}"),
    }
}

fn header<'a>(told: &'a Told, name: &str) -> &'a str {
    let value = told.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}
