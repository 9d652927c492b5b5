//! What clients push, each in their own words.

use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::store::{Error, Outcome, Pushed, Receipt, ServiceName, Time};

use super::{
    Answer, Context,
    body::{media_type, unsupported, whole},
    empty, json,
    labels::{self, Labels},
    multipart,
    push::{self, Series},
    query::Query,
    refusal::Refusal,
};

/// How many profiles of a push were sound and no use: of other things than CPU time, or empty.
const PASSED_OVER: HeaderName = HeaderName::from_static("probelab-passed-over");
/// How many look like another program's.
const APART: HeaderName = HeaderName::from_static("probelab-set-apart");

/// A profile on its way to the store.
struct Arrived {
    service: ServiceName,
    bytes: Bytes,
    labels: Labels,
    began: Option<Time>,
    own: bool,
}

/// `POST /ingest`, as Pyroscope's clients push: a form with a part `profile`, or the bare pprof.
pub async fn ingest(context: &Context, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let query = Query::of(request.uri());
    let (head, body) = request.into_parts();
    if let Some(format) = query.get("format").filter(|format| *format != "pprof") {
        return Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "format `{}` has no calls that PGO could use: send pprof",
                format.escape_default()
            ),
        ));
    }
    let name = query.get("name").ok_or_else(|| {
        Refusal::bad_request("the parameter `name` is missing: /ingest?name=SERVICE")
    })?;
    let (name, labels) = labels::application(name);
    let service = name.parse().map_err(Error::from)?;
    let body = whole(&head.headers, body, context.limits.body).await?;
    let bytes = match media_type(&head.headers).as_str() {
        "multipart/form-data" => {
            let content_type = head.headers.get(CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            let part = multipart::part(content_type.unwrap_or_default(), &body, "profile");
            let part = part.ok_or_else(|| {
                Refusal::bad_request("the form has no whole part `profile`, which holds the pprof")
            })?;
            body.slice_ref(part)
        }
        _ => body,
    };
    let arrived = Arrived {
        service,
        bytes,
        labels,
        began: query.get("from").and_then(since_1970),
        own: false,
    };
    answer_agent(context, vec![arrived], Response::new(empty())).await
}

/// `POST /push.v1.PusherService/Push`: a Connect call.
pub async fn connect_push(
    context: &Context,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    let media = media_type(&head.headers);
    let is_json = match media.as_str() {
        "application/proto" => false,
        "application/json" => true,
        other => {
            return Err(unsupported(
                other,
                "Connect's application/proto or application/json",
            ));
        }
    };
    let body = whole(&head.headers, body, context.limits.body).await?;
    // An empty PushResponse.
    let (series, answer) = match is_json {
        true => (
            push::of_json(&body)?,
            json(StatusCode::OK, &serde_json::json!({})),
        ),
        false => (push::of_proto(&body)?, Response::new(empty())),
    };
    let mut answer = answer_agent(context, arrived(series)?, answer).await?;
    if let Ok(value) = HeaderValue::from_str(&media) {
        answer.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(answer)
}

/// `POST /profiles/writeraw`: Parca's JSON.
pub async fn write_raw(context: &Context, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    match media_type(&head.headers).as_str() {
        "application/json" | "" => {}
        other => return Err(unsupported(other, "Parca's JSON")),
    }
    let body = whole(&head.headers, body, context.limits.body).await?;
    let answer = json(StatusCode::OK, &serde_json::json!({}));
    answer_agent(context, arrived(push::of_json(&body)?)?, answer).await
}

/// `PUT /v1/services/NAME/profile`: the bare pprof. `?own=true` takes it for this service's, whatever it
/// looks like. What is no use is refused, since somebody meant this one.
pub async fn put(
    context: &Context,
    service: ServiceName,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let query = Query::of(request.uri());
    let (head, body) = request.into_parts();
    let bytes = whole(&head.headers, body, context.limits.body).await?;
    let own = query.flag("own")?;
    let of = service.to_string();
    let arrived = Arrived {
        service,
        bytes,
        labels: Vec::new(),
        began: None,
        own,
    };
    let receipt = keep(context, arrived).await??;
    let hash = receipt.hash.to_hex();
    let (status, outcome, note) = match receipt.outcome {
        Outcome::Kept => (StatusCode::CREATED, "kept", None),
        Outcome::Known => (
            StatusCode::OK,
            "known",
            Some("the same bytes were pushed before; they count once".to_owned()),
        ),
        Outcome::Apart(share) => (
            StatusCode::ACCEPTED,
            "set-apart",
            Some(format!(
                "it looks like another program's profile: {:.0} % of the weight on its own functions is on calls that `{of}` \
             is known to have; it is kept, and in no merge until somebody says that it is right (?own=true)",
                share * 100.0
            )),
        ),
    };
    let note = note.or_else(|| {
        let note = "its clock can't be right, so the time at which it came counts";
        receipt.skewed.then(|| note.to_owned())
    });
    Ok(json(
        status,
        &serde_json::json!({ "profile": hash.as_str(), "outcome": outcome, "note": note }),
    ))
}

fn arrived(all: Vec<Series>) -> Result<Vec<Arrived>, Refusal> {
    let mut profiles = Vec::new();
    for series in all {
        let service: ServiceName = labels::service(&series.labels)?
            .parse()
            .map_err(Error::from)?;
        profiles.extend(series.profiles.into_iter().map(|bytes| Arrived {
            service: service.clone(),
            bytes: bytes.into(),
            labels: series.labels.clone(),
            began: None,
            own: false,
        }));
    }
    Ok(profiles)
}

/// Keeps what an agent sent. Agents push profiles of all kinds, and those of idle programs: what is no use
/// is passed over, and only counted.
async fn answer_agent(
    context: &Context,
    all: Vec<Arrived>,
    mut answer: Answer,
) -> Result<Answer, Refusal> {
    let (mut passed_over, mut apart) = (0_u32, 0_u32);
    for arrived in all {
        let service = arrived.service.clone();
        match keep(context, arrived).await? {
            Ok(receipt) => {
                if let Outcome::Apart(share) = receipt.outcome {
                    apart += 1;
                    context.log(&format!(
                        "{service}: profile {} looks like another program's ({:.0} % in common) and was set apart",
                        receipt.hash.to_hex(),
                        share * 100.0
                    ));
                }
            }
            Err(error) if error.is_no_use() => passed_over += 1,
            // Those before it are kept; sent again, they count once.
            Err(error) => return Err(error.into()),
        }
    }
    for (name, count) in [(PASSED_OVER, passed_over), (APART, apart)] {
        if count > 0 {
            answer.headers_mut().insert(name, count.into());
        }
    }
    Ok(answer)
}

/// Gives a profile to the store; few at a time, since each may take much memory while it is looked at.
async fn keep(context: &Context, arrived: Arrived) -> Result<Result<Receipt, Error>, Refusal> {
    let now = super::now();
    context
        .blocking(&context.judging, move |store| {
            let Arrived {
                service,
                bytes,
                labels,
                began,
                own,
            } = &arrived;
            let pushed = Pushed {
                service,
                bytes,
                labels,
                began: *began,
                own: *own,
            };
            store.push(pushed, now)
        })
        .await
}

/// A time as Pyroscope's clients send it: seconds, or finer where the number is too large for that.
fn since_1970(text: &str) -> Option<Time> {
    const SECOND: i64 = 1_000_000_000;
    let number: i64 = text.parse().ok()?;
    // Seconds are below 10^11 until the year 5138, milliseconds below 10^14, microseconds below 10^17.
    let unit = match number {
        i64::MIN..=0 => return None,
        1..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => SECOND / 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => SECOND / 1_000_000,
        _ => 1,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_units_are_the_same_moment() {
        for text in [
            "1790856000",
            "1790856000000",
            "1790856000000000",
            "1790856000000000000",
        ] {
            assert_eq!(since_1970(text), Some(1_790_856_000_000_000_000), "{text}");
        }
        for text in ["", "now-1h", "-5", "0"] {
            assert_eq!(since_1970(text), None, "{text}");
        }
    }
}
