//! The server's stream of a rollout's statuses.

use std::{
    io::{BufRead as _, BufReader},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use gitops_brain::{CommitId, EnvironmentName};
use serde_json::Value;

use crate::client::Client;

/// The server sends the present status at once. A proxy that gathers answers does not let it through.
const FIRST_WITHIN: Duration = Duration::from_secs(3);

/// How often a stream may break before it is given up.
const MAX_FAILURES: u32 = 3;

/// A stream that is opened when it is needed, and again when it broke. It tells only *sooner* what a
/// question would be answered too, so it may be given up at any time.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    client: &'a Client,
    path: String,
    statuses: Option<Receiver<Value>>,
    failures: u32,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(client: &'a Client, environment: &EnvironmentName, commit: CommitId) -> Self {
        let path = format!("/v1/stream?environment={environment}&commit={commit}");
        Self { client, path, statuses: None, failures: 0 }
    }

    /// Whether there is any use in asking for the next status.
    pub(crate) fn is_usable(&self) -> bool {
        self.failures < MAX_FAILURES
    }

    /// The next status that is not of this version; nothing if there is none within the time, or if
    /// the stream breaks.
    pub(crate) fn next(&mut self, version: &str, within: Duration) -> Option<Value> {
        let until = Instant::now() + within;
        loop {
            let is_new = self.statuses.is_none();
            if is_new {
                self.statuses = self.open();
            }
            let statuses = self.statuses.as_ref()?;
            let left = until.saturating_duration_since(Instant::now());
            let patience = if is_new { FIRST_WITHIN.min(left) } else { left };
            match statuses.recv_timeout(patience) {
                Ok(status) if status.get("version").and_then(Value::as_str) == Some(version) => {}
                Ok(status) => return Some(status),
                Err(RecvTimeoutError::Timeout) if !is_new || left.is_zero() => return None,
                Err(_) => {
                    self.failures += 1;
                    self.statuses = None;
                    return None;
                }
            }
        }
    }

    fn open(&mut self) -> Option<Receiver<Value>> {
        let Ok(body) = self.client.stream(&self.path) else {
            // It may be a server, or a proxy, that has no streams.
            self.failures = MAX_FAILURES;
            return None;
        };
        let (sender, statuses) = mpsc::channel();
        // It ends with the connection, or with the first status that nobody takes.
        thread::spawn(move || {
            for line in BufReader::new(body).lines().map_while(Result::ok) {
                // Each status is one line of data, and what else there is tells nothing.
                let Some(data) = line.strip_prefix("data: ") else { continue };
                let Ok(status) = serde_json::from_str(data) else { return };
                if sender.send(status).is_err() {
                    return;
                }
            }
        });
        Some(statuses)
    }
}
