//! Flame graphs.

use goprof::{flame_graph_of, folded};
use http_body_util::Full;
use hyper::{
    Response,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue},
};

use crate::{
    server::{Answer, Context, listing::hash_of, query::Query, refusal::Refusal},
    store::{Error, ServiceName, Store},
};

/// Profiles that are drawn together.
const PROFILES: u32 = 20;

/// Answers `GET …/flame.svg`: the newest whole profiles together, or the one with `profile=HASH`.
pub async fn flame(context: &Context, name: ServiceName, query: &Query) -> Result<Answer, Refusal> {
    let wanted = query.get("profile").map(hash_of).transpose()?;
    let svg = context
        .blocking(&context.merging, move |store| {
            let hashes = match wanted {
                Some(hash) => vec![hash],
                None => store
                    .profiles(&name, PROFILES)?
                    .into_iter()
                    .filter(|profile| profile.whole && !profile.apart)
                    .map(|profile| profile.hash)
                    .collect(),
            };
            let text = stacks(store, &name, &hashes)?;
            Ok::<_, Error>(flame_graph_of(&text, name.as_str(), "nanoseconds")?)
        })
        .await??;
    let mut answer = Response::new(Full::from(svg));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    // It zooms by a script of its own, which gets at nothing: not even at what the browser knows of this site.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        ),
    );
    Ok(answer)
}

/// The stacks of profiles, one a line, with CPU time.
fn stacks(store: &Store, name: &ServiceName, hashes: &[blake3::Hash]) -> Result<String, Error> {
    let mut text = String::new();
    for hash in hashes {
        let raw = store.raw(name, hash)?;
        let mut profile = goprof::read_limited(&raw, store.settings().unpacked)?;
        // Samples of different lengths can't be summed, time can.
        profile.keep_cpu_time()?;
        text += &folded(&profile);
    }
    Ok(text)
}
