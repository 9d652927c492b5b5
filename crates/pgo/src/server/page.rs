//! Pages for people: what there is, how old it is, and whether it still fits the source. They hold no script
//! and load nothing from elsewhere; a flame graph is a picture with a script of its own, shut in.

mod diff;
mod parts;
mod picture;
mod service;
mod services;

use http_body_util::Full;
use hyper::{
    Response,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue},
};
use maud::Markup;

pub use diff::diff;
pub use picture::flame;
pub use service::service;
pub use services::services;

use super::Answer;

/// A page of these parts.
fn html(markup: Markup) -> Answer {
    let mut answer = Response::new(Full::from(markup.into_string()));
    let headers = answer.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'self'",
        ),
    );
    answer
}
