//! What there is, as JSON; and taking it away.

use std::str::from_utf8;

use blake3::Hash;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

use crate::store::{Error, Profile, Service, ServiceName, Store, Version, moment, name_keys};

use super::{Answer, Context, body::whole, empty, json as answer, refusal::Refusal};

/// Profiles that are listed.
const LISTED: u32 = 1000;

pub async fn services(context: &Context) -> Result<Answer, Refusal> {
    let services = context.aside(Store::services).await??;
    let services: Vec<Value> = services.iter().map(of_service).collect();
    Ok(answer(StatusCode::OK, &json!({ "services": services })))
}

pub async fn service(context: &Context, name: ServiceName) -> Result<Answer, Refusal> {
    let of = name.clone();
    let (versions, services) = context
        .aside(move |store| Ok::<_, Error>((store.versions(&of)?, store.services()?)))
        .await??;
    let mut value = services
        .iter()
        .find(|service| service.name == name)
        .map_or(Value::Null, of_service);
    value["versions"] = versions.iter().map(of_version).collect();
    Ok(answer(StatusCode::OK, &value))
}

fn of_service(service: &Service) -> Value {
    json!({
        "name": service.name.as_str(),
        "profiles": service.profiles,
        "set_apart": service.apart,
        "passed_over": service.passed_over,
        "newest_profile": service.last.map(moment),
        "version": service.version.map(|(number, _)| number),
        "published": service.version.map(|(_, at)| moment(at)),
    })
}

fn of_version(version: &Version) -> Value {
    json!({
        "version": version.number,
        "published": moment(version.created),
        "hash": version.hash.to_hex().as_str(),
        "profiles": version.facts.profiles,
        "samples": version.facts.samples,
        "recorded_from": moment(version.facts.first),
        "recorded_to": moment(version.facts.last),
        "inputs": version.facts.inputs.to_hex().as_str(),
        "reason": version.reason,
    })
}

pub async fn profiles(context: &Context, name: ServiceName) -> Result<Answer, Refusal> {
    let profiles = context
        .aside(move |store| store.profiles(&name, LISTED))
        .await??;
    let profiles: Vec<Value> = profiles.iter().map(of_profile).collect();
    Ok(answer(StatusCode::OK, &json!({ "profiles": profiles })))
}

fn of_profile(profile: &Profile) -> Value {
    json!({
        "profile": profile.hash.to_hex().as_str(),
        "recorded": moment(profile.time),
        "received": moment(profile.received),
        "clock_wrong": profile.skewed,
        "seconds": profile.duration as f64 / 1e9,
        "cpu_seconds": profile.cpu as f64 / 1e9,
        "samples": profile.samples,
        "bytes": profile.size,
        "labels": serde_json::from_str(&profile.labels).unwrap_or(Value::Null),
        "set_apart": profile.apart,
        "whole": profile.whole,
    })
}

/// A profile as it was pushed.
pub async fn raw(context: &Context, name: ServiceName, hash: &str) -> Result<Answer, Refusal> {
    let hash = hash_of(hash)?;
    let packed = context
        .blocking(&context.judging, move |store| store.raw(&name, &hash))
        .await??;
    let mut answer = Response::new(Full::from(packed));
    let octets = HeaderValue::from_static("application/octet-stream");
    answer.headers_mut().insert(CONTENT_TYPE, octets);
    Ok(answer)
}

pub async fn accept(context: &Context, name: ServiceName, hash: &str) -> Result<Answer, Refusal> {
    let hash = hash_of(hash)?;
    context
        .aside(move |store| store.accept(&name, &hash))
        .await??;
    Ok(done())
}

pub async fn remove_profile(
    context: &Context,
    name: ServiceName,
    hash: &str,
) -> Result<Answer, Refusal> {
    let hash = hash_of(hash)?;
    context
        .aside(move |store| store.remove_profile(&name, &hash))
        .await??;
    make_room(context).await?;
    Ok(done())
}

pub async fn remove_service(context: &Context, name: ServiceName) -> Result<Answer, Refusal> {
    context
        .aside(move |store| store.remove_service(&name))
        .await??;
    make_room(context).await?;
    Ok(done())
}

/// Removes the bodies of what was removed, which otherwise would be within the hour.
async fn make_room(context: &Context) -> Result<(), Refusal> {
    let now = super::now();
    context.aside(move |store| store.sweep(now)).await??;
    Ok(())
}

/// Takes the names of a program's functions, one a line, as the linker spells them.
pub async fn put_program(
    context: &Context,
    name: ServiceName,
    request: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (head, body) = request.into_parts();
    // A list of names is many times what a profile is, and costs little to look at.
    let limit = context.limits.body.saturating_mul(8);
    let body = whole(&head.headers, body, limit).await?;
    let now = super::now();
    context
        .blocking(&context.judging, move |store| {
            let text = from_utf8(&body)
                .map_err(|_| Refusal::unprocessable("the names are not UTF-8: send one a line"))?;
            let keys = name_keys(text.lines().filter(|line| !line.is_empty()));
            match keys.is_empty() {
                true => Err(Refusal::unprocessable(
                    "there are no names: send one a line",
                )),
                false => Ok(store.set_program(&name, &keys, now)?),
            }
        })
        .await??;
    Ok(done())
}

fn done() -> Answer {
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub fn hash_of(text: &str) -> Result<Hash, Refusal> {
    Hash::from_hex(text)
        .map_err(|_| Refusal::bad_request("a profile's hash is 64 hexadecimal digits"))
}
