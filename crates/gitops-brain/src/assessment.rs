//! Where one reconciler stands with one commit: the rules of covering, of health and of failure.

use std::collections::{BTreeMap, btree_map::Entry};

use chrono::{DateTime, Utc};

use crate::{
    ancestry::CommitIndex,
    commit::CommitId,
    observation::Role,
    policy::HealthChecks,
    reconciler::{
        Cut, Evidence, Incarnation, Kinds, OrderKey, Reconciler, ReconcilerIndex, Record,
        RevisionKey, Words,
    },
    rules,
    status::{Reason, State, Verdict},
    world::World,
};

/// Failures that are usually hiccups of the platform and mend themselves: the artifact could not be
/// fetched yet, a folder not made, a status not written.
const TRANSIENT: [&str; 3] = ["ArtifactFailed", "DirectoryCreationFailed", "Progressing"];

/// Where one reconciler stands with one commit.
#[derive(Clone, Debug)]
pub(crate) struct Assessment<'a> {
    pub(crate) state: State,
    pub(crate) reason: Reason,
    /// The record that decides.
    pub(crate) record: Option<&'a Record>,
    /// Its commit, if it is a later one.
    pub(crate) via: Option<CommitIndex>,
    /// The revision that it took up last.
    pub(crate) head: Option<(&'a Record, OrderKey)>,
    pub(crate) live: Option<bool>,
    pub(crate) policy: HealthChecks,
    pub(crate) verdict: Verdict,
    pub(crate) failing: Option<Failing>,
    /// When the deciding record first proved health.
    pub(crate) healthy_at: Option<OrderKey>,
    /// What stands in the way, in Flux's words.
    pub(crate) trouble: Option<&'a Words>,
}

/// A failure that nothing has mended since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    pub(crate) since: DateTime<Utc>,
    pub(crate) transient: bool,
}

/// What an assessment is made of: the facts, and what is asked of them.
#[derive(Clone, Copy)]
pub(crate) struct Assessor<'a, 'b> {
    pub(crate) world: &'a World,
    /// The commit; `None` if no fact ever named it.
    pub(crate) commit: Option<CommitIndex>,
    /// Whether a reconciler is among those that are expected.
    pub(crate) expects: &'b dyn Fn(ReconcilerIndex) -> bool,
}

impl<'a> Assessor<'a, '_> {
    /// Assesses one reconciler.
    pub(crate) fn assess(
        &self,
        reconciler: &'a Reconciler,
        policy: HealthChecks,
    ) -> Assessment<'a> {
        let mut assessment = Assessment {
            state: State::Pending,
            reason: Reason::NeverHeard,
            record: None,
            via: None,
            head: None,
            live: None,
            policy,
            verdict: declared(Some(reconciler.role), policy),
            failing: None,
            healthy_at: None,
            trouble: None,
        };
        if let Some(incarnation) = reconciler.current() {
            assessment.verdict = verdict(reconciler, incarnation, policy);
            assessment.head = incarnation.newest_first().next();
            assessment.live = match incarnation.applied() {
                (Some(applied), None) => self.is_live(applied),
                (Some(applied), Some(perhaps)) => {
                    self.is_live(applied).filter(|live| self.is_live(perhaps) == Some(*live))
                }
                // What it was at before is not known; what it attempts may not be there yet.
                (None, _) => {
                    assessment.head.and_then(|(head, _)| self.is_live(head)).filter(|live| !live)
                }
            };
            assessment.trouble = incarnation.present_trouble();
            self.judge(reconciler, incarnation, &mut assessment);
        } else if reconciler.is_deleted() {
            assessment.reason = Reason::Deleted;
        }
        assessment
    }

    /// Whether a revision contains the commit.
    fn is_live(&self, record: &Record) -> Option<bool> {
        let head = self.world.commit_of(record.revision)?;
        if self.carries(record) {
            Some(true)
        } else if self.lacks(head) {
            Some(false)
        } else {
            None
        }
    }

    fn judge(
        &self,
        reconciler: &'a Reconciler,
        incarnation: &'a Incarnation,
        assessment: &mut Assessment<'a>,
    ) {
        if reconciler.is_deleted() {
            assessment.reason = Reason::Deleted;
            assessment.live = Some(false);
            return;
        }
        // The revisions that contain the commit, newest first, down to one that is not known to.
        let mut carriers = Vec::new();
        let mut after = None;
        let mut replaced = Replaced::of(reconciler, incarnation);
        for (record, newest) in incarnation.newest_first() {
            if self.carries(record) {
                if !replaced.note(self.world.commit_of(record.revision), newest) {
                    carriers.push(record);
                }
            } else if rules::BREAK {
                after = Some((record, newest));
                // What was reported at the very same order key does not count.
                while carriers
                    .last()
                    .is_some_and(|carrier: &&Record| carrier.taken_up() == Some(newest))
                {
                    carriers.pop();
                }
                break;
            }
        }
        let defined = self.defined(reconciler);
        let weigh = |record: &'a Record, after: Option<OrderKey>| {
            let changed_by_parent = self.changed_by_parent(reconciler, record).max(defined);
            let changed_by_parent = changed_by_parent.filter(|_| rules::DEFINITION);
            Weighed::of(
                reconciler,
                incarnation,
                record,
                assessment.policy,
                Cut { after, changed_by_parent },
            )
        };
        let cut = after.map(|(_, key)| key);
        let weighed: Vec<_> = carriers
            .iter()
            .map(|record| {
                weigh(record, cut.max(replaced.by(self.world.commit_of(record.revision))))
            })
            .collect();
        let own =
            |weighed: &&Weighed<'a>| self.world.commit_of(weighed.record.revision) == self.commit;
        let healthy = || weighed.iter().filter(|weighed| weighed.state == State::Healthy);
        let delivered = || healthy().filter(|_| rules::DELIVERED);
        let decides = delivered()
            .find(own)
            .or_else(|| {
                delivered().min_by_key(|weighed| (weighed.healthy_at, self.id(weighed.record)))
            })
            .or_else(|| {
                weighed.iter().find(|weighed| {
                    matches!(weighed.state, State::Applied | State::Failed)
                        || !rules::DELIVERED && weighed.state == State::Healthy
                })
            })
            .filter(|decides| {
                // What failed at another revision, before one that the definition has changed at since,
                // failed by a former definition.
                let mut newer = weighed
                    .iter()
                    .take_while(|newer| newer.record.revision != decides.record.revision);
                decides.state != State::Failed || own(decides) || newer.all(|newer| newer.counts)
            });
        // The commit's own failure stays, whatever was taken up after it.
        let own_failure = || {
            let mut records = self.world.newest_at(incarnation, self.commit?);
            if reconciler.role != Role::HelmRelease {
                records.truncate(1);
            }
            let mut weighed = records.into_iter().map(|record| weigh(record, None));
            weighed.find(|weighed| weighed.state == State::Failed)
        };
        let any_counts = weighed.iter().any(|weighed| weighed.counts);
        let decides = decides.cloned().or_else(|| if any_counts { None } else { own_failure() });
        if let Some(decides) = decides {
            let revision = self.world.commit_of(decides.record.revision);
            assessment.via = revision.filter(|via| Some(*via) != self.commit);
            let may_mend =
                decides.state == State::Failed && self.is_ahead(reconciler, decides.record);
            assessment.settle(decides, may_mend);
        } else {
            assessment.reason = self.why_pending(reconciler, incarnation, after, weighed.first());
        }
    }

    fn id(&self, record: &Record) -> Option<CommitId> {
        self.world.commit_of(record.revision).and_then(|commit| self.world.graph.id(commit))
    }

    fn carries(&self, record: &Record) -> bool {
        let (Some(revision), Some(commit)) = (self.world.commit_of(record.revision), self.commit)
        else {
            return false;
        };
        let graph = &self.world.graph;
        graph.contains(revision, commit) || !rules::ANCESTRY && !graph.lacks(revision, commit)
    }

    /// Whether a revision is known not to contain the commit.
    fn lacks(&self, revision: CommitIndex) -> bool {
        let graph = &self.world.graph;
        match self.commit {
            Some(commit) => graph.lacks(revision, commit),
            None => graph.lacks_unheard(revision),
        }
    }

    /// The expected reconcilers that created or configured this one, as they are now.
    fn parents(
        &self,
        reconciler: &'a Reconciler,
    ) -> impl Iterator<Item = (&'a Incarnation, ReconcilerIndex)> {
        let parents = reconciler.parents.iter().filter(|parent| (self.expects)(**parent));
        parents.filter_map(|parent| {
            let parent = self.world.reconciler(*parent)?;
            let child = self.world.find(&reconciler.name)?;
            let is_child = parent.children.contains_key(&child);
            Some((parent.current()?, child)).filter(|_| is_child)
        })
    }

    /// When an expected parent last applied a change of the reconciler itself at a revision. What it
    /// did at that revision until then, it may have done by its former definition.
    fn changed_by_parent(&self, reconciler: &'a Reconciler, record: &Record) -> Option<OrderKey> {
        let changes = self.parents(reconciler).filter_map(|(parent, child)| {
            let records = self.world.records_like(parent, record.revision);
            records.filter_map(|record| record.newest_change_of(child)).max()
        });
        changes.max()
    }

    /// When an expected parent applied the definition that the commit has, if that came with the first
    /// revision with the commit that the parent applied at all: whatever the reconciler did before, it
    /// did by a former one, also at the commit.
    fn defined(&self, reconciler: &'a Reconciler) -> Option<OrderKey> {
        let changes = self.parents(reconciler).filter_map(|(parent, child)| {
            let changes = parent.records.iter().filter_map(|record| {
                Some((record.newest_change_of(child)?, record)).filter(|_| self.carries(record))
            });
            let (key, first) = changes.min_by_key(|(key, record)| (*key, self.id(record)))?;
            let mut before = parent.newest_first().skip_while(|(_, newest)| *newest >= key);
            let before = before.find(|(record, _)| {
                record.revision != first.revision && record.earliest(Kinds::PROGRESS).is_some()
            });
            let had_it = before.is_some_and(|(record, _)| self.carries(record));
            (!had_it).then_some(key)
        });
        changes.max()
    }

    /// Whether the reconciler is where an expected parent is not yet: it may be about to get another
    /// definition.
    fn is_ahead(&self, reconciler: &'a Reconciler, record: &Record) -> bool {
        let commit = self.world.commit_of(record.revision);
        self.parents(reconciler).any(|(parent, _)| {
            let head = parent.head().and_then(|head| self.world.commit_of(head.revision));
            let caught_up = head
                .zip(commit)
                .is_some_and(|(head, commit)| self.world.graph.contains(head, commit));
            !caught_up
        })
    }

    fn why_pending(
        &self,
        reconciler: &Reconciler,
        incarnation: &Incarnation,
        after: Option<(&Record, OrderKey)>,
        newest_carrier: Option<&Weighed<'_>>,
    ) -> Reason {
        let cut = after.map(|(_, key)| key);
        let blocked =
            incarnation.blocked.filter(|(key, _, revision)| {
                Some(*key) > cut
                    && self.world.commit_of(*revision).zip(self.commit).is_some_and(
                        |(revision, commit)| self.world.graph.contains(revision, commit),
                    )
            });
        if incarnation.present_trouble().is_some() || blocked.is_some() {
            return Reason::Blocked;
        }
        if let Some(carrier) = newest_carrier {
            let interrupted = carrier.record.latest(Kinds::INTERRUPTED).is_some();
            return if interrupted { Reason::Interrupted } else { Reason::Waiting };
        }
        let relation = after.map(|(record, _)| self.relation(record, incarnation));
        match relation {
            Some(
                reason @ (Reason::RolledBack
                | Reason::Diverged
                | Reason::AncestryUnknown
                | Reason::NoCommit),
            ) => reason,
            _ if self.world.source_trouble(reconciler).is_some() => Reason::SourceTrouble,
            _ => Reason::Waiting,
        }
    }

    /// Why a revision that does not carry the commit is where the reconciler is.
    fn relation(&self, record: &Record, incarnation: &Incarnation) -> Reason {
        let graph = &self.world.graph;
        if matches!(record.revision, RevisionKey::Text(_)) {
            return Reason::NoCommit;
        }
        let revision = self.world.commit_of(record.revision);
        let Some(revision) = revision.filter(|revision| self.lacks(*revision)) else {
            return Reason::AncestryUnknown;
        };
        let Some(commit) = self.commit else { return Reason::Waiting };
        let had_it = graph.descendants(commit).any(|carrier| {
            let mut records = self.world.records_at(incarnation, carrier);
            records.any(|record| record.taken_up().is_some())
        });
        if had_it {
            Reason::RolledBack
        } else if graph.lacks(commit, revision) {
            Reason::Diverged
        } else {
            Reason::Waiting
        }
    }
}

/// Of a commit of which several artifacts were made only the newest counts, and of that what came after
/// the others: each can hold something else. A release is told of by its commit and by its chart, and
/// these are one.
struct Replaced {
    /// By commit, the newest of the artifacts before the newest; `None` if there is but one.
    others: Option<BTreeMap<CommitIndex, Option<OrderKey>>>,
}

impl Replaced {
    fn of(reconciler: &Reconciler, incarnation: &Incarnation) -> Self {
        let matters = reconciler.role != Role::HelmRelease && incarnation.has_artifacts();
        Self { others: matters.then(BTreeMap::new) }
    }

    /// Notes the next older revision. Returns whether a newer one replaced it.
    fn note(&mut self, commit: Option<CommitIndex>, newest: OrderKey) -> bool {
        let Some((others, commit)) = self.others.as_mut().zip(commit) else { return false };
        match others.entry(commit) {
            Entry::Vacant(vacant) => {
                vacant.insert(None);
                false
            }
            // What is noted later is older.
            Entry::Occupied(kept) => {
                kept.into_mut().get_or_insert(newest);
                true
            }
        }
    }

    /// The newest of what a revision replaced.
    fn by(&self, commit: Option<CommitIndex>) -> Option<OrderKey> {
        *self.others.as_ref()?.get(&commit?)?
    }
}

impl<'a> Assessment<'a> {
    fn settle(&mut self, weighed: Weighed<'a>, may_mend: bool) {
        let record = weighed.record;
        self.state = weighed.state;
        self.record = Some(record);
        self.healthy_at = weighed.healthy_at;
        self.reason = match weighed.state {
            State::Failed => Reason::Failed,
            State::Healthy => Reason::Succeeded,
            State::Pending => Reason::Waiting,
            State::Applied => match weighed.applied {
                Some(applied) if applied.interrupted => Reason::Interrupted,
                Some(applied) if applied.finished => match weighed.evidence {
                    Evidence::DoesNotCheck => Reason::NotChecked,
                    Evidence::Checks | Evidence::Unclear | Evidence::None => Reason::HealthUnproved,
                },
                _ if self.verdict == Verdict::Checks => Reason::CheckingHealth,
                _ => Reason::Applying,
            },
        };
        if weighed.state == State::Failed {
            let first = record.earliest(Kinds::FAILED);
            let since = first
                .max(record.latest(Kinds::PROGRESS).filter(|progress| Some(*progress) > first));
            let is_transient = |failure: &Words| TRANSIENT.contains(&&*failure.reason);
            // A Helm action that failed stays failed, whatever fails before the next one.
            let undone = record.latest(Kinds::UNDOING);
            let action_failed = undone.is_some() && record.latest(Kinds::FAILED) > undone;
            self.failing = since.map(|since| Failing {
                since: since.time(),
                transient: may_mend
                    || !action_failed && record.failure.as_deref().is_some_and(is_transient),
            });
        }
    }
}

/// One revision of one reconciler, with what of it counts.
#[derive(Clone, Debug)]
struct Weighed<'a> {
    record: &'a Record,
    /// Whether anything of it counts.
    counts: bool,
    state: State,
    evidence: Evidence,
    applied: Option<Applied>,
    healthy_at: Option<OrderKey>,
}

#[derive(Clone, Copy, Debug)]
struct Applied {
    /// It said that it succeeded.
    finished: bool,
    /// It was interrupted after that.
    interrupted: bool,
}

impl<'a> Weighed<'a> {
    fn of(
        reconciler: &Reconciler,
        incarnation: &Incarnation,
        record: &'a Record,
        policy: HealthChecks,
        cut: Cut,
    ) -> Self {
        let failed = record.latest_counting(Kinds::FAILED, cut).filter(|_| rules::FAILURE);
        // What is not later than the newest failure is undone by it.
        let undone = record.latest_counting(Kinds::UNDOING, cut).filter(|_| rules::FAILURE);
        let standing = |kinds| record.latest_counting(kinds, cut).filter(|key| Some(*key) > undone);
        let applying = standing(Kinds::APPLYING);
        // A list of deletions may be that of the Kustomization itself, until the attempt goes on.
        let pruned = record.latest_counting(Kinds::PRUNED, cut);
        let since_pruned = |kinds| standing(kinds).filter(|key| Some(*key) > pruned);
        let checked = since_pruned(Kinds::HEALTH_CHECKED);
        let succeeded = since_pruned(Kinds::SUCCEEDED);
        // One that waits tells of its health check wherever it applied changes. If it did not, an earlier
        // check does not show that it still waits.
        let is_silent =
            policy == HealthChecks::Inferred && record.is_unchecked() && rules::UNFINISHED;
        let evidence_at = |at| match reconciler.evidence(incarnation, policy, at) {
            Evidence::Checks if is_silent => Evidence::Unclear,
            evidence => evidence,
        };
        let evidence = succeeded.map_or(Evidence::None, evidence_at);
        let proves = evidence == Evidence::Checks || !rules::HEALTH;
        let proved = checked.or(succeeded.filter(|_| proves));
        let newest = applying.max(succeeded);
        let (state, applied, healthy_at) = if let Some(proved) = proved {
            let first = record
                .earliest(Kinds::HEALTH_CHECKED)
                .into_iter()
                .chain(
                    record
                        .earliest(Kinds::SUCCEEDED)
                        .filter(|first| evidence_at(*first) == Evidence::Checks),
                )
                .min();
            (State::Healthy, None, first.or(Some(proved)))
        } else if let Some(newest) = newest {
            let interrupted = record.latest_counting(Kinds::INTERRUPTED, cut) > Some(newest);
            let applied = Applied { finished: succeeded >= applying, interrupted };
            (State::Applied, Some(applied), None)
        } else if failed.is_some() {
            (State::Failed, None, None)
        } else {
            (State::Pending, None, None)
        };
        let counts = record.latest_counting(Kinds::TAKEN_UP, cut).is_some();
        Self { record, counts, state, evidence, applied, healthy_at }
    }
}

/// Whether a reconciler waits for health, before it was ever heard of.
pub(crate) fn declared(role: Option<Role>, policy: HealthChecks) -> Verdict {
    match policy {
        HealthChecks::Enabled => Verdict::Checks,
        HealthChecks::Disabled => Verdict::DoesNotCheck,
        HealthChecks::Inferred if role.is_some_and(Role::always_checks) => Verdict::Checks,
        HealthChecks::Inferred => Verdict::Unknown,
    }
}

/// Whether a reconciler waits for health, by what is known now.
pub(crate) fn verdict(
    reconciler: &Reconciler,
    incarnation: &Incarnation,
    policy: HealthChecks,
) -> Verdict {
    let now = OrderKey::latest_possible();
    match reconciler.evidence(incarnation, policy, now) {
        Evidence::Checks => Verdict::Checks,
        Evidence::None | Evidence::Unclear => Verdict::Unknown,
        // A health check that failed was one: only a success right after it shows that there is none
        // any more.
        Evidence::DoesNotCheck if policy == HealthChecks::Inferred => {
            incarnation.verdict_after_failed_check()
        }
        Evidence::DoesNotCheck => Verdict::DoesNotCheck,
    }
}
