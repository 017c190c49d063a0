//! A wait for programs that follow it: a JSON object on a line for each change.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    exit::Failure,
    out::Out,
    output::{Reporter, verdict},
    status::Answer,
    wait::Ended,
};

/// Tells programs on stdout, and people, through another reporter, on stderr.
pub(crate) struct Lines {
    out: Out,
    people: Box<dyn Reporter>,
    versions: HashMap<String, String>,
}

impl Lines {
    pub(crate) fn new(people: Box<dyn Reporter>) -> Self {
        Self { out: Out::stdout(), people, versions: HashMap::new() }
    }

    fn line(&mut self, value: &Value) {
        self.out.line(value.to_string());
    }
}

impl Reporter for Lines {
    fn note(&mut self, environment: Option<&str>, note: &str) {
        self.line(&json!({ "type": "note", "environment": environment, "note": note }));
        self.people.note(environment, note);
    }

    fn status(&mut self, answer: &Answer) {
        let status = &answer.status;
        let version = Some(status.version.clone());
        if self.versions.insert(status.environment.clone(), status.version.clone()) != version {
            self.line(&json!({ "type": "status", "status": answer.raw }));
        }
        self.people.status(answer);
    }

    fn finish(mut self: Box<Self>, ended: &[Ended]) -> Result<(), Failure> {
        for ended in ended {
            self.line(&json!({
                "type": "end",
                "environment": ended.environment,
                "commit": ended.commit,
                "result": verdict::word(ended.exit),
                "exit_code": ended.exit.code(),
                "message": verdict::reason(ended),
                "remedies": verdict::remedies(ended),
            }));
        }
        self.out.finish()?;
        self.people.finish(ended)
    }
}
