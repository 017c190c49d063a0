//! What happens when nothing can be stored.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gitops_brain::Fact;
use gitops_brain_journal::{Answer, Appended, Cursor, Entry, Journal, JournalError, SqliteJournal};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{A, B, CONFIG, KEY, applying, failed, healthy, start_over, succeeded};

/// A journal that can be made to fail, as a full disk would.
struct Fickle {
    inner: SqliteJournal,
    fails: AtomicBool,
    tarries: AtomicBool,
    _folder: tempfile::TempDir,
}

impl Fickle {
    fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let inner = SqliteJournal::open(folder.path().join("journal.db")).unwrap();
        let (fails, tarries) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { inner, fails, tarries, _folder: folder })
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }
}

impl fmt::Debug for Fickle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fickle")
    }
}

impl Journal for Fickle {
    fn append(&self, facts: &[Fact]) -> Answer<Vec<Appended>> {
        if self.fails.load(Ordering::SeqCst) {
            let cause = "database or disk is full".to_owned();
            return Box::pin(async { Err(JournalError::Unavailable { cause }) });
        }
        let appended = self.inner.append(facts);
        if self.tarries.load(Ordering::SeqCst) {
            return Box::pin(async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                appended.await
            });
        }
        appended
    }

    fn read_after(&self, position: u64, limit: usize) -> Answer<Vec<Entry>> {
        self.inner.read_after(position, limit)
    }

    fn remove(&self, positions: &[u64]) -> Answer<()> {
        self.inner.remove(positions)
    }

    fn take_cursor(&self, name: &str, holder: &str, lease: Duration) -> Answer<Option<Cursor>> {
        self.inner.take_cursor(name, holder, lease)
    }

    fn move_cursor(&self, name: &str, holder: &str, lease: Duration, to: u64) -> Answer<bool> {
        self.inner.move_cursor(name, holder, lease, to)
    }

    fn close(&self) -> Answer<()> {
        self.inner.close()
    }
}

#[tokio::test]
async fn a_full_store_is_said_and_gets_over_it() {
    let journal = Fickle::new();
    let server = start_over(CONFIG, journal.clone()).await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({})).await;
    journal.fail(true);
    let body = applying(10, A).to_string();
    let signature = gitops_brain::sign(KEY.as_bytes(), body.as_bytes()).unwrap();
    let headers = [("X-Signature", &*signature)];
    let response = server.send(Method::POST, "/v1/events/staging", &headers, body.clone()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "2");
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "store.unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("full"), "{problem}");
    assert_eq!(server.put(&path, &json!({})).await.0, StatusCode::SERVICE_UNAVAILABLE);
    // What was not stored was not applied; questions are still answered.
    let (code, status) = server.get(&path).await;
    assert_eq!((code, &status["state"]), (StatusCode::OK, &json!("pending")));
    assert_eq!(server.get("/readyz").await.1["store"], "failing");
    journal.fail(false);
    assert_eq!(server.event_to("staging", KEY, body.as_bytes()).await.0, StatusCode::ACCEPTED);
    assert_eq!(server.get("/readyz").await.1["store"], "ok");
}

#[tokio::test]
async fn a_settlement_is_recorded_when_it_can_be() {
    let journal = Fickle::new();
    let server = start_over(CONFIG, journal.clone()).await;
    let path = format!("/v1/rollouts/staging/{A}");
    server.put(&path, &json!({ "timeout": "200ms" })).await;
    journal.fail(true);
    let (_, status) = server.get(&format!("{path}?wait=10s")).await;
    assert_eq!(status["outcome"], "timed_out", "who waits is answered all the same");
    assert_eq!(journal.inner.read_after(0, 10).await.unwrap().len(), 1);
    journal.fail(false);
    server.event(&applying(1, B)).await;
    assert_eq!(journal.inner.read_after(0, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_heartbeat_needs_no_store() {
    let journal = Fickle::new();
    let server = start_over(CONFIG, journal.clone()).await;
    for event in [applying(40, A), healthy(30, A), succeeded(20, A)] {
        server.event(&event).await;
    }
    journal.fail(true);
    assert_eq!(server.event(&succeeded(10, A)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_heartbeat_is_stored_if_what_it_follows_is_on_its_way() {
    let journal = Fickle::new();
    let server = start_over(CONFIG, journal.clone()).await;
    for event in [applying(40, A), healthy(30, A), succeeded(20, A)] {
        server.event(&event).await;
    }
    journal.tarries.store(true, Ordering::SeqCst);
    let (failed, succeeded) = (failed(15, A), succeeded(10, A));
    let recovered = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.event(&succeeded).await
    };
    let (failed, recovered) = tokio::join!(server.event(&failed), recovered);
    // By what is applied so far it says nothing; after the failure it does.
    assert_eq!((failed.0, recovered.0), (StatusCode::ACCEPTED, StatusCode::ACCEPTED));
    assert_eq!(journal.inner.read_after(0, 10).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_full_sqlite_file() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(folder.path().join("journal.db")).unwrap());
    let server = start_over(CONFIG, journal.clone()).await;
    journal.limit(Some(1)).await.unwrap();
    let mut refused = None;
    let mut accepted = 0;
    for ago in 0..200 {
        let mut event = applying(ago, A);
        event["message"] = json!(format!("Deployment/shop/{} configured", "x".repeat(900)));
        event["involvedObject"]["uid"] = json!(ago.to_string());
        let (code, answer) = server.event(&event).await;
        if code != StatusCode::ACCEPTED {
            refused = Some((event, answer));
            break;
        }
        accepted += 1;
    }
    let (event, answer) = refused.unwrap();
    assert_eq!(answer["code"], "store.unavailable");
    journal.limit(None).await.unwrap();
    assert_eq!(server.event(&event).await.0, StatusCode::ACCEPTED);
    assert_eq!(journal.read_after(0, 1000).await.unwrap().len(), accepted + 1);
}
