//! A small HTTP client: one request, one whole answer, over plain HTTP/1.1.

use std::{net::ToSocketAddrs as _, time::Duration};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Uri,
    body::{Body as _, Bytes},
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;

pub use hyper::{Method, StatusCode, header};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub url: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// For everything, from the name's look-up to the last byte.
    pub patience: Duration,
    /// Bytes of the answer, at most.
    pub limit: u64,
}

/// What was answered.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no address: give http://HOST:PORT")]
    Url(String),
    #[error(
        "`{0}` speaks HTTPS, which this program does not: give an http:// address, such as a tunnel's or a proxy's on this machine"
    )]
    Https(String),
    #[error("cannot reach {host}: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} did not answer within {} s", .patience.as_secs())]
    TooLate { host: String, patience: Duration },
    #[error("{host} broke off: {why}")]
    Broken { host: String, why: String },
    #[error("{host} answers with more than {limit} bytes")]
    TooLarge { host: String, limit: u64 },
    #[error("{host} answers {status}: {message}")]
    Refused {
        host: String,
        status: StatusCode,
        message: String,
    },
}

/// An answer is read up to this, unless said otherwise: what a store unpacks at most.
const LIMIT: u64 = 64 << 20;

impl Ask {
    /// # Errors
    /// When the address is none, or not plain HTTP.
    pub fn new(method: Method, url: &str) -> Result<Self, Error> {
        let wrong = || Error::Url(url.to_owned());
        let parsed: Uri = url.parse().map_err(|_| wrong())?;
        match parsed.scheme_str() {
            Some("http") if parsed.host().is_some() => {}
            Some("https") => return Err(Error::Https(url.to_owned())),
            _ => return Err(wrong()),
        }
        Ok(Self {
            method,
            url: parsed,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            patience: Duration::from_secs(60),
            limit: LIMIT,
        })
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub fn token(self, token: Option<&str>) -> Self {
        match token {
            Some(token) => self.header(AUTHORIZATION, &format!("Bearer {token}")),
            None => self,
        }
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// When there was none. An answer that refuses is one.
    pub fn ask(self) -> Result<Told, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Error::Unreachable {
            host: self.host(),
            why: error.to_string(),
        })?;
        runtime.block_on(self.send())
    }

    /// As [`Ask::ask`], within a runtime.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn send(self) -> Result<Told, Error> {
        let (host, patience) = (self.host(), self.patience);
        tokio::time::timeout(patience, self.exchange())
            .await
            .map_err(|_| Error::TooLate { host, patience })?
    }

    /// Host and port, for messages.
    fn host(&self) -> String {
        let authority = self.url.authority();
        authority.map_or_else(String::new, |authority| {
            // Without user and password.
            let text = authority.as_str();
            text.rsplit_once('@')
                .map_or(text, |(_, host)| host)
                .to_owned()
        })
    }

    async fn exchange(self) -> Result<Told, Error> {
        let host = self.host();
        let unreachable = |why: String| Error::Unreachable {
            host: host.clone(),
            why,
        };
        let broken = |error: hyper::Error| Error::Broken {
            host: host.clone(),
            why: error.to_string(),
        };
        let name = self.url.host().unwrap_or_default();
        let name = name.trim_matches(['[', ']']).to_owned();
        let port = self.url.port_u16().unwrap_or(80);
        let addresses = tokio::task::spawn_blocking(move || (name, port).to_socket_addrs())
            .await
            .map_err(|error| unreachable(error.to_string()))?
            .map_err(|error| unreachable(error.to_string()))?;
        let mut connected = Err(unreachable("its name has no address".to_owned()));
        for address in addresses {
            connected = tokio::net::TcpStream::connect(address)
                .await
                .map_err(|error| unreachable(error.to_string()));
            if connected.is_ok() {
                break;
            }
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(connected?))
            .await
            .map_err(broken)?;
        let connection = tokio::spawn(connection);
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = path.parse().unwrap_or_default();
        *request.headers_mut() = self.headers;
        let headers = request.headers_mut();
        for (name, value) in [
            (HOST, host.as_str()),
            (USER_AGENT, "probelab"),
            (ACCEPT, "*/*"),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.entry(name).or_insert(value);
            }
        }
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, mut body) = response.into_parts();
        let too_large = || Error::TooLarge {
            host: host.clone(),
            limit: self.limit,
        };
        let mut bytes = Vec::new();
        if body.size_hint().lower() > self.limit {
            return Err(too_large());
        }
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame.map_err(broken)?.data_ref() {
                bytes.extend_from_slice(data);
            }
            if bytes.len() as u64 > self.limit {
                return Err(too_large());
            }
        }
        connection.abort();
        Ok(Told {
            status: head.status,
            headers: head.headers,
            body: bytes.into(),
        })
    }
}

impl Told {
    /// The answer, if it is what was asked for.
    ///
    /// # Errors
    /// When the server refused, with the sentence that it gave.
    pub fn ok(self, url: &Uri) -> Result<Self, Error> {
        if self.status.is_success() || self.status == StatusCode::NOT_MODIFIED {
            return Ok(self);
        }
        Err(Error::Refused {
            host: url
                .authority()
                .map_or_else(String::new, ToString::to_string),
            status: self.status,
            message: self.message(),
        })
    }

    /// What the body says: our `message`, or its first line.
    fn message(&self) -> String {
        let value: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message = value.as_ref().and_then(|value| value["message"].as_str());
        match message {
            Some(message) => message.to_owned(),
            None => {
                let text = String::from_utf8_lossy(&self.body);
                let line = text.lines().next().unwrap_or_default();
                line.chars().take(200).filter(|c| !c.is_control()).collect()
            }
        }
    }
}
