//! Sessions of people: a token in a cookie.
//!
//! The cookie is for reading only: no request that changes anything looks at it, and no other site can
//! make a browser send it. A script cannot read it.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// The cookie's name.
const COOKIE: &str = "gitops_brain_token";

/// What holds of the cookie; half a day, so that a browser that is left open forgets.
const TERMS: &str = "Path=/; HttpOnly; SameSite=Strict; Max-Age=43200";

/// The headers of a request that has this token.
pub(crate) fn bearer(token: &str) -> Option<HeaderMap> {
    let value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    Some(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// The headers of a request, with the token of its cookie if it brings none itself.
pub(crate) fn with_token(headers: &HeaderMap) -> HeaderMap {
    if headers.contains_key(header::AUTHORIZATION) {
        return headers.clone();
    }
    token(headers).as_deref().and_then(bearer).unwrap_or_default()
}

/// Whether somebody is logged in.
pub(crate) fn is_there(headers: &HeaderMap) -> bool {
    token(headers).is_some()
}

/// Logs in, and goes to the first page.
pub(crate) fn begin(token: &str, encrypted: bool) -> Response {
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    go(&format!("{COOKIE}={cookie}; {TERMS}{secure}"))
}

/// Logs out.
pub(crate) fn end() -> Response {
    go(&format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))
}

fn go(cookie: &str) -> Response {
    let headers: [(HeaderName, HeaderValue); 2] = [
        (header::LOCATION, HeaderValue::from_static("/")),
        // Hexadecimal digits and our own words are always a header's value.
        (header::SET_COOKIE, HeaderValue::try_from(cookie).unwrap_or(HeaderValue::from_static(""))),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The token in the cookie: in hexadecimal digits, for a token may have characters that a cookie must not.
fn token(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let found = cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE && !value.is_empty()).then_some(value)
    })?;
    let (pairs, []) = found.as_bytes().as_chunks::<2>() else { return None };
    let digits = pairs.iter().map(|pair| {
        let pair = str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8(digits.collect::<Option<Vec<_>>>()?).ok()
}
