//! What one event said, and what that proves.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    chart::CommitPrefix,
    commit::CommitId,
    duration::seconds_of_go,
    event::{Event, InvolvedObject, Severity},
    names::{ClusterName, NameError, ObjectName},
    revision::Revision,
    rules,
};

/// The longest message that an observation keeps, in bytes. A change list names every object of a
/// Kustomization; what a person reads of it fits in here.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// The most Flux objects that an observation keeps of one change list.
pub const MAX_CHANGED_OBJECTS: usize = 1_000;

/// What one event said about one Flux object.
///
/// An observation stores what was *said*; what it *proves* is computed by [`Observation::proof`], so
/// that a mended classification mends every old journal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Observation {
    /// The Flux object that the event is about.
    pub object: ObjectName,
    /// The object's uid: a re-created object has another one.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub uid: Box<str>,
    /// The object's numeric resourceVersion, 0 if it has none. All events of one reconcile attempt
    /// carry that of its start.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resource_version: u64,
    /// The event's severity.
    pub severity: Severity,
    /// The event's reason, in Flux's words; reasons that are not known are kept too.
    pub reason: Cow<'static, str>,
    /// What the controller was doing, as `Apply` or `Finalize` (event API v1); empty if the event does
    /// not tell. Never taken from the metadata, which has what an annotation says.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub action: Cow<'static, str>,
    /// The source of the revision (event API v1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related_object: Option<RelatedObject>,
    /// Whether metadata held `commit_status: update`, which kustomize-controller sets on the event
    /// of a finished reconciliation and on no other.
    #[serde(default, skip_serializing_if = "is_false")]
    pub commit_status: bool,
    /// Metadata `revision`, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Box<str>>,
    /// Metadata `originRevision`, as it was sent: the git revision that an OCI artifact was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_revision: Option<Box<str>>,
    /// Metadata `commit`, as it was sent: an annotation that the manifest's author wrote.
    #[serde(default, rename = "commit", skip_serializing_if = "Option::is_none")]
    pub commit_annotation: Option<Box<str>>,
    /// Whether the chart came out of an OCI registry (metadata `oci-digest`): what its version ends in
    /// is the beginning of a digest then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub chart_from_oci: bool,
    /// When the controller made the event, in whole seconds.
    pub timestamp: DateTime<Utc>,
    /// Whether the message says that a health check passed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub health_check_passed: bool,
    /// Whether the message lists objects that were created or configured.
    #[serde(default, skip_serializing_if = "is_false")]
    pub created_or_configured: bool,
    /// Whether the message is a list of deletions and nothing else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_deletions: bool,
    /// Whether the message says that the work was canceled rather than that it failed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub canceled: bool,
    /// The Flux objects that the message's change list names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_objects: Vec<ChangedObject>,
    /// The message, cut to [`MAX_MESSAGE_BYTES`].
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub message: Box<str>,
}

/// The source that an event's revision comes from: `relatedObject` of the event API v1.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RelatedObject {
    /// The source, in the cluster of the event.
    pub object: ObjectName,
    /// The source's uid.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub uid: Box<str>,
    /// The source's numeric resourceVersion, 0 if it has none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resource_version: u64,
}

/// A Flux object that a change list names, and what was done to it.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct ChangedObject {
    /// The object, in the cluster of the event.
    pub object: ObjectName,
    /// What was done to it.
    pub change: Change,
}

/// What was done to an object, in the words of Flux's `ssa.Action`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "these are all that Flux tells apart")]
pub enum Change {
    /// It did not exist before.
    Created,
    /// It was changed.
    Configured,
    /// It was deleted.
    Deleted,
}

/// What an observation proves of a reconciler, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Proof {
    /// A dependency is not ready: nothing was done.
    Blocked,
    /// The work was abandoned: neither success nor failure.
    Interrupted,
    /// Objects were created, configured or deleted.
    Applying,
    /// It failed, for now: Flux tries again.
    Failed,
    /// Everything that it watches over became healthy.
    HealthChecked,
    /// It finished; whether that includes health depends on whether it waits for it.
    Succeeded,
    /// The reconciler itself is being deleted, with all that it applied.
    Deleted,
}

impl Proof {
    /// The proof in snake case, as the conformance vectors and other languages have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Interrupted => "interrupted",
            Self::Applying => "applying",
            Self::Failed => "failed",
            Self::HealthChecked => "health_checked",
            Self::Succeeded => "succeeded",
            Self::Deleted => "deleted",
        }
    }
}

/// Whether a kind of object applies things, or is where they come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Kustomization,
    HelmRelease,
    /// Of Argo CD.
    Application,
    Source,
}

impl Role {
    pub(crate) fn of(kind: &str) -> Option<Self> {
        match kind {
            "Kustomization" => Some(Self::Kustomization),
            "HelmRelease" => Some(Self::HelmRelease),
            "Application" => Some(Self::Application),
            "GitRepository" | "OCIRepository" | "Bucket" => Some(Self::Source),
            _ => None,
        }
    }

    /// Whether it looks at the health of what it applies unless told otherwise.
    pub(crate) fn always_checks(self) -> bool {
        matches!(self, Self::HelmRelease | Self::Application)
    }
}

impl Observation {
    /// Takes out of an event what counts.
    ///
    /// # Errors
    ///
    /// If the event's object, or the object that it relates to, has a name that Kubernetes would not
    /// allow.
    pub fn of(cluster: &ClusterName, event: &Event<'_>) -> Result<Self, NameError> {
        let involved = &event.involved_object;
        let object = ObjectName::of(cluster, &involved.kind, &involved.namespace, &involved.name)?;
        let metadata = |key| event.metadata(key).map(Box::from);
        let message = &*event.message;
        let informed = event.severity == Severity::Info;
        let mut observation = Self {
            object,
            uid: (&*involved.uid).into(),
            resource_version: involved.resource_version.parse().unwrap_or(0),
            severity: event.severity,
            reason: intern(&event.reason),
            action: intern_action(&event.action),
            related_object: event
                .related_object
                .as_ref()
                .map(|related| RelatedObject::of(cluster, related))
                .transpose()?,
            commit_status: event.metadata("commit_status") == Some("update"),
            revision: metadata("revision"),
            origin_revision: metadata("originRevision"),
            commit_annotation: metadata("commit"),
            chart_from_oci: event.metadata("oci-digest").is_some(),
            timestamp: whole_seconds(event.timestamp),
            health_check_passed: informed && message.starts_with("Health check passed"),
            created_or_configured: false,
            only_deletions: false,
            canceled: message.trim_end().ends_with("context canceled"),
            changed_objects: Vec::new(),
            message: cut(message, MAX_MESSAGE_BYTES).into(),
        };
        if informed && involved.kind == "Kustomization" && !observation.health_check_passed {
            observation.read_changes(cluster, message);
        }
        Ok(observation)
    }

    /// What the event proves of its reconciler, or `None` if it proves nothing: source events,
    /// reasons that are not known, and notes such as `DriftCorrected`.
    ///
    /// Mirrors kustomize-controller's `event` and helm-controller's `eventMeta` and their callers; what an
    /// application of Argo CD says is summed up in its reason when it is read.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        self.proof_for(Role::of(self.object.kind())?)
    }

    /// The same, for an object of which it is known what it does.
    pub(crate) fn proof_for(&self, role: Role) -> Option<Proof> {
        let reason = &*self.reason;
        match (role, self.severity) {
            // `finalize` sends its events with whatever reason the Ready condition had last, so this
            // comes before any reason is looked at.
            (Role::Kustomization, _) if rules::DELETED && self.is_of_deletion() => {
                Some(Proof::Deleted)
            }
            (Role::Kustomization, Severity::Info) => match reason {
                "Progressing" if self.health_check_passed || self.action == HEALTH_CHECK => {
                    Some(Proof::HealthChecked)
                }
                "Progressing" => Some(Proof::Applying),
                "ReconciliationSucceeded" if self.commit_status => Some(Proof::Succeeded),
                "DependencyNotReady" if !rules::BLOCKED => Some(Proof::Failed),
                "DependencyNotReady" => Some(Proof::Blocked),
                "HealthCheckCanceled" => Some(Proof::Interrupted),
                _ => None,
            },
            (Role::HelmRelease, Severity::Info) => match reason {
                "InstallSucceeded" | "UpgradeSucceeded" | "TestSucceeded" => Some(Proof::Succeeded),
                _ if self.is_uninstalled() => None,
                // The release that was wanted is not there.
                remedy if is_remedy(remedy) => Some(Proof::Failed),
                "DependencyNotReady" => Some(Proof::Blocked),
                "HealthCheckCanceled" => Some(Proof::Interrupted),
                _ => None,
            },
            (Role::Application, Severity::Info) => match reason {
                _ if self.health_check_passed => Some(Proof::HealthChecked),
                // It is not in sync: that says nothing of the revision that it was in sync with.
                "OutOfSync" | "SyncUnknown" => None,
                _ => Some(Proof::Applying),
            },
            (Role::Application, Severity::Error) => Some(Proof::Failed),
            // Warnings of helm-controller about a release that is itself in order: no later event
            // would ever take a failure back.
            (Role::HelmRelease, Severity::Error)
                if matches!(
                    reason,
                    "DriftDetected" | "InventoryBuildFailed" | "NamespaceCheckSkipped"
                ) =>
            {
                None
            }
            (Role::Kustomization | Role::HelmRelease, Severity::Error) => {
                Some(if self.canceled && rules::INTERRUPTED {
                    Proof::Interrupted
                } else {
                    Proof::Failed
                })
            }
            _ => None,
        }
    }

    /// Whether a Kustomization tells of its own deletion (kustomize-controller, `finalize` and what
    /// follows it in `Reconcile`). Once it is to be deleted it cannot be kept any more, also if its
    /// objects cannot be pruned.
    fn is_of_deletion(&self) -> bool {
        match (&*self.action, self.severity) {
            ("Finalize" | "WaitForTermination", _) => true,
            // Every other error sets another reason before it is sent.
            (_, Severity::Error) => {
                self.reason == "ReconciliationSucceeded"
                    || DELETION_ERRORS.iter().any(|begin| self.message.starts_with(begin))
            }
            ("", _) => self.only_deletions && self.reason != "Progressing",
            // The source is resolved after `finalize`, so the success that ends a deletion names none.
            _ => self.is_success() && self.related_object.is_none(),
        }
    }

    /// Whether kustomize-controller says that a reconciliation succeeded.
    fn is_success(&self) -> bool {
        self.severity == Severity::Info
            && self.reason == "ReconciliationSucceeded"
            && self.commit_status
    }

    /// Whether a Helm release was uninstalled because its HelmRelease is deleted, or names another
    /// target from now on (helm-controller, `uninstall.go`). After a failed installation it is a remedy
    /// (`uninstall_remediation.go`), which only the message tells apart.
    pub(crate) fn is_uninstalled(&self) -> bool {
        self.reason == "UninstallSucceeded"
            && self.object.kind() == "HelmRelease"
            && self.severity == Severity::Info
            && self.message.starts_with(UNINSTALLED)
    }

    /// Whether helm-controller failed before it touched the release. It does not tell when it recovers
    /// and finds the release in sync, so this takes nothing back that a Helm action has proved.
    pub(crate) fn failed_before_action(&self) -> bool {
        const BEFORE: [&str; 4] =
            ["ArtifactFailed", "ValuesError", "AccessDenied", "InvalidCELExpression"];
        self.object.kind() == "HelmRelease" && BEFORE.contains(&&*self.reason)
    }

    /// The whole seconds that a Kustomization says its attempt, or the health check of it, took: the
    /// attempt began that long before. 0 if it does not say.
    pub(crate) fn took_seconds(&self) -> u32 {
        if self.object.kind() != "Kustomization" {
            return 0;
        }
        took_seconds(&self.message)
    }

    /// Whether it lists objects that were created or configured.
    pub(crate) fn has_applied(&self) -> bool {
        self.created_or_configured || self.action == "Apply"
    }

    /// Whether it can be the list of deletions of a commit, or of the Kustomization itself: `finalize`
    /// sends it with the reason `Progressing` if the controller was stopped in the midst of a
    /// reconciliation, and only `action` tells the two apart.
    pub(crate) fn may_be_of_deletion(&self) -> bool {
        self.only_deletions && self.action.is_empty()
    }

    /// The commit of the gitops repository that the event is about, if it names one.
    ///
    /// A git commit in `revision` wins over `originRevision`, because annotations pass through and
    /// the controller sets no `originRevision` for git sources. The annotation `commit` counts for
    /// a `HelmRelease` alone, which carries nothing else.
    #[must_use]
    pub fn commit(&self) -> Option<CommitId> {
        let role = Role::of(self.object.kind())?;
        let (text, other) = self.commit_texts(role);
        commit_in(text?).or_else(|| commit_in(other?))
    }

    /// The texts that may name the commit, in the order in which they count.
    pub(crate) fn commit_texts(&self, role: Role) -> (Option<&str>, Option<&str>) {
        match role {
            Role::HelmRelease => (self.commit_annotation.as_deref(), None),
            _ if self.revision_is_spoofable(role) => (None, None),
            _ => match self.revision.as_deref() {
                Some(revision) => (Some(revision), self.origin_revision.as_deref()),
                None => (self.origin_revision.as_deref(), None),
            },
        }
    }

    /// The beginning of the commit that the chart of a `HelmRelease` was made of, if its version tells.
    pub(crate) fn chart_commit(&self, role: Role) -> Option<CommitPrefix> {
        let version = self.revision_text_for(role)?;
        let tells = role == Role::HelmRelease && !self.chart_from_oci;
        CommitPrefix::of_version(version).filter(|_| tells)
    }

    /// The revision as the controller wrote it, or `None` if the event has none of its own.
    #[must_use]
    pub fn revision_text(&self) -> Option<&str> {
        self.revision_text_for(Role::of(self.object.kind())?)
    }

    pub(crate) fn revision_text_for(&self, role: Role) -> Option<&str> {
        if self.revision_is_spoofable(role) { None } else { self.revision.as_deref() }
    }

    /// Whether the controller sends this reason without a revision, so that what stands there was
    /// written by somebody else: an annotation `event.toolkit.fluxcd.io/revision` passes through.
    fn revision_is_spoofable(&self, role: Role) -> bool {
        match role {
            Role::Source => self.severity == Severity::Error,
            Role::Application => false,
            Role::Kustomization | Role::HelmRelease => matches!(
                &*self.reason,
                "AccessDenied" | "FeatureGateDisabled" | "InvalidCELExpression"
            ),
        }
    }

    /// Reads a change list: lines of `Kind/namespace/name created` and the like.
    fn read_changes(&mut self, cluster: &ClusterName, message: &str) {
        let mut lines = message.split('\n').filter(|line| !line.is_empty()).peekable();
        self.only_deletions = lines.peek().is_some();
        for line in lines {
            match change_of(line) {
                // What was skipped is neither changed nor a sign that something else was.
                Some((_, None | Some(Change::Deleted))) => {}
                Some((_, Some(Change::Created | Change::Configured))) => {
                    self.only_deletions = false;
                    self.created_or_configured = true;
                    // No other line can take that back, and a list may have hundreds.
                    break;
                }
                None => self.only_deletions = false,
            }
        }
        self.changed_objects = lines_about_flux_objects(message)
            .filter_map(|line| {
                let (object, change) = change_of(line)?;
                let mut parts = object.split('/');
                let (kind, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
                let object = ObjectName::of(cluster, kind, namespace, name).ok()?;
                parts.next().is_none().then_some(ChangedObject { object, change: change? })
            })
            .take(MAX_CHANGED_OBJECTS)
            .collect();
    }
}

impl RelatedObject {
    /// A source of which nothing but the name is known.
    pub(crate) fn new(object: ObjectName) -> Self {
        Self { object, uid: "".into(), resource_version: 0 }
    }

    fn of(cluster: &ClusterName, related: &InvolvedObject<'_>) -> Result<Self, NameError> {
        Ok(Self {
            object: ObjectName::of(cluster, &related.kind, &related.namespace, &related.name)?,
            uid: (&*related.uid).into(),
            resource_version: related.resource_version.parse().unwrap_or(0),
        })
    }
}

/// How the message of helm-controller begins when it has uninstalled a release, but not as a remedy.
pub(crate) const UNINSTALLED: &str = "Helm uninstall succeeded";

/// How the messages of kustomize-controller begin that say how long something took (`checkHealth`,
/// `Reconcile`).
pub(crate) const TOOK: [&str; 2] = ["Health check passed in ", "Reconciliation finished in "];

/// The whole seconds that a message says something took; 0 if it does not say.
pub(crate) fn took_seconds(message: &str) -> u32 {
    let took = TOOK.iter().find_map(|begin| message.strip_prefix(begin));
    took.and_then(seconds_of_go).unwrap_or(0)
}

/// The action of kustomize-controller's health checks: those that passed are of severity `info`.
const HEALTH_CHECK: &str = "HealthCheck";

/// How the errors of kustomize-controller's `finalize` begin. Where `action` is not told and the Ready
/// condition had another reason than `ReconciliationSucceeded`, nothing else tells of a deletion.
const DELETION_ERRORS: [&str; 3] = [
    "pruning for deleted resource failed",
    "failed to wait for resources termination",
    "unable to prune objects: ",
];

/// The lines that begin with the kind of a Flux object. Few lines of a change list do, so that their
/// first letters are looked for, many bytes at a time.
fn lines_about_flux_objects(text: &str) -> impl Iterator<Item = &str> {
    memchr::memchr2_iter(b'K', b'H', text.as_bytes()).filter_map(|at| {
        let (before, line) = text.split_at_checked(at)?;
        let begins = before.is_empty() || before.ends_with('\n');
        let names = line.starts_with("Kustomization/") || line.starts_with("HelmRelease/");
        (begins && names).then(|| line.split('\n').next())?
    })
}

/// The object that a line of a change list names, and what was done to it; nothing if it was skipped.
fn change_of(line: &str) -> Option<(&str, Option<Change>)> {
    const CHANGES: [(&str, Option<Change>); 4] = [
        (" configured", Some(Change::Configured)),
        (" created", Some(Change::Created)),
        (" deleted", Some(Change::Deleted)),
        (" skipped", None),
    ];
    let (object, change) = CHANGES
        .iter()
        .find_map(|(end, change)| line.strip_suffix(end).map(|object| (object, *change)))?;
    // An object's name has no spaces: `waited, now deleted` is no deletion. Without a branch for each
    // byte the compiler looks at several at once.
    let has_space = object.bytes().fold(false, |found, byte| found | (byte == b' '));
    (!has_space).then_some((object, change))
}

/// Whether a reason of helm-controller is that of a remedy: it is about the release that was there before
/// the one that failed.
pub(crate) fn is_remedy(reason: &str) -> bool {
    matches!(reason, "RollbackSucceeded" | "UninstallSucceeded")
}

/// The commit that a text names, as a revision or as a bare id.
pub(crate) fn commit_in(text: &str) -> Option<CommitId> {
    Revision::parse(text).ok()?.commit()
}

/// The reasons of Flux's controllers: the usual ones cost no memory of their own.
pub(crate) fn intern(reason: &str) -> Cow<'static, str> {
    const KNOWN: &[&str] = &[
        "ReconciliationSucceeded",
        "Progressing",
        "DependencyNotReady",
        "HealthCheckFailed",
        "BuildFailed",
        "ArtifactFailed",
        "ReconciliationFailed",
        "HealthCheckCanceled",
        "PruneFailed",
        "NewArtifact",
        "Succeeded",
        "GitOperationFailed",
        "InstallSucceeded",
        "InstallFailed",
        "UpgradeSucceeded",
        "UpgradeFailed",
        "TestSucceeded",
        "TestFailed",
        "RollbackSucceeded",
        "RollbackFailed",
        "UninstallSucceeded",
        "UninstallFailed",
        "DriftDetected",
        "DriftCorrected",
        "AccessDenied",
        "InvalidCELExpression",
        "DirectoryCreationFailed",
        "Healthy",
        "Degraded",
        "HealthDegraded",
        "SyncFailed",
        "Syncing",
        "OutOfSync",
    ];
    intern_among(KNOWN, reason)
}

/// The actions of kustomize-controller and source-controller: they cost no memory of their own.
fn intern_action(action: &str) -> Cow<'static, str> {
    const KNOWN: &[&str] = &[
        "Reconcile",
        "Apply",
        HEALTH_CHECK,
        "Prune",
        "CheckDependencies",
        "ResolveSource",
        "Decrypt",
        "Finalize",
        "WaitForTermination",
    ];
    intern_among(KNOWN, action)
}

fn intern_among(known: &'static [&'static str], word: &str) -> Cow<'static, str> {
    match known.iter().find(|known| **known == word) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(cut(word, 256).to_owned()),
    }
}

/// Flux's timestamps are `metav1.Time`, of whole seconds.
pub(crate) fn whole_seconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(time.timestamp(), 0).unwrap_or(time)
}

/// The beginning of a text, cut at a character.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}
