//! What the server answers when it does not do what was asked: a status, and one sentence.

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::store::Error;

use super::Answer;

/// See the module.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub message: String,
    /// Such as Retry-After.
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
        }
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// What was sent is well-formed, and no use.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The word for it in the Connect protocol, whose clients read the body.
    fn code(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "permission_denied",
            StatusCode::NOT_FOUND | StatusCode::GONE => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "unimplemented",
            StatusCode::REQUEST_TIMEOUT => "deadline_exceeded",
            StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::INSUFFICIENT_STORAGE => "resource_exhausted",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            status if status.is_server_error() => "internal",
            _ => "invalid_argument",
        }
    }

    pub fn answer(self) -> Answer {
        let body = serde_json::json!({ "code": self.code(), "message": self.message });
        let mut response = Response::new(Full::from(format!("{body}\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Profile(goprof::Error::TooLarge { .. } | goprof::Error::TooManyParts { .. }) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Error::Name(_)
            | Error::Profile(_)
            | Error::NotCpu { .. }
            | Error::NoSamples
            | Error::StartLines { .. }
            | Error::Labels { .. }
            | Error::Services { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Error::NoService { .. }
            | Error::NoVersion { .. }
            | Error::NoProfile { .. }
            | Error::NothingInWindow { .. }
            | Error::TooFewSamples { .. } => StatusCode::NOT_FOUND,
            Error::Folded { .. } => StatusCode::GONE,
            Error::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}
