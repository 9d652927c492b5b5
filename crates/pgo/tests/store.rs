//! The store by itself: what goes in, what comes out, what becomes of it.

mod common;

use std::{fs, path::Path};

use common::{
    DAY, HOUR, MAIL, NOON, SECOND, SHOP, days, name, packed, profile, push, push_many, try_push,
};
use goprof::{Edges, encode};
use pgo::store::{Error, Outcome, Published, Pushed, Settings, Store};

fn opened(folder: &Path) -> Store {
    Store::open(folder, Settings::default()).expect("it opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn edges(bytes: &[u8]) -> Edges {
    Edges::of(&goprof::read(bytes).expect("a pprof"))
}

#[test]
fn what_is_pushed_is_merged_by_time_and_trimmed() {
    let folder = folder();
    let store = opened(folder.path());
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    push(&store, "shop", &packed(SHOP, NOON + SECOND), NOON + SECOND);
    let merged = store
        .window(&name("shop"), days(1), NOON + SECOND)
        .expect("merged");
    assert_eq!(merged.facts.profiles, 2);
    assert_eq!(merged.facts.duration, 60 * SECOND);
    assert_eq!(merged.facts.samples, 3000);

    let profile = goprof::read(&merged.packed).expect("a pprof");
    assert_eq!(profile.duration_nanos, 60 * SECOND);
    let types: Vec<_> = profile.sample_types().collect();
    assert_eq!(types, [("cpu", "nanoseconds")]);
    assert!(
        profile
            .sample
            .iter()
            .all(|sample| sample.location_id.len() <= 2)
    );
    let edge = goprof::Edge::new("shop.dev/cart.Total", 5, "shop.dev/cart.price");
    let weight = Edges::of(&profile).weight(&edge) as f64;
    // 1,800 samples of 10 ms, less what is rounded.
    assert!((weight / 18e9 - 1.0).abs() < 1.0 / 16.0, "{weight}");

    let comments: Vec<&str> = profile
        .comment
        .iter()
        .map(|at| profile.string(*at))
        .collect();
    assert!(comments[0].ends_with("service shop"), "{comments:?}");
    assert!(comments[1].starts_with("2 profiles, 60 s"), "{comments:?}");
}

#[test]
fn the_same_bytes_count_once_however_they_are_packed() {
    let folder = folder();
    let store = opened(folder.path());
    let gzipped = packed(SHOP, NOON);
    let raw = goprof::unpack(&gzipped, 1 << 20)
        .expect("unpacked")
        .into_owned();
    let first = push(&store, "shop", &gzipped, NOON);
    assert_eq!(first.outcome, Outcome::Kept);
    for again in [&gzipped, &raw] {
        let receipt = push(&store, "shop", again, NOON + 1);
        assert_eq!(
            (receipt.hash, receipt.outcome),
            (first.hash, Outcome::Known)
        );
    }
    let merged = store.window(&name("shop"), days(1), NOON).expect("merged");
    assert_eq!(merged.facts.profiles, 1);
    // Another service's are its own, and share the body.
    assert_eq!(push(&store, "other", &raw, NOON).outcome, Outcome::Kept);
    assert_eq!(
        store.raw(&name("other"), &first.hash).expect("there"),
        gzipped
    );
}

#[test]
fn the_same_profiles_give_the_same_bytes_in_any_order_before_and_after_a_sweep() {
    let (one, other) = (folder(), folder());
    let (one, other) = (opened(one.path()), opened(other.path()));
    let times: Vec<i64> = (0..20).map(|at| NOON + at * 600 * SECOND).collect();
    let now = NOON + 8 * HOUR;
    for time in &times {
        push(&one, "shop", &packed(SHOP, *time), now);
    }
    for time in times.iter().rev() {
        push(&other, "shop", &packed(SHOP, *time), now);
    }
    let bytes = |store: &Store| {
        store
            .window(&name("shop"), days(1), now)
            .expect("merged")
            .packed
    };
    let expected = bytes(&one);
    assert_eq!(bytes(&other), expected);
    let swept = other.sweep(now).expect("swept");
    assert_eq!(
        swept.hours, 4,
        "20 profiles within 200 minutes from noon on"
    );

    let folder = other.folder().to_owned();
    drop(other);
    // Opened anew: nothing is remembered.
    let other = opened(&folder);
    assert_eq!(bytes(&other), expected);
    // A window that begins in between has the same hours.
    let half = |store: &Store| {
        let length = std::time::Duration::from_secs(6 * 3600);
        store.window(&name("shop"), length, now).expect("merged")
    };
    assert_eq!(half(&one).facts.profiles, 8);
    assert_eq!(half(&one).packed, half(&other).packed);
}

#[test]
fn a_version_stays_until_the_hot_calls_change() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    let few = [("main.main", 3, "shop.dev/cart.Total", 7)];
    push(&store, "shop", &packed(&few, NOON), NOON);
    let error = store.publish(&shop, NOON).expect_err("too few");
    assert!(
        matches!(
            error,
            Error::TooFewSamples {
                samples: 7,
                wanted: 1000,
                ..
            }
        ),
        "{error}"
    );

    let mut now = push_many(&store, "shop", SHOP, 10, NOON);
    let Published::New(first) = store.publish(&shop, now).expect("published") else {
        panic!("there was none");
    };
    assert_eq!((first.number, first.reason.as_str()), (1, "the first"));
    let bytes = store.published(&first).expect("there");

    // More of the same, with noise: nothing that a build would see.
    for _ in 0..5 {
        now = push_many(&store, "shop", SHOP, 10, now);
        let published = store.publish(&shop, now).expect("looked at");
        let Published::Same(version, drift) = published else {
            panic!("{published:?}");
        };
        assert_eq!(version.number, 1);
        assert!(drift.most() < 0.01, "{drift}");
    }
    let newest = store.newest(&shop).expect("there").expect("one");
    assert_eq!(store.published(&newest).expect("there"), bytes);

    // A new call takes over.
    let changed = [
        SHOP,
        &[("shop.dev/cart.Total", 8, "shop.dev/cart.discount", 900)],
    ]
    .concat();
    now = push_many(&store, "shop", &changed, 30, now);
    let Published::New(second) = store.publish(&shop, now).expect("published") else {
        panic!("a sixth of the weight is new");
    };
    assert_eq!(second.number, 2);
    assert!(
        second.reason.contains("became hot, 0.0 % was"),
        "{}",
        second.reason
    );
    assert_eq!(store.version(&shop, 1).expect("kept").hash, first.hash);
    assert_eq!(store.published(&first).expect("kept"), bytes);
    let error = store.version(&shop, 3).expect_err("not yet");
    assert!(error.to_string().contains("the newest is 2"), "{error}");
}

#[test]
fn another_programs_profile_is_set_apart_until_it_is_accepted() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    let before = store.window(&shop, days(1), NOON).expect("merged").packed;
    let mail = packed(MAIL, NOON);
    let receipt = push(&store, "shop", &mail, NOON);
    assert!(
        matches!(receipt.outcome, Outcome::Apart(share) if share < 0.1),
        "{receipt:?}"
    );
    assert_eq!(
        store.window(&shop, days(1), NOON).expect("merged").packed,
        before
    );
    let again = push(&store, "shop", &mail, NOON);
    assert!(matches!(again.outcome, Outcome::Apart(_)), "{again:?}");
    let service = &store.services().expect("listed")[0];
    assert_eq!((service.profiles, service.apart), (1, 1));

    store.accept(&shop, &receipt.hash).expect("there");
    let after = store.window(&shop, days(1), NOON).expect("merged");
    assert_eq!(after.facts.profiles, 2);
    let calls = edges(&after.packed);
    assert!(
        calls.weight(&goprof::Edge::new(
            "mail.dev/send.Run",
            5,
            "mail.dev/send.one"
        )) > 0
    );
    // From now on its functions are known.
    let next = push(&store, "shop", &packed(MAIL, NOON + 1), NOON);
    assert_eq!(next.outcome, Outcome::Kept);
}

#[test]
fn who_says_that_it_is_its_own_is_believed() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    let bytes = packed(MAIL, NOON);
    let apart = push(&store, "shop", &bytes, NOON);
    assert!(matches!(apart.outcome, Outcome::Apart(_)));
    let pushed = Pushed {
        service: &shop,
        bytes: &bytes,
        labels: &[],
        began: None,
        own: true,
    };
    assert_eq!(
        store.push(pushed, NOON).expect("taken").outcome,
        Outcome::Kept
    );
    let merged = store.window(&shop, days(1), NOON).expect("merged");
    assert_eq!(merged.facts.profiles, 2);
}

#[test]
fn a_clock_that_can_not_be_right_is_not_believed() {
    let folder = folder();
    let store = opened(folder.path());
    for (offset, skewed) in [
        (0, false),
        (200 * SECOND, false),
        (-29 * DAY, false),
        (301 * SECOND, true),
        (400 * DAY, true),
        (-31 * DAY, true),
        (-NOON + 1, true),
    ] {
        let receipt = push(&store, "shop", &packed(SHOP, NOON + offset), NOON);
        assert_eq!(receipt.skewed, skewed, "{offset}");
    }
    let profiles = store.profiles(&name("shop"), 100).expect("listed");
    assert_eq!(profiles.len(), 7);
    assert!(profiles.iter().all(|profile| profile.time <= NOON));
    // The two of the future are within any window, as what was received now.
    let merged = store.window(&name("shop"), days(1), NOON).expect("merged");
    assert_eq!(merged.facts.profiles, 6);
    assert_eq!(merged.facts.last, NOON);
}

#[test]
fn what_is_no_use_is_told_and_counted() {
    let folder = folder();
    let store = opened(folder.path());
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    let mut heap = profile(SHOP, NOON);
    for value_type in &mut heap.sample_type {
        value_type.unit = value_type.r#type;
    }
    let error = try_push(&store, "shop", &encode(&heap), NOON).expect_err("no use");
    assert!(error.is_no_use(), "{error}");
    assert!(
        error.to_string().contains("samples/samples and cpu/cpu"),
        "{error}"
    );
    let mut idle = profile(SHOP, NOON);
    idle.sample.clear();
    let error = try_push(&store, "shop", &encode(&idle), NOON).expect_err("no use");
    assert!(matches!(error, Error::NoSamples), "{error}");
    assert_eq!(store.services().expect("listed")[0].passed_over, 2);
}

#[test]
fn what_the_compiler_could_not_use_is_refused() {
    let folder = folder();
    let store = opened(folder.path());
    let mut lacking = profile(SHOP, NOON);
    for function in &mut lacking.function {
        function.start_line = 0;
    }
    let mut negative = profile(SHOP, NOON);
    negative.sample[0].value = vec![-1, -1];
    let gzip_twice = goprof::pack(&goprof::pack(&packed(SHOP, NOON)));
    let cases: [(Vec<u8>, &str); 6] = [
        (encode(&lacking), "100 % of the profile's weight"),
        (encode(&negative), "negative values"),
        (gzip_twice, "not a pprof profile"),
        (Vec::new(), "empty (0 bytes)"),
        (b"<html>".to_vec(), "not a pprof profile"),
        (
            goprof::pack(&vec![0; 17 << 20]),
            "larger than 16777216 bytes",
        ),
    ];
    for (bytes, expected) in cases {
        let error = try_push(&store, "shop", &bytes, NOON).expect_err(expected);
        assert!(
            !error.is_no_use() && error.to_string().contains(expected),
            "{error}"
        );
    }
    assert!(store.services().expect("listed").is_empty());
}

#[test]
fn a_service_too_many_is_refused_and_the_others_go_on() {
    let folder = folder();
    let settings = Settings {
        services: 2,
        ..Settings::default()
    };
    let store = Store::open(folder.path(), settings).expect("it opens");
    let bytes = packed(SHOP, NOON);
    push(&store, "one", &bytes, NOON);
    push(&store, "two", &bytes, NOON);
    let error = try_push(&store, "three", &bytes, NOON).expect_err("one too many");
    assert!(error.to_string().contains("holds 2 services"), "{error}");
    push(&store, "two", &packed(SHOP, NOON + 1), NOON);
    store.remove_service(&name("one")).expect("gone");
    push(&store, "three", &bytes, NOON);
}

#[test]
fn too_many_labels_are_refused() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    let bytes = packed(SHOP, NOON);
    let push = |labels: &[(String, String)]| {
        let (service, began) = (&shop, None);
        let pushed = Pushed {
            service,
            bytes: &bytes,
            labels,
            began,
            own: false,
        };
        store.push(pushed, NOON)
    };
    let many: Vec<_> = (0..65)
        .map(|at| (format!("l{at}"), String::new()))
        .collect();
    let error = push(&many).expect_err("too many").to_string();
    assert!(error.contains("65, and 64 are allowed"), "{error}");
    let long = [("l".to_owned(), "x".repeat(10_000))];
    let error = push(&long).expect_err("too long").to_string();
    assert!(error.contains("10001 bytes, and 8192"), "{error}");
    push(&[("pod".to_owned(), "<a>\"".to_owned())]).expect("taken");
    let kept = &store.profiles(&shop, 1).expect("listed")[0].labels;
    assert_eq!(kept, r#"{"pod":"<a>\""}"#);
}

#[test]
fn time_leaves_what_the_compiler_reads_and_then_nothing() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    push_many(&store, "shop", SHOP, 10, NOON);
    let hash = store.profiles(&shop, 1).expect("listed")[0].hash;
    let bodies = || {
        fs::read_dir(folder.path().join("bodies")).map_or(0, |all| {
            let inside =
                |entry: fs::DirEntry| fs::read_dir(entry.path()).map_or(0, Iterator::count);
            all.filter_map(Result::ok).map(inside).sum()
        })
    };
    assert_eq!(bodies(), 10);
    let swept = store.sweep(NOON + DAY).expect("swept");
    assert_eq!((swept.hours, swept.folded, bodies()), (1, 0, 11));
    assert!(store.raw(&shop, &hash).is_ok());

    let later = NOON + 8 * DAY;
    let before = store.window(&shop, days(14), later).expect("merged");
    let swept = store.sweep(later).expect("swept");
    assert_eq!((swept.folded, swept.bodies, bodies()), (10, 10, 1));
    let error = store.raw(&shop, &hash).expect_err("folded").to_string();
    assert!(error.contains("kept for 7 days"), "{error}");
    let after = store.window(&shop, days(14), later).expect("merged");
    assert_eq!(after.packed, before.packed);
    // What was folded is still known.
    assert_eq!(
        store.sweep(later).expect("swept"),
        pgo::store::Swept::default()
    );

    store.publish(&shop, later).expect("published");
    let old = NOON + 31 * DAY;
    let swept = store.sweep(old).expect("swept");
    assert_eq!((swept.removed, bodies()), (10, 1), "the version stays");
    let error = store.window(&shop, days(14), old).expect_err("nothing");
    assert!(
        error
            .to_string()
            .contains("no profiles of the last 14 days"),
        "{error}"
    );
    let newest = store.newest(&shop).expect("there").expect("one");
    assert!(store.published(&newest).is_ok());
}

#[test]
fn only_so_many_versions_are_kept() {
    let folder = folder();
    let settings = Settings {
        keep_versions: 2,
        window: std::time::Duration::from_secs(3600),
        min_samples: 1,
        ..Settings::default()
    };
    let store = Store::open(folder.path(), settings).expect("it opens");
    let shop = name("shop");
    for at in 0..4_i64 {
        let callee = format!("shop.dev/cart.f{at}");
        let now = NOON + at * 2 * HOUR;
        push(
            &store,
            "shop",
            &packed(&[("main.main", 1, &callee, 10)], now),
            now,
        );
        store
            .accept(&shop, &store.profiles(&shop, 1).expect("listed")[0].hash)
            .expect("there");
        assert!(
            matches!(store.publish(&shop, now), Ok(Published::New(_))),
            "{at}"
        );
    }
    assert_eq!(store.sweep(NOON).expect("swept").versions, 2);
    let numbers: Vec<i64> = store
        .versions(&shop)
        .expect("listed")
        .iter()
        .map(|version| version.number)
        .collect();
    assert_eq!(numbers, [4, 3]);
    assert!(store.version(&shop, 1).is_err());
}

#[test]
fn a_profile_that_is_removed_is_in_no_merge_any_more() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    let now = push_many(&store, "shop", SHOP, 3, NOON);
    let expected = store.window(&shop, days(1), now).expect("merged").packed;
    let extra = push(&store, "shop", &packed(SHOP, NOON + 300 * SECOND), now);
    store.sweep(NOON + 5 * HOUR).expect("swept");
    store.remove_profile(&shop, &extra.hash).expect("there");
    assert_eq!(
        store.window(&shop, days(1), now).expect("merged").packed,
        expected
    );
    let error = store.remove_profile(&shop, &extra.hash).expect_err("gone");
    assert!(matches!(error, Error::NoProfile { .. }), "{error}");
}

#[test]
fn a_store_is_opened_once() {
    let folder = folder();
    let store = opened(folder.path());
    let error = Store::open(folder.path(), Settings::default())
        .err()
        .expect("refused");
    assert!(
        error.to_string().contains("another server works on"),
        "{error}"
    );
    drop(store);
    opened(folder.path());
}

#[test]
fn a_body_that_was_changed_is_told() {
    let folder = folder();
    let store = opened(folder.path());
    let hash = push(&store, "shop", &packed(SHOP, NOON), NOON).hash;
    let hex = hash.to_hex();
    let path = folder
        .path()
        .join("bodies")
        .join(&hex[..2])
        .join(format!("{}.pprof.gz", &hex[2..]));
    fs::write(&path, packed(MAIL, NOON)).expect("written");
    let error = store
        .window(&name("shop"), days(1), NOON)
        .expect_err("damaged")
        .to_string();
    assert!(
        error.contains("is not what was kept") && error.contains(hex.as_str()),
        "{error}"
    );
    fs::remove_file(&path).expect("removed");
    let error = store
        .raw(&name("shop"), &hash)
        .expect_err("lost")
        .to_string();
    assert!(error.contains("lost or damaged"), "{error}");
}

#[test]
fn what_nothing_names_is_removed() {
    let folder = folder();
    let store = opened(folder.path());
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    push(&store, "mail", &packed(MAIL, NOON), NOON);
    store.remove_service(&name("mail")).expect("gone");
    assert_eq!(store.sweep(NOON).expect("swept").bodies, 1);
    assert!(store.window(&name("shop"), days(1), NOON).is_ok());
}

#[test]
fn hot_calls_are_held_against_the_program_of_today() {
    let folder = folder();
    let store = opened(folder.path());
    let shop = name("shop");
    push(&store, "shop", &packed(SHOP, NOON), NOON);
    let calls = edges(&store.window(&shop, days(1), NOON).expect("merged").packed);
    assert_eq!(store.still_there(&shop, &calls).expect("looked"), None);
    let all = calls.by_weight();
    let names = all
        .iter()
        .flat_map(|(edge, _)| [edge.caller.as_str(), &edge.callee]);
    let keys = pgo::store::name_keys(names.clone());
    store.set_program(&shop, &keys, NOON).expect("kept");
    assert_eq!(store.still_there(&shop, &calls).expect("looked"), Some(1.0));
    let renamed = names.filter(|name| *name != "shop.dev/cart.price");
    let keys = pgo::store::name_keys(renamed);
    store.set_program(&shop, &keys, NOON).expect("kept");
    let share = store
        .still_there(&shop, &calls)
        .expect("looked")
        .expect("known");
    // 900 and 400 of 1,500 samples, less what is rounded.
    assert!((share - 200.0 / 1500.0).abs() < 0.02, "{share}");
}
