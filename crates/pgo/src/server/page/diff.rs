//! What one version has that another has not.

use std::collections::BTreeMap;

use goprof::{Edge, Edges};
use maud::{Markup, html};

use crate::{
    server::{Answer, Context, query::Query, refusal::Refusal},
    store::{Drift, Error, ServiceName, Store},
};

use super::parts::{call, page, path_of, percent};

/// Calls that are listed: those whose share changed most.
const CALLS: usize = 100;

struct Change {
    edge: Edge,
    /// Shares of all weight, and whether the call is hot.
    from: (f64, bool),
    to: (f64, bool),
}

/// Answers `GET /services/NAME/diff?from=1&to=2`.
pub async fn diff(context: &Context, name: ServiceName, query: &Query) -> Result<Answer, Refusal> {
    let missing =
        |what| Refusal::bad_request(format!("`{what}` is missing: the number of a version"));
    let from = query.number("from")?.ok_or_else(|| missing("from"))?;
    let to = query.number("to")?.ok_or_else(|| missing("to"))?;
    let of = name.clone();
    let (drift, changes) = context
        .aside(move |store| {
            let (from, to) = (calls(store, &of, from)?, calls(store, &of, to)?);
            Ok::<_, Error>((Drift::between(&from, &to), changes(&from, &to)))
        })
        .await??;
    let content = html! {
        nav { a href="/" { "all services" } " / " a href={ "/services/" (path_of(&name)) } { (name) } }
        h1 { (name) ": version " (from) " to " (to) }
        p { (drift) "." }
        table {
            tr { th.n { "in " (from) } th.n { "in " (to) } th { "" } th { "call" } }
            @for change in &changes { (row(change)) }
        }
    };
    Ok(super::html(page(&format!("{name}: diff"), content)))
}

fn row(change: &Change) -> Markup {
    let (from, to) = (change.from, change.to);
    html! {
        tr {
            td.n { (percent(from.0)) }
            td.n { (percent(to.0)) }
            td {
                @match (from.1, to.1) {
                    (false, true) => span.new { "became hot" },
                    (true, false) => span.gone { "no longer hot" },
                    (true, true) => "hot",
                    (false, false) => "",
                }
            }
            td { (call(&change.edge)) }
        }
    }
}

fn calls(store: &Store, name: &ServiceName, number: i64) -> Result<Edges, Error> {
    let version = store.version(name, number)?;
    Ok(Edges::of(&store.version_profile(&version)?))
}

/// What crossed the threshold first, then what changed most.
fn changes(from: &Edges, to: &Edges) -> Vec<Change> {
    let mut all: BTreeMap<&Edge, Change> = BTreeMap::new();
    for (edges, old) in [(from, true), (to, false)] {
        let total = (edges.total() as f64).max(1.0);
        let hot = edges.hot().len();
        for (at, (edge, weight)) in edges.by_weight().into_iter().enumerate() {
            let change = all.entry(edge).or_insert_with(|| Change {
                edge: edge.clone(),
                from: (0.0, false),
                to: (0.0, false),
            });
            let side = if old {
                &mut change.from
            } else {
                &mut change.to
            };
            *side = (weight as f64 / total, at < hot);
        }
    }
    let mut all: Vec<Change> = all.into_values().collect();
    let by = |change: &Change| {
        let moved = (change.to.0 - change.from.0).abs();
        (change.from.1 != change.to.1, moved)
    };
    all.sort_by(|a, b| {
        let (a, b) = (by(a), by(b));
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    all.truncate(CALLS);
    all
}
