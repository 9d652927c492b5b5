//! How often a client may ask: each has a bucket of requests that fills again by the second.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Requests a second, and how many at once after a pause.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

/// Clients that are remembered; beyond, those with full buckets are forgotten.
const CLIENTS: usize = 10_000;

/// The buckets of all clients.
#[derive(Debug)]
pub struct Rates {
    rate: Rate,
    buckets: HashMap<String, (f64, Instant)>,
}

impl Rates {
    pub fn new(rate: Rate) -> Self {
        let buckets = HashMap::new();
        Self { rate, buckets }
    }

    /// Takes a request of a client's.
    ///
    /// # Errors
    /// How long to wait, where there is none left.
    pub fn take(&mut self, client: &str, now: Instant) -> Result<(), Duration> {
        let Rate { per_second, burst } = self.rate;
        let filled = |(level, then): (f64, Instant)| {
            (level + now.duration_since(then).as_secs_f64() * per_second).min(burst)
        };
        if self.buckets.len() >= CLIENTS && !self.buckets.contains_key(client) {
            self.buckets.retain(|_, bucket| filled(*bucket) < burst);
            if self.buckets.len() >= CLIENTS {
                return Err(Duration::from_secs(1));
            }
        }
        let level = self
            .buckets
            .get(client)
            .map_or(burst, |bucket| filled(*bucket));
        let taken = level >= 1.0;
        let left = if taken { level - 1.0 } else { level };
        match self.buckets.get_mut(client) {
            Some(bucket) => *bucket = (left, now),
            None => {
                self.buckets.insert(client.to_owned(), (left, now));
            }
        }
        match taken {
            true => Ok(()),
            false => Err(Duration::from_secs_f64(
                (1.0 - left) / per_second.max(0.001),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_and_clients_have_their_own() {
        let mut rates = Rates::new(Rate {
            per_second: 2.0,
            burst: 3.0,
        });
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rates.take("a", start), Ok(()));
        }
        let wait = rates.take("a", start).expect_err("empty");
        assert!((wait.as_secs_f64() - 0.5).abs() < 1e-6, "{wait:?}");
        assert_eq!(rates.take("b", start), Ok(()));
        assert_eq!(rates.take("a", start + wait), Ok(()));
        assert!(rates.take("a", start + wait).is_err());
        // It holds no more than it can.
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..5).filter(|_| rates.take("a", later).is_ok()).count(), 3);
    }

    #[test]
    fn many_clients_take_no_endless_memory() {
        let mut rates = Rates::new(Rate {
            per_second: 1.0,
            burst: 1.0,
        });
        let start = Instant::now();
        for client in 0..CLIENTS {
            assert_eq!(rates.take(&client.to_string(), start), Ok(()));
        }
        assert!(rates.take("one more", start).is_err());
        let later = start + Duration::from_secs(2);
        assert_eq!(rates.take("one more", later), Ok(()));
        assert_eq!(rates.buckets.len(), 1);
    }
}
