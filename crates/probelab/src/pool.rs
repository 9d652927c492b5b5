//! Several things at once, told in order.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

/// Makes the tasks here, one after the other, and does them on `workers` threads; hands each result to
/// `each`, here too, in the order of the tasks. With one worker all is done here.
///
/// At most one task waits for a worker, so what tasks hold (built trees, locks) is bounded.
pub fn in_order<T: Send, R: Send>(
    workers: usize,
    tasks: impl Iterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
    mut each: impl FnMut(R),
) {
    if workers <= 1 {
        tasks.for_each(|task| each(work(task)));
        return;
    }
    let (give, take) = mpsc::sync_channel::<(usize, T)>(0);
    let take = Arc::new(Mutex::new(take));
    let (done, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (take, done, work) = (take.clone(), done.clone(), &work);
            scope.spawn(move || {
                loop {
                    let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, task)) = next else { return };
                    if done.send((number, work(task))).is_err() {
                        return;
                    }
                }
            });
        }
        // Theirs alone: should all of them panic, giving fails instead of waiting for ever.
        drop((done, take));
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        let mut tell = |(number, result)| {
            waiting.insert(number, result);
            while let Some(result) = waiting.remove(&next) {
                each(result);
                next += 1;
            }
        };
        for task in tasks.enumerate() {
            if give.send(task).is_err() {
                break;
            }
            results.try_iter().for_each(&mut tell);
        }
        drop(give);
        results.iter().for_each(tell);
    });
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use super::*;

    #[test]
    fn results_come_in_order_and_no_more_run_at_once_than_allowed() {
        for workers in [1, 3] {
            let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut told = Vec::new();
            let work = |number: u64| {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // The later, the faster.
                thread::sleep(Duration::from_millis(12 - number));
                running.fetch_sub(1, Ordering::SeqCst);
                number * 2
            };
            in_order(workers, 0..12, work, |result| told.push(result));
            assert_eq!(told, (0..12).map(|n| n * 2).collect::<Vec<_>>());
            assert_eq!(most.into_inner(), workers);
        }
    }
}
