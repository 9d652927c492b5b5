//! What the server does by itself: publishes, sweeps, and fetches profiles from programs that serve them.

use std::{sync::Arc, time::Duration};

use hyper::Method;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    client::{self, Ask},
    store::{Error, Outcome, Published, Pushed, ServiceName, Span},
};

use super::{Context, now};

/// A program that serves its own profile, as Go's `net/http/pprof` does.
#[derive(Clone, Debug)]
pub struct Target {
    pub service: ServiceName,
    /// Without the parameter `seconds`.
    pub url: String,
    /// From one recording's beginning to the next.
    pub every: Duration,
    /// How long each is.
    pub seconds: u64,
}

/// Where a program serves its profile, of its address with or without a path.
///
/// # Errors
/// When it is no address of plain HTTP.
pub fn profile_url(url: &str) -> Result<String, client::Error> {
    let ask = Ask::new(Method::GET, url)?;
    Ok(match ask.url.path() {
        "/" => format!("{}/debug/pprof/profile", url.trim_end_matches('/')),
        _ => url.to_owned(),
    })
}

const SWEEP: Duration = Duration::from_secs(3600);
/// What an answer may take beyond the recording itself.
const GRACE: Duration = Duration::from_secs(20);

pub fn start(context: &Arc<Context>, publish_every: Duration, targets: Vec<Target>) {
    tokio::spawn(every(publish_every, Arc::clone(context), publish));
    tokio::spawn(every(SWEEP, Arc::clone(context), sweep));
    let count = u32::try_from(targets.len().max(1)).unwrap_or(u32::MAX);
    for (at, target) in (0_u32..).zip(targets) {
        // Not all at once.
        let late = target.every / count * at;
        tokio::spawn(fetch_again_and_again(Arc::clone(context), target, late));
    }
}

async fn every<F>(length: Duration, context: Arc<Context>, work: fn(Arc<Context>) -> F)
where
    F: Future<Output = ()>,
{
    let mut ticks = interval(length);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work(Arc::clone(&context)).await;
    }
}

async fn publish(context: Arc<Context>) {
    let changed = context.aside(|store| store.take_changed()).await;
    let names = match changed {
        Ok(Ok(names)) => names,
        Ok(Err(error)) => return context.log(&error.to_string()),
        Err(refusal) => return context.log(&refusal.message),
    };
    for name in names {
        let of = name.clone();
        let published = context
            .blocking(&context.merging, move |store| store.publish(&of, now()))
            .await;
        match published {
            Ok(Ok(Published::New(version))) => context.log(&format!(
                "{name}: version {} of {} profiles: {}",
                version.number, version.facts.profiles, version.reason
            )),
            Ok(Ok(Published::Same(..))) => {}
            // There will be more, or they have all become too old.
            Ok(Err(Error::TooFewSamples { .. } | Error::NothingInWindow { .. })) => {}
            // It was removed meanwhile.
            Ok(Err(Error::NoService { .. })) => {}
            Ok(Err(error)) => context.log(&format!("{name}: no version was published: {error}")),
            Err(refusal) => context.log(&format!("{name}: {}", refusal.message)),
        }
    }
}

async fn sweep(context: Arc<Context>) {
    match context
        .blocking(&context.merging, |store| store.sweep(now()))
        .await
    {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => context.log(&format!("what is old could not be removed: {error}")),
        Err(refusal) => context.log(&refusal.message),
    }
}

/// Fetches a target's profile again and again. A failure is told once, and so is that it is over.
async fn fetch_again_and_again(context: Arc<Context>, target: Target, late: Duration) {
    tokio::time::sleep(late).await;
    let mut ticks = interval(target.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing: Option<String> = None;
    loop {
        ticks.tick().await;
        let Target { service, url, .. } = &target;
        match fetch(&context, &target).await {
            Ok(()) => {
                if failing.take().is_some() {
                    context.log(&format!("{service}: {url} gives profiles again"));
                }
            }
            Err(why) if failing.as_ref() != Some(&why) => {
                context.log(&format!(
                    "{service}: no profile from {url}, tried again every {}: {why}",
                    Span(target.every)
                ));
                failing = Some(why);
            }
            Err(_) => {}
        }
    }
}

async fn fetch(context: &Context, target: &Target) -> Result<(), String> {
    let (url, seconds) = (&target.url, target.seconds);
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}seconds={seconds}");
    let mut ask = Ask::new(Method::GET, &url).map_err(|error| error.to_string())?;
    ask.patience = Duration::from_secs(seconds) + GRACE;
    ask.limit = context.limits.body;
    let asked = ask.url.clone();
    let told = ask.send().await.and_then(|told| told.ok(&asked));
    let bytes = told.map_err(|error| error.to_string())?.body;
    let service = target.service.clone();
    let labels = vec![("fetched_from".to_owned(), target.url.clone())];
    let kept = context
        .blocking(&context.judging, move |store| {
            let pushed = Pushed {
                service: &service,
                bytes: &bytes,
                labels: &labels,
                began: None,
                own: false,
            };
            store.push(pushed, now())
        })
        .await
        .map_err(|refusal| refusal.message)?;
    match kept {
        Ok(receipt) if matches!(receipt.outcome, Outcome::Apart(_)) => {
            Err("it looks like another program's, and was set apart".to_owned())
        }
        Ok(_) => Ok(()),
        // An idle program; another time it may be busy.
        Err(error) if error.is_no_use() => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
