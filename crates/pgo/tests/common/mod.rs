//! Profiles with known calls.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod serving;

use std::{sync::Arc, time::Duration};

use goprof::{Frame, Location, Meta, ProfileBuilder, encode, pprof::Profile};
use pgo::store::{Outcome, Pushed, Receipt, ServiceName, Store, Time};

/// 1 October 2026, noon.
pub const NOON: Time = 1_790_856_000_000_000_000;
pub const SECOND: i64 = 1_000_000_000;
pub const HOUR: i64 = 3600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
pub const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// `CALLER:LINE CALLEE COUNT`, the line counted from the caller's `func`.
pub type Call<'a> = (&'a str, u32, &'a str, u64);

/// A service's calls, of functions of its own and of the runtime.
pub const SHOP: &[Call<'_>] = &[
    ("main.main", 3, "shop.dev/cart.Total", 100),
    ("shop.dev/cart.Total", 5, "shop.dev/cart.price", 900),
    ("shop.dev/cart.price", 2, "runtime.mallocgc", 400),
    ("runtime.mallocgc", 40, "runtime.nextFreeFast", 100),
];

pub const MAIL: &[Call<'_>] = &[
    ("main.main", 9, "mail.dev/send.Run", 50),
    ("mail.dev/send.Run", 5, "mail.dev/send.one", 1350),
    ("runtime.mallocgc", 40, "runtime.nextFreeFast", 100),
];

/// A recording of 30 s that ended at `time`, at 100 Hz.
pub fn profile(calls: &[Call<'_>], time: Time) -> Profile {
    let meta = Meta {
        period_nanos: 10_000_000,
        time_nanos: time,
        duration_nanos: 30 * SECOND,
    };
    let mut builder = ProfileBuilder::new(meta, Vec::new());
    for (at, (caller, line, callee, count)) in (1_u64..).zip(calls) {
        let place = |address, function: &str, line| {
            Arc::new(Location {
                address,
                mapping: None,
                frames: vec![Frame {
                    function: function.to_owned(),
                    file: "main.go".to_owned(),
                    line: 10 + line,
                    start_line: 10,
                }],
            })
        };
        builder.add(
            vec![
                place(2 * at, callee, 1),
                place(2 * at + 1, caller, *line),
                place(1, "runtime.main", 7),
            ],
            *count,
        );
    }
    builder.finish()
}

pub fn packed(calls: &[Call<'_>], time: Time) -> Vec<u8> {
    encode(&profile(calls, time))
}

pub fn name(text: &str) -> ServiceName {
    text.parse().expect("a name")
}

pub fn push(store: &Store, service: &str, bytes: &[u8], now: Time) -> Receipt {
    try_push(store, service, bytes, now).expect("it is taken")
}

pub fn try_push(
    store: &Store,
    service: &str,
    bytes: &[u8],
    now: Time,
) -> Result<Receipt, pgo::store::Error> {
    let service = name(service);
    let pushed = Pushed {
        service: &service,
        bytes,
        labels: &[],
        began: None,
        own: false,
    };
    store.push(pushed, now)
}

/// Pushes the calls once a minute, `count` times, each a little otherwise, and returns the time after.
pub fn push_many(store: &Store, service: &str, calls: &[Call<'_>], count: i64, from: Time) -> Time {
    let mut rng = fastrand::Rng::with_seed(from as u64);
    for minute in 0..count {
        let time = from + minute * 60 * SECOND;
        let noisy: Vec<Call<'_>> = calls
            .iter()
            .map(|(caller, line, callee, weight)| {
                let noise = rng.u64(0..=weight / 10);
                (*caller, *line, *callee, weight + noise)
            })
            .collect();
        let receipt = push(store, service, &packed(&noisy, time), time + 31 * SECOND);
        assert_eq!(receipt.outcome, Outcome::Kept);
    }
    from + count * 60 * SECOND
}
