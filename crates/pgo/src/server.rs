//! The store's server: HTTP in and out.
//!
//! | path | what | scope |
//! | --- | --- | --- |
//! | `POST /ingest`, `POST /push.v1.PusherService/Push` | as Pyroscope's clients push | push |
//! | `POST /profiles/writeraw` | as Parca's do | push |
//! | `PUT /v1/services/NAME/profile` | the bare pprof | push |
//! | `PUT /v1/services/NAME/program` | names of the functions of the program of today | push |
//! | `GET /v1/services/NAME/default.pgo` | the newest version; `?version=`, `?window=` | pull |
//! | `GET /v1/services/NAME/profiles/HASH` | a profile as it was pushed | pull |
//! | `GET /v1/services`, `…/NAME`, `…/NAME/profiles` | lists, as JSON | pull |
//! | `GET /`, `/services/NAME`, `/services/NAME/diff` | pages | pull |
//! | `DELETE …`, `POST …/profiles/HASH/accept` | taking away, and taking back what was set apart | admin |
//!
//! A name with `/` in it may be written with `%2F`.

mod auth;
mod body;
mod intake;
mod labels;
mod listing;
mod multipart;
mod page;
mod pgo_file;
mod push;
mod query;
mod rate;
mod refusal;
mod route;
mod tasks;

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::store::{Error, Scope, Store, Time, Tokens};

pub use query::duration;
pub use rate::Rate;
pub use tasks::{Target, profile_url};

use rate::Rates;
use refusal::Refusal;

/// What the server answers with: whole, since nothing is large.
type Answer = Response<Full<Bytes>>;

/// What clients may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body, with and without its Content-Encoding.
    pub body: u64,
    /// Requests of each client.
    pub rate: Rate,
    /// Connections at one time.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            rate: Rate {
                per_second: 50.0,
                burst: 200.0,
            },
            connections: 512,
        }
    }
}

/// What a server is started with.
pub struct Options {
    pub listen: SocketAddr,
    pub limits: Limits,
    /// How often it is looked whether there is a new version.
    pub publish_every: Duration,
    /// Programs to fetch profiles from.
    pub targets: Vec<Target>,
    /// Where it is said what happens.
    pub log: Box<dyn Fn(&str) + Send + Sync>,
}

/// A server that has its address, and serves nobody yet.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    store: Arc<Store>,
    options: Options,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    #[error("cannot listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error(
        "without tokens anybody who reaches {address} could push and read profiles: make one with `lab pgo token add`, or listen on a loopback address"
    )]
    Open { address: SocketAddr },
    #[error(transparent)]
    Store(#[from] Error),
}

/// What all requests share.
struct Context {
    store: Arc<Store>,
    tokens: Tokens,
    limits: Limits,
    listens: SocketAddr,
    rates: Mutex<Rates>,
    /// Profiles that are looked at, and merges that are made, at one time.
    judging: Semaphore,
    merging: Semaphore,
    log: Box<dyn Fn(&str) + Send + Sync>,
}

/// Threads that wait for the disk, or for the processor.
const BLOCKING_THREADS: usize = 16;
/// How long requests may take to end once the server is to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Time for the head of a request, and its size.
const HEAD: (Duration, usize) = (Duration::from_secs(15), 64 << 10);
/// How often it is looked whether the server is to end.
const LOOK: Duration = Duration::from_millis(100);

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// When it can't be had; when others than this machine reach it and there are no tokens.
    pub fn bind(store: Arc<Store>, options: Options) -> Result<Self, NotStarted> {
        let address = options.listen;
        if !address.ip().is_loopback() && store.tokens().is_empty()? {
            return Err(NotStarted::Open { address });
        }
        let listen = |source| NotStarted::Listen { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        Ok(Self {
            address: listener.local_addr().map_err(listen)?,
            listener,
            store,
            options,
        })
    }

    /// With the port that was chosen where none was named.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is set.
    ///
    /// # Errors
    /// When there are no threads to be had.
    pub fn run(self, stop: &AtomicBool) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let ended = runtime.block_on(self.serve(stop));
        runtime.shutdown_timeout(FAREWELL);
        ended
    }

    async fn serve(self, stop: &AtomicBool) -> std::io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let context = Arc::new(Context {
            tokens: self.store.tokens(),
            store: self.store,
            limits: self.options.limits,
            listens: self.address,
            rates: Mutex::new(Rates::new(self.options.limits.rate)),
            judging: Semaphore::new(2),
            merging: Semaphore::new(1),
            log: self.options.log,
        });
        tasks::start(&context, self.options.publish_every, self.options.targets);
        let connections = Arc::new(Semaphore::new(context.limits.connections));
        let graceful = GracefulShutdown::new();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD.0)
            .max_buf_size(HEAD.1);
        while !stop.load(Ordering::Relaxed) {
            let Ok(accepted) = tokio::time::timeout(LOOK, listener.accept()).await else {
                continue;
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Such as too many open files: others may close some.
                    context.log(&format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            let Ok(room) = Arc::clone(&connections).try_acquire_owned() else {
                // Closed at once; clients try again.
                continue;
            };
            let context = Arc::clone(&context);
            let service = service_fn(move |request: Request<Incoming>| {
                let context = Arc::clone(&context);
                async move {
                    Ok::<_, std::convert::Infallible>(answer(&context, peer.ip(), request).await)
                }
            });
            let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
            tokio::spawn(async move {
                // What goes wrong between us and one client is the client's to see.
                let _ = connection.await;
                drop(room);
            });
        }
        let _ = tokio::time::timeout(FAREWELL, graceful.shutdown()).await;
        Ok(())
    }
}

async fn answer(context: &Context, peer: IpAddr, request: Request<Incoming>) -> Answer {
    let mut answer = match route::answer(context, peer, request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            if refusal.status.is_server_error() {
                context.log(&refusal.message);
            }
            refusal.answer()
        }
    };
    let headers = answer.headers_mut();
    let nosniff = HeaderValue::from_static("nosniff");
    headers.insert("x-content-type-options", nosniff);
    answer
}

impl Context {
    fn log(&self, text: &str) {
        (self.log)(text);
    }

    /// Lets a request in: by its token, and how often its client asked before.
    fn enter(&self, peer: IpAddr, headers: &HeaderMap, scope: Scope) -> Result<(), Refusal> {
        let client = auth::allowed(&self.tokens, self.listens, peer, headers, scope)?;
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(&client.name, Instant::now()).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!(
                    "{} asks more than {} times a second: wait {seconds} s",
                    client.name, self.limits.rate.per_second
                ),
            )
            .with(RETRY_AFTER, seconds.to_string())
        })
    }

    /// Does something with the store that takes long, when it is its turn.
    async fn blocking<T: Send + 'static>(
        &self,
        turns: &Semaphore,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let _turn = turns.acquire().await.map_err(|_| failed())?;
        self.aside(work).await
    }

    /// Does something with the store aside from what else goes on.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|_| failed())
    }
}

fn failed() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the work was broken off")
}

fn empty() -> Full<Bytes> {
    Full::default()
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut answer = Response::new(Full::from(format!("{text}\n")));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

/// Now, in nanoseconds since 1970.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}
