//! One service: its versions, its hot calls, its profiles.

use goprof::Edges;
use maud::{Markup, html};

use crate::{
    server::{Answer, Context, now, refusal::Refusal},
    store::{Error, Profile, ServiceName, Store, Version, moment},
};

use super::parts::{age, call, page, path_of, percent, still_there};

/// Calls and profiles that are listed.
const CALLS: usize = 20;
const PROFILES: u32 = 50;

struct Seen {
    versions: Vec<Version>,
    profiles: Vec<Profile>,
    passed_over: i64,
    /// Of the newest version: how many calls are hot, the heaviest with their shares, and what part of the
    /// hot ones' weight the program of today has.
    hot: usize,
    heaviest: Vec<(goprof::Edge, f64)>,
    there: Option<f64>,
}

/// Answers `GET /services/NAME`.
pub async fn service(context: &Context, name: ServiceName) -> Result<Answer, Refusal> {
    let of = name.clone();
    let seen = context.aside(move |store| look(store, &of)).await??;
    let path = path_of(&name);
    let content = html! {
        nav { a href="/" { "all services" } }
        h1 { (name) }
        @if let Some(newest) = seen.versions.first() {
            p {
                a href={ "/v1/services/" (path) "/default.pgo" } { "default.pgo" } " is version " (newest.number)
                ", merged of " (newest.facts.profiles) " profiles. " (seen.hot) " calls are hot; of their weight the program of today has: "
                (still_there(seen.there)) "."
            }
            (heaviest(&seen.heaviest))
        } @else {
            p { "No version was published yet: too few samples." }
        }
        (flame(&path, &seen.profiles))
        (versions(&path, &seen.versions))
        (profiles(&path, &seen.profiles))
        @if seen.passed_over > 0 {
            p.dim { (seen.passed_over) " profiles of other things than CPU time, or of an idle program, were passed over." }
        }
    };
    Ok(super::html(page(name.as_str(), content)))
}

fn look(store: &Store, name: &ServiceName) -> Result<Seen, Error> {
    let versions = store.versions(name)?;
    let profiles = store.profiles(name, PROFILES)?;
    let services = store.services()?;
    let service = services.iter().find(|service| service.name == *name);
    let calls = match versions.first() {
        Some(newest) => Edges::of(&store.version_profile(newest)?),
        None => Edges::default(),
    };
    let total = (calls.total() as f64).max(1.0);
    let heaviest = calls.by_weight().into_iter().take(CALLS);
    Ok(Seen {
        heaviest: heaviest
            .map(|(edge, weight)| (edge.clone(), weight as f64 / total))
            .collect(),
        hot: calls.hot().len(),
        there: store.still_there(name, &calls)?,
        passed_over: service.map_or(0, |service| service.passed_over),
        versions,
        profiles,
    })
}

fn heaviest(calls: &[(goprof::Edge, f64)]) -> Markup {
    html! {
        h2 { "Heaviest calls" }
        table {
            tr { th.n { "weight" } th { "call (line counted from the caller's func)" } }
            @for (edge, share) in calls { tr { td.n { (percent(*share)) } td { (call(edge)) } } }
        }
    }
}

fn flame(path: &str, profiles: &[Profile]) -> Markup {
    html! {
        @if profiles.iter().any(|profile| profile.whole && !profile.apart) {
            h2 { "Flame graph of the newest profiles" }
            iframe sandbox="allow-scripts" title="flame graph" src={ "/v1/services/" (path) "/flame.svg" } {}
            p { a href={ "/v1/services/" (path) "/flame.svg" } { "by itself" } }
        }
    }
}

fn versions(path: &str, versions: &[Version]) -> Markup {
    let now = now();
    html! {
        @if !versions.is_empty() {
            h2 { "Versions" }
            table {
                tr { th.n { "version" } th.n { "age" } th.n { "profiles" } th { "why" } th { "" } }
                @for (at, version) in versions.iter().enumerate() {
                    tr {
                        td.n { a href={ "/v1/services/" (path) "/default.pgo?version=" (version.number) } { (version.number) } }
                        td.n { span title=(moment(version.created)) { (age(version.created, now)) } }
                        td.n { (version.facts.profiles) }
                        td { (version.reason) }
                        td {
                            @if let Some(before) = versions.get(at + 1) {
                                a href={ "/services/" (path) "/diff?from=" (before.number) "&to=" (version.number) } { "diff" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn profiles(path: &str, profiles: &[Profile]) -> Markup {
    let now = now();
    html! {
        h2 { "Newest profiles" }
        table {
            tr { th { "profile" } th.n { "age" } th.n { "samples" } th.n { "CPU s" } th { "labels" } th { "" } }
            @for profile in profiles {
                @let hash = profile.hash.to_hex();
                @let file = format!("/v1/services/{path}/profiles/{hash}");
                tr {
                    td {
                        @if profile.whole {
                            a href=(file) { code { (hash[..12]) } } " "
                            a href={ "/v1/services/" (path) "/flame.svg?profile=" (hash.as_str()) } { "flame graph" }
                        } @else { code { (hash[..12]) } }
                    }
                    td.n { span title=(moment(profile.time)) { (age(profile.time, now)) } }
                    td.n { (profile.samples) }
                    td.n { (format!("{:.1}", profile.cpu as f64 / 1e9)) }
                    td { code { (profile.labels) } }
                    td {
                        @if profile.apart { span.warn { "set apart: another program's? " } }
                        @if profile.skewed { span.warn { "wrong clock" } }
                    }
                }
            }
        }
    }
}
