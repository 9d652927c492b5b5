//! The command line of `lab pgo`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use pgo::{
    server,
    store::{Scopes, ServiceName},
};

use super::ListFormat;

#[derive(Debug, Subcommand)]
pub enum Pgo {
    /// Whether Go's compiler can use a profile, what it would take from it, and what to mend. Exit status
    /// 1 when it can't.
    Check {
        /// In pprof format.
        profile: PathBuf,
        /// A Go program, built from the source of today: are the functions of the profile in it?
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
        /// How many of the heaviest calls to show.
        #[arg(long, default_value_t = 5, value_name = "N")]
        calls: usize,
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Keeps the profiles of services, as agents push them, and gives builds one for each service.
    Serve(Serve),
    /// Sends a profile to such a server.
    Push(Push),
    /// Fetches a service's profile for a build. The file is left alone when it is the same already.
    Pull(Pull),
    /// Who may push, pull, or do everything.
    Token {
        #[command(subcommand)]
        command: Token,
    },
}

/// The folder of a store.
const DATA: &str = "pgo-store";

#[derive(Args, Debug)]
pub struct Serve {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    pub data: PathBuf,
    /// Where it listens. Others than this machine's own addresses take a token first. The port is that of
    /// Pyroscope, whose clients find it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4040")]
    pub listen: SocketAddr,
    /// Profiles of this last time are merged for builds: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = time)]
    pub window: Duration,
    /// What is older is removed.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time)]
    pub keep: Duration,
    /// Whole profiles are kept for this long; then only what Go's compiler reads of them, merged by the hour.
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    pub keep_whole: Duration,
    /// A new version takes more than this many per cent of the weight on calls that became hot, ceased to
    /// be, or go to another callee: each version rebuilds everything.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub drift: u8,
    /// The first version takes this many samples.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub samples: u32,
    /// How often it is looked whether there is a new version.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = time)]
    pub publish: Duration,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub fetch: Fetch,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Services, at most.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub services: usize,
    /// MiB of a request's body, with and without its compression.
    #[arg(long, value_name = "MIB", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub body: u64,
    /// MiB of one profile without gzip.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub unpacked: u64,
    /// Requests a second of each client: each token, or each address where there are no tokens. Four times
    /// as many at once after a pause.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Fetching from programs that serve /debug/pprof")]
pub struct Fetch {
    /// Fetch a service's profile from there, again and again: checkout=http://10.0.0.7:6060. May be given
    /// several times. Without a path it is /debug/pprof/profile.
    #[arg(long, value_name = "SERVICE=URL", value_parser = target)]
    pub fetch: Vec<(ServiceName, String)>,
    /// From one recording's beginning to the next.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    pub fetch_every: Duration,
    /// How long each recording is.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub fetch_for: Duration,
}

/// Which server, and as whom.
#[derive(Args, Debug)]
pub struct Remote {
    /// The server's address. Else that in $PGO_SERVER, or this machine's.
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// A file that holds the token. Else that in $PGO_TOKEN.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Push {
    /// In pprof format.
    #[arg(required_unless_present = "program")]
    pub profile: Option<PathBuf>,
    /// The service that it is of.
    #[arg(long, value_name = "NAME")]
    pub service: ServiceName,
    /// It is this service's, even if it looks like another program's.
    #[arg(long)]
    pub own: bool,
    /// A Go program, built from the source of today: tells the store which functions there still are.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Args, Debug)]
pub struct Pull {
    /// The service.
    #[arg(long, value_name = "NAME")]
    pub service: ServiceName,
    /// The file: `go build` takes one of this name beside package main by itself.
    #[arg(long, short, value_name = "FILE", default_value = "default.pgo")]
    pub output: PathBuf,
    /// This version instead of the newest.
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,
    /// What was recorded in this last time, as it is now, instead of a version.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "version")]
    pub window: Option<Duration>,
    #[command(flatten)]
    pub remote: Remote,
}

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Makes a token and prints it, this once.
    Add {
        /// What it is known by.
        name: String,
        /// push, pull, admin; several with commas.
        #[arg(long, value_name = "LIST")]
        scopes: Scopes,
        /// The store's folder.
        #[arg(long, value_name = "DIR", default_value = DATA)]
        data: PathBuf,
    },
    /// Lists tokens by name.
    List {
        /// The store's folder.
        #[arg(long, value_name = "DIR", default_value = DATA)]
        data: PathBuf,
    },
    /// Removes a token: a server that runs refuses it from then on.
    Remove {
        /// Its name.
        name: String,
        /// The store's folder.
        #[arg(long, value_name = "DIR", default_value = DATA)]
        data: PathBuf,
    },
}

fn time(text: &str) -> Result<Duration, String> {
    server::duration(text)
        .ok_or_else(|| "give a length of time, such as 90s, 10m, 12h or 14d".to_owned())
}

fn target(text: &str) -> Result<(ServiceName, String), String> {
    let (name, url) = text
        .split_once('=')
        .ok_or("give SERVICE=URL, as in checkout=http://10.0.0.7:6060")?;
    let name = name
        .parse::<ServiceName>()
        .map_err(|error| error.to_string())?;
    let url = server::profile_url(url).map_err(|error| error.to_string())?;
    Ok((name, url))
}
