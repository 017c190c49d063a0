//! A wait in a CI system's log: a line for each change, without control characters.

use std::{collections::HashMap, time::Instant};

use crate::{
    args::Format,
    exit::Failure,
    out::Out,
    output::{Reporter, conclude, system::System},
    status::{Answer, Reconciler, Status},
    text::{elapsed, one_line},
    wait::Ended,
};

/// The most lines for one status: a rollout can have hundreds of reconcilers.
const MAX_LINES: usize = 20;

/// What makes a reconciler's status another one. The times of its heartbeats do not.
type Key = [Option<String>; 4];

#[derive(Debug)]
pub(crate) struct Log {
    format: Format,
    out: Out,
    started: Instant,
    system: System,
    reconcilers: HashMap<(String, String), Key>,
    overall: HashMap<String, Key>,
}

impl Log {
    pub(crate) fn new(format: Format, mut out: Out, title: &str, system: System) -> Self {
        out.line(system.begin(title));
        Self {
            format,
            out,
            started: Instant::now(),
            system,
            reconcilers: HashMap::new(),
            overall: HashMap::new(),
        }
    }

    fn line(&mut self, environment: &str, text: &str) {
        let after = elapsed(self.started.elapsed());
        self.out.line(format!("[{after:>6}] {environment}: {text}"));
    }

    /// Whether this is news of the whole; it is remembered.
    fn is_news(&mut self, status: &Status) -> bool {
        let key = [
            Some(status.state.clone()),
            Some(status.reason.clone()),
            Some(status.outcome.as_str().to_owned()),
            status.remedy.clone(),
        ];
        self.overall.insert(status.environment.clone(), key.clone()) != Some(key)
    }

    /// Whether this is news of a reconciler; it is remembered.
    fn is_news_of(&mut self, status: &Status, reconciler: &Reconciler) -> bool {
        let key = [
            Some(reconciler.state.clone()),
            Some(reconciler.reason.clone()),
            reconciler.via.clone(),
            reconciler.head.clone(),
        ];
        let name = (status.environment.clone(), reconciler.reconciler.clone());
        self.reconcilers.insert(name, key.clone()) != Some(key)
    }
}

impl Reporter for Log {
    fn note(&mut self, environment: Option<&str>, note: &str) {
        self.line(environment.unwrap_or("note"), &one_line(note));
    }

    fn status(&mut self, answer: &Answer) {
        let status = &answer.status;
        let environment = one_line(&status.environment);
        let news: Vec<_> = status
            .reconcilers
            .iter()
            .filter(|reconciler| self.is_news_of(status, reconciler))
            .collect();
        for reconciler in news.iter().take(MAX_LINES) {
            let state = one_line(&reconciler.state);
            self.line(&environment, &format!("{state:<7}  {}", one_line(&reconciler.message)));
        }
        if news.len() > MAX_LINES {
            self.line(&environment, &format!("… and {} more", news.len() - MAX_LINES));
        }
        if self.is_news(status) {
            // What no reconciler has said already.
            if matches!(
                status.reason.as_str(),
                "learning" | "no_match_yet" | "no_reconciler" | "timed_out"
            ) {
                let state = one_line(&status.state);
                self.line(&environment, &format!("{state:<7}  {}", one_line(&status.message)));
            }
            // Unknown ancestry is mended by this program itself, which tells of it.
            let remedy = status.remedy.as_ref().filter(|_| status.reason != "ancestry_unknown");
            if let Some(remedy) = remedy {
                self.line(&environment, &format!("remedy: {}", one_line(remedy)));
            }
        }
    }

    fn finish(self: Box<Self>, ended: &[Ended]) -> Result<(), Failure> {
        let Self { format, mut out, system, .. } = *self;
        for line in system.end(ended) {
            out.line(line);
        }
        conclude(format, out, ended)?;
        system.conclude(ended)
    }
}
