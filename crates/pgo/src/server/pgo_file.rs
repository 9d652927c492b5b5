//! `default.pgo`: what `go build` is given.

use blake3::Hash;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{
        CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
        IF_NONE_MATCH,
    },
};

use crate::store::{Error, Facts, Published, ServiceName, Store, Version};

use super::{Answer, Context, empty, query::Query, refusal::Refusal};

/// What is given out.
struct Served {
    hash: Hash,
    packed: Vec<u8>,
    facts: Facts,
    version: Option<i64>,
}

/// Answers `GET …/default.pgo`. Without parameters it is the newest version, which stays the same as long
/// as builds with it are what builds with the newest profiles would be; with `version` that one; with
/// `window` what was recorded in that last time, as it is now.
pub async fn answer(
    context: &Context,
    name: ServiceName,
    request: &Request<Incoming>,
) -> Result<Answer, Refusal> {
    let query = Query::of(request.uri());
    let (version, window) = (query.number("version")?, query.duration("window")?);
    if version.is_some() && window.is_some() {
        return Err(Refusal::bad_request(
            "`version` is one that was published, and `window` merges anew: give one of them",
        ));
    }
    let now = super::now();
    let served = context
        .blocking(&context.merging, move |store| match (version, window) {
            (Some(number), _) => Served::of(store, &store.version(&name, number)?),
            (None, Some(window)) => {
                let merged = store.window(&name, window, now)?;
                Ok(Served {
                    hash: merged.hash,
                    packed: merged.packed,
                    facts: merged.facts,
                    version: None,
                })
            }
            (None, None) => Served::of(store, &newest(store, &name, now)?),
        })
        .await??;
    let etag = format!("\"{}\"", served.hash.to_hex());
    let known = request.headers().get_all(IF_NONE_MATCH).iter();
    let known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == etag || tag == "*");
    let mut answer = match known {
        true => {
            let mut answer = Response::new(empty());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            answer
        }
        false => Response::new(Full::from(served.packed)),
    };
    let cache = match version {
        // What was published never changes.
        Some(_) => "private, max-age=31536000, immutable",
        None => "private, no-cache",
    };
    let facts = served.facts;
    let recorded = [facts.first, facts.last].map(crate::store::moment);
    let mut headers = vec![
        (ETAG, etag),
        (CACHE_CONTROL, cache.to_owned()),
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"default.pgo\"".to_owned(),
        ),
        (header("probelab-profiles"), facts.profiles.to_string()),
        (header("probelab-recorded"), recorded.join("/")),
        (header("probelab-inputs"), facts.inputs.to_hex().to_string()),
    ];
    headers.extend(
        served
            .version
            .map(|number| (header("probelab-version"), number.to_string())),
    );
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(answer)
}

const fn header(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

impl Served {
    fn of(store: &Store, version: &Version) -> Result<Self, Error> {
        Ok(Self {
            hash: version.hash,
            packed: store.published(version)?,
            facts: version.facts,
            version: Some(version.number),
        })
    }
}

/// The newest version; the first where there is none yet and could be one.
fn newest(store: &Store, name: &ServiceName, now: i64) -> Result<Version, Error> {
    if let Some(version) = store.newest(name)? {
        return Ok(version);
    }
    match store.publish(name, now)? {
        Published::New(version) | Published::Same(version, _) => Ok(version),
    }
}
