//! The first page: all services.

use goprof::Edges;
use maud::{Markup, html};

use crate::{
    server::{Answer, Context, now, refusal::Refusal},
    store::{Error, Service, Store, moment},
};

use super::parts::{age, page, path_of, still_there};

/// Answers `GET /`.
pub async fn services(context: &Context) -> Result<Answer, Refusal> {
    let now = now();
    let rows = context.aside(rows).await??;
    let content = html! {
        h1 { "Profile store" }
        @if rows.is_empty() {
            p { "No profile was pushed yet. " code { "lab pgo push FILE --service NAME" } " pushes one." }
        } @else {
            table {
                tr {
                    th { "service" } th.n { "profiles" } th.n { "newest" } th.n { "version" } th.n { "its age" }
                    th.n title="of the weight of the hot calls, those whose caller and callee the program of today has" { "hot calls still there" }
                    th { "" }
                }
                @for (service, there) in &rows { (row(service, *there, now)) }
            }
        }
    };
    Ok(super::html(page("Services", content)))
}

fn row(service: &Service, there: Option<f64>, now: i64) -> Markup {
    html! {
        tr {
            td { a href={ "/services/" (path_of(&service.name)) } { (service.name) } }
            td.n { (service.profiles) }
            td.n { @if let Some(last) = service.last { span title=(moment(last)) { (age(last, now)) } } }
            td.n { @if let Some((number, _)) = service.version { (number) } @else { span.dim { "none" } } }
            td.n { @if let Some((_, at)) = service.version { span title=(moment(at)) { (age(at, now)) } } }
            td.n { @if service.version.is_some() { (still_there(there)) } }
            td { @if service.apart > 0 { span.warn { (service.apart) " set apart" } } }
        }
    }
}

type Rows = Vec<(Service, Option<f64>)>;

fn rows(store: &Store) -> Result<Rows, Error> {
    let services = store.services()?.into_iter();
    services
        .map(|service| {
            let there = match store.newest(&service.name)? {
                Some(version) => {
                    let calls = Edges::of(&store.version_profile(&version)?);
                    store.still_there(&service.name, &calls)?
                }
                None => None,
            };
            Ok((service, there))
        })
        .collect()
}
