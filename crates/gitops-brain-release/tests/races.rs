//! Releases in real repositories, over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::{collections::BTreeSet, fs, path::Path, thread};

use gitops_brain_release::{
    Change, Message, Pushed, Release, ReleaseError, Released, Repository, Set,
};
use gitops_brain_tests::git_http::{GitServer, git};

const DEPLOYMENT: &str = "kind: Deployment\nspec:\n  image: web:1 # kept\n";

fn set(file: &str, path: &str, value: &str) -> Change {
    let set = Set {
        file: file.to_owned(),
        document: None,
        path: path.parse().unwrap(),
        value: value.to_owned(),
    };
    Change { sets: vec![set], ..Change::default() }
}

fn pushed(released: Released) -> Pushed {
    match released {
        Released::Pushed(pushed) => pushed,
        other => panic!("{other:?}"),
    }
}

fn release(repository: &Repository, app: &str, version: &str) -> Pushed {
    let change = set(&format!("apps/{app}.yaml"), "spec.image", &format!("{app}:{version}"));
    let message = Message::new(app, version).unwrap().actor("ada").unwrap();
    pushed(repository.release(&change, &message).unwrap())
}

/// Git is asked in the environment of this process, which may name nobody who commits.
fn identify(folder: &Path) {
    for (key, value) in [("user.name", "test"), ("user.email", "test@example.com")] {
        git(folder, &["config", key, value]).unwrap();
    }
}

fn clone(url: &str) -> Repository {
    let repository = Repository::clone(url, None).unwrap();
    identify(repository.path());
    repository
}

fn file(server: &GitServer, name: &str, path: &str) -> String {
    git(&server.bare(name), &["show", &format!("main:{path}")]).unwrap()
}

fn app(repository: &Repository, name: &str) -> Vec<Release> {
    repository.releases(Some(name), 10).unwrap()
}

#[test]
fn eight_who_push_at_once_lose_nothing() {
    const PUSHERS: usize = 8;
    const EACH: usize = 4;
    let server = GitServer::start().unwrap();
    let files: Vec<_> = (0..PUSHERS).map(|n| format!("apps/app-{n}.yaml")).collect();
    let files: Vec<_> = files.iter().map(|path| (&**path, DEPLOYMENT)).collect();
    let url = server.repository("gitops", &files).unwrap();
    let pushers: Vec<_> = (0..PUSHERS)
        .map(|n| {
            let url = url.clone();
            thread::spawn(move || {
                let repository = clone(&url);
                let release = |version: usize| {
                    release(&repository, &format!("app-{n}"), &version.to_string())
                };
                (0..EACH).map(release).collect::<Vec<_>>()
            })
        })
        .collect();
    let pushed: Vec<_> = pushers.into_iter().flat_map(|one| one.join().unwrap()).collect();
    let commits: BTreeSet<_> = pushed.iter().map(|pushed| pushed.commit.to_string()).collect();
    assert_eq!(commits.len(), PUSHERS * EACH);
    let log = git(&server.bare("gitops"), &["log", "--format=%H", "main"]).unwrap();
    let log: BTreeSet<_> = log.lines().map(str::to_owned).collect();
    assert!(commits.is_subset(&log), "a commit was lost");
    assert_eq!(log.len(), commits.len() + 1, "a commit was made twice");
    assert!(pushed.iter().any(|pushed| pushed.attempt > 1), "nobody raced");
    for n in 0..PUSHERS {
        let content = file(&server, "gitops", &format!("apps/app-{n}.yaml"));
        let expected = DEPLOYMENT.replace("web:1", &format!("app-{n}:{}", EACH - 1));
        assert_eq!(content, expected.trim());
    }
}

#[test]
fn a_checkout_stays_as_it_is() {
    let server = GitServer::start().unwrap();
    let url = server.repository("gitops", &[("apps/web.yaml", DEPLOYMENT)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["clone", "--quiet", &url, "."]).unwrap();
    identify(folder.path());
    fs::write(folder.path().join("apps/web.yaml"), "half done").unwrap();
    fs::write(folder.path().join("new"), "not added").unwrap();
    let before = git(folder.path(), &["status", "--porcelain", "--branch"]).unwrap();
    let repository = Repository::open(folder.path(), None).unwrap();
    let pushed = release(&repository, "web", "2");
    assert_eq!(
        file(&server, "gitops", "apps/web.yaml"),
        DEPLOYMENT.replace("web:1", "web:2").trim()
    );
    assert_eq!(fs::read_to_string(folder.path().join("apps/web.yaml")).unwrap(), "half done");
    let after = git(folder.path(), &["status", "--porcelain", "--branch"]).unwrap();
    assert_eq!(after, before.replace("main...origin/main", "main...origin/main [behind 1]"));
    // The commit is there, to be sent along with its registration.
    git(folder.path(), &["cat-file", "-e", &pushed.commit.to_string()]).unwrap();
    let refs = git(folder.path(), &["for-each-ref", "refs/gitops-brain"]).unwrap();
    assert_eq!(refs, "");
}

#[test]
fn what_is_there_already_is_no_commit() {
    let server = GitServer::start().unwrap();
    let url = server.repository("gitops", &[("apps/web.yaml", DEPLOYMENT)]).unwrap();
    let repository = clone(&url);
    let head = git(&server.bare("gitops"), &["rev-parse", "main"]).unwrap();
    let message = Message::new("web", "1").unwrap();
    let released = repository.release(&set("apps/web.yaml", "spec.image", "web:1"), &message);
    assert_eq!(released.unwrap(), Released::Unchanged { head: head.parse().unwrap() });
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_hook() {
    let server = GitServer::start().unwrap();
    let url = server.repository("gitops", &[("apps/web.yaml", DEPLOYMENT)]).unwrap();
    let hook = server.bare("gitops").join("hooks/pre-receive");
    fs::write(&hook, "#!/bin/sh\necho 'main is protected' >&2\nexit 1\n").unwrap();
    let mut permissions = fs::metadata(&hook).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&hook, permissions).unwrap();
    let change = set("apps/web.yaml", "spec.image", "web:2");
    let error = clone(&url).release(&change, &Message::new("web", "2").unwrap()).unwrap_err();
    assert!(matches!(error, ReleaseError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("main is protected"), "{error}");
    let lost = Repository::clone(&format!("{url}-lost"), None).unwrap_err();
    assert!(matches!(lost, ReleaseError::Git(_)), "{lost:?}");
}

#[test]
fn releases_are_listed_and_taken_back() {
    let server = GitServer::start().unwrap();
    let files = [("apps/web.yaml", DEPLOYMENT), ("apps/db.yaml", DEPLOYMENT)];
    let url = server.repository("gitops", &files).unwrap();
    let repository = clone(&url);
    let first = release(&repository, "web", "2");
    let db = release(&repository, "db", "7");
    let second = release(&repository, "web", "3");
    let all = repository.releases(None, 10).unwrap();
    let versions: Vec<_> = all.iter().map(|one| (&*one.app, &*one.version)).collect();
    assert_eq!(versions, [("web", "3"), ("db", "7"), ("web", "2")]);
    assert_eq!(all[0].commit, second.commit);
    assert_eq!(all[0].actor.as_deref(), Some("ada"));
    assert_eq!(repository.releases(None, 1).unwrap().len(), 1);
    assert_eq!(app(&repository, "we"), []);

    // Taking back the older one conflicts with the newer.
    let older = repository.release_of(&first.commit.to_string()).unwrap();
    let error = repository.rollback(&older, Ok).unwrap_err();
    let ReleaseError::Conflict { file: conflict, .. } = &error else { panic!("{error:?}") };
    assert_eq!(conflict, "apps/web.yaml");

    let newest = repository.newest("web").unwrap();
    assert_eq!(newest.commit, second.commit);
    let rollback = repository.rollback(&newest, |message| message.actor("grace")).unwrap();
    assert!(file(&server, "gitops", "apps/web.yaml").contains("web:2"));
    let listed = &app(&repository, "web")[0];
    assert_eq!(listed.commit, rollback.commit());
    assert_eq!(listed.rollback_of, Some(second.commit));
    assert_eq!(listed.subject, "rollback: web 3");
    // Taken back already: the next one is the release before it.
    assert_eq!(repository.newest("web").unwrap().commit, first.commit);
    let again = repository.rollback(&newest, Ok).unwrap();
    assert_eq!(again, Released::Unchanged { head: rollback.commit() });
    // The other app stays as it is.
    assert_eq!(repository.newest("db").unwrap().commit, db.commit);
    assert!(matches!(repository.newest("lost"), Err(ReleaseError::NoRelease(_))));
    let worktrees = git(repository.path(), &["worktree", "list"]).unwrap();
    assert_eq!(worktrees.lines().count(), 1, "{worktrees}");
}
