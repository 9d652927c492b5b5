//! `lab pgo serve`: the profile store.

use std::sync::Arc;

use pgo::{
    server::{Limits, NotStarted, Options, Rate, Server, Target},
    store::{Error, INDEX, Settings, Store, moment},
};

use crate::{
    cli::Serve,
    commands::profile::interrupted,
    trouble::{Exit, OrTrouble as _, Outcome, Trouble},
};

const MIB: u64 = 1 << 20;

/// Runs the command, until it is interrupted.
pub fn run(options: Serve) -> Outcome {
    let settings = Settings {
        window: options.window,
        keep: options.keep,
        keep_whole: options.keep_whole,
        drift: f64::from(options.drift) / 100.0,
        min_samples: i64::from(options.samples),
        unpacked: options.limits.unpacked * MIB,
        services: options.limits.services,
        ..Settings::default()
    };
    let rate = f64::from(options.limits.rate);
    let limits = Limits {
        body: options.limits.body * MIB,
        rate: Rate {
            per_second: rate,
            burst: rate * 4.0,
        },
        ..Limits::default()
    };
    let fetch = options.fetch;
    let targets = fetch.fetch.into_iter().map(|(service, url)| Target {
        service,
        url,
        every: fetch.fetch_every,
        seconds: fetch.fetch_for.as_secs(),
    });
    let address = options.listen;
    // Before a store is made that nobody can have tokens of.
    if !address.ip().is_loopback() && !options.data.join(INDEX).is_file() {
        return Err(not_started(NotStarted::Open { address }));
    }
    let store = Arc::new(Store::open(&options.data, settings).map_err(told)?);
    let open = store.tokens().is_empty().map_err(told)?;
    let stop = interrupted()?;
    let server = Server::bind(
        store,
        Options {
            listen: address,
            limits,
            publish_every: options.publish,
            targets: targets.collect(),
            log: Box::new(|text| errln!("{} {text}", moment(pgo::server::now()))),
        },
    )
    .map_err(not_started)?;
    outln!(
        "http://{} keeps profiles in {}",
        server.address(),
        options.data.display()
    );
    if open {
        errln!(
            "There are no tokens: anybody on this machine may push, pull and remove. `lab pgo token add` changes that."
        );
    }
    server
        .run(&stop)
        .or_infrastructure(|| "the server ended".to_owned())?;
    Ok(Exit::Pass)
}

/// An error of the store's, as one of ours.
pub fn told(error: Error) -> Trouble {
    let message = error.to_string();
    match error {
        Error::Locked { .. } | Error::Later { .. } => Trouble::usage(message, ""),
        _ => Trouble::infrastructure(message, ""),
    }
}

fn not_started(error: NotStarted) -> Trouble {
    match error {
        NotStarted::Store(error) => told(error),
        other => Trouble::usage(other.to_string(), ""),
    }
}
