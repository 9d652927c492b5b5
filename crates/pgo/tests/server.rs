//! The server over a socket: what clients push, what builds fetch, and what each wrong request is told.

mod common;

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use common::{
    MAIL, SHOP, name, packed, profile,
    serving::{header, refusal, serve, serve_with, text},
};
use goprof::{Edges, encode};
use hyper::{
    Method, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, IF_NONE_MATCH, ORIGIN},
};
use pgo::{
    server::{Limits, Rate, now},
    store::Settings,
};

const FORM: &str = "multipart/form-data; boundary=xyz";

fn form(profile: &[u8]) -> Vec<u8> {
    [
        b"--xyz\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"profile.pprof\"\r\n\r\n",
        profile,
        b"\r\n--xyz--\r\n",
    ]
    .concat()
}

/// A Connect message in JSON; `nested` for Parca's form.
fn push_json(service: &str, profiles: &[&[u8]], nested: bool) -> String {
    let labels = serde_json::json!([{ "name": "service_name", "value": service }]);
    let labels = if nested {
        serde_json::json!({ "labels": labels })
    } else {
        labels
    };
    let samples: Vec<_> = profiles
        .iter()
        .map(|bytes| serde_json::json!({ "rawProfile": BASE64_STANDARD.encode(bytes) }))
        .collect();
    serde_json::json!({ "series": [{ "labels": labels, "samples": samples }] }).to_string()
}

fn push_proto(service: &str, profile: &[u8]) -> Vec<u8> {
    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        field.extend(bytes);
        field
    }
    let label = [field(1, b"service_name"), field(2, service.as_bytes())].concat();
    let series = [field(1, &label), field(2, &field(1, profile))].concat();
    field(1, &series)
}

#[test]
fn every_way_in_leads_to_the_same_profile() {
    let server = serve();
    let bytes = packed(SHOP, now());
    let raw = goprof::unpack(&bytes, 1 << 20)
        .expect("unpacked")
        .into_owned();

    let told = server.put("/v1/services/put/profile", &bytes);
    assert_eq!(told.status, StatusCode::CREATED, "{}", text(&told));
    let told = server.post(
        "/ingest?name=form%7Bregion%3Deu%7D&from=1&until=2",
        FORM,
        form(&raw),
    );
    assert_eq!(told.status, StatusCode::OK, "{}", text(&told));
    let told = server.post(
        "/ingest?name=bare&format=pprof",
        "application/octet-stream",
        &*raw,
    );
    assert_eq!(told.status, StatusCode::OK, "{}", text(&told));
    let told = server.post(
        "/push.v1.PusherService/Push",
        "application/proto",
        push_proto("proto", &bytes),
    );
    assert_eq!(
        (told.status, told.body.len()),
        (StatusCode::OK, 0),
        "{}",
        text(&told)
    );
    assert_eq!(header(&told, "content-type"), "application/proto");
    let told = server.post(
        "/push.v1.PusherService/Push",
        "application/json",
        push_json("prod/json", &[&bytes], false),
    );
    assert_eq!((told.status, text(&told).trim()), (StatusCode::OK, "{}"));
    let told = server.post(
        "/profiles/writeraw",
        "application/json",
        push_json("parca", &[&bytes], true),
    );
    assert_eq!((told.status, text(&told).trim()), (StatusCode::OK, "{}"));
    // As agents compress.
    let ask = server
        .ask(Method::POST, "/push.v1.PusherService/Push")
        .header(CONTENT_TYPE, "application/proto")
        .header(CONTENT_ENCODING, "gzip")
        .body(goprof::pack(&push_proto("gzipped", &bytes)));
    assert_eq!(ask.ask().expect("an answer").status, StatusCode::OK);

    let mut hashes = std::collections::BTreeSet::new();
    for service in [
        "put",
        "form",
        "bare",
        "proto",
        "prod/json",
        "parca",
        "gzipped",
    ] {
        let profiles = server.store.profiles(&name(service), 10).expect(service);
        assert_eq!(profiles.len(), 1, "{service}");
        hashes.insert(profiles[0].hash.to_hex().to_string());
        let path = service.replace('/', "%2F");
        let told = server.get(&format!(
            "/v1/services/{path}/profiles/{}",
            profiles[0].hash.to_hex()
        ));
        assert_eq!(
            goprof::unpack(&told.body, 1 << 20).expect("gzip"),
            raw,
            "{service}"
        );
    }
    assert_eq!(hashes.len(), 1);
    let labels = &server.store.profiles(&name("form"), 1).expect("there")[0].labels;
    assert_eq!(labels, r#"{"region":"eu"}"#);
}

#[test]
fn a_build_fetches_a_version_and_fetches_it_once() {
    let server = serve();
    let told = server.get("/v1/services/shop/default.pgo");
    assert!(refusal(&told, 404).contains("no profile was pushed for `shop` yet"));
    server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let first = server.get("/v1/services/shop/default.pgo");
    assert_eq!(first.status, StatusCode::OK, "{}", text(&first));
    assert_eq!(
        (
            header(&first, "probelab-version"),
            header(&first, "probelab-profiles")
        ),
        ("1", "1")
    );
    let etag = header(&first, "etag").to_owned();
    let raw = goprof::unpack(&first.body, 1 << 20).expect("gzip");
    assert_eq!(
        etag,
        format!("\"{}\"", blake3::hash(&raw).to_hex()),
        "over the bytes without gzip"
    );
    assert!(!Edges::of(&goprof::read(&first.body).expect("a pprof")).is_empty());

    for tag in [etag.as_str(), "*", &format!("\"x\", W/{etag}")] {
        let ask = server
            .ask(Method::GET, "/v1/services/shop/default.pgo")
            .header(IF_NONE_MATCH, tag);
        let told = ask.ask().expect("an answer");
        assert_eq!(
            (told.status, told.body.len()),
            (StatusCode::NOT_MODIFIED, 0),
            "{tag}"
        );
        assert_eq!(header(&told, "etag"), etag);
    }
    let head = server
        .ask(Method::HEAD, "/v1/services/shop/default.pgo")
        .ask()
        .expect("an answer");
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(
        header(&head, "content-length"),
        first.body.len().to_string()
    );

    // More of the same leaves it as it is; a window shows what there is.
    server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let second = server.get("/v1/services/shop/default.pgo");
    assert_eq!(second.body, first.body);
    let window = server.get("/v1/services/shop/default.pgo?window=2h");
    assert_eq!(
        (
            header(&window, "probelab-version"),
            header(&window, "probelab-profiles")
        ),
        ("", "2")
    );
    let by_number = server.get("/v1/services/shop/default.pgo?version=1");
    assert_eq!(by_number.body, first.body);
    assert!(header(&by_number, "cache-control").contains("immutable"));

    for (query, status, expected) in [
        ("version=2", 404, "has no version 2: the newest is 1"),
        ("version=x", 400, "`version` is a whole number"),
        ("window=1", 400, "such as 90m, 12h or 14d"),
        ("window=1h&version=1", 400, "give one of them"),
    ] {
        let told = server.get(&format!("/v1/services/shop/default.pgo?{query}"));
        let message = refusal(&told, status);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_new_version_is_published_when_the_hot_calls_change() {
    let server = serve();
    server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let first = server.get("/v1/services/shop/default.pgo");
    let changed = [
        SHOP,
        &[("shop.dev/cart.Total", 8, "shop.dev/cart.discount", 2000)],
    ]
    .concat();
    server.put("/v1/services/shop/profile", &packed(&changed, now()));
    let until = std::time::Instant::now() + Duration::from_secs(20);
    let second = loop {
        let told = server.get("/v1/services/shop/default.pgo");
        if header(&told, "probelab-version") == "2" {
            break told;
        }
        assert!(
            std::time::Instant::now() < until,
            "no version 2: {:?}",
            server.log
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_ne!(second.body, first.body);
    assert_eq!(
        server.get("/v1/services/shop/default.pgo?version=1").body,
        first.body
    );
    let log = server.log.lock().expect("unbroken").join("\n");
    assert!(log.contains("shop: version 2 of 2 profiles"), "{log}");
}

#[test]
fn too_few_samples_are_told_and_can_be_had_all_the_same() {
    let server = serve();
    server.put("/v1/services/shop/profile", &packed(&SHOP[..1], now()));
    let message = refusal(&server.get("/v1/services/shop/default.pgo"), 404);
    assert!(
        message.contains("100 samples") && message.contains("takes 1000"),
        "{message}"
    );
    let told = server.get("/v1/services/shop/default.pgo?window=1h");
    assert_eq!(told.status, StatusCode::OK);
}

#[test]
fn agents_hear_nothing_of_profiles_that_are_no_use_and_people_do() {
    let server = serve();
    server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let mut heap = profile(SHOP, now());
    for value_type in &mut heap.sample_type {
        value_type.unit = value_type.r#type;
    }
    let mut idle = profile(SHOP, now());
    idle.sample.clear();
    let (heap, idle) = (encode(&heap), encode(&idle));
    let body = push_json("shop", &[&heap, &idle], false);
    let told = server.post("/push.v1.PusherService/Push", "application/json", body);
    assert_eq!(
        (told.status, header(&told, "probelab-passed-over")),
        (StatusCode::OK, "2")
    );
    let told = server.post("/ingest?name=shop", FORM, form(&heap));
    assert_eq!(
        (told.status, header(&told, "probelab-passed-over")),
        (StatusCode::OK, "1")
    );
    let message = refusal(&server.put("/v1/services/shop/profile", &heap), 422);
    assert!(message.contains("PGO takes CPU time"), "{message}");
    let message = refusal(&server.put("/v1/services/shop/profile", &idle), 422);
    assert!(message.contains("no samples"), "{message}");
}

#[test]
fn another_programs_profile_is_answered_with_a_way_out() {
    let server = serve();
    server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let mail = packed(MAIL, now());
    let told = server.post("/ingest?name=shop", FORM, form(&mail));
    assert_eq!(
        (told.status, header(&told, "probelab-set-apart")),
        (StatusCode::OK, "1")
    );
    let told = server.put("/v1/services/shop/profile", &mail);
    assert_eq!(told.status, StatusCode::ACCEPTED);
    assert!(
        text(&told).contains("looks like another program's profile"),
        "{}",
        text(&told)
    );
    let told = server.put("/v1/services/shop/profile?own=true", &mail);
    assert_eq!(told.status, StatusCode::CREATED, "{}", text(&told));
    let told = server.get("/v1/services/shop/default.pgo?window=1h");
    assert_eq!(header(&told, "probelab-profiles"), "2");
}

#[test]
fn tokens_let_in_by_their_scopes() {
    let server = serve();
    let tokens = server.store.tokens();
    let add = |name: &str| {
        let made = tokens.add(name, &name.parse().expect("a scope"), 0);
        made.expect("it writes").expect("a new name")
    };
    let (push, pull, admin) = (add("push"), add("pull"), add("admin"));
    let message = refusal(&server.get("/v1/services"), 401);
    assert!(message.contains("a token with scope `pull`"), "{message}");
    assert!(header(&server.get("/"), "www-authenticate").starts_with("Basic realm="));
    assert_eq!(server.get("/healthz").status, StatusCode::OK);
    let message = refusal(&server.bearing(Method::GET, "/v1/services", "pgo_x"), 401);
    assert!(message.contains("not known"), "{message}");
    let message = refusal(&server.bearing(Method::GET, "/v1/services", &push), 403);
    assert_eq!(
        message,
        "the token `push` has scope `push`, and this takes `pull`"
    );

    let put = |token: &str| {
        let ask = server
            .ask(Method::PUT, "/v1/services/shop/profile")
            .token(Some(token));
        ask.body(packed(SHOP, now()))
            .ask()
            .expect("an answer")
            .status
    };
    assert_eq!(
        [put(&pull), put(&push), put(&admin)].map(|status| status.as_u16()),
        [403, 201, 201]
    );
    let pgo = "/v1/services/shop/default.pgo";
    assert_eq!(
        server.bearing(Method::GET, pgo, &pull).status,
        StatusCode::OK
    );
    // A browser sends it as password.
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("me:{pull}")));
    let ask = server
        .ask(Method::GET, "/")
        .header(hyper::header::AUTHORIZATION, &basic);
    assert_eq!(ask.ask().expect("an answer").status, StatusCode::OK);

    let remove = |token: &str| {
        server
            .bearing(Method::DELETE, "/v1/services/shop", token)
            .status
    };
    assert_eq!(
        [remove(&push), remove(&pull), remove(&admin)].map(|status| status.as_u16()),
        [403, 403, 204]
    );
    assert!(tokens.remove("pull").expect("it writes"));
    refusal(&server.bearing(Method::GET, pgo, &pull), 401);
}

#[test]
fn without_tokens_only_this_machine_is_answered() {
    let server = serve();
    let ask = server
        .ask(Method::GET, "/v1/services")
        .header(HOST, "evil.example");
    let message = refusal(&ask.ask().expect("an answer"), 403);
    assert!(message.contains("loopback addresses"), "{message}");
    let ask = server
        .ask(Method::POST, "/ingest?name=x")
        .header(ORIGIN, "http://evil.example");
    let message = refusal(&ask.ask().expect("an answer"), 403);
    assert!(message.contains("another site's page"), "{message}");
}

#[test]
fn each_limit_has_its_sentence() {
    let limits = Limits {
        body: 4096,
        ..Limits::default()
    };
    let settings = Settings {
        unpacked: 20_000,
        services: 1,
        ..Settings::default()
    };
    let server = serve_with(settings, limits, Vec::new());
    let put = |body: &[u8]| server.put("/v1/services/shop/profile", body);
    let message = refusal(&put(&[b'x'; 4097]), 413);
    assert!(message.contains("larger than 4096 bytes"), "{message}");
    // The same in pieces, whose sum nobody announced, and by its encoding.
    let ask = server
        .ask(Method::PUT, "/v1/services/shop/profile")
        .header(CONTENT_ENCODING, "gzip")
        .body(goprof::pack(&[0; 1 << 20]));
    let message = refusal(&ask.ask().expect("an answer"), 413);
    assert!(message.contains("larger than 4096 bytes"), "{message}");
    let message = refusal(&put(&goprof::pack(&[0; 30_000])), 413);
    assert!(
        message.contains("larger than 20000 bytes once unpacked"),
        "{message}"
    );
    let message = refusal(&put(&goprof::pack(&[0x12, 0].repeat(9_999))), 413);
    assert!(message.contains("bytes of memory"), "{message}");

    let ask = server
        .ask(Method::PUT, "/v1/services/shop/profile")
        .header(CONTENT_ENCODING, "br")
        .body("x");
    let message = refusal(&ask.ask().expect("an answer"), 415);
    assert!(
        message.contains("no Content-Encoding but gzip"),
        "{message}"
    );
    let told = server.post("/push.v1.PusherService/Push", "application/grpc", "x");
    let message = refusal(&told, 415);
    assert!(message.contains("Connect's application/proto"), "{message}");
    let told = server.post(
        "/ingest?name=shop&format=jfr",
        "application/octet-stream",
        "x",
    );
    let message = refusal(&told, 415);
    assert!(message.contains("`jfr`"), "{message}");

    assert_eq!(put(&packed(SHOP, now())).status, StatusCode::CREATED);
    let message = refusal(
        &server.put("/v1/services/two/profile", &packed(SHOP, now())),
        422,
    );
    assert!(message.contains("holds 1 services"), "{message}");
}

#[test]
fn who_asks_too_often_is_told_to_wait() {
    let limits = Limits {
        rate: Rate {
            per_second: 1.0,
            burst: 5.0,
        },
        ..Limits::default()
    };
    let server = serve_with(Settings::default(), limits, Vec::new());
    for _ in 0..5 {
        assert_eq!(server.get("/v1/services").status, StatusCode::OK);
    }
    let told = server.get("/v1/services");
    let message = refusal(&told, 429);
    assert!(message.contains("more than 1 times a second"), "{message}");
    assert_eq!(header(&told, "retry-after"), "1");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(server.get("/v1/services").status, StatusCode::OK);
}

#[test]
fn wrong_requests_are_told_what_is_wrong() {
    let server = serve();
    let long = "n".repeat(10_000);
    let long_name = format!("/v1/services/{long}/default.pgo");
    let long_ingest = format!("/ingest?name={long}");
    let cases: &[(Method, &str, u16, &str)] = &[
        (Method::GET, "/nowhere", 404, "nothing at this path"),
        (Method::GET, "/ingest", 405, "takes POST"),
        (
            Method::PUT,
            "/v1/services/a/default.pgo",
            405,
            "takes GET, HEAD",
        ),
        (Method::POST, "/ingest", 400, "`name` is missing"),
        (
            Method::POST,
            "/ingest?name=..",
            422,
            "`..` begins with neither",
        ),
        (
            Method::POST,
            "/ingest?name=%C3%BC",
            422,
            "it holds `\\u{fc}`",
        ),
        (Method::POST, "/ingest?name=a%0Ab", 422, "it holds `\\n`"),
        (
            Method::GET,
            "/v1/services/..%2F..%2Fetc%2Fpasswd/default.pgo",
            422,
            "`..` begins with neither",
        ),
        (
            Method::GET,
            "/v1/services/../default.pgo",
            422,
            "`..` begins with neither",
        ),
        (
            Method::GET,
            "/v1/services/%FF/default.pgo",
            400,
            "not UTF-8",
        ),
        (Method::GET, &long_name, 422, "it has 10000 bytes"),
        (Method::POST, &long_ingest, 422, "it has 10000 bytes"),
        (
            Method::GET,
            "/v1/services/a/profiles/xyz",
            400,
            "64 hexadecimal digits",
        ),
        (Method::POST, "/ingest?name=a", 422, "empty (0 bytes)"),
        (
            Method::PUT,
            "/v1/services/a/profile",
            422,
            "empty (0 bytes)",
        ),
        (Method::PUT, "/v1/services/a/program", 422, "no names"),
    ];
    for (method, path, status, expected) in cases {
        let told = server.ask(method.clone(), path).ask().expect("an answer");
        let message = refusal(&told, *status);
        assert!(message.contains(expected), "{method} {path}: {message}");
    }
    for (body, media, expected) in [
        (&b"x"[..], "application/proto", "can't be told apart"),
        (b"{", "application/json", "not the JSON of a push"),
        (b"{\"series\":[{}]}", "application/json", "name no service"),
    ] {
        let told = server.post("/push.v1.PusherService/Push", media, body);
        let message = refusal(
            &told,
            if expected.contains("service") {
                422
            } else {
                400
            },
        );
        assert!(message.contains(expected), "{message}");
    }
    let message = refusal(&server.post("/ingest?name=a", FORM, "--xyz--"), 400);
    assert!(message.contains("no whole part `profile`"), "{message}");
    assert!(server.store.services().expect("listed").is_empty());
}

#[test]
fn lists_say_what_there_is_and_admins_take_it_away() {
    let server = serve();
    let put = server.put("/v1/services/shop/profile", &packed(SHOP, now()));
    let put: serde_json::Value = serde_json::from_slice(&put.body).expect("JSON");
    let hash = put["profile"].as_str().expect("a hash").to_owned();
    server.get("/v1/services/shop/default.pgo");
    let json = |path: &str| -> serde_json::Value {
        serde_json::from_slice(&server.get(path).body).expect("JSON")
    };
    let services = json("/v1/services");
    assert_eq!(services["services"][0]["name"], "shop");
    assert_eq!(services["services"][0]["version"], 1);
    assert_eq!(
        json("/v1/services/shop")["versions"][0]["reason"],
        "the first"
    );
    let profile = &json("/v1/services/shop/profiles")["profiles"][0];
    assert_eq!(
        (&profile["profile"], &profile["samples"]),
        (&hash.as_str().into(), &1500.into())
    );

    let path = format!("/v1/services/shop/profiles/{hash}");
    let delete = |path: &str| server.ask(Method::DELETE, path).ask().expect("an answer");
    assert_eq!(delete(&path).status, StatusCode::NO_CONTENT);
    refusal(&delete(&path), 404);
    assert_eq!(delete("/v1/services/shop").status, StatusCode::NO_CONTENT);
    refusal(&server.get("/v1/services/shop"), 404);
}
