//! Telling the server that a commit is on its way.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use gitops_brain::{CommitId, EnvironmentName, Selector, format_duration};
use serde_json::{Value, json};

use crate::{
    args::{Format, Global, Register},
    client::{Backoff, Client, ClientError},
    commit::Found,
    exit::{Exit, Failure},
    out::Out,
    output,
    status::{Answer, Status},
    text::one_line,
};

/// How long a server that is not there is tried again.
const TRY_FOR: Duration = Duration::from_secs(60);

/// The body of a registration.
pub(crate) fn body(
    expect: &[Selector],
    timeout: Option<Duration>,
    labels: &[(String, String)],
    objects: &[String],
) -> Value {
    let mut body = json!({});
    if let Value::Object(fields) = &mut body {
        if !expect.is_empty() {
            fields.insert("expect".to_owned(), json!(expect));
        }
        if let Some(timeout) = timeout {
            fields.insert("timeout".to_owned(), json!(format_duration(timeout)));
        }
        if !labels.is_empty() {
            let labels: BTreeMap<_, _> = labels.iter().cloned().collect();
            fields.insert("labels".to_owned(), json!(labels));
        }
        if !objects.is_empty() {
            fields.insert("objects".to_owned(), json!(objects));
        }
    }
    body
}

/// Where a rollout is asked about.
pub(crate) fn path(environment: &EnvironmentName, commit: CommitId) -> String {
    format!("/v1/rollouts/{environment}/{commit}")
}

/// What is registered of a commit.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    pub(crate) expect: &'a [Selector],
    pub(crate) timeout: Option<Duration>,
    pub(crate) labels: &'a [(String, String)],
}

impl Registration<'_> {
    /// Registers a commit in each environment, with what its checkout proves of it.
    pub(crate) fn send(
        &self,
        client: &Client,
        found: &Found,
        environments: &[EnvironmentName],
        notes: &mut Out,
    ) -> Result<Vec<Answer>, Failure> {
        let objects = found.recent().unwrap_or_else(|why| {
            notes.line(format!("note: no commit objects are sent: {why}"));
            Vec::new()
        });
        let body = body(self.expect, self.timeout, self.labels, &objects);
        let mut answers = Vec::new();
        for environment in environments {
            let raw = put(client, &path(environment, found.commit), &body, notes)?;
            answers.push(Answer::read(raw)?);
        }
        Ok(answers)
    }
}

/// What came of a registration, in a line.
pub(crate) fn told(status: &Status) -> String {
    format!(
        "registered {} in {} (until {}): {}",
        status.commit,
        one_line(&status.environment),
        one_line(status.deadline_at.as_deref().unwrap_or("no time limit")),
        status.outcome.as_str(),
    )
}

pub(crate) fn run(args: &Register, global: &Global) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, global.token.as_deref())?;
    let found = Found::find(&args.target.commit, global)?;
    let registration =
        Registration { expect: &args.expect, timeout: args.timeout, labels: &args.label };
    let mut notes = Out::stderr();
    let answers = registration.send(&client, &found, &args.target.environment, &mut notes)?;
    let mut out = Out::stdout();
    match global.output {
        Format::Text => answers.iter().for_each(|answer| out.line(told(&answer.status))),
        format => output::json(&mut out, format, &answers),
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

/// Registers. That can be said more than once, so a server that is not there is tried again.
fn put(client: &Client, path: &str, body: &Value, notes: &mut Out) -> Result<Value, ClientError> {
    let started = Instant::now();
    let mut backoff = Backoff::default();
    loop {
        let error = match client.put(path, body) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = backoff.next(&error);
        if !error.may_pass() || started.elapsed() + pause > TRY_FOR {
            return Err(error);
        }
        notes.line(format!("note: {error}; trying again"));
        thread::sleep(pause);
    }
}
