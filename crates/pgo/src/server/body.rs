//! The body of a request: read whole, within its limits.

use std::{io::Read as _, time::Duration};

use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::refusal::Refusal;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes, and takes off its Content-Encoding.
pub async fn whole(headers: &HeaderMap, body: Incoming, limit: u64) -> Result<Bytes, Refusal> {
    let encoded = encoding(headers)?;
    let too_large = || {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body is larger than {limit} bytes: send less at a time, or start the server with a higher --body"
            ),
        )
    };
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    let bytes = tokio::time::timeout(PATIENCE, collect(body, limit))
        .await
        .map_err(|_| {
            let message = format!(
                "the body took longer than {} s to arrive",
                PATIENCE.as_secs()
            );
            Refusal::new(StatusCode::REQUEST_TIMEOUT, message)
        })??
        .ok_or_else(too_large)?;
    if !encoded {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    MultiGzDecoder::new(&*bytes)
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(|error| {
            Refusal::bad_request(format!("the body's gzip data is damaged: {error}"))
        })?;
    match plain.len() as u64 > limit {
        true => Err(too_large()),
        false => Ok(plain.into()),
    }
}

/// `None` where it is larger than the limit.
async fn collect(mut body: Incoming, limit: u64) -> Result<Option<Bytes>, Refusal> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Refusal::bad_request(format!("the body did not arrive: {error}")))?;
        if let Some(data) = frame.data_ref() {
            if (bytes.len() + data.len()) as u64 > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(Some(bytes.into()))
}

/// Whether the body is gzipped.
fn encoding(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(_) => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "this server takes no Content-Encoding but gzip",
        )),
    }
}

/// The media type, in lower case and without parameters; empty where none is named.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let value = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    value.trim().to_ascii_lowercase()
}

/// What is said of a media type that an endpoint does not take.
pub fn unsupported(found: &str, wanted: &str) -> Refusal {
    let found = match found {
        "" => "no Content-Type".to_owned(),
        found => format!("Content-Type `{}`", found.escape_default()),
    };
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        format!("this endpoint takes {wanted}, and {found} was sent"),
    )
}
