//! kustomize-controller, as its source says: one Kustomization, the objects that it applies, and what it
//! sends about them.

use chrono::{DateTime, Utc};
use gitops_brain::CommitId;

use crate::{
    kustomization_event::KustomizationEvent,
    random::Random,
    simulator::git::{Commit, Manifests},
};

/// How often a wait looks at the objects.
const LOOK_EVERY: i64 = 5;

/// What happens to a Kustomization. Runs have numbers: what belongs to an older one is over.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Happening {
    NewArtifact,
    Due(u64),
    Look(u64),
    /// What applies it has changed its definition.
    Configured,
    Stop,
    Delete,
    Return,
}

/// What a Kustomization finds where it runs.
pub(super) struct Around<'a> {
    pub(super) artifact: &'a Commit,
    pub(super) is_dependency_ready: bool,
    /// The names of those whose definition it applies and finds to be another one.
    pub(super) outdated: Vec<String>,
    /// The cluster's resourceVersion.
    pub(super) version: &'a mut u64,
    pub(super) now: i64,
    pub(super) is_quiet: bool,
    pub(super) random: &'a mut Random,
}

impl Around<'_> {
    /// Something is written.
    fn next_version(&mut self) -> u64 {
        *self.version += 1 + self.random.below(3) as u64;
        *self.version
    }
}

/// What came of it: events to send now, and what happens later.
#[derive(Debug, Default)]
pub(super) struct Did {
    pub(super) events: Vec<Event>,
    pub(super) next: Vec<(i64, Happening)>,
    /// It applied the definitions of those that were outdated.
    pub(super) has_configured: bool,
}

/// An event before it is written.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) name: String,
    uid: u32,
    resource_version: u64,
    pub(super) severity: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) revision: Option<usize>,
    pub(super) is_success: bool,
}

impl Event {
    /// The event as notification-controller posts it.
    pub(super) fn body(&self, revision: Option<CommitId>, at: DateTime<Utc>) -> String {
        KustomizationEvent {
            name: &self.name,
            uid: &format!("uid-{}", self.uid),
            resource_version: self.resource_version,
            severity: self.severity,
            reason: &self.reason,
            message: &self.message,
            commit: revision,
            is_success: self.is_success,
            at,
        }
        .body()
    }
}

/// What a Kustomization applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    manifests: Option<Manifests>,
    healthy_from: Option<i64>,
    broken: Vec<(i64, i64)>,
}

impl Objects {
    pub(super) fn break_until(&mut self, from: i64, until: i64) {
        self.broken.push((from, until));
    }

    fn is_healthy(&self, at: i64) -> bool {
        self.healthy_from.is_some_and(|from| from <= at)
            && !self.broken.iter().any(|(from, until)| (*from..*until).contains(&at))
    }

    /// Whether they were healthy at any time of a span, its end included.
    fn was_healthy(&self, from: i64, to: i64) -> bool {
        let begins =
            self.healthy_from.into_iter().chain(self.broken.iter().map(|(_, until)| *until));
        begins.chain([from]).any(|at| {
            let at = at.max(from);
            at <= to && self.is_healthy(at)
        })
    }
}

/// A revision that was applied, from when on, and the objects as they were then. The latest has no end.
#[derive(Clone, Debug)]
struct Applied {
    revision: usize,
    definition: u32,
    from: i64,
    /// Once the next one is applied.
    was_healthy: Option<bool>,
    /// The controller found its objects healthy, and said so.
    was_told: bool,
}

/// A revision that failed, and how many had been applied by then.
#[derive(Clone, Copy, Debug)]
struct Failure {
    revision: usize,
    after: usize,
}

/// Being in the middle of a reconciliation: waiting for health.
#[derive(Clone, Debug)]
struct Wait {
    revision: usize,
    since: i64,
    has_changed: bool,
    is_new: bool,
}

/// What is true of a commit at a Kustomization.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    /// A revision with it was once applied and healthy.
    pub(super) was_healthy: bool,
    /// And since then nothing without it was applied, nor was all of it deleted, nor does that very
    /// revision fail now.
    pub(super) is_delivered: bool,
    /// And that was said, and nothing else was said of the commit itself after it.
    pub(super) is_told: bool,
    /// A revision with it once failed.
    pub(super) has_failed: bool,
}

#[derive(Debug)]
pub(super) struct Kustomization {
    pub(super) name: String,
    pub(super) cluster: usize,
    pub(super) path: usize,
    pub(super) waits: bool,
    pub(super) depends_on: Option<usize>,
    /// Which definition of it was applied last.
    pub(super) definition: u32,
    pub(super) objects: Objects,
    /// Somebody changed its objects by hand.
    pub(super) drifted: bool,
    interval: i64,
    retry: i64,
    timeout: i64,
    /// The gate CancelHealthCheckOnNewRevision.
    cancels: bool,
    /// Once it is deleted it does not come back.
    pub(super) stays_away: bool,
    uid: u32,
    exists: bool,
    resource_version: u64,
    last_applied: Option<usize>,
    last_attempted: Option<usize>,
    was_healthy: bool,
    is_ready: bool,
    /// The reason of its condition `Ready`: what a deletion says.
    ready_reason: String,
    run: u64,
    wait: Option<Wait>,
    /// Something new came while it was busy.
    again: bool,
    pruning_failed: Option<Manifests>,
    history: Vec<Applied>,
    /// Where the history of the present object begins.
    begun: usize,
    failures: Vec<Failure>,
    /// The revision whose failure was the last word.
    failing: Option<usize>,
}

impl Kustomization {
    pub(super) fn new(
        random: &mut Random,
        cluster: usize,
        number: usize,
        depends_on: Option<usize>,
    ) -> Self {
        Self {
            name: format!("app-{number}"),
            cluster,
            path: number,
            waits: random.percent(80),
            depends_on,
            definition: 0,
            objects: Objects::default(),
            drifted: false,
            interval: 120 + random.below(420) as i64,
            retry: 30 + random.below(120) as i64,
            timeout: 30 + random.below(300) as i64,
            cancels: random.percent(40),
            stays_away: false,
            uid: 1,
            exists: true,
            resource_version: 10,
            last_applied: None,
            last_attempted: None,
            was_healthy: false,
            is_ready: false,
            ready_reason: String::new(),
            run: 0,
            wait: None,
            again: false,
            pruning_failed: None,
            history: Vec::new(),
            begun: 0,
            failures: Vec::new(),
            failing: None,
        }
    }

    /// Whether one that depends on it may go on.
    pub(super) fn is_ready_at(&self, artifact: usize) -> bool {
        self.exists && self.is_ready && self.last_applied == Some(artifact)
    }

    /// Whether all that it is to apply is there, and well.
    pub(super) fn is_well(&self, head: &Commit, now: i64) -> bool {
        self.is_ready_at(head.number)
            && self.wait.is_none()
            && self.definition == head.definition(self.path)
            && self.objects.is_healthy(now)
    }

    /// Its name in a cluster, as events and selectors have it.
    pub(super) fn full_name(&self, cluster: &str) -> String {
        format!("{cluster}/Kustomization/flux-system/{}", self.name)
    }

    /// The revision that it took up last.
    pub(super) fn present(&self) -> Option<usize> {
        self.last_attempted
    }

    /// The revision that it applied last, whatever became of it.
    pub(super) fn live(&self) -> Option<usize> {
        self.history.get(self.begun..)?.last().map(|applied| applied.revision)
    }

    /// Whether it ever applied such a revision.
    pub(super) fn has_applied(&self, is_such: impl Fn(usize) -> bool) -> bool {
        self.history.iter().any(|applied| is_such(applied.revision))
    }

    /// Whether it ever failed at such a revision.
    pub(super) fn has_failed(&self, is_such: impl Fn(usize) -> bool) -> bool {
        self.failures.iter().any(|failure| is_such(failure.revision))
    }

    /// Whether it ever applied such a revision, or failed at it.
    pub(super) fn has_taken_up(&self, is_such: impl Fn(usize) -> bool + Copy) -> bool {
        self.has_applied(is_such) || self.has_failed(is_such)
    }

    /// The revision whose failure was its last word.
    pub(super) fn failing(&self) -> Option<usize> {
        self.failing
    }

    /// Whether a dependency keeps it from going on.
    pub(super) fn is_blocked(&self) -> bool {
        self.exists && self.ready_reason == "DependencyNotReady"
    }

    /// Whether it waits for the health of what it applied.
    pub(super) fn is_busy(&self) -> bool {
        self.wait.is_some()
    }

    pub(super) fn was_deleted(&self) -> bool {
        !self.exists || self.uid > 1
    }

    /// What is true of a commit, given which revisions, applied by which definition, are with it.
    pub(super) fn truth(
        &self,
        commit: usize,
        contains: &dyn Fn(usize, Option<u32>) -> bool,
        now: i64,
    ) -> Truth {
        let healthy = |applied: &Applied| {
            applied.was_healthy.unwrap_or_else(|| self.objects.was_healthy(applied.from, now))
        };
        let carries = |applied: &&Applied| contains(applied.revision, Some(applied.definition));
        let since_break = |begun| self.history.iter().skip(begun).rev().take_while(carries);
        // What was healthy and fails now has gone back on its word.
        let latest = self.history.last().map(|applied| applied.revision);
        let failing = self
            .failing
            .filter(|failing| latest == Some(*failing) && !self.objects.is_healthy(now));
        let holds = |applied: &&Applied| failing != Some(applied.revision);
        // What others carried does not excuse the commit itself, if it is taken up after them and fails.
        let own_failure = self.failures.iter().rfind(|failure| failure.revision == commit);
        let since = own_failure.map_or(self.begun, |failure| failure.after.max(self.begun));
        Truth {
            was_healthy: self.history.iter().filter(carries).any(healthy),
            is_delivered: self.exists && since_break(self.begun).filter(holds).any(healthy),
            is_told: self.exists
                && since_break(since).filter(holds).any(|applied| applied.was_told),
            has_failed: self.has_failed(|revision| contains(revision, None)),
        }
    }

    pub(super) fn happens(&mut self, happening: &Happening, around: &mut Around<'_>) -> Did {
        let mut did = Did::default();
        let artifact = around.artifact.number;
        match happening {
            Happening::Return if !self.exists => {
                self.exists = true;
                self.uid += 1;
                self.reconcile(around, &mut did);
            }
            _ if !self.exists => {}
            Happening::Return => {}
            Happening::Delete => self.delete(around, &mut did),
            Happening::Stop => self.stop(around.now, &mut did),
            Happening::NewArtifact => match &self.wait {
                Some(wait) if wait.revision == artifact => {}
                Some(_) if self.cancels => {
                    self.cancel(&mut did);
                    self.reconcile(around, &mut did);
                }
                Some(_) => self.again = true,
                None if self.last_attempted != Some(artifact) || !self.is_ready => {
                    self.reconcile(around, &mut did);
                }
                None => {}
            },
            Happening::Configured if self.wait.is_some() => self.again = true,
            Happening::Configured => self.reconcile(around, &mut did),
            Happening::Due(run) if *run == self.run && self.wait.is_none() => {
                self.reconcile(around, &mut did);
            }
            Happening::Look(run) if *run == self.run => self.look(around, &mut did),
            Happening::Due(_) | Happening::Look(_) => {}
        }
        did
    }

    fn say(
        &self,
        severity: &'static str,
        reason: &str,
        message: impl Into<String>,
        revision: Option<usize>,
    ) -> Event {
        Event {
            name: self.name.clone(),
            uid: self.uid,
            resource_version: self.resource_version,
            severity,
            reason: reason.to_owned(),
            message: message.into(),
            revision,
            is_success: false,
        }
    }

    fn reconcile(&mut self, around: &mut Around<'_>, did: &mut Did) {
        let (artifact, now) = (around.artifact, around.now);
        self.run += 1;
        self.resource_version = around.next_version();
        let revision = artifact.number;
        if !around.is_dependency_ready {
            let message = "Dependencies do not meet ready condition, retrying in 30s";
            did.events.push(self.say("info", "DependencyNotReady", message, Some(revision)));
            self.is_ready = false;
            "DependencyNotReady".clone_into(&mut self.ready_reason);
            did.next.push((now + 30, Happening::Due(self.run)));
            return;
        }
        self.last_attempted = Some(revision);
        let Some(defined) = artifact.folder(self.path) else { return };
        // What a former definition applies has not changed.
        let is_former = self.definition != artifact.definition(self.path);
        let manifests = self.objects.manifests.filter(|_| is_former).unwrap_or(defined);
        if manifests.is_broken {
            return self.fail(revision, "BuildFailed", "accumulating resources: no YAML", now, did);
        }
        if manifests.is_refused {
            return self.fail(
                revision,
                "ReconciliationFailed",
                "dry-run failed (Invalid)",
                now,
                did,
            );
        }
        let is_new = self.last_applied != Some(revision);
        let before = self.objects.manifests;
        let has_news = before != Some(manifests);
        let only_prunes = manifests.only_prunes && before.is_some() && has_news;
        let configured = !around.outdated.is_empty();
        let has_changed = (has_news && !only_prunes) || self.drifted || configured;
        if has_changed {
            let mut message = match before {
                None => "Deployment/shop/web created\nConfigMap/shop/web created".to_owned(),
                Some(_) => "Deployment/shop/web configured".to_owned(),
            };
            for name in &around.outdated {
                message = format!("{message}\nKustomization/flux-system/{name} configured");
            }
            did.has_configured = configured;
            did.events.push(self.say("info", "Progressing", message, Some(revision)));
        }
        self.put(revision, manifests, has_news && !only_prunes, now);
        if self.drifted {
            self.drifted = false;
        }
        if only_prunes {
            let message = format!("ConfigMap/shop/old-{revision} deleted");
            did.events.push(self.say("info", "Progressing", message, Some(revision)));
        }
        let fails = manifests.prune_fails && self.pruning_failed != Some(manifests);
        if fails && has_news && !around.is_quiet {
            self.pruning_failed = Some(manifests);
            return self.fail(revision, "PruneFailed", "pruning failed: timeout", now, did);
        }
        self.wait = Some(Wait { revision, since: now, has_changed, is_new });
        self.look(around, did);
    }

    /// A revision is applied.
    fn put(&mut self, revision: usize, manifests: Manifests, restarts: bool, now: i64) {
        if let Some(latest) = self.history.last_mut()
            && latest.was_healthy.is_none()
        {
            latest.was_healthy = Some(self.objects.was_healthy(latest.from, now));
        }
        if restarts {
            let healthy_from = manifests.healthy_after.map(|after| now + after);
            self.objects = Objects { manifests: Some(manifests), healthy_from, broken: Vec::new() };
        }
        self.objects.manifests = Some(manifests);
        self.history.push(Applied {
            revision,
            definition: self.definition,
            from: now,
            was_healthy: None,
            was_told: false,
        });
    }

    fn look(&mut self, around: &Around<'_>, did: &mut Did) {
        let now = around.now;
        let Some(wait) = self.wait.clone() else { return };
        if self.waits && !self.objects.is_healthy(now) {
            if now - wait.since < self.timeout {
                did.next.push((now + LOOK_EVERY, Happening::Look(self.run)));
                return;
            }
            self.was_healthy = false;
            self.wait = None;
            let message = format!(
                "health check failed after {}.{now}s: timeout waiting for: [Deployment/shop/web status: \
                 'InProgress']",
                now - wait.since
            );
            return self.fail(wait.revision, "HealthCheckFailed", &message, now, did);
        }
        self.wait = None;
        if self.waits {
            if !self.was_healthy || (wait.is_new && wait.has_changed) {
                let message = format!("Health check passed in {}.{now}s", now - wait.since);
                did.events.push(self.say("info", "Progressing", message, Some(wait.revision)));
            }
            self.was_healthy = true;
            if let Some(latest) = self.history.last_mut() {
                latest.was_told = true;
            }
        }
        self.last_applied = Some(wait.revision);
        self.is_ready = true;
        self.failing = None;
        "ReconciliationSucceeded".clone_into(&mut self.ready_reason);
        let message =
            format!("Reconciliation finished in {}.{now}s, next run in 10m0s", now - wait.since);
        let mut success = self.say("info", "ReconciliationSucceeded", message, Some(wait.revision));
        success.is_success = true;
        did.events.push(success);
        self.rest(self.interval, now, did);
    }

    fn fail(&mut self, revision: usize, reason: &str, message: &str, now: i64, did: &mut Did) {
        did.events.push(self.say("error", reason, message, Some(revision)));
        self.failures.push(Failure { revision, after: self.history.len() });
        self.failing = Some(revision);
        // Whatever was said of it before, it fails now.
        for applied in self.history.iter_mut().filter(|applied| applied.revision == revision) {
            applied.was_told = false;
        }
        self.is_ready = false;
        reason.clone_into(&mut self.ready_reason);
        self.rest(self.retry, now, did);
    }

    /// Until the next time.
    fn rest(&mut self, pause: i64, now: i64, did: &mut Did) {
        let pause = if std::mem::take(&mut self.again) { 1 } else { pause };
        did.next.push((now + pause, Happening::Due(self.run)));
    }

    /// A newer revision ends the wait.
    fn cancel(&mut self, did: &mut Did) {
        let Some(wait) = self.wait.take() else { return };
        let message = "Health checks canceled due to new reconciliation triggered by \
                       GitRepository/flux-system/flux-system";
        did.events.push(self.say("info", "HealthCheckCanceled", message, Some(wait.revision)));
        self.was_healthy = false;
        self.is_ready = false;
    }

    /// The controller stops, and starts again.
    fn stop(&mut self, now: i64, did: &mut Did) {
        let Some(wait) = self.wait.take() else { return };
        let message = "health check failed after 1s: context canceled";
        did.events.push(self.say("error", "HealthCheckFailed", message, Some(wait.revision)));
        self.was_healthy = false;
        self.is_ready = false;
        self.run += 1;
        did.next.push((now + 5, Happening::Due(self.run)));
    }

    fn delete(&mut self, around: &mut Around<'_>, did: &mut Did) {
        let now = around.now;
        self.resource_version = around.next_version();
        self.run += 1;
        self.wait = None;
        let mut said_so = false;
        if self.objects.manifests.is_some() {
            // `finalize`: with whatever reason was there last.
            let message = "Deployment/shop/web deleted\nConfigMap/shop/web deleted";
            let reason = self.ready_reason.clone();
            if reason != "Progressing" && !reason.is_empty() {
                did.events.push(self.say("info", &reason, message, self.last_applied));
                said_so = true;
            }
            if said_so && self.is_ready && around.random.percent(50) {
                // The last word of a reconciliation, which says nothing any more.
                let message = format!("Reconciliation finished in 0.{now}s, next run in 10m0s");
                let mut success =
                    self.say("info", "ReconciliationSucceeded", message, self.last_applied);
                success.is_success = true;
                did.events.push(success);
            }
        }
        if let Some(latest) = self.history.last_mut()
            && latest.was_healthy.is_none()
        {
            latest.was_healthy = Some(self.objects.was_healthy(latest.from, now));
        }
        self.objects = Objects::default();
        self.exists = false;
        self.begun = self.history.len();
        (self.last_applied, self.last_attempted) = (None, None);
        (self.was_healthy, self.is_ready, self.again) = (false, false, false);
        self.ready_reason.clear();
        if !(self.stays_away && said_so) {
            did.next.push((now + 20 + around.random.below(300) as i64, Happening::Return));
        }
    }
}
