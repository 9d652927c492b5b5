//! The server that `lab pgo push` and `pull` speak with.

use std::{env, fs};

use pgo::{
    client::{Ask, Error, Told},
    store::ServiceName,
};

use crate::{
    cli::Remote,
    trouble::{Outcome, Trouble},
};

/// Where `lab pgo serve` listens unless it is told otherwise.
const HERE: &str = "http://127.0.0.1:4040";

/// The address of something of a service's.
pub fn url(remote: &Remote, service: &ServiceName, what: &str) -> String {
    let server = remote
        .server
        .clone()
        .or_else(|| env::var("PGO_SERVER").ok());
    let server = server.unwrap_or_else(|| HERE.to_owned());
    let service = service.as_str().replace('/', "%2F");
    format!(
        "{}/v1/services/{service}/{what}",
        server.trim_end_matches('/')
    )
}

/// The token that was given, if any.
pub fn token(remote: &Remote) -> Outcome<Option<String>> {
    let text = match &remote.token_file {
        Some(path) => Some(fs::read_to_string(path).map_err(|error| {
            Trouble::usage(
                format!("cannot read {}: {error}", path.display()),
                "give a file that holds the token and nothing else",
            )
        })?),
        None => env::var("PGO_TOKEN").ok(),
    };
    Ok(text.map(|text| text.trim().to_owned()))
}

/// The answer to what was asked, if it is what was asked for.
pub fn asked(ask: Ask) -> Outcome<Told> {
    let url = ask.url.clone();
    ask.ask().and_then(|told| told.ok(&url)).map_err(told)
}

/// An error of the client's, as one of ours.
pub fn told(error: Error) -> Trouble {
    let message = error.to_string();
    match error {
        Error::Url(_) | Error::Https(_) => Trouble::usage(message, ""),
        Error::Refused { status, .. } if status.is_client_error() => Trouble::usage(message, ""),
        Error::Unreachable { .. } => Trouble::infrastructure(
            message,
            "does `lab pgo serve` run there? --server URL names another place",
        ),
        _ => Trouble::infrastructure(message, ""),
    }
}
