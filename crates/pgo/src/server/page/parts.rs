//! What pages are made of.

use goprof::Edge;
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::store::{ServiceName, Time};

const STYLE: &str = "\
:root { color-scheme: light dark }\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }\
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2rem }\
table { border-collapse: collapse; width: 100% }\
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }\
th { font-weight: 600 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }\
code { font-size: .9em; overflow-wrap: anywhere }\
.warn { color: #b35900 } .gone { color: #b00020 } .new { color: #00733b }\
@media (prefers-color-scheme: dark) { .warn { color: #ffb366 } .gone { color: #ff8a8a } .new { color: #7ee2a8 } a { color: #8ab4ff } }\
iframe { width: 100%; height: 34rem; border: 1px solid #8884; background: white }\
nav { margin-bottom: 1rem } .dim { opacity: .7 }";

/// A whole page.
pub fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – profile store" }
                style { (maud::PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    }
}

/// A service's name as it stands in a path.
pub fn path_of(name: &ServiceName) -> String {
    const SEPARATORS: &AsciiSet = &CONTROLS.add(b'/').add(b'%');
    utf8_percent_encode(name.as_str(), SEPARATORS).to_string()
}

/// How long ago something was: `3 h`.
pub fn age(time: Time, now: Time) -> String {
    let seconds = now.saturating_sub(time).max(0) / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A share with a digit behind the point.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A call: `caller:3 → callee`.
pub fn call(edge: &Edge) -> Markup {
    html! { code { (edge.caller) ":" (edge.offset) " → " (edge.callee) } }
}

/// The part of the hot calls' weight that the program of today has.
pub fn still_there(share: Option<f64>) -> Markup {
    match share {
        None => {
            html! { span.dim title="lab pgo push --program FILE tells the store which functions there are" { "not known" } }
        }
        Some(share) if share < 0.95 => html! { span.warn { (percent(share)) } },
        Some(share) => html! { (percent(share)) },
    }
}
