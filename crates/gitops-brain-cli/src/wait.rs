//! Waiting until a commit is live and healthy.
//!
//! Each environment is watched by a thread of its own; what they learn goes through one channel to
//! the one that prints. Nothing ends with success unless the server said `succeeded`.

mod mend;
mod patience;
mod stream;

use std::{
    process,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use gitops_brain::{CommitId, EnvironmentName, format_duration};
use serde_json::Value;

use crate::{
    args::{Format, Global, Wait, Waiting},
    client::{Backoff, Client, ClientError, encode},
    commit::Found,
    exit::{Exit, Failure, INTERRUPTED},
    output::{self, Reporter, dotenv},
    register,
    status::{Answer, Status},
    wait::{
        mend::Mender,
        patience::{Decision, Patience},
        stream::Stream,
    },
};

/// How long one question may rest with the server: proxies cut connections that idle for a minute.
const POLL: Duration = Duration::from_secs(50);

/// How long after our own time limit the server's word is still awaited: it knows the limit too, and
/// says more about it.
const LAST_WORD: Duration = Duration::from_secs(2);

/// What a watcher has to tell.
#[derive(Debug)]
pub(crate) enum Update {
    Status(Box<Answer>),
    Note(String),
}

/// How the wait for one environment ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) environment: String,
    pub(crate) commit: String,
    pub(crate) exit: Exit,
    /// The last answer, if there ever was one.
    pub(crate) answer: Option<Answer>,
    /// What is to be said beside the answer.
    pub(crate) message: Option<String>,
    pub(crate) remedy: Option<String>,
    pub(crate) after: Duration,
    /// Where the rollout can be looked at.
    pub(crate) url: String,
}

/// What is waited for, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) found: &'a Found,
    pub(crate) environments: &'a [EnvironmentName],
    pub(crate) waiting: &'a Waiting,
    pub(crate) labels: &'a [(String, String)],
    pub(crate) registers: bool,
}

pub(crate) fn run(args: &Wait, global: &Global) -> Result<Exit, Failure> {
    let client = Client::new(&global.url, global.token.as_deref())?;
    let found = Found::find(&args.target.commit, global)?;
    let question = Question {
        found: &found,
        environments: &args.target.environment,
        waiting: &args.waiting,
        labels: &args.waiting.label,
        registers: !args.no_register,
    };
    ask(&question, &client, global.output)
}

/// Waits, and reports how that goes.
pub(crate) fn ask(
    question: &Question<'_>,
    client: &Client,
    format: Format,
) -> Result<Exit, Failure> {
    let Question { found, environments, waiting, .. } = *question;
    let _ = ctrlc::set_handler(|| process::exit(INTERRUPTED));
    let objects = found.recent();
    let sent = objects.as_deref().unwrap_or_default();
    let registration = register::body(&[], Some(waiting.timeout), question.labels, sent);
    let mut reporter = output::reporter(format, environments, found.commit);
    if let Err(why) = &objects {
        reporter.note(None, &format!("no commit objects are sent: {why}"));
    }
    let started = Instant::now();
    let watchers = environments.iter().map(|environment| Watcher {
        client,
        environment,
        commit: found.commit,
        waiting,
        registers: question.registers,
        registration: &registration,
        mender: Mender::new(client, found, environment),
        stream: Stream::new(client, environment, found.commit),
        started,
        answer: None,
    });
    let ended = watch(watchers, &mut *reporter);
    // The one that ended worst speaks for all. One that is missing never ended well.
    let complete = ended.len() == environments.len();
    let worst = ended.iter().map(|ended| ended.exit).max().filter(|_| complete);
    if let Some(path) = &waiting.dotenv {
        dotenv::write(path, &ended)?;
    }
    reporter.finish(&ended)?;
    Ok(worst.unwrap_or(Exit::Internal))
}

/// Watches all at once, and reports what they learn.
fn watch<'a>(
    watchers: impl Iterator<Item = Watcher<'a>>,
    reporter: &mut dyn Reporter,
) -> Vec<Ended> {
    let (sender, updates) = mpsc::channel();
    thread::scope(|scope| {
        let threads: Vec<_> = watchers
            .map(|watcher| {
                let sender = sender.clone();
                scope.spawn(move || {
                    let environment = watcher.environment.as_str();
                    watcher.run(|update| {
                        // Nobody listens only if the process is ending.
                        let _ = sender.send((environment, update));
                    })
                })
            })
            .collect();
        drop(sender);
        for (environment, update) in updates {
            match update {
                Update::Status(answer) => reporter.status(&answer),
                Update::Note(note) => reporter.note(Some(environment), &note),
            }
        }
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// Watches one rollout.
struct Watcher<'a> {
    client: &'a Client,
    environment: &'a EnvironmentName,
    commit: CommitId,
    waiting: &'a Waiting,
    registers: bool,
    registration: &'a Value,
    mender: Mender<'a>,
    stream: Stream<'a>,
    started: Instant,
    answer: Option<Answer>,
}

/// What keeps the server from answering.
#[derive(Debug, Default)]
struct Outage {
    backoff: Backoff,
    message: Option<String>,
}

impl Watcher<'_> {
    fn run(mut self, mut tell: impl FnMut(Update)) -> Ended {
        let until = self.started + self.waiting.timeout + LAST_WORD;
        let mut patience = Patience::new(self.waiting.keep_waiting).exact(self.waiting.exact);
        let mut outage = Outage::default();
        let mut to_register = self.registers;
        let mut registrations = 0;
        let mut look_within = Some(Duration::ZERO);
        loop {
            let asked = Instant::now();
            let left = until.saturating_duration_since(asked);
            if left.is_zero() {
                return self.out_of_time(outage, &patience);
            }
            let result = if to_register {
                self.client.put(&register::path(self.environment, self.commit), self.registration)
            } else {
                self.ask(POLL.min(left).min(look_within.unwrap_or(POLL)))
            };
            let raw = match result {
                Ok(raw) => raw,
                Err(ClientError::Denied { message }) if to_register => {
                    tell(Update::Note(format!("{message}; waiting without registering")));
                    to_register = false;
                    continue;
                }
                Err(error) if error.may_pass() => {
                    let pause = outage.backoff.next(&error);
                    let message = error.to_string();
                    if outage.message.as_ref() != Some(&message) {
                        tell(Update::Note(format!("{message}; trying again")));
                        outage.message = Some(message);
                    }
                    thread::sleep(pause.min(until.saturating_duration_since(Instant::now())));
                    continue;
                }
                Err(error) => return self.refused(error),
            };
            if outage.message.take().is_some() {
                tell(Update::Note("the server answers again".to_owned()));
            }
            outage.backoff.reset();
            if to_register {
                // The answer is to the rollout's question, and ours may be another: ask.
                to_register = false;
                registrations += 1;
                look_within = Some(Duration::ZERO);
                continue;
            }
            let answer = match Answer::read(raw) {
                Ok(answer) => answer,
                Err(failure) => return self.refused(failure),
            };
            let status = &answer.status;
            tell(Update::Status(Box::new(answer.clone())));
            let decision = patience.decide(status, Instant::now());
            let is_new =
                self.answer.as_ref().is_none_or(|old| old.status.version != status.version);
            // A server whose journal was lost has forgotten the registration, and no other cause.
            to_register = registrations > 0 && registrations < 3 && !status.registered;
            for note in self.mender.mend(status) {
                tell(Update::Note(note));
            }
            self.answer = Some(answer);
            match decision {
                Decision::End(exit) => return self.ended(exit),
                Decision::Wait(within) => look_within = within,
            }
            // Not every proxy lets a question rest.
            if !is_new && asked.elapsed() < Duration::from_secs(1) {
                thread::sleep(Duration::from_secs(1).min(look_within.unwrap_or(POLL)));
            }
        }
    }

    /// The next answer: when something changed, or when the time is over.
    fn ask(&mut self, within: Duration) -> Result<Value, ClientError> {
        if let Some(answer) = &self.answer
            && !within.is_zero()
            && self.is_plain()
            && self.stream.is_usable()
        {
            let version = &answer.status.version;
            return match self.stream.next(version, within) {
                Some(raw) => Ok(raw),
                // Silence, or the end of the stream: ask what is so now.
                None => self.client.get(&self.question(Duration::ZERO), Duration::ZERO),
            };
        }
        self.client.get(&self.question(within), within)
    }

    /// Whether the question is the rollout's own, which the stream answers.
    fn is_plain(&self) -> bool {
        let Waiting { require, reconciler, failure_grace, .. } = self.waiting;
        require.is_none() && reconciler.is_empty() && failure_grace.is_none()
    }

    fn question(&self, wait: Duration) -> String {
        let mut question = register::path(self.environment, self.commit);
        let mut ask = |name: &str, value: &str| {
            question.push(if question.contains('?') { '&' } else { '?' });
            question.push_str(name);
            question.push('=');
            question.push_str(&encode(value));
        };
        if let Some(answer) = &self.answer
            && !wait.is_zero()
        {
            ask("wait", &format_duration(Duration::from_millis(wait.as_millis() as u64)));
            ask("since", &answer.status.version);
        }
        if let Some(require) = self.waiting.require {
            ask("for", require.as_str());
        }
        for reconciler in &self.waiting.reconciler {
            ask("reconciler", reconciler.as_str());
        }
        if let Some(grace) = self.waiting.failure_grace {
            ask("failure_grace", &format_duration(grace));
        }
        question
    }

    fn out_of_time(self, outage: Outage, patience: &Patience) -> Ended {
        let timeout = format_duration(self.waiting.timeout);
        match outage.message {
            Some(message) => {
                let mut ended = self.ended(Exit::Unreachable);
                ended.message = Some(format!("no answer within {timeout}: {message}"));
                ended.remedy =
                    Some("check --url (GITOPS_BRAIN_URL), and that the server runs".to_owned());
                ended
            }
            None => {
                let status = self.answer.as_ref().map(|answer| &answer.status);
                let exit = status.map_or(Exit::TimedOut, |status| patience.out_of_time(status));
                let mut ended = self.ended(exit);
                ended.message = Some(format!("not done within {timeout}"));
                ended
            }
        }
    }

    fn refused(self, error: impl Into<Failure>) -> Ended {
        let failure = error.into();
        let mut ended = self.ended(failure.exit);
        ended.message = Some(failure.message);
        ended.remedy = failure.remedy;
        ended
    }

    fn ended(self, exit: Exit) -> Ended {
        let status = self.answer.as_ref().map(|answer| &answer.status);
        let successor = status.and_then(Status::successor).filter(|_| self.waiting.exact);
        let is_stray = exit == Exit::TimedOut && status.is_some_and(|status| !status.is_related());
        let mut message = None;
        let remedy = match (exit, successor) {
            (Exit::Unanswerable, Some(successor)) => {
                message = Some(format!("{successor}, which contains this commit, took its place"));
                Some("leave out --exact to accept it".to_owned())
            }
            // The remedy of the status is the better one.
            (Exit::Unanswerable, None)
                if status.is_some_and(|status| {
                    status.unfinished().any(|reconciler| reconciler.reason == "no_commit")
                }) =>
            {
                None
            }
            (Exit::Unanswerable, None) => {
                Some("pass --keep-waiting to wait all the same".to_owned())
            }
            (Exit::TimedOut, _) if is_stray => Some(match self.mender.checkout() {
                Ok(path) => format!(
                    "no reconciler ever reported a revision related to this commit: was it pushed, \
                     and is the checkout at {} the repository that Flux applies?",
                    path.display()
                ),
                Err(_) => "no reconciler ever reported a revision related to this commit: was it \
                           pushed, and is it of the repository that Flux applies?"
                    .to_owned(),
            }),
            _ => None,
        };
        Ended {
            environment: self.environment.to_string(),
            commit: self.commit.to_string(),
            exit,
            message,
            remedy,
            after: self.started.elapsed(),
            url: format!("{}{}", self.client.base(), register::path(self.environment, self.commit)),
            answer: self.answer,
        }
    }
}
