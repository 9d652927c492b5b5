//! A server in a thread, and requests to it over a socket.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use hyper::{
    Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderName},
};
use pgo::{
    client::{Ask, Told},
    server::{Limits, Options, Server, Target},
    store::{Settings, Store},
};

pub struct Serving {
    pub base: String,
    pub store: Arc<Store>,
    /// What it said.
    pub log: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

pub fn serve() -> Serving {
    serve_with(Settings::default(), Limits::default(), Vec::new())
}

pub fn serve_with(settings: Settings, limits: Limits, targets: Vec<Target>) -> Serving {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(Store::open(folder.path(), settings).expect("it opens"));
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let said = Arc::clone(&log);
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        limits,
        publish_every: Duration::from_millis(200),
        targets,
        log: Box::new(move |text| said.lock().expect("unbroken").push(text.to_owned())),
    };
    let server = Server::bind(Arc::clone(&store), options).expect("an address");
    let base = format!("http://{}", server.address());
    let stop = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&stop);
    let thread = std::thread::spawn(move || server.run(&ends).expect("it serves"));
    Serving {
        base,
        store,
        log,
        stop,
        thread: Some(thread),
        _folder: folder,
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "it ends in peace"
            );
        }
    }
}

impl Serving {
    pub fn ask(&self, method: Method, path: &str) -> Ask {
        Ask::new(method, &format!("{}{path}", self.base)).expect("a URL")
    }

    pub fn get(&self, path: &str) -> Told {
        self.ask(Method::GET, path).ask().expect("an answer")
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Told {
        let ask = self.ask(Method::PUT, path).body(body.to_vec());
        ask.ask().expect("an answer")
    }

    pub fn post(&self, path: &str, media: &str, body: impl Into<Vec<u8>>) -> Told {
        let ask = self.ask(Method::POST, path).header(CONTENT_TYPE, media);
        ask.body(body.into()).ask().expect("an answer")
    }

    pub fn bearing(&self, method: Method, path: &str, token: &str) -> Told {
        let ask = self
            .ask(method, path)
            .header(AUTHORIZATION, &format!("Bearer {token}"));
        ask.ask().expect("an answer")
    }
}

/// The value of a header.
pub fn header<'a>(told: &'a Told, name: &str) -> &'a str {
    let name: HeaderName = name.parse().expect("a name");
    let value = told.headers.get(name);
    value.map_or("", |value| value.to_str().expect("text"))
}

pub fn text(told: &Told) -> String {
    String::from_utf8_lossy(&told.body).into_owned()
}

/// The sentence of a refusal with this status.
#[track_caller]
pub fn refusal(told: &Told, status: u16) -> String {
    assert_eq!(
        told.status,
        StatusCode::from_u16(status).expect("one"),
        "{}",
        text(told)
    );
    let value: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    assert!(value["code"].is_string());
    value["message"].as_str().expect("a sentence").to_owned()
}
