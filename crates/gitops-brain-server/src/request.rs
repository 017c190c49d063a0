//! Reading requests: bodies of bounded size and time, and queries whose every parameter is known.

use axum::{
    body::{Body, Bytes, HttpBody as _},
    extract::{Path, rejection::PathRejection},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;
use tokio::time;

use crate::{
    limits::{BODY_PATIENCE, MAX_BODY_BYTES, MAX_DISCARDED_BYTES, MAX_PARAMETERS},
    problem::Problem,
};

/// Reads a body whole.
pub(crate) async fn body(body: Body) -> Result<Bytes, Problem> {
    match time::timeout(BODY_PATIENCE, read(body)).await {
        Ok(read) => read,
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request.timeout",
            format!("the body did not arrive within {} s", BODY_PATIENCE.as_secs()),
        )),
    }
}

async fn read(mut body: Body) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    loop {
        let frame =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context));
        let Some(frame) = frame.await else { break };
        let frame = frame.map_err(|error| {
            Problem::bad_request("request.aborted", format!("the body broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&data);
        } else {
            // Read on, without keeping it, so that the sender is there to read the answer.
            bytes = Vec::new();
            if length > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
                break;
            }
        }
    }
    if length > MAX_BODY_BYTES {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request.too_large",
            format!("the body has more than {MAX_BODY_BYTES} bytes"),
        ));
    }
    Ok(bytes.into())
}

/// Reads a body of JSON. An empty one is an empty object.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        Problem::bad_request(
            "request.malformed",
            format!("the body is not as it should be: {error}"),
        )
    })
}

/// Refuses what is not called JSON. A web page can make a browser send a text to this machine, but
/// not JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "request.content_type",
        "send the body with `Content-Type: application/json`",
    ))
}

/// The parts of a path, percent-decoded.
pub(crate) fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Problem> {
    match path {
        Ok(Path(parts)) => Ok(parts),
        Err(error) => Err(Problem::bad_request("request.malformed", error.body_text())),
    }
}

/// The parameters of a query.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query. A parameter that is not known is a typing mistake: without it the question is
    /// another one.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let query = query.unwrap_or_default().as_bytes();
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query).into_owned().take(MAX_PARAMETERS + 1).collect();
        if parameters.len() > MAX_PARAMETERS {
            return Err(Problem::limit(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        for (name, _) in &parameters {
            if !known.contains(&&**name) {
                return Err(Problem::bad_request(
                    "query.unknown",
                    format!(
                        "there is no parameter `{}`; there are: {}",
                        name.escape_debug().take(80).collect::<String>(),
                        known.join(", ")
                    ),
                ));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter that may be given once.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (_, Some(_)) => Err(Problem::bad_request(
                "query.malformed",
                format!("the parameter `{name}` is given more than once"),
            )),
            (value, None) => Ok(value),
        }
    }

    /// The values of a parameter that may be given several times.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// The value of a parameter that may be given once, read as something.
    pub(crate) fn parsed<T, E: Into<Problem>>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let value = self.one(name)?;
        let parsed = value.map(parse).transpose();
        parsed.map_err(|error| error.into().at(&format!("`{name}`")))
    }
}
