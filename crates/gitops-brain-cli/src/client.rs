//! The HTTP API, from the asking side.

use std::{fmt, io::Read, time::Duration};

use serde::Deserialize;
use serde_json::Value;
use ureq::{
    Agent, Body,
    http::{Request, Response, Uri, header, request},
    tls::{RootCerts, TlsConfig},
};

use crate::{
    exit::{Exit, Failure},
    text::one_line,
};

/// How long a server may take to answer a question that it need not wait for.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// The largest answer that is read: a history of large rollouts.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// Asks a server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum ClientError {
    /// The server is not there, or cannot answer now: it may be there again soon.
    Unreachable { message: String, retry_after: Option<Duration> },
    /// The server does not allow it.
    Denied { message: String },
    /// The server finds the question wrong.
    Refused { message: String, code: String },
    /// What answers is no gitops-brain, or it cannot be asked at all.
    Unusable { message: String },
}

impl ClientError {
    fn unreachable(message: impl Into<String>) -> Self {
        Self::Unreachable { message: message.into(), retry_after: None }
    }

    /// Whether the same question may be answered later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreachable { message, .. }
        | Self::Denied { message }
        | Self::Refused { message, .. }
        | Self::Unusable { message }) = self;
        f.write_str(message)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Unreachable { .. } => Self::new(Exit::Unreachable, message)
                .remedy("check --url (GITOPS_BRAIN_URL), and that the server runs"),
            ClientError::Denied { .. } => Self::new(Exit::NotAllowed, message)
                .remedy("pass a token with the scope and environment: GITOPS_BRAIN_TOKEN"),
            ClientError::Refused { code, .. } if code == "commit.unknown" => {
                Self::usage(message).remedy("pass the full commit id")
            }
            ClientError::Refused { .. } => Self::usage(message),
            ClientError::Unusable { .. } => {
                Self::new(Exit::Unreachable, message).remedy("check --url (GITOPS_BRAIN_URL)")
            }
        }
    }
}

/// An error as the server tells it (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    title: String,
    detail: String,
}

impl Client {
    pub(crate) fn new(url: &str, token: Option<&str>) -> Result<Self, Failure> {
        let base = url.trim().trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|error| {
            Failure::usage(format!("`{}` is not a URL: {error}", one_line(url)))
        })?;
        let (Some("http" | "https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(Failure::usage(format!(
                "`{}` is not the URL of a server: write it as https://brain.example.com",
                one_line(url)
            )));
        };
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A token is for the server that it was given for, and for no other.
            .max_redirects(0)
            .tls_config(tls)
            .timeout_connect(Some(Duration::from_secs(10)))
            .user_agent(concat!("gitops-brain/", env!("CARGO_PKG_VERSION")));
        if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            // No proxy leads to this machine.
            config = config.proxy(None);
        }
        let token = token.map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(Self { agent: config.build().into(), base, token })
    }

    /// The server's address, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks. `patience` is how long the server is asked to wait before it answers.
    pub(crate) fn get(&self, path: &str, patience: Duration) -> Result<Value, ClientError> {
        self.ask("GET", path, None, patience)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.ask("PUT", path, Some(body), Duration::ZERO)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.ask("POST", path, Some(body), Duration::ZERO)
    }

    /// Opens a stream of server-sent events.
    pub(crate) fn stream(&self, path: &str) -> Result<impl Read + Send + 'static, ClientError> {
        let request = self.request("GET", path).header(header::ACCEPT, "text/event-stream");
        let request = request.body(()).map_err(|error| unusable(&error))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_recv_response(Some(ANSWER_WITHIN)).build();
        let response = self.agent.run(request).map_err(|error| self.no_answer(&error))?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if response.status().is_success() && is_stream {
            return Ok(response.into_body().into_reader());
        }
        self.answer(response)?;
        Err(ClientError::Unusable { message: format!("{} has no stream", self.base) })
    }

    /// Posts a body as it is, with headers instead of the token.
    pub(crate) fn post_raw(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(u16, Value), ClientError> {
        let mut request = Request::post(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body).map_err(|error| unusable(&error))?;
        let request = self.agent.configure_request(request).timeout_global(Some(ANSWER_WITHIN));
        let response = self.agent.run(request.build());
        let response = response.map_err(|error| self.no_answer(&error))?;
        let status = response.status().as_u16();
        self.answer(response).map(|value| (status, value))
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Value, ClientError> {
        let mut request = self.request(method, path).header(header::ACCEPT, "application/json");
        let limit = Some(patience.saturating_add(ANSWER_WITHIN));
        let response = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                let request = request.body(body.to_string()).map_err(|error| unusable(&error))?;
                let request = self.agent.configure_request(request).timeout_global(limit);
                self.agent.run(request.build())
            }
            None => {
                let request = request.body(()).map_err(|error| unusable(&error))?;
                let request = self.agent.configure_request(request).timeout_global(limit);
                self.agent.run(request.build())
            }
        };
        self.answer(response.map_err(|error| self.no_answer(&error))?)
    }

    /// A request with the token.
    fn request(&self, method: &str, path: &str) -> request::Builder {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    fn no_answer(&self, error: &ureq::Error) -> ClientError {
        match error {
            ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::RequireHttpsOnly(_) => unusable(error),
            ureq::Error::Io(error) => {
                ClientError::unreachable(format!("cannot reach {}: {error}", self.base))
            }
            error => ClientError::unreachable(format!("cannot reach {}: {error}", self.base)),
        }
    }

    fn answer(&self, mut response: Response<Body>) -> Result<Value, ClientError> {
        let status = response.status();
        let base = &self.base;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after")
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs);
        if status.is_redirection() {
            let target = one_line(header("location").unwrap_or("elsewhere"));
            return Err(ClientError::Unusable {
                message: format!("{base} redirects to {target}: pass that address"),
            });
        }
        let bytes = response.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
        let bytes = bytes
            .map_err(|error| ClientError::unreachable(format!("{base} stopped short: {error}")))?;
        let value = serde_json::from_slice::<Value>(&bytes);
        if status.is_success() {
            return value.map_err(|error| ClientError::Unusable {
                message: format!("{base} does not answer as gitops-brain does: {error}"),
            });
        }
        let problem = value.ok().and_then(|value| Problem::deserialize(value).ok());
        let problem = problem.unwrap_or_default();
        let said = [&problem.detail, &problem.title].into_iter().find(|text| !text.is_empty());
        let mut message = match said {
            Some(said) => one_line(said),
            None => format!("{base} answers {status}"),
        };
        if !problem.code.is_empty() {
            message.push_str(&format!(" ({})", one_line(&problem.code)));
        }
        Err(match status.as_u16() {
            401 | 403 => ClientError::Denied { message: format!("not allowed: {message}") },
            408 | 425 | 429 | 500.. => ClientError::Unreachable { message, retry_after },
            // The request did not arrive whole.
            400 if problem.code == "request.aborted" => {
                ClientError::Unreachable { message, retry_after }
            }
            _ if problem.code.is_empty() => ClientError::Unusable {
                message: format!("{base} does not answer as gitops-brain does: {status}"),
            },
            _ => ClientError::Refused { message, code: problem.code },
        })
    }
}

fn unusable(error: &impl fmt::Display) -> ClientError {
    ClientError::Unusable { message: format!("cannot ask the server: {error}") }
}

/// Encodes a text for a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The waits between tries: doubling from half a second to ten, or as long as the server asks for.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(crate) fn next(&mut self, error: &ClientError) -> Duration {
        let own = Duration::from_millis(500 << self.tries.min(4)).min(Duration::from_secs(10));
        self.tries += 1;
        match error {
            ClientError::Unreachable { retry_after: Some(after), .. } => {
                (*after).clamp(Duration::from_millis(100), Duration::from_secs(60))
            }
            _ => own,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}
