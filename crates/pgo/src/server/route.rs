//! What a path stands for, and who may ask for it.

use std::net::IpAddr;

use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header::ALLOW};
use percent_encoding::percent_decode_str;

use crate::store::{Error, Scope, ServiceName};

use super::{Answer, Context, intake, listing, page, pgo_file, query::Query, refusal::Refusal};

/// Answers a request.
pub async fn answer(
    context: &Context,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let path = Path::of(request.uri().path())?;
    // What HEAD asks for is GET's head.
    let method = match request.method() {
        &Method::HEAD => Method::GET,
        other => other.clone(),
    };
    let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
    let enter = |scope| context.enter(peer, request.headers(), scope);
    match (&method, &*parts) {
        (&Method::GET, ["healthz"]) => Ok(Response::new(Full::from("ok\n"))),
        (&Method::POST, ["ingest"]) => {
            enter(Scope::Push)?;
            intake::ingest(context, request).await
        }
        (&Method::POST, ["push.v1.PusherService", "Push"]) => {
            enter(Scope::Push)?;
            intake::connect_push(context, request).await
        }
        (&Method::POST, ["profiles", "writeraw"]) => {
            enter(Scope::Push)?;
            intake::write_raw(context, request).await
        }
        (&Method::GET, []) => {
            enter(Scope::Pull)?;
            page::services(context).await
        }
        (&Method::GET, ["services", name @ .., "diff"]) if !name.is_empty() => {
            enter(Scope::Pull)?;
            page::diff(context, named(name)?, &Query::of(request.uri())).await
        }
        (&Method::GET, ["services", name @ ..]) if !name.is_empty() => {
            enter(Scope::Pull)?;
            page::service(context, named(name)?).await
        }
        (_, ["v1", "services", rest @ ..]) => {
            let resource = Resource::of(rest);
            let scope = resource.scope(&method)?;
            enter(scope)?;
            service(context, resource, &method, request).await
        }
        (_, ["ingest"] | ["push.v1.PusherService", "Push"] | ["profiles", "writeraw"]) => {
            Err(not_allowed("POST"))
        }
        (_, [] | ["services", ..] | ["healthz"]) => Err(not_allowed("GET, HEAD")),
        _ => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "there is nothing at this path: the page at / leads to what there is",
        )),
    }
}

/// What is below `/v1/services`.
enum Resource<'a> {
    List,
    Service(&'a [&'a str]),
    DefaultPgo(&'a [&'a str]),
    Flame(&'a [&'a str]),
    Profile(&'a [&'a str]),
    Program(&'a [&'a str]),
    Profiles(&'a [&'a str]),
    Raw(&'a [&'a str], &'a str),
    Accept(&'a [&'a str], &'a str),
}

impl<'a> Resource<'a> {
    fn of(rest: &'a [&'a str]) -> Self {
        match rest {
            [] => Self::List,
            [name @ .., "default.pgo"] if !name.is_empty() => Self::DefaultPgo(name),
            [name @ .., "flame.svg"] if !name.is_empty() => Self::Flame(name),
            [name @ .., "profile"] if !name.is_empty() => Self::Profile(name),
            [name @ .., "program"] if !name.is_empty() => Self::Program(name),
            [name @ .., "profiles"] if !name.is_empty() => Self::Profiles(name),
            [name @ .., "profiles", hash] if !name.is_empty() => Self::Raw(name, hash),
            [name @ .., "profiles", hash, "accept"] if !name.is_empty() => Self::Accept(name, hash),
            name => Self::Service(name),
        }
    }

    /// What a method takes here.
    fn scope(&self, method: &Method) -> Result<Scope, Refusal> {
        let (allowed, scope) = match self {
            Self::Profile(_) | Self::Program(_) => ("PUT", Scope::Push),
            Self::Accept(..) => ("POST", Scope::Admin),
            Self::Service(_) | Self::Raw(..) if *method == Method::DELETE => {
                ("DELETE", Scope::Admin)
            }
            Self::Service(_) | Self::Raw(..) => ("GET, HEAD, DELETE", Scope::Pull),
            _ => ("GET, HEAD", Scope::Pull),
        };
        let mut methods = allowed.split(", ");
        match methods.any(|allowed| allowed == method.as_str()) {
            true => Ok(scope),
            false => Err(not_allowed(allowed)),
        }
    }
}

async fn service(
    context: &Context,
    resource: Resource<'_>,
    method: &Method,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let delete = *method == Method::DELETE;
    match resource {
        Resource::List => listing::services(context).await,
        Resource::Service(name) if delete => listing::remove_service(context, named(name)?).await,
        Resource::Service(name) => listing::service(context, named(name)?).await,
        Resource::DefaultPgo(name) => pgo_file::answer(context, named(name)?, &request).await,
        Resource::Flame(name) => {
            page::flame(context, named(name)?, &Query::of(request.uri())).await
        }
        Resource::Profile(name) => intake::put(context, named(name)?, request).await,
        Resource::Program(name) => listing::put_program(context, named(name)?, request).await,
        Resource::Profiles(name) => listing::profiles(context, named(name)?).await,
        Resource::Raw(name, hash) if delete => {
            listing::remove_profile(context, named(name)?, hash).await
        }
        Resource::Raw(name, hash) => listing::raw(context, named(name)?, hash).await,
        Resource::Accept(name, hash) => listing::accept(context, named(name)?, hash).await,
    }
}

fn named(parts: &[&str]) -> Result<ServiceName, Refusal> {
    parts
        .join("/")
        .parse()
        .map_err(|error| Error::from(error).into())
}

fn not_allowed(methods: &str) -> Refusal {
    let message = format!("this path takes {methods}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message).with(ALLOW, methods)
}

/// The parts of a path, decoded.
struct Path {
    parts: Vec<String>,
}

impl Path {
    fn of(path: &str) -> Result<Self, Refusal> {
        let parts = path.strip_prefix('/').unwrap_or(path).split('/');
        let mut parts = parts
            .map(|part| {
                let text = percent_decode_str(part).decode_utf8();
                text.map(Into::into)
                    .map_err(|_| Refusal::bad_request("the path is not UTF-8"))
            })
            .collect::<Result<Vec<String>, _>>()?;
        if parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        Ok(Self { parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_part_by_part() {
        for (path, expected) in [
            ("/", &[][..]),
            ("/ingest", &["ingest"]),
            ("/services/a%2Fb/", &["services", "a/b"]),
            ("/services/a//b", &["services", "a", "", "b"]),
            ("/services/..%2f", &["services", "../"]),
        ] {
            assert_eq!(Path::of(path).expect(path).parts, expected, "{path}");
        }
        assert!(Path::of("/%ff").is_err());
    }

    #[test]
    fn names_may_have_several_parts() {
        let rest = ["prod", "shop", "profiles", "00", "accept"];
        assert!(matches!(
            Resource::of(&rest),
            Resource::Accept(["prod", "shop"], "00")
        ));
        assert!(matches!(
            Resource::of(&rest[..2]),
            Resource::Service(["prod", "shop"])
        ));
        assert!(matches!(
            Resource::of(&["default.pgo"]),
            Resource::Service(_)
        ));
        assert!(matches!(Resource::of(&[]), Resource::List));
    }

    #[test]
    fn what_changes_something_takes_more_than_reading() {
        let scope = |rest: &[&str], method: Method| Resource::of(rest).scope(&method).ok();
        assert_eq!(scope(&["a"], Method::GET), Some(Scope::Pull));
        assert_eq!(scope(&["a"], Method::DELETE), Some(Scope::Admin));
        assert_eq!(
            scope(&["a", "profiles", "00"], Method::DELETE),
            Some(Scope::Admin)
        );
        assert_eq!(
            scope(&["a", "profiles", "00", "accept"], Method::POST),
            Some(Scope::Admin)
        );
        assert_eq!(scope(&["a", "profile"], Method::PUT), Some(Scope::Push));
        assert_eq!(scope(&["a", "default.pgo"], Method::GET), Some(Scope::Pull));
        for (rest, method) in [
            (&["a"][..], Method::PUT),
            (&["a", "profile"], Method::GET),
            (&["a", "default.pgo"], Method::DELETE),
        ] {
            assert_eq!(scope(rest, method.clone()), None, "{rest:?} {method}");
        }
    }
}
