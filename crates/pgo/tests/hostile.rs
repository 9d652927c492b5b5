//! Input that means harm, or was damaged: each is refused with a sentence or taken for what it is, and the
//! store goes on.

mod common;

use common::{
    NOON, SHOP, days, name, packed, profile, push,
    serving::{serve, text},
    try_push,
};
use fastrand::Rng;
use goprof::{encode, pprof::Profile};
use hyper::{Method, StatusCode, header::CONTENT_TYPE};
use pgo::{
    server::now,
    store::{Pushed, Settings, Store},
};

const RECORDED: &[u8] = include_bytes!("../../../labs/610-first-pgo-build/profiles/one.pprof");

/// Some bytes, damaged in a few places.
fn mutated(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..7) {
            0 => bytes[at] ^= 1 << rng.u8(..8),
            1 => bytes[at] = rng.u8(..),
            2 => bytes.truncate(at.max(1)),
            // A number of ten bytes, the largest there is.
            3 => drop(bytes.splice(
                at..at,
                [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            )),
            4 => drop(bytes.remove(at)),
            5 => {
                let end = rng.usize(at..bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = rng.usize(..bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            _ => bytes[at] = [0, 0x7f, 0x80, 0xff][rng.usize(..4)],
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// Whatever is taken can be merged, and what comes out is a profile.
#[test]
fn damaged_profiles_are_refused_or_can_be_merged() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        unpacked: 1 << 20,
        ..Settings::default()
    };
    let store = Store::open(folder.path(), settings).expect("it opens");
    let shop = name("shop");
    let mut rng = Rng::with_seed(11);
    let small = goprof::unpack(&packed(SHOP, NOON), 1 << 20)
        .expect("raw")
        .into_owned();
    let recorded = goprof::unpack(RECORDED, 1 << 20).expect("raw").into_owned();
    let inputs = [(&small, 4000), (&recorded, 40)];
    let (mut taken, mut refused) = (0, 0);
    for (bytes, count) in inputs {
        for _ in 0..count {
            let bytes = mutated(bytes, &mut rng);
            let pushed = Pushed {
                service: &shop,
                bytes: &bytes,
                labels: &[],
                began: None,
                own: true,
            };
            match store.push(pushed, NOON) {
                Ok(_) => taken += 1,
                Err(error) => {
                    refused += 1;
                    let told = error.to_string();
                    assert!(told.len() < 500 && !told.contains('\n'), "{told}");
                }
            }
        }
    }
    assert!(
        taken > 100 && refused > 1000,
        "{taken} taken, {refused} refused"
    );
    let merged = store.window(&shop, days(30), NOON).expect("merged");
    goprof::read(&merged.packed).expect("a pprof");
    store.publish(&shop, NOON).expect("published");
    store.sweep(NOON + common::DAY).expect("swept");
}

#[test]
fn profiles_that_end_too_early_are_refused_wherever_that_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), Settings::default()).expect("it opens");
    for step in 1..200 {
        let end = RECORDED.len() * step / 200;
        let error = try_push(&store, "shop", &RECORDED[..end], NOON).expect_err("damaged");
        assert!(
            error.to_string().contains("gzip data is damaged"),
            "{error}"
        );
    }
}

#[test]
fn numbers_at_their_ends_are_summed_to_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), Settings::default()).expect("it opens");
    for at in 0..3 {
        let mut extreme = profile(SHOP, NOON + at);
        extreme.duration_nanos = i64::MAX;
        extreme.period = i64::MAX;
        for sample in &mut extreme.sample {
            sample.value = vec![i64::MAX; 2];
        }
        extreme.function[0].start_line = i64::MAX;
        extreme.location[0].line[0].line = i64::MIN;
        extreme.location[1].address = u64::MAX;
        push(&store, "shop", &encode(&extreme), NOON);
    }
    let merged = store.window(&name("shop"), days(1), NOON).expect("merged");
    assert_eq!(
        (merged.facts.cpu, merged.facts.duration),
        (i64::MAX, i64::MAX)
    );
    store.publish(&name("shop"), NOON).expect("published");
}

/// What a page may never hold as it was sent.
const SCRIPT: &str = "<script>alert(1)</script>";

/// A profile whose every string would be markup.
fn full_of_markup() -> Profile {
    let mut profile = profile(SHOP, now());
    let types = ["", "samples", "count", "cpu", "nanoseconds"];
    for (at, text) in profile.string_table.iter_mut().enumerate() {
        if !types.contains(&text.as_str()) {
            *text = format!("main.f{at}{SCRIPT}\"'>&;\n{SCRIPT}]]>");
        }
    }
    profile
}

#[test]
fn what_is_shown_is_text_and_never_markup() {
    let server = serve();
    let bytes = encode(&full_of_markup());
    let labels = serde_json::json!([
        { "name": "service_name", "value": "shop" },
        { "name": SCRIPT, "value": SCRIPT }
    ]);
    let profile = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
    let body = serde_json::json!({ "series": [{ "labels": labels, "samples": [{ "rawProfile": profile }] }] });
    let told = server.post(
        "/push.v1.PusherService/Push",
        "application/json",
        body.to_string(),
    );
    assert_eq!(told.status, StatusCode::OK, "{}", text(&told));
    server.get("/v1/services/shop/default.pgo");
    let mut changed = full_of_markup();
    changed.sample.truncate(1);
    changed.sample[0].value = vec![9000, 90_000_000_000];
    server.put("/v1/services/shop/profile?own=true", &encode(&changed));
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while server.store.versions(&name("shop")).expect("listed").len() < 2 {
        assert!(std::time::Instant::now() < until, "no version 2");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for (path, media) in [
        ("/", "text/html"),
        ("/services/shop", "text/html"),
        ("/services/shop/diff?from=1&to=2", "text/html"),
        ("/v1/services/shop/flame.svg", "image/svg+xml"),
        ("/v1/services/shop/profiles", "application/json"),
    ] {
        let told = server.get(path);
        let page = text(&told);
        assert_eq!(told.status, StatusCode::OK, "{path}: {page}");
        let found = told.headers[CONTENT_TYPE].to_str().expect("text");
        assert!(found.starts_with(media), "{path}: {found}");
        assert_eq!(told.headers["x-content-type-options"], "nosniff");
        if media != "application/json" {
            assert!(!page.contains(SCRIPT), "{path}");
            assert!(
                told.headers.contains_key("content-security-policy"),
                "{path}"
            );
            let names = page.contains("&lt;script&gt;");
            assert!(names || path == "/", "{path} shows the names");
        }
    }
    // And what is told of a wrong request repeats little of it.
    let told = server.get("/v1/services/%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    assert_eq!(told.headers[CONTENT_TYPE], "application/json");
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Damaged requests of every kind, over the socket: the server answers each, and the next.
#[test]
fn damaged_requests_are_answered() {
    let server = serve();
    let bytes = packed(SHOP, now());
    let json = serde_json::json!({ "series": [{
        "labels": [{ "name": "service_name", "value": "shop" }],
        "samples": [{ "rawProfile": base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes) }],
    }] });
    let form = [
        &b"--xyz\r\nContent-Disposition: form-data; name=\"profile\"\r\n\r\n"[..],
        &bytes,
        b"\r\n--xyz--\r\n",
    ]
    .concat();
    let mut proto = vec![0x0a, 0x1c, 0x0a, 0x14, 0x0a, 12];
    proto.extend(b"service_name\x12\x04shop\x12\x04\x0a\x02xx");
    let kinds: [(&str, &str, Vec<u8>); 4] = [
        (
            "/push.v1.PusherService/Push",
            "application/json",
            json.to_string().into(),
        ),
        ("/push.v1.PusherService/Push", "application/proto", proto),
        (
            "/profiles/writeraw",
            "application/json",
            json.to_string().into(),
        ),
        (
            "/ingest?name=shop",
            "multipart/form-data; boundary=xyz",
            form,
        ),
    ];
    let mut rng = Rng::with_seed(12);
    for at in 0..160 {
        let (path, media, body) = &kinds[at % 4];
        let told = server.post(path, media, mutated(body, &mut rng));
        let status = told.status.as_u16();
        // Four times as many requests as there are in the bucket.
        if status == 429 {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(
            [200, 400, 413, 422, 429].contains(&status),
            "{path}: {status} {}",
            text(&told)
        );
    }
    assert_eq!(
        server
            .ask(Method::GET, "/healthz")
            .ask()
            .expect("an answer")
            .status,
        StatusCode::OK
    );
    let said = server.log.lock().expect("unbroken").join("\n");
    assert!(!said.contains("broken off"), "nothing panicked: {said}");
}

/// Heads that are no HTTP, too long, or never end.
#[test]
fn what_is_no_http_is_cut_off_and_others_are_served_meanwhile() {
    use std::io::{Read as _, Write as _};
    let server = serve();
    let address = server.base.strip_prefix("http://").expect("an address");
    let connect = || std::net::TcpStream::connect(address).expect("it listens");
    let mut slow = connect();
    slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").expect("sent");
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        &[b'A'; 200_000],
    ] {
        let mut stream = connect();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(server.get("/healthz").status, StatusCode::OK);
    drop(slow);
}
