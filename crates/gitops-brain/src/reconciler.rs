//! What is kept of one reconciler, and the state that follows from it at one revision.
//!
//! Only maxima and minima are kept, so that the order in which events arrive, and how often, makes no
//! difference. Everything else is derived.

use std::{
    borrow::Cow,
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    num::NonZeroU128,
};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::{
    ancestry::CommitIndex,
    chart::CommitPrefix,
    commit::CommitId,
    event::Severity,
    hashing::{self, HashMap},
    interner::{Interner, TextIndex},
    names::ObjectName,
    observation::{Change, Observation, Proof, Role, is_remedy},
    policy::HealthChecks,
    rules,
    status::{EventSummary, Verdict},
    world::Heard,
};

/// The most incarnations that are kept of one reconciler.
pub const MAX_INCARNATIONS: usize = 16;

/// The most revisions that are kept of one incarnation.
pub const MAX_REVISIONS: usize = 10_000;

/// The most observations that are kept of one revision: the extremes of twelve kinds, and those that
/// tie with them.
const MAX_MARKS: usize = 64;

/// A reconciler within the brain.
pub(crate) type ReconcilerIndex = u32;

/// The order of one object's events: by the controller's clock, then by the reconcile attempt, then
/// by what an attempt does last.
///
/// Packed so that it compares as one number: 32 bits of seconds, 64 of resourceVersion, 3 of rank, and
/// one that is always set, so that an `Option` of it takes no more room.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct OrderKey(NonZeroU128);

impl OrderKey {
    pub(crate) fn of(observation: &Observation, proof: Option<Proof>) -> Self {
        let rank = proof.map_or(0, rank);
        Self::new(seconds(observation.timestamp), observation.resource_version, rank)
    }

    fn new(seconds: u32, version: u64, rank: u8) -> Self {
        Self::from_bits(u128::from(seconds) << 67 | u128::from(version) << 3 | u128::from(rank))
    }

    fn from_bits(bits: u128) -> Self {
        Self(NonZeroU128::MIN | bits << 1)
    }

    /// Its 99 bits.
    fn bits(self) -> u128 {
        self.0.get() >> 1
    }

    /// The key of something that was said at a time, of which nothing else is known.
    pub(crate) fn at_seconds(seconds: u32) -> Self {
        Self::new(seconds, 0, 0)
    }

    /// A key that nothing comes after.
    pub(crate) fn latest_possible() -> Self {
        Self(NonZeroU128::MAX)
    }

    pub(crate) fn seconds(self) -> u32 {
        (self.bits() >> 67) as u32
    }

    pub(crate) fn version(self) -> u64 {
        (self.bits() >> 3) as u64
    }

    /// The second in which something began that took so many seconds until here.
    pub(crate) fn began(self, took: u32) -> u32 {
        self.seconds().saturating_sub(took)
    }

    fn rank(self) -> u8 {
        (self.bits() & 7) as u8
    }

    /// What was proved at this key.
    pub(crate) fn proof(self) -> Option<Proof> {
        const PROOFS: [Proof; 7] = [
            Proof::Blocked,
            Proof::Interrupted,
            Proof::Applying,
            Proof::Failed,
            Proof::HealthChecked,
            Proof::Succeeded,
            Proof::Deleted,
        ];
        PROOFS.into_iter().find(|proof| rank(*proof) == self.rank())
    }

    pub(crate) fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp(i64::from(self.seconds()), 0).unwrap_or_default()
    }
}

fn rank(proof: Proof) -> u8 {
    proof as u8 + 1
}

/// Flux writes whole seconds; what lies outside 1970–2106 is put at the nearer end.
pub(crate) fn seconds(time: DateTime<Utc>) -> u32 {
    u32::try_from(time.timestamp().max(0)).unwrap_or(u32::MAX)
}

/// The kinds of observation of which extremes are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    pub(crate) const BLOCKED: Self = Self(1);
    pub(crate) const INTERRUPTED: Self = Self(1 << 1);
    pub(crate) const APPLYING: Self = Self(1 << 2);
    /// Applying, with objects created or configured.
    pub(crate) const CHANGED: Self = Self(1 << 3);
    pub(crate) const FAILED: Self = Self(1 << 4);
    /// Failed because the health check did: so there was one.
    pub(crate) const HEALTH_FAILED: Self = Self(1 << 5);
    /// Failed between applying and checking: the retry has nothing left to apply, and then even a
    /// waiting Kustomization sends no word of its health check.
    pub(crate) const UNFINISHED: Self = Self(1 << 6);
    pub(crate) const HEALTH_CHECKED: Self = Self(1 << 7);
    pub(crate) const SUCCEEDED: Self = Self(1 << 8);
    /// Applying, with nothing but deletions: of the commit, or of the Kustomization itself.
    pub(crate) const PRUNED: Self = Self(1 << 9);
    /// A failure that undoes what was proved before it.
    pub(crate) const UNDOING: Self = Self(1 << 10);
    /// Failed or interrupted at a stage that only what was applied comes to.
    pub(crate) const AFTER_APPLYING: Self = Self(1 << 11);
    /// All that shows that a revision was applied.
    pub(crate) const APPLIED: Self = Self(Self::PROGRESS.0 | Self::AFTER_APPLYING.0);
    /// What may have come before or after a revision was applied.
    const PERHAPS_APPLIED: Self = Self(Self::UNFINISHED.0 | Self::INTERRUPTED.0);
    /// All that shows that the reconciler got somewhere with a revision.
    pub(crate) const PROGRESS: Self =
        Self(Self::APPLYING.0 | Self::HEALTH_CHECKED.0 | Self::SUCCEEDED.0);
    /// All but `BLOCKED`: what shows that the reconciler took up a revision.
    pub(crate) const TAKEN_UP: Self = Self(Self::PROGRESS.0 | Self::FAILED.0 | Self::INTERRUPTED.0);
    const ALL: Self = Self(0xFFF);

    fn of(observation: &Observation, proof: Proof) -> Self {
        let stage = match (proof, &*observation.reason) {
            (
                Proof::Failed | Proof::Interrupted,
                "HealthCheckFailed" | "HealthCheckCanceled" | "HealthDegraded" | "PruneFailed",
            ) => Self::AFTER_APPLYING.0,
            _ => 0,
        };
        Self(Self::of_proof(observation, proof).0 | stage)
    }

    fn of_proof(observation: &Observation, proof: Proof) -> Self {
        let reason = &*observation.reason;
        match proof {
            Proof::Blocked => Self::BLOCKED,
            Proof::Interrupted => Self::INTERRUPTED,
            Proof::Applying if observation.has_applied() => {
                Self(Self::APPLYING.0 | Self::CHANGED.0)
            }
            Proof::Applying if observation.may_be_of_deletion() => {
                Self(Self::APPLYING.0 | Self::PRUNED.0)
            }
            Proof::Applying => Self::APPLYING,
            Proof::Failed if matches!(reason, "HealthCheckFailed" | "HealthDegraded") => {
                Self(Self::FAILED.0 | Self::UNDOING.0 | Self::HEALTH_FAILED.0)
            }
            Proof::Failed if matches!(reason, "PruneFailed" | "Progressing") => {
                Self(Self::FAILED.0 | Self::UNDOING.0 | Self::UNFINISHED.0)
            }
            Proof::Failed if observation.failed_before_action() => Self::FAILED,
            Proof::Failed => Self(Self::FAILED.0 | Self::UNDOING.0),
            Proof::HealthChecked => Self::HEALTH_CHECKED,
            Proof::Succeeded => Self::SUCCEEDED,
            Proof::Deleted => Self(0),
        }
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    pub(crate) fn intersect(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The kinds of which the earliest is kept too.
    const WITH_EARLIEST: [Self; 7] = [
        Self::APPLYING,
        Self::CHANGED,
        Self::FAILED,
        Self::HEALTH_FAILED,
        Self::UNFINISHED,
        Self::HEALTH_CHECKED,
        Self::SUCCEEDED,
    ];
    /// The kinds of which the latest is kept.
    const WITH_LATEST: [Self; 11] = [
        Self::BLOCKED,
        Self::INTERRUPTED,
        Self::APPLYING,
        Self::PRUNED,
        Self::FAILED,
        Self::UNDOING,
        Self::UNFINISHED,
        Self::AFTER_APPLYING,
        Self::HEALTH_FAILED,
        Self::HEALTH_CHECKED,
        Self::SUCCEEDED,
    ];
}

/// What is kept of one observation, in 16 bytes: its key, its kinds (12 bits), its reason (10) and how
/// long it took (7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Mark(u128);

/// How long something took, in seconds, in 7 bits: up to 64 as it is, then rounded up to one of eight
/// steps before each power of two. What takes longer than four hours took for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Took(u8);

impl Took {
    const EXACT: u8 = 64;
    const LONGEST: u8 = 127;

    fn of(seconds: u32) -> Self {
        let enough = |code: &u8| Self(*code).seconds() >= seconds;
        Self((0..Self::LONGEST).find(enough).unwrap_or(Self::LONGEST))
    }

    fn seconds(self) -> u32 {
        match self.0.checked_sub(Self::EXACT) {
            None => u32::from(self.0),
            Some(_) if self.0 >= Self::LONGEST => u32::MAX,
            Some(step) => u32::from(8 + step % 8) << (3 + step / 8),
        }
    }
}

/// Reasons that a mark can tell apart.
pub(crate) const MAX_REASONS: usize = 1 << 10;

impl Mark {
    fn new(key: OrderKey, kinds: Kinds, reason: u16, took: u32) -> Self {
        let took = u128::from(Took::of(took).0);
        Self(key.bits() << 29 | took << 22 | u128::from(kinds.0) << 10 | u128::from(reason))
    }

    pub(crate) fn key(self) -> OrderKey {
        OrderKey::from_bits(self.0 >> 29)
    }

    pub(crate) fn kinds(self) -> Kinds {
        Kinds((self.0 >> 10) as u16 & Kinds::ALL.0)
    }

    pub(crate) fn reason(self) -> u16 {
        self.0 as u16 & 0x3FF
    }

    /// Whether what it tells of took so many seconds, as far as it is kept.
    pub(crate) fn has_taken(self, seconds: u32) -> bool {
        self.took() == Took::of(seconds).seconds()
    }

    /// The seconds that what it tells of took, at most.
    pub(crate) fn took(self) -> u32 {
        Took((self.0 >> 22) as u8 & Took::LONGEST).seconds()
    }

    /// The severity of the event, which follows from what it proved.
    pub(crate) fn severity(self, role: Role, reason: &str) -> Severity {
        let error = match role {
            Role::HelmRelease if self.is(Kinds::FAILED) => !is_remedy(reason),
            _ => {
                self.is(Kinds::FAILED)
                    || (self.is(Kinds::INTERRUPTED) && reason != "HealthCheckCanceled")
            }
        };
        if error { Severity::Error } else { Severity::Info }
    }

    pub(crate) fn is(self, kinds: Kinds) -> bool {
        self.kinds().intersect(kinds)
    }
}

/// What a record is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum RevisionKey {
    Commit(CommitIndex),
    /// An artifact that was made of a commit, by its own revision. The next one that is made of the same
    /// commit can hold something else.
    Artifact(CommitIndex, TextIndex),
    /// A chart, of whose commit the version tells the beginning.
    Chart(CommitPrefix),
    /// A revision that names no commit.
    Text(TextIndex),
}

impl RevisionKey {
    /// The commit, if it is named in full.
    pub(crate) fn as_commit(self) -> Option<CommitIndex> {
        match self {
            Self::Commit(commit) | Self::Artifact(commit, _) => Some(commit),
            Self::Chart(_) | Self::Text(_) => None,
        }
    }
}

/// What orders revisions that were reported at one and the same order key: their places would tell in
/// which order they arrived. No two revisions have the same one, whoever thought them up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Tie {
    /// Of a commit's id, or its beginning; of a text 1, of an artifact 2.
    length: u8,
    bytes: [u8; 32],
}

impl Tie {
    pub(crate) const NONE: Self = Self { length: 0, bytes: [0; 32] };

    pub(crate) fn of_commit(id: &CommitId) -> Self {
        Self::of_bytes(id.as_bytes())
    }

    pub(crate) fn of_chart(prefix: CommitPrefix) -> Self {
        Self::of_bytes(prefix.as_bytes())
    }

    fn of_bytes(from: &[u8]) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Self { length: from.len() as u8, bytes }
    }

    pub(crate) fn of_text(text: &str) -> Self {
        Self { length: 1, bytes: Sha256::digest(text).into() }
    }

    pub(crate) fn of_artifact(id: &CommitId, text: &str) -> Self {
        let both = Sha256::new().chain_update(id.as_bytes()).chain_update(text);
        Self { length: 2, bytes: both.finalize().into() }
    }
}

/// What is kept of one revision of one incarnation.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) revision: RevisionKey,
    tie: Tie,
    /// The revision as it was last written.
    pub(crate) text: Option<TextIndex>,
    pub(crate) marks: Vec<Mark>,
    /// The newest of `Kinds::TAKEN_UP`; kept at hand, for the records are ordered by it.
    taken_up: Option<OrderKey>,
    /// The newest failure's words.
    pub(crate) failure: Option<Box<Words>>,
    /// The Flux objects that its change lists name.
    pub(crate) named: Vec<Named>,
}

/// A Flux object that a change list names, what was done to it, and when that was last.
pub(crate) type Named = (ReconcilerIndex, Change, OrderKey);

fn name(all: &mut Vec<Named>, object: ReconcilerIndex, change: Change, key: OrderKey) -> bool {
    match all.iter_mut().find(|(named, how, _)| (*named, *how) == (object, change)) {
        Some((.., newest)) if *newest >= key => return false,
        Some((.., newest)) => *newest = key,
        None => all.push((object, change, key)),
    }
    true
}

/// What Flux said, in its own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    pub(crate) key: OrderKey,
    pub(crate) severity: Severity,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) message: Box<str>,
    pub(crate) revision: Option<RevisionKey>,
    tie: Tie,
}

impl From<&Words> for EventSummary {
    fn from(words: &Words) -> Self {
        Self {
            severity: words.severity,
            reason: words.reason.to_string(),
            message: words.message.to_string(),
            at: words.key.time(),
        }
    }
}

impl Words {
    /// What a finished reconciliation says differs each time, and says nothing: its duration.
    fn message(observation: &Observation, proof: Option<Proof>) -> &str {
        match proof {
            Some(Proof::Succeeded) if observation.commit_status => "",
            _ => &observation.message,
        }
    }

    /// Keeps the newer of two; of two at the same time the greater, so that order does not matter.
    fn join(
        slot: &mut Option<Box<Self>>,
        observation: &Observation,
        proof: Option<Proof>,
        key: OrderKey,
        revision: Option<RevisionKey>,
        tie: Tie,
    ) -> bool {
        let message = Self::message(observation, proof);
        let newer = slot.as_ref().is_none_or(|kept| {
            (key, &*observation.reason, message, tie)
                > (kept.key, &*kept.reason, &*kept.message, kept.tie)
        });
        if newer {
            let words = Self {
                key,
                severity: observation.severity,
                reason: observation.reason.clone(),
                message: message.into(),
                revision,
                tie,
            };
            match slot {
                Some(kept) => **kept = words,
                None => *slot = Some(Box::new(words)),
            }
        }
        newer
    }
}

/// What must be later than what, for a proof to count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    /// The newest proof at a revision that does not contain the commit.
    pub(crate) after: Option<OrderKey>,
    /// When a parent last changed the reconciler itself, at this revision.
    pub(crate) changed_by_parent: Option<OrderKey>,
}

impl Cut {
    /// Whether something counts that was said at a key, of an attempt that began at a second.
    pub(crate) fn counts(&self, key: OrderKey, began: impl FnOnce() -> u32) -> bool {
        self.after.is_none_or(|after| key > after)
            && self.changed_by_parent.is_none_or(|parent| {
                // An attempt that began before the parent's did has an older resourceVersion: they
                // are counted through in a whole cluster.
                let is_older = key.version() != 0 && key.version() <= parent.version();
                key > parent && !is_older && began() >= parent.seconds()
            })
    }
}

impl Record {
    fn new(revision: RevisionKey, tie: Tie) -> Self {
        Self {
            revision,
            tie,
            text: None,
            marks: Vec::new(),
            taken_up: None,
            failure: None,
            named: Vec::new(),
        }
    }

    /// What orders it among the others.
    pub(crate) fn order(&self) -> (Option<OrderKey>, Tie) {
        (self.taken_up, self.tie)
    }

    /// The newest proof that it took up the revision.
    pub(crate) fn taken_up(&self) -> Option<OrderKey> {
        self.taken_up
    }

    /// When its change lists last said that a Flux object was created or configured.
    pub(crate) fn newest_change_of(&self, object: ReconcilerIndex) -> Option<OrderKey> {
        let lines = self.named.iter();
        let lines =
            lines.filter(|(named, change, _)| *named == object && *change != Change::Deleted);
        lines.map(|(.., key)| *key).max()
    }

    /// The newest of some kinds.
    pub(crate) fn latest(&self, kinds: Kinds) -> Option<OrderKey> {
        self.marks.iter().filter(|mark| mark.is(kinds)).map(|mark| mark.key()).max()
    }

    /// The newest of some kinds, if it counts.
    pub(crate) fn latest_counting(&self, kinds: Kinds, cut: Cut) -> Option<OrderKey> {
        self.latest(kinds).filter(|key| cut.counts(*key, || self.began(*key)))
    }

    /// When the attempt that said something at a key began, in seconds: what it says it took tells, and
    /// what else is known to be said by it.
    pub(crate) fn began(&self, key: OrderKey) -> u32 {
        let said = [Kinds::APPLYING, Kinds::HEALTH_CHECKED, Kinds::SUCCEEDED];
        let said = said.into_iter().flat_map(|kinds| [self.earliest(kinds), self.latest(kinds)]);
        let by_it = |said: &OrderKey| key.version() != 0 && said.version() == key.version();
        let keys = said.flatten().filter(by_it).chain([key]);
        let began = |said: OrderKey| {
            let here = self.marks.iter().filter(|mark| mark.key() == said);
            said.began(here.map(|mark| mark.took()).max().unwrap_or(0))
        };
        keys.map(began).min().unwrap_or_default()
    }

    /// The first of some kinds.
    pub(crate) fn earliest(&self, kinds: Kinds) -> Option<OrderKey> {
        self.marks.iter().filter(|mark| mark.is(kinds)).map(|mark| mark.key()).min()
    }

    /// The newest mark of all; of several at one key the one with the greatest reason, as of words.
    pub(crate) fn newest_mark(&self, reasons: &Interner) -> Option<Mark> {
        let marks = self.marks.iter().copied();
        marks.max_by_key(|mark| (mark.key(), reasons.text_at(mark.reason())))
    }

    /// Whether it applied changes when the revision was new to it, and told of no health check that passed.
    /// What it changes after its first success is no longer new to it (kustomize-controller,
    /// `checkHealth`).
    pub(crate) fn is_unchecked(&self) -> bool {
        let changed = self.earliest(Kinds::CHANGED);
        let succeeded = self.earliest(Kinds::SUCCEEDED);
        let was_new = changed.is_some() && succeeded.is_none_or(|first| Some(first) > changed);
        was_new && self.latest(Kinds::HEALTH_CHECKED).is_none()
    }

    /// When it was shown that this reconciler does not wait: a revision new to it was applied with
    /// changes and then succeeded, without a health check. A waiting Kustomization always tells of
    /// one there (kustomize-controller, `checkHealth`: `isNewRevision && drifted`).
    fn shown_not_to_wait(&self) -> Option<OrderKey> {
        if self.marks.iter().any(|mark| {
            // An attempt that was interrupted may have been waiting for health just then, one whose
            // check failed has been, and the next one has nothing left to apply.
            let ended_in_between = mark.is(Kinds::UNFINISHED)
                || mark.is(Kinds::INTERRUPTED)
                || mark.is(Kinds::HEALTH_FAILED);
            mark.is(Kinds::HEALTH_CHECKED) || rules::UNFINISHED && ended_in_between
        }) {
            return None;
        }
        let changed = self.earliest(Kinds::CHANGED)?;
        self.earliest(Kinds::SUCCEEDED).filter(|succeeded| *succeeded > changed)
    }

    /// Keeps the extremes of each kind. Returns whether the new mark is one of them.
    fn insert(&mut self, mark: Mark) -> bool {
        if self.marks.len() >= MAX_MARKS || self.marks.contains(&mark) || !self.is_extreme(mark) {
            return false;
        }
        self.marks.push(mark);
        if mark.is(Kinds::TAKEN_UP) {
            self.taken_up = self.taken_up.max(Some(mark.key()));
        }
        // Only what shares a kind with the new mark can have been surpassed by it.
        let mut place = 0;
        while let Some(kept) = self.marks.get(place).copied() {
            if kept != mark && kept.is(mark.kinds()) && !self.is_extreme(kept) {
                self.marks.swap_remove(place);
            } else {
                place += 1;
            }
        }
        true
    }

    /// Whether nothing that is kept is later, or nothing earlier, of one of a mark's kinds.
    fn is_extreme(&self, mark: Mark) -> bool {
        let beyond = |kinds: Kinds, side: Ordering| {
            let others = self.marks.iter().filter(|other| other.is(kinds));
            others.map(|other| other.key().cmp(&mark.key())).all(|order| order != side)
        };
        let is_latest = Kinds::WITH_LATEST
            .iter()
            .any(|kinds| mark.is(*kinds) && beyond(*kinds, Ordering::Greater));
        is_latest
            || Kinds::WITH_EARLIEST
                .iter()
                .any(|kinds| mark.is(*kinds) && beyond(*kinds, Ordering::Less))
    }
}

/// The life of one object, from its creation to its deletion.
#[derive(Clone, Debug)]
pub(crate) struct Incarnation {
    pub(crate) uid: Box<str>,
    pub(crate) records: Vec<Record>,
    index: HashMap<RevisionKey, u32>,
    /// The records of artifacts, by the commit that they were made of.
    artifacts: BTreeMap<CommitIndex, Vec<u32>>,
    /// The records by the newest proof but `Blocked`, oldest first.
    order: Vec<u32>,
    /// When it was last said that its dependencies are not ready, and at which revision.
    pub(crate) blocked: Option<(OrderKey, Tie, RevisionKey)>,
    /// The newest of all that was said.
    pub(crate) newest: OrderKey,
    /// When it was deleted.
    pub(crate) deleted: Option<OrderKey>,
    /// When its Helm release was last uninstalled.
    pub(crate) uninstalled: Option<OrderKey>,
    /// The Flux objects that it took with it.
    pub(crate) withdrew: Vec<Named>,
    /// The source that was named last, and when.
    pub(crate) source: Option<(OrderKey, ObjectName)>,
    /// The newest error that named no revision.
    pub(crate) trouble: Option<Box<Words>>,
    /// The newest that was said.
    pub(crate) last: Option<Box<Words>>,
    /// The newest health check that passed.
    newest_check: Option<OrderKey>,
    /// The newest health check that failed.
    newest_failed_check: Option<OrderKey>,
    /// The newest sign that it does not wait, and the record that shows it.
    newest_not_waiting: Option<(OrderKey, u32)>,
}

/// What events tell of whether a reconciler waits for health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Evidence {
    Checks,
    DoesNotCheck,
    /// It told of a check before, and then it applied changes and told of none: it was told not to wait
    /// any more, or the event was lost.
    Unclear,
    None,
}

impl Incarnation {
    pub(crate) fn new(uid: &str, newest: OrderKey) -> Self {
        Self {
            uid: uid.into(),
            records: Vec::new(),
            index: hashing::map_of_places(),
            artifacts: BTreeMap::new(),
            order: Vec::new(),
            blocked: None,
            newest,
            deleted: None,
            uninstalled: None,
            source: None,
            withdrew: Vec::new(),
            trouble: None,
            last: None,
            newest_check: None,
            newest_failed_check: None,
            newest_not_waiting: None,
        }
    }

    pub(crate) fn record(&self, revision: RevisionKey) -> Option<&Record> {
        self.records.get(*self.index.get(&revision)? as usize)
    }

    /// What is kept of the artifacts that were made of a commit.
    pub(crate) fn artifacts_of(&self, commit: CommitIndex) -> impl Iterator<Item = &Record> {
        let places = self.artifacts.get(&commit).into_iter().flatten();
        places.filter_map(|place| self.records.get(*place as usize))
    }

    pub(crate) fn has_artifacts(&self) -> bool {
        !self.artifacts.is_empty()
    }

    fn index_record(&mut self, revision: RevisionKey, place: u32) {
        self.index.insert(revision, place);
        if let RevisionKey::Artifact(commit, _) = revision {
            self.artifacts.entry(commit).or_default().push(place);
        }
    }

    /// The records by their newest proof but `Blocked`, newest first; those without one are left out.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (&Record, OrderKey)> {
        self.order.iter().rev().map_while(|place| {
            let record = self.records.get(*place as usize)?;
            Some((record, record.taken_up?))
        })
    }

    /// The keys of what must not be forgotten, however old: the newest proof, and what shows whether
    /// health is checked.
    pub(crate) fn needed(&self) -> Vec<OrderKey> {
        let newest = self.newest_first().next().map(|(_, key)| key);
        // One sign that it does not wait can be a lost event, two are none.
        let signs = || {
            let records = self.records.iter();
            records.filter_map(|record| Some((record.shown_not_to_wait()?, record)))
        };
        let mut newest_signs: Vec<_> = signs().map(|(key, _)| key).collect();
        newest_signs.sort_unstable_by_key(|key| Reverse(*key));
        let since = newest_signs.get(1).or(newest_signs.first()).copied();
        let shown = signs()
            .filter(|(key, _)| Some(*key) >= since)
            .flat_map(|(key, record)| [record.earliest(Kinds::CHANGED), Some(key)]);
        let succeeded =
            self.records.iter().filter_map(|record| record.latest(Kinds::SUCCEEDED)).max();
        let checks = [newest, succeeded, self.newest_check, self.newest_failed_check];
        checks.into_iter().chain(shown).flatten().collect()
    }

    /// The revision that it took up last.
    pub(crate) fn head(&self) -> Option<&Record> {
        self.newest_first().next().map(|(record, _)| record)
    }

    /// The revision that is known to have been applied last; and one that may have been applied since.
    pub(crate) fn applied(&self) -> (Option<&Record>, Option<&Record>) {
        type Kept<'a> = Option<(OrderKey, Tie, &'a Record)>;
        let (mut applied, mut perhaps): (Kept<'_>, Kept<'_>) = (None, None);
        let newest_of = |kept: Kept<'_>| kept.map(|(key, tie, _)| (key, tie));
        for (record, newest) in self.newest_first() {
            // Nothing in the records that follow is newer.
            if newest_of(applied).is_some_and(|(key, _)| key > newest) {
                break;
            }
            let at = |kinds| record.latest(kinds).map(|key| (key, record.tie, record));
            for (kept, found) in
                [(&mut applied, at(Kinds::APPLIED)), (&mut perhaps, at(Kinds::PERHAPS_APPLIED))]
            {
                if newest_of(found) > newest_of(*kept) {
                    *kept = found;
                }
            }
        }
        let since = perhaps.filter(|_| newest_of(perhaps) > newest_of(applied));
        (applied.map(|(.., record)| record), since.map(|(.., record)| record))
    }

    /// Whether its Helm release was uninstalled, and nothing was said since.
    fn is_uninstalled(&self) -> bool {
        self.uninstalled == Some(self.newest)
    }

    /// The trouble that nothing has cleared since.
    pub(crate) fn present_trouble(&self) -> Option<&Words> {
        let proved = self.newest_first().next().map(|(_, key)| key);
        self.trouble.as_deref().filter(|trouble| proved.is_none_or(|proved| trouble.key > proved))
    }

    /// The newest evidence about health checks at or before a time.
    pub(crate) fn evidence(&self, at: OrderKey) -> Evidence {
        let not_waiting = self.newest_not_waiting.map(|(key, _)| key);
        let newest = [self.newest_check, self.newest_failed_check, not_waiting];
        if newest.iter().flatten().all(|key| *key <= at) {
            return self.judge(newest, at);
        }
        let [mut check, mut failed_check, mut not_waiting] = [None; 3];
        for (record, newest) in self.newest_first() {
            // Nothing in the records that follow is newer.
            if [check, failed_check, not_waiting].iter().any(|found| *found >= Some(newest)) {
                break;
            }
            let between = |kinds| {
                let latest = record.latest(kinds).filter(|key| *key <= at);
                latest.or_else(|| record.earliest(kinds).filter(|key| *key <= at))
            };
            check = check.max(between(Kinds::HEALTH_CHECKED));
            // Between the first and the last failed check there may have been others, of which
            // nothing is kept: so the newest of them may be as late as can be.
            failed_check = failed_check.max(match between(Kinds::HEALTH_FAILED) {
                Some(_) if record.latest(Kinds::HEALTH_FAILED) > Some(at) => Some(at),
                found => found,
            });
            not_waiting = not_waiting.max(record.shown_not_to_wait().filter(|key| *key <= at));
        }
        self.judge([check, failed_check, not_waiting], at)
    }

    /// What the newest evidence says now, given that it is not a health check that passed: a failed
    /// check was one, unless a success came after it without another.
    pub(crate) fn verdict_after_failed_check(&self) -> Verdict {
        let not_waiting = self.newest_not_waiting.map(|(key, _)| key);
        let failed_check = self.newest_failed_check.filter(|failed| Some(*failed) > not_waiting);
        let succeeded_since = |failed| {
            self.newest_first()
                .take_while(|(_, newest)| *newest > failed)
                .any(|(record, _)| record.latest(Kinds::SUCCEEDED) > Some(failed))
        };
        match failed_check {
            Some(failed) if !succeeded_since(failed) => Verdict::Checks,
            _ => Verdict::DoesNotCheck,
        }
    }

    fn judge(
        &self,
        [check, failed_check, not_waiting]: [Option<OrderKey>; 3],
        at: OrderKey,
    ) -> Evidence {
        let waited = check.max(failed_check);
        match waited.max(not_waiting) {
            None => Evidence::None,
            newest if newest == check => Evidence::Checks,
            newest if newest == not_waiting && waited.is_some() && newest > waited => {
                let later = self.newest_first().take_while(|(_, newest)| Some(*newest) > waited);
                let shown = later.filter_map(|(record, _)| record.shown_not_to_wait());
                let signs = shown.filter(|sign| Some(*sign) > waited && *sign <= at);
                if signs.take(2).count() < 2 { Evidence::Unclear } else { Evidence::DoesNotCheck }
            }
            // After a red check a waiting one always tells of a green one before it succeeds.
            _ => Evidence::DoesNotCheck,
        }
    }

    /// Takes in an observation. Returns how much of it was news.
    pub(crate) fn insert(&mut self, observation: &Observation, seen: &Seen<'_>) -> Changed {
        let key = seen.key;
        self.newest = self.newest.max(key);
        if observation.is_uninstalled() {
            self.uninstalled = self.uninstalled.max(Some(key));
        }
        let source_changed = self.note_source(observation);
        let changed = self.insert_said(observation, seen);
        changed.max(Changed::from(source_changed))
    }

    /// Notes the source that an observation names. Returns whether that is another one than before.
    fn note_source(&mut self, observation: &Observation) -> bool {
        let Some(related) = &observation.related_object else { return false };
        // Whatever the event proves.
        let key = OrderKey::of(observation, None);
        let before = self.source.as_ref();
        if before.is_some_and(|(kept, name)| (kept, name) >= (&key, &related.object)) {
            return false;
        }
        let changed = before.is_none_or(|(_, name)| *name != related.object);
        self.source = Some((key, related.object.clone()));
        changed
    }

    fn insert_said(&mut self, observation: &Observation, seen: &Seen<'_>) -> Changed {
        let Seen { proof, key, revision, .. } = *seen;
        let said_before = self.said_alike(observation, proof);
        let said_last = Words::join(&mut self.last, observation, proof, key, revision, seen.tie);
        match (proof, revision) {
            (None, _) => Changed::from(said_last),
            (Some(Proof::Deleted), _) => {
                let mut news = self.deleted < Some(key);
                self.deleted = self.deleted.max(Some(key));
                for (object, change) in seen.named {
                    news |= name(&mut self.withdrew, *object, *change, key);
                }
                Changed::from(news | said_last)
            }
            (Some(proof), Some(revision)) => {
                self.insert_proof(observation, seen, proof, revision, said_before, said_last)
            }
            // A remedy keeps nothing from going on.
            (Some(Proof::Failed), None) if !is_remedy(&observation.reason) => Changed::from(
                said_last
                    | Words::join(&mut self.trouble, observation, proof, key, None, Tie::NONE),
            ),
            (Some(_), None) => Changed::from(said_last),
        }
    }

    /// When it was last said what is said now, if nothing else was said since.
    pub(crate) fn said_alike(
        &self,
        observation: &Observation,
        proof: Option<Proof>,
    ) -> Option<OrderKey> {
        let last = self.last.as_deref()?;
        let alike = last.reason == observation.reason
            && *last.message == *Words::message(observation, proof);
        alike.then_some(last.key)
    }

    /// Whether this is the last success again, with nothing said in between. All that stands in some
    /// order to the one stands in the same order to the other, so nothing follows from it.
    pub(crate) fn repeats(
        &self,
        proof: Proof,
        key: OrderKey,
        revision: RevisionKey,
        text: Option<TextIndex>,
        said_last: Option<OrderKey>,
    ) -> bool {
        let Some(head) = self.head().filter(|head| head.revision == revision) else { return false };
        let newest = head.latest(Kinds::ALL);
        proof == Proof::Succeeded
            && newest.is_some_and(|newest| newest.rank() == key.rank() && newest < key)
            && newest == said_last
            && head.text == text
    }

    fn insert_proof(
        &mut self,
        observation: &Observation,
        seen: &Seen<'_>,
        proof: Proof,
        revision: RevisionKey,
        said_before: Option<OrderKey>,
        said_last: bool,
    ) -> Changed {
        let Seen { key, text, tie, reason, named, greater_text, .. } = *seen;
        let repeated = self.repeats(proof, key, revision, text, said_before);
        let place = self.place(revision, tie);
        let Some(record) = self.records.get_mut(place as usize) else { return Changed::Nothing };
        let before = record.taken_up;
        let newest = record.latest(Kinds::ALL);
        let kinds = Kinds::of(observation, proof);
        let mut news = record.insert(Mark::new(key, kinds, reason, observation.took_seconds()));
        let text_before = record.text;
        match newest.cmp(&Some(key)) {
            Ordering::Less => record.text = text,
            Ordering::Equal => record.text = greater_text(record.text, text),
            Ordering::Greater => {}
        }
        news |= said_last | (text_before != record.text);
        if proof == Proof::Failed {
            news |= Words::join(
                &mut record.failure,
                observation,
                Some(proof),
                key,
                Some(revision),
                tie,
            );
        }
        for (object, change) in named {
            news |= name(&mut record.named, *object, *change, key);
        }
        let after = record.taken_up;
        let not_waiting = record.shown_not_to_wait();
        if before != after {
            self.reorder(place, before);
        }
        match proof {
            Proof::Blocked => self.block(key, tie, revision),
            Proof::HealthChecked => self.newest_check = self.newest_check.max(Some(key)),
            Proof::Failed if kinds.intersect(Kinds::HEALTH_FAILED) => {
                self.newest_failed_check = self.newest_failed_check.max(Some(key));
            }
            _ => {}
        }
        self.note_not_waiting(place, not_waiting);
        if repeated { Changed::LastHeard } else { Changed::from(news) }
    }

    fn block(&mut self, key: OrderKey, tie: Tie, revision: RevisionKey) {
        if self.blocked.is_none_or(|(blocked, by, _)| (key, tie) > (blocked, by)) {
            self.blocked = Some((key, tie, revision));
        }
    }

    fn place(&mut self, revision: RevisionKey, tie: Tie) -> u32 {
        if let Some(place) = self.index.get(&revision) {
            return *place;
        }
        if self.records.len() >= MAX_REVISIONS {
            self.drop_oldest();
        }
        let place = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        self.records.push(Record::new(revision, tie));
        self.index_record(revision, place);
        place
    }

    /// Makes room: the records that were taken up longest ago go. Not one by one, for what is derived
    /// of the others is derived anew.
    fn drop_oldest(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        let mut orders: Vec<_> = records.iter().map(Record::order).collect();
        if let Some(last) = (MAX_REVISIONS / 4).checked_sub(1).filter(|last| *last < orders.len()) {
            let (_, newest_dropped, _) = orders.select_nth_unstable(last);
            records.retain(|record| record.order() > *newest_dropped);
        }
        self.rebuild(records);
    }

    /// Puts records in place of those that are kept, and derives the rest anew.
    pub(crate) fn rebuild(&mut self, records: Vec<Record>) {
        self.index.clear();
        self.artifacts.clear();
        for (place, record) in (0..).zip(&records) {
            self.index_record(record.revision, place);
        }
        self.records = records;
        self.order.clear();
        self.blocked = None;
        self.newest_check = None;
        self.newest_failed_check = None;
        self.newest_not_waiting = None;
        for (place, record) in (0..).zip(&self.records) {
            if record.taken_up.is_some() {
                self.order.push(place);
            }
            let blocked =
                record.latest(Kinds::BLOCKED).map(|key| (key, record.tie, record.revision));
            let order =
                |blocked: Option<(OrderKey, Tie, _)>| blocked.map(|(key, tie, _)| (key, tie));
            if order(blocked) > order(self.blocked) {
                self.blocked = blocked;
            }
            self.newest_check = self.newest_check.max(record.latest(Kinds::HEALTH_CHECKED));
            self.newest_failed_check =
                self.newest_failed_check.max(record.latest(Kinds::HEALTH_FAILED));
            let not_waiting = record.shown_not_to_wait();
            if not_waiting > self.newest_not_waiting.map(|(key, _)| key) {
                self.newest_not_waiting = not_waiting.map(|key| (key, place));
            }
        }
        let records = &self.records;
        self.order.sort_by_key(|place| records.get(*place as usize).map(Record::order));
    }

    /// Moves a record to where its newest proof belongs. Most often that is the end.
    fn reorder(&mut self, place: u32, before: Option<OrderKey>) {
        if self.order.last() == Some(&place) {
            return;
        }
        let records = &self.records;
        let newest = |at: &u32| records.get(*at as usize).map(Record::order);
        let after = newest(&place);
        if before.is_some() {
            let key = |at: &u32| {
                if *at == place { before } else { records.get(*at as usize)?.taken_up }
            };
            // Most often it is near the end: look there first, in steps that double.
            let (mut begin, mut step) = (self.order.len(), 1);
            while self.order.get(begin).map_or(begin > 0, |at| key(at) >= before && begin > 0) {
                begin = begin.saturating_sub(step);
                step *= 2;
            }
            let end = self.order.get(begin..).unwrap_or_default();
            let first = begin + end.partition_point(|at| key(at) < before);
            let ties = self.order.get(first..).unwrap_or_default();
            if let Some(tie) = ties.iter().position(|at| *at == place) {
                self.order.remove(first + tie);
            }
        }
        let to = match self.order.last() {
            Some(last) if newest(last) > after => {
                self.order.partition_point(|at| newest(at) <= after)
            }
            _ => self.order.len(),
        };
        self.order.insert(to, place);
        debug_assert!(self.order.len() <= self.records.len(), "each record has one place");
    }

    fn note_not_waiting(&mut self, place: u32, shown: Option<OrderKey>) {
        match (self.newest_not_waiting, shown) {
            (Some((newest, shown_by)), shown)
                if shown_by == place && shown.is_none_or(|shown| shown < newest) =>
            {
                // A late health check took the sign back, or a late success put it earlier: look for
                // the next.
                let shown = (0..)
                    .zip(&self.records)
                    .filter_map(|(place, record)| Some((record.shown_not_to_wait()?, place)));
                self.newest_not_waiting = shown.max();
            }
            (newest, Some(key)) if newest.is_none_or(|(newest, _)| key > newest) => {
                self.newest_not_waiting = Some((key, place));
            }
            _ => {}
        }
    }
}

/// An observation, resolved to the places of what it names.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) proof: Option<Proof>,
    pub(crate) key: OrderKey,
    pub(crate) revision: Option<RevisionKey>,
    pub(crate) text: Option<TextIndex>,
    pub(crate) tie: Tie,
    pub(crate) reason: u16,
    pub(crate) named: &'a [(ReconcilerIndex, Change)],
    /// The greater of two texts.
    pub(crate) greater_text: &'a dyn Fn(Option<TextIndex>, Option<TextIndex>) -> Option<TextIndex>,
}

/// What a fact changed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "hosts decide by it what to store")]
pub enum Changed {
    /// Nothing: it was known already.
    #[default]
    Nothing,
    /// The same again, later: only the time at which the reconciler was last heard of moved on.
    LastHeard,
    /// Something that was not known.
    Knowledge,
}

impl Changed {
    /// The change in snake case, as other languages have it: `nothing`, `last_heard` or `knowledge`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::LastHeard => "last_heard",
            Self::Knowledge => "knowledge",
        }
    }
}

impl From<bool> for Changed {
    fn from(changed: bool) -> Self {
        if changed { Self::Knowledge } else { Self::Nothing }
    }
}

/// All that is kept of one reconciler.
#[derive(Clone, Debug)]
pub(crate) struct Reconciler {
    pub(crate) name: ObjectName,
    pub(crate) role: Role,
    pub(crate) cluster: u32,
    pub(crate) incarnations: Vec<Incarnation>,
    pub(crate) last_heard: Option<Heard>,
    /// When a person acknowledged that it is gone.
    pub(crate) removed: Option<DateTime<Utc>>,
    /// The reconcilers whose change lists named it.
    pub(crate) parents: Vec<ReconcilerIndex>,
    /// The Flux objects that it created or configured, and when it last did.
    pub(crate) children: BTreeMap<ReconcilerIndex, OrderKey>,
    /// When a parent last created or configured it, and when one last deleted it.
    pub(crate) announced: Option<OrderKey>,
    pub(crate) withdrawn: Option<OrderKey>,
}

impl Reconciler {
    pub(crate) fn new(name: ObjectName, role: Role, cluster: u32) -> Self {
        Self {
            name,
            role,
            cluster,
            incarnations: Vec::new(),
            last_heard: None,
            removed: None,
            parents: Vec::new(),
            children: BTreeMap::new(),
            announced: None,
            withdrawn: None,
        }
    }

    /// The incarnation that counts: the one that was heard of last.
    pub(crate) fn current(&self) -> Option<&Incarnation> {
        self.incarnations.iter().max_by(|a, b| (a.newest, &a.uid).cmp(&(b.newest, &b.uid)))
    }

    /// The newest proof at the revision that it took up last, and when the attempt began that told it:
    /// which matters only if a parent can change the reconciler itself.
    pub(crate) fn head_key(&self) -> Option<(OrderKey, u32)> {
        let (record, key) = self.current()?.newest_first().next()?;
        let has_parents = !self.parents.is_empty();
        Some((key, if has_parents { record.began(key) } else { key.seconds() }))
    }

    /// Which incarnation counts, and whether it is deleted.
    pub(crate) fn stands(&self) -> (Option<usize>, bool) {
        let current = self.current().map(|current| &current.uid);
        let place = self.incarnations.iter().position(|kept| Some(&kept.uid) == current);
        (place, self.is_deleted())
    }

    /// Whether it exists no more: it said so, or its parent did and it was not heard of since.
    pub(crate) fn is_deleted(&self) -> bool {
        let current = self.current();
        let withdrawn = self
            .withdrawn
            .filter(|withdrawn| self.announced.is_none_or(|announced| *withdrawn > announced));
        current.is_some_and(|current| current.deleted.is_some() || current.is_uninstalled())
            || withdrawn.is_some_and(|withdrawn| {
                current.is_none_or(|current| withdrawn.seconds() > current.newest.seconds())
            })
    }

    /// Whether a Kustomization told of a health check, or of several revisions, and never of a success.
    pub(crate) fn never_succeeds(&self) -> bool {
        let Some(current) = self.current().filter(|_| self.role == Role::Kustomization) else {
            return false;
        };
        let mut applied =
            current.newest_first().filter(|(record, _)| record.latest(Kinds::PROGRESS).is_some());
        let mut records = current.newest_first();
        records.all(|(record, _)| record.latest(Kinds::SUCCEEDED).is_none())
            && (current.newest_check.is_some() || applied.nth(1).is_some())
    }

    /// Whether nothing but errors was ever heard of it.
    pub(crate) fn tells_only_errors(&self) -> bool {
        !self.has_said(Severity::Info) && self.has_said(Severity::Error)
    }

    /// Whether it told of a failure that only comes after something was applied, and of nothing applied.
    pub(crate) fn lacks_its_changes(&self) -> bool {
        let mut records = self.incarnations.iter().flat_map(|life| &life.records);
        self.tells_only_errors()
            && records.any(|record| record.latest(Kinds::AFTER_APPLYING).is_some())
    }

    /// Whether anything of a severity is known to be heard of it.
    pub(crate) fn has_said(&self, severity: Severity) -> bool {
        self.incarnations.iter().any(|life| {
            let words = [&life.last, &life.trouble].into_iter().flatten();
            let is_info = life.deleted.is_some() || life.uninstalled.is_some();
            words.into_iter().any(|words| words.severity == severity)
                || severity == Severity::Info && is_info
                || life
                    .records
                    .iter()
                    .flat_map(|record| &record.marks)
                    .any(|mark| mark.is(Kinds::FAILED) == (severity == Severity::Error))
        })
    }

    /// Whether a person took it out of every expectation, and it was not heard of since.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.is_some_and(|removed| self.last_heard.is_none_or(|heard| heard.at <= removed))
    }

    /// Whether it is not there: never heard of nor named by a parent, deleted, or taken out by a person.
    pub(crate) fn is_gone(&self) -> bool {
        !self.is_known() || self.is_deleted() || self.is_removed()
    }

    /// Whether it was heard of, or named by a parent.
    pub(crate) fn is_known(&self) -> bool {
        !self.incarnations.is_empty() || self.announced.is_some()
    }

    pub(crate) fn incarnation(&mut self, uid: &str, key: OrderKey) -> &mut Incarnation {
        let found = self.incarnations.iter().position(|incarnation| *incarnation.uid == *uid);
        let place = found.unwrap_or_else(|| {
            if self.incarnations.len() >= MAX_INCARNATIONS {
                let oldest = (0..self.incarnations.len())
                    .min_by_key(|place| self.incarnations.get(*place).map(|kept| kept.newest));
                self.incarnations.remove(oldest.unwrap_or_default());
            }
            self.incarnations.push(Incarnation::new(uid, key));
            self.incarnations.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just above")]
        &mut self.incarnations[place]
    }

    /// Whether a `Succeeded` at a time proves health, and whether it is known to check at all.
    pub(crate) fn evidence(
        &self,
        incarnation: &Incarnation,
        policy: HealthChecks,
        at: OrderKey,
    ) -> Evidence {
        match policy {
            HealthChecks::Enabled => Evidence::Checks,
            HealthChecks::Disabled => Evidence::DoesNotCheck,
            // Helm waits unless it is told not to.
            HealthChecks::Inferred if self.role.always_checks() => Evidence::Checks,
            HealthChecks::Inferred => incarnation.evidence(at),
        }
    }
}
