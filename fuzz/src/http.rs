//! A request, head and body, to the whole router.

use std::{cell::RefCell, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, Uri},
};
use gitops_brain_server::{Config, Service, open, router};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// How many requests one server gets: what they leave behind must not slow the rest down.
const REQUESTS: u32 = 20_000;

struct Server {
    runtime: Runtime,
    router: Router,
    requests: u32,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        let database = folder.path().join("brain.db").display().to_string();
        config.database = database.parse().expect("a path");
        let service = runtime.block_on(async {
            let journal = open(&config.database).await.expect("a journal");
            Service::start(&config, journal).await.expect("a server")
        });
        Self { runtime, router: router(service), requests: 0, _folder: folder }
    }
}

/// No request makes the server fail. The first line has the method and the path, those up to an empty one
/// are headers, and the rest is the body.
pub fn http(data: &[u8]) {
    thread_local! {
        static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    }
    let Some(request) = request(data) else { return };
    SERVER.with_borrow_mut(|server| {
        if server.as_ref().is_some_and(|server| server.requests >= REQUESTS) {
            *server = None;
        }
        let server = server.get_or_insert_with(Server::start);
        server.requests += 1;
        let answer = server.runtime.block_on(async {
            let answer = server.router.clone().oneshot(request);
            // What waits for a commit may do so.
            tokio::time::timeout(Duration::from_millis(200), answer).await
        });
        if let Ok(Ok(answer)) = answer {
            assert!(!answer.status().is_server_error(), "{}", answer.status());
        }
    });
}

fn request(data: &[u8]) -> Option<Request<Body>> {
    let end = data.windows(2).position(|bytes| bytes == b"\n\n").unwrap_or(data.len());
    let (head, body) = data.split_at(end);
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri: Uri = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let body = body.get(2..).unwrap_or_default().to_vec();
    let mut request = Request::builder().method(method).uri(uri).body(Body::from(body)).ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    Some(request)
}
