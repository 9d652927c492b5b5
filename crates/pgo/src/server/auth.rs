//! Who asks, and whether they may.

use std::net::{IpAddr, SocketAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{
    HeaderMap, StatusCode, Uri,
    header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE},
};

use crate::store::{Scope, Tokens};

use super::refusal::Refusal;

/// Somebody who may.
#[derive(Debug)]
pub struct Client {
    /// What their requests are counted by.
    pub name: String,
}

/// Lets a request pass that bears a token with the scope. Where there are no tokens at all, anybody on this
/// machine may do everything, as long as the server listens to nobody else.
pub fn allowed(
    tokens: &Tokens,
    listens: SocketAddr,
    peer: IpAddr,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<Client, Refusal> {
    same_site(headers)?;
    let given = token(headers)?;
    if tokens.is_empty()? && listens.ip().is_loopback() {
        // Names that lead here by DNS may be anybody's.
        return match names_this_machine(headers) {
            true => Ok(Client {
                name: peer.to_string(),
            }),
            false => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "without tokens this server answers only to `localhost` and loopback addresses: make a token with `lab pgo token add`",
            )),
        };
    }
    let Some(given) = given else {
        return Err(unknown(format!(
            "this takes a token with scope `{}`: send `Authorization: Bearer TOKEN`; `lab pgo token add` makes one",
            scope.word()
        )));
    };
    match tokens.check(&given)? {
        None => Err(unknown("this token is not known: it may have been removed")),
        Some((name, scopes)) if !scopes.allow(scope) => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!(
                "the token `{name}` has scope `{scopes}`, and this takes `{}`",
                scope.word()
            ),
        )),
        Some((name, _)) => Ok(Client {
            name: format!("token {name}"),
        }),
    }
}

/// 401; browsers ask for user and password then, of which the latter is the token.
fn unknown(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, message).with(
        WWW_AUTHENTICATE,
        "Basic realm=\"profile store: the token as password\", charset=\"UTF-8\"",
    )
}

/// The token of `Bearer TOKEN`, or of `Basic`, whose password it is.
fn token(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let wrong = || {
        unknown(
            "the Authorization header is neither `Bearer TOKEN` nor `Basic` with the token as password",
        )
    };
    let (scheme, rest) = value
        .to_str()
        .ok()
        .and_then(|value| value.trim().split_once(' '))
        .ok_or_else(wrong)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Some(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(wrong());
    }
    let text = BASE64_STANDARD.decode(rest).ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let password = text
        .as_deref()
        .and_then(|text| Some(text.split_once(':')?.1));
    password
        .map(|password| Some(password.to_owned()))
        .ok_or_else(wrong)
}

/// Refuses what another site's page makes a browser send.
fn same_site(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) if origin == host => Ok(()),
        _ => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "this request comes from another site's page (Origin)",
        )),
    }
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let uri: Option<Uri> = host.and_then(|host| host.parse().ok());
    let Some(host) = uri.as_ref().and_then(Uri::host) else {
        return false;
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(HeaderName, &str)]) -> HeaderMap {
        let all = all.iter();
        all.map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value")))
            .collect()
    }

    #[test]
    fn tokens_come_as_bearer_or_as_password() {
        let of = |value: &str| token(&headers(&[(AUTHORIZATION, value)]));
        assert_eq!(token(&headers(&[])).expect("none"), None);
        for value in [
            "Bearer abc",
            "bearer  abc ",
            "Basic YW55OmFiYw==",
            "basic OmFiYw==",
        ] {
            assert_eq!(of(value).expect(value).as_deref(), Some("abc"), "{value}");
        }
        for value in ["abc", "Digest abc", "Basic ///", "Basic YWJj", "Basic /w=="] {
            let refusal = of(value).expect_err(value);
            assert_eq!(refusal.status, StatusCode::UNAUTHORIZED, "{value}");
        }
    }

    #[test]
    fn names_of_this_machine_are_told_from_names_that_lead_here() {
        for host in [
            "localhost:4100",
            "127.0.0.1:4100",
            "[::1]:4100",
            "LOCALHOST",
            "127.8.9.1",
        ] {
            assert!(names_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        for host in [
            "evil.example:4100",
            "localhost.evil.example",
            "10.0.0.1:4100",
            "",
        ] {
            assert!(!names_this_machine(&headers(&[(HOST, host)])), "{host}");
        }
        assert!(!names_this_machine(&headers(&[])));
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let of = |origin: &str| same_site(&headers(&[(HOST, "localhost:4100"), (ORIGIN, origin)]));
        assert!(of("http://localhost:4100").is_ok());
        for origin in ["http://evil.example", "null", "http://localhost:81", ""] {
            let refusal = of(origin).expect_err(origin);
            assert_eq!(refusal.status, StatusCode::FORBIDDEN, "{origin}");
        }
    }
}
