//! `lab pgo token`: who may do what with a store.

use std::path::Path;

use pgo::store::{Tokens, moment};

use super::serve::told;
use crate::{
    cli::Token,
    trouble::{Exit, Outcome, Trouble},
};

/// Runs the command.
pub fn run(command: Token) -> Outcome {
    match command {
        Token::Add { name, scopes, data } => {
            let now = pgo::server::now();
            let made = Tokens::open(&data).and_then(|tokens| tokens.add(&name, &scopes, now));
            let Some(text) = made.map_err(told)? else {
                return Err(Trouble::usage(
                    format!("there is a token `{name}` already"),
                    format!("choose another name, or remove it first: lab pgo token remove {name}"),
                ));
            };
            outln!("{text}");
            errln!(
                "Keep it: the store keeps only its hash. Clients send `Authorization: Bearer TOKEN`, or it as password."
            );
        }
        Token::List { data } => {
            let tokens = opened(&data)?.list().map_err(told)?;
            if tokens.is_empty() {
                errln!("There are no tokens: anybody on the server's machine may do everything.");
            }
            for token in tokens {
                outln!(
                    "{:<20} {:<16} since {}",
                    token.name,
                    token.scopes.to_string(),
                    moment(token.created)
                );
            }
        }
        Token::Remove { name, data } => {
            if !opened(&data)?.remove(&name).map_err(told)? {
                return Err(Trouble::usage(
                    format!("there is no token `{name}`"),
                    "lab pgo token list lists them",
                ));
            }
        }
    }
    Ok(Exit::Pass)
}

/// The tokens of a store that is there.
fn opened(data: &Path) -> Outcome<Tokens> {
    if !data.join(pgo::store::INDEX).is_file() {
        return Err(Trouble::usage(
            format!("there is no store in {}", data.display()),
            "--data names its folder",
        ));
    }
    Tokens::open(data).map_err(told)
}
