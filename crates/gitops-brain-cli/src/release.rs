//! Releases: a commit in the gitops repository, and the wait for it.

use std::env;

use gitops_brain_release::{
    Change, Message, MessageError, PolicyImage, Release, ReleaseError, Released, Repository, Set,
};
use serde_json::{Value, json};

use crate::{
    args::{
        self, Format, GitopsRepository, Global, ReleaseList, ReleaseMake, ReleaseRollback,
        ReleaseStatus, Rollout,
    },
    client::Client,
    commit::Found,
    exit::{Exit, Failure},
    git::Checkout,
    out::Out,
    output::{self, Table},
    register, show,
    text::{one_line, short},
    wait::{self, Question},
};

pub(crate) fn run(command: &args::Release, global: &Global) -> Result<Exit, Failure> {
    match command {
        args::Release::Make(args) => make(args, global),
        args::Release::List(args) => list(args, global),
        args::Release::Status(args) => status(args, global),
        args::Release::Rollback(args) => rollback(args, global),
    }
}

fn make(args: &ReleaseMake, global: &Global) -> Result<Exit, Failure> {
    let change = Change {
        sets: args
            .set
            .iter()
            .map(|(path, value)| Set {
                file: args.file.clone().unwrap_or_default(),
                document: args.document.clone(),
                path: path.clone(),
                value: value.clone(),
            })
            .collect(),
        images: args.image.iter().map(|image| image.clone().within(&*args.kustomization)).collect(),
        policies: args
            .policy
            .iter()
            .map(|(policy, image)| PolicyImage {
                policy: policy.clone(),
                image: image.clone(),
                folder: args.path.clone(),
            })
            .collect(),
    };
    let origin = Origin::of(&args.rollout);
    let message = Message::new(&args.app, &args.version)
        .and_then(|message| match &args.message {
            Some(subject) => message.subject(subject),
            None => Ok(message),
        })
        .and_then(|message| origin.sign(message))?;
    let repository = open(&args.repository, global)?;
    let released = repository.release(&change, &message)?;
    let labels = origin.labels(&args.app, &args.version, &args.rollout);
    conclude(&repository, &released, &args.rollout, &labels, global)
}

fn rollback(args: &ReleaseRollback, global: &Global) -> Result<Exit, Failure> {
    let repository = open(&args.repository, global)?;
    let release = match (&args.commit, &args.app) {
        (Some(commit), _) => repository.release_of(commit)?,
        (None, Some(app)) => repository.newest(app)?,
        (None, None) => return Err(Failure::usage("name a commit, or an app with --app")),
    };
    let origin = Origin::of(&args.rollout);
    let released = repository.rollback(&release, |message| origin.sign(message))?;
    let version = format!("before {}", release.version);
    let labels = origin.labels(&release.app, &version, &args.rollout);
    conclude(&repository, &released, &args.rollout, &labels, global)
}

/// Tells of the commit, and registers it or waits for it.
fn conclude(
    repository: &Repository,
    released: &Released,
    rollout: &Rollout,
    labels: &[(String, String)],
    global: &Global,
) -> Result<Exit, Failure> {
    let commit = released.commit();
    let branch = repository.branch();
    let mut notes = Out::stderr();
    notes.line(match released {
        Released::Pushed(pushed) if pushed.attempt > 1 => {
            format!("pushed {commit} to {branch}, at the {}. try", pushed.attempt)
        }
        Released::Pushed(_) => format!("pushed {commit} to {branch}"),
        _ => format!("nothing to change: {branch} says so already at {commit}"),
    });
    let mut out = Out::stdout();
    match global.output {
        // The wait tells the rest on stdout.
        Format::Text => out.line(commit.to_string()),
        _ if rollout.wait => {}
        format => output::json_value(&mut out, format, &as_json(released, branch)),
    }
    out.finish()?;
    if rollout.environment.is_empty() {
        return Ok(Exit::Succeeded);
    }
    let client = Client::new(&global.url, global.token.as_deref())?;
    let found = Found { commit, checkout: Checkout::open(repository.path()) };
    if rollout.wait {
        let question = Question {
            found: &found,
            environments: &rollout.environment,
            waiting: &rollout.waiting,
            labels,
            registers: true,
        };
        return wait::ask(&question, &client, global.output);
    }
    let timeout = Some(rollout.waiting.timeout);
    let registration = register::Registration { expect: &[], timeout, labels };
    for answer in registration.send(&client, &found, &rollout.environment, &mut notes)? {
        notes.line(register::told(&answer.status));
    }
    Ok(Exit::Succeeded)
}

fn list(args: &ReleaseList, global: &Global) -> Result<Exit, Failure> {
    let repository = open(&args.repository, global)?;
    let releases = repository.releases(args.app.as_deref(), args.limit)?;
    let mut out = Out::stdout();
    match global.output {
        Format::Text => {
            let mut table =
                Table::new(&["committed", "app", "version", "commit", "actor", "subject"]);
            for release in &releases {
                table.row(vec![
                    one_line(&release.committed_at),
                    one_line(&release.app),
                    one_line(&release.version),
                    short(&release.commit.to_string()).to_owned(),
                    one_line(release.actor.as_deref().unwrap_or("-")),
                    one_line(&release.subject),
                ]);
            }
            table.print(&mut out);
        }
        format => {
            let releases = releases.iter().map(release_json).collect();
            output::json_value(&mut out, format, &Value::Array(releases));
        }
    }
    out.finish()?;
    Ok(Exit::Succeeded)
}

fn status(args: &ReleaseStatus, global: &Global) -> Result<Exit, Failure> {
    let repository = open(&args.repository, global)?;
    let release = repository.newest(&args.app)?;
    if global.output == Format::Text {
        let mut out = Out::stdout();
        out.line(format!("{} {}, {}", release.app, release.version, release.committed_at));
        out.finish()?;
    }
    show::status(&release.commit.to_string(), &args.environment, global)
}

fn open(args: &GitopsRepository, global: &Global) -> Result<Repository, Failure> {
    let branch = args.branch.as_deref();
    Ok(match &args.repository {
        Some(url) => Repository::clone(url, branch)?,
        None => Repository::open(&global.checkout, branch)?,
    })
}

fn as_json(released: &Released, branch: &str) -> Value {
    match released {
        Released::Pushed(pushed) => json!({
            "commit": pushed.commit, "branch": branch, "pushed": true,
            "parent": pushed.parent, "attempt": pushed.attempt,
        }),
        released => json!({ "commit": released.commit(), "branch": branch, "pushed": false }),
    }
}

fn release_json(release: &Release) -> Value {
    json!({
        "commit": release.commit,
        "committed_at": release.committed_at,
        "app": release.app,
        "version": release.version,
        "actor": release.actor,
        "run_url": release.run_url,
        "rollback_of": release.rollback_of,
        "subject": release.subject,
    })
}

/// Who asks, and from where.
struct Origin {
    actor: Option<String>,
    run_url: Option<String>,
}

impl Origin {
    /// What is given, or else what the CI system says of itself.
    fn of(rollout: &Rollout) -> Self {
        let actors =
            ["GITHUB_ACTOR", "GITLAB_USER_LOGIN", "CIRCLE_USERNAME", "BUILDKITE_BUILD_CREATOR"];
        let urls = [
            "CI_PIPELINE_URL",
            "CIRCLE_BUILD_URL",
            "BUILDKITE_BUILD_URL",
            "DRONE_BUILD_LINK",
            "BUILD_URL",
        ];
        let given = rollout.run_url.clone().or_else(github_run);
        Self {
            actor: rollout.actor.clone().or_else(|| actors.into_iter().find_map(variable)),
            run_url: given.or_else(|| urls.into_iter().find_map(variable)),
        }
    }

    fn sign(&self, message: Message) -> Result<Message, MessageError> {
        let message = match &self.actor {
            Some(actor) => message.actor(actor)?,
            None => message,
        };
        match &self.run_url {
            Some(url) => message.run_url(url),
            None => Ok(message),
        }
    }

    /// The labels of the rollout; those that are given win.
    fn labels(&self, app: &str, version: &str, rollout: &Rollout) -> Vec<(String, String)> {
        let own = [
            ("app", Some(app)),
            ("version", Some(version)),
            ("actor", self.actor.as_deref()),
            ("url", self.run_url.as_deref()),
        ];
        let own =
            own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        own.chain(rollout.waiting.label.iter().cloned()).collect()
    }
}

/// A variable of the CI system that says something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

fn github_run() -> Option<String> {
    let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
    Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        let exit = match &error {
            ReleaseError::Refused { .. } => Exit::NotAllowed,
            error if error.may_pass() => Exit::Unreachable,
            _ => Exit::Usage,
        };
        Self::new(exit, one_line(&error.to_string()))
    }
}

impl From<MessageError> for Failure {
    fn from(error: MessageError) -> Self {
        Self::usage(error.to_string())
    }
}
