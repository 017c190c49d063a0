//! `POST /v1/push/{host}`: what a git host's push webhook tells of the descent of commits.
//!
//! # What follows from a push
//!
//! The push of a branch lists commits between `before`, where the branch was, and `after`, where it is.
//! For GitHub they are "included in the compare between the before commit and the after commit"; GitLab
//! (`Git::BranchHooksService`) and Gitea (`CommitsBetween`) take them from `git rev-list before..after`,
//! and for a new branch from the history of `after` alone. So each of them is `after` or an ancestor of
//! it, whether the push was forced or not: what a forced push drops is on the other side. It makes no
//! difference that the lists are cut (GitHub's at 2,048 commits, GitLab's at 20, Gitea's at 15 unless
//! told otherwise), nor that a merge brings in commits which had been pushed before.
//!
//! Not every list is such a one. Until 2021 Gitea asked for `before...after`, and listed what a forced
//! push had dropped (go-gitea/gitea#11802). The buttons that test a webhook send an older commit as
//! `before` and list it as well (`Gitlab::DataBuilder::Push.build_sample`), or a made-up list. Now,
//! `before` is never between itself and anything, and where `git rev-list` shows its side it shows
//! `before` first. So a list counts only if it has `after` in it, has `before` not, and the host names
//! `after` once more as the branch's head (`head_commit`, which Gitea has since 2021; `checkout_sha`).
//!
//! That `after` contains `before` follows only if the push was not forced. GitHub says whether it was.
//! GitLab and Gitea do not, and what they send of `before → after` is the same whether the one contains
//! the other or both follow a third commit. There it is left to the commit objects that CI sends.
//!
//! Nothing is ever said of what is *not* contained.
//!
//! # What else is sent
//!
//! A pushed tag may be an object of its own, whose id is no commit's; its commits are on branches. A
//! branch that is deleted leads nowhere. These and all other events are answered 200 with a code: as
//! far as the host is concerned, all is well.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::Response,
};
use gitops_brain::{Ancestry, CommitId, Contains};
use serde::{Deserialize, Serialize};

use crate::{
    ancestry,
    config::GitHost,
    limits::MAX_COMMITS,
    openapi,
    problem::{Problem, json},
    request,
    service::{Inner, Service},
};

/// A push. The hosts call most of it the same.
#[derive(Deserialize)]
struct Push {
    r#ref: String,
    before: CommitId,
    after: CommitId,
    /// Gitea may write `null` for none.
    commits: Option<Vec<Commit>>,
    /// The branch's head, as GitHub and Gitea name it.
    head_commit: Option<Commit>,
    /// The branch's head, as GitLab names it.
    checkout_sha: Option<CommitId>,
    /// Whether the branch is new: GitHub alone says so.
    created: Option<bool>,
    /// Whether the branch no longer leads to where it was: GitHub alone says so.
    forced: Option<bool>,
}

#[derive(Deserialize)]
struct Commit {
    id: CommitId,
}

/// Why nothing follows from a request.
#[derive(Debug)]
enum Nothing {
    /// It is not that kind of request.
    Ignored(Ignored),
    /// There is something wrong with it.
    Problem(Problem),
}

/// Why nothing follows from a request that is all right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ignored {
    /// The host tries whether anybody is here.
    Ping,
    /// It is not about a push.
    OtherEvent,
    /// A tag was pushed, or something else that is no branch.
    NotABranch,
    /// The branch is gone.
    Deleted,
    /// There are no commits.
    Empty,
    /// The commits are not those between `before` and `after`.
    Inconsistent,
    /// It is one commit, and all that is said is that it is there.
    NoAncestors,
}

#[derive(Serialize)]
struct Answer {
    result: &'static str,
    code: &'static str,
}

/// Takes the push webhook of a git host.
///
/// Verifies, reads, stores, applies, and only then answers.
#[utoipa::path(
    post,
    path = "/v1/push/{host}",
    params(("host" = String, Path, description = "`github`, `gitlab` or `gitea`")),
    request_body(content = serde_json::Value, description = "As the host sends it", content_type = "application/json"),
    security(("github" = []), ("gitlab" = []), ("gitea" = [])),
    responses(
        (status = 202, body = openapi::AncestryTaken, description = "It is stored"),
        (status = 200, description = "It was known, or nothing follows from it", content(
            (openapi::AncestryTaken = "application/json"),
            (openapi::PushIgnored = "application/json"),
        )),
        openapi::Storing,
    )
)]
pub(crate) async fn post(
    State(Service(inner)): State<Service>,
    host: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let host = host_of(&request::path(host)?)?;
    let taken = take(&inner, host, &headers, body).await;
    if let Err(problem) = &taken {
        tracing::warn!(%host, code = problem.code(), "push refused");
    }
    taken
}

fn host_of(name: &str) -> Result<GitHost, Problem> {
    GitHost::ALL.into_iter().find(|host| host.as_str() == name).ok_or_else(|| {
        let known = GitHost::ALL.map(GitHost::as_str).join(", ");
        Problem::no_route(format!("there is no such git host: there are {known}"))
    })
}

async fn take(
    inner: &Inner,
    host: GitHost,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = request::body(body).await?;
    inner.gate().admit_push(host, headers, &body)?;
    request::is_json(headers)?;
    let contains = match read(host, headers, &body) {
        Ok(contains) => contains,
        Err(Nothing::Problem(problem)) => return Err(problem),
        Err(Nothing::Ignored(ignored)) => {
            let answer = Answer { result: "ignored", code: ignored.code() };
            return Ok(json(StatusCode::OK, &answer));
        }
    };
    let ancestors = contains.ancestors.len();
    tracing::info!(%host, commit = %contains.commit, ancestors, "push");
    let mut ancestry = Ancestry::default();
    ancestry.contains.push(contains);
    ancestry::take(inner, ancestry, ancestors).await
}

fn read(host: GitHost, headers: &HeaderMap, body: &[u8]) -> Result<Contains, Nothing> {
    is_push(host, headers)?;
    request::json::<Push>(body)?.contains(host)
}

/// Whether a request is about a push, by what the host calls it.
fn is_push(host: GitHost, headers: &HeaderMap) -> Result<(), Nothing> {
    let (header, push) = match host {
        GitHost::GitHub => ("X-GitHub-Event", "push"),
        GitHost::GitLab => ("X-Gitlab-Event", "Push Hook"),
        // Forgejo sends it too.
        GitHost::Gitea => ("X-Gitea-Event", "push"),
    };
    match headers.get(header) {
        Some(event) if event == push => Ok(()),
        Some(event) if event == "ping" => Err(Ignored::Ping.into()),
        Some(_) => Err(Ignored::OtherEvent.into()),
        None => Err(Problem::bad_request(
            "push.event_missing",
            format!("the header `{header}` is missing: it says what the request is about"),
        )
        .into()),
    }
}

impl Push {
    /// The ancestors of `after` that it tells.
    fn contains(self, host: GitHost) -> Result<Contains, Nothing> {
        if !self.r#ref.starts_with("refs/heads/") {
            return Err(Ignored::NotABranch.into());
        }
        if is_none(&self.after) {
            return Err(Ignored::Deleted.into());
        }
        let mut ancestors = self.listed()?;
        if self.is_fast_forward(host) {
            ancestors.insert(self.before);
        }
        if ancestors.is_empty() {
            return Err(Ignored::NoAncestors.into());
        }
        Ok(Contains { commit: self.after, ancestors: ancestors.into_iter().collect() })
    }

    /// The commits between `before` and `after`, if the list can be such a one.
    fn listed(&self) -> Result<BTreeSet<CommitId>, Nothing> {
        let commits = self.commits.as_deref().unwrap_or_default();
        if commits.is_empty() {
            return Err(Ignored::Empty.into());
        }
        if commits.len() > MAX_COMMITS {
            return Err(Problem::limit(format!("there are more than {MAX_COMMITS} commits")).into());
        }
        let mut listed: BTreeSet<_> = commits.iter().map(|commit| commit.id).collect();
        let head = self.head_commit.as_ref().map(|head| head.id).or(self.checkout_sha);
        if head != Some(self.after) || listed.contains(&self.before) || !listed.remove(&self.after)
        {
            return Err(Ignored::Inconsistent.into());
        }
        Ok(listed)
    }

    /// Whether the host says that the branch went on from where it was.
    fn is_fast_forward(&self, host: GitHost) -> bool {
        host == GitHost::GitHub
            && self.forced == Some(false)
            && self.created == Some(false)
            && !is_none(&self.before)
    }
}

/// Whether an id is the one that stands for no commit.
fn is_none(commit: &CommitId) -> bool {
    commit.as_bytes().iter().all(|byte| *byte == 0)
}

impl Ignored {
    fn code(self) -> &'static str {
        match self {
            Self::Ping => "push.ping",
            Self::OtherEvent => "push.other_event",
            Self::NotABranch => "push.not_a_branch",
            Self::Deleted => "push.deleted",
            Self::Empty => "push.empty",
            Self::Inconsistent => "push.inconsistent",
            Self::NoAncestors => "push.no_ancestors",
        }
    }
}

impl From<Ignored> for Nothing {
    fn from(ignored: Ignored) -> Self {
        Self::Ignored(ignored)
    }
}

impl From<Problem> for Nothing {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
