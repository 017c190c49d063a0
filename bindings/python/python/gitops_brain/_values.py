"""The values that go in and come out. All are frozen; texts of closed lists are enums that equal their
text, times are aware and in UTC, commits are 40 or 64 lower-case hexadecimal digits, reconcilers are
"cluster/Kind/namespace/name"."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from . import _core
from ._json import (
    FrozenDict,
    Text,
    Value,
    decoder,
    read,
    time_of_milliseconds,
    to_plain,
    to_text,
    without_none,
)


class State(Text):
    """How far a commit has come."""

    PENDING = "pending"
    """It has not arrived."""
    APPLIED = "applied"
    """It is applied; that it works is not proved."""
    HEALTHY = "healthy"
    """It is applied, and everything in it was found healthy."""
    FAILED = "failed"
    """It failed, for now: Flux tries again."""


class Outcome(Text):
    """What CI acts on."""

    IN_PROGRESS = "in_progress"
    """Not decided yet."""
    SUCCEEDED = "succeeded"
    """All that is expected has reached what is required."""
    FAILED = "failed"
    """Something failed, for longer than the grace for failures."""
    TIMED_OUT = "timed_out"
    """The time for it is over."""


class Reason(Text):
    """Why a state is what it is. Flux's own words stand under `ReconcilerStatus.event`."""

    WAITING = "waiting"
    NEVER_HEARD = "never_heard"
    BLOCKED = "blocked"
    APPLYING = "applying"
    CHECKING_HEALTH = "checking_health"
    INTERRUPTED = "interrupted"
    HEALTH_UNPROVED = "health_unproved"
    NOT_CHECKED = "not_checked"
    ROLLED_BACK = "rolled_back"
    DIVERGED = "diverged"
    DELETED = "deleted"
    ANCESTRY_UNKNOWN = "ancestry_unknown"
    NO_COMMIT = "no_commit"
    LEARNING = "learning"
    NO_MATCH_YET = "no_match_yet"
    NO_RECONCILER = "no_reconciler"
    SOURCE_TROUBLE = "source_trouble"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SUCCEEDED = "succeeded"


class Require(Text):
    """Which state a rollout must reach to have succeeded."""

    APPLIED = "applied"
    """Everything is applied; nothing is asked about its health."""
    HEALTHY = "healthy"
    """Everything is applied and proved healthy."""


class HealthChecks(Text):
    """Whether a reconciler waits for the health of what it applies, as declared."""

    ENABLED = "enabled"
    """The operator vouches that it waits."""
    DISABLED = "disabled"
    """The operator says that it does not."""
    INFERRED = "inferred"
    """Judged by the newest evidence in its events."""


class Verdict(Text):
    """Whether a reconciler waits for the health of what it applies, as it turned out."""

    CHECKS = "checks"
    DOES_NOT_CHECK = "does_not_check"
    UNKNOWN = "unknown"


class Severity(Text):
    """How bad an event is."""

    INFO = "info"
    ERROR = "error"
    TRACE = "trace"


class Change(Text):
    """What was done to an object."""

    CREATED = "created"
    CONFIGURED = "configured"
    DELETED = "deleted"


class Proof(Text):
    """What an observation proves of a reconciler."""

    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
    APPLYING = "applying"
    FAILED = "failed"
    HEALTH_CHECKED = "health_checked"
    SUCCEEDED = "succeeded"
    DELETED = "deleted"


class Changed(Text):
    """How much of a fact was new."""

    NOTHING = "nothing"
    """It was known."""
    LAST_HEARD = "last_heard"
    """A heartbeat: it told that the reconciler is alive, and nothing else."""
    KNOWLEDGE = "knowledge"
    """Something that counts."""


# Statuses


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthChecksStatus(Value):
    """What is known of a reconciler's health checks."""

    policy: HealthChecks
    """What the operator declared."""
    verdict: Verdict
    """What follows from that and from its events."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EventSummary(Value):
    """An event in Flux's own words."""

    severity: Severity
    reason: str
    message: str
    """Empty where it is no longer kept."""
    at: datetime
    """When the controller made it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineEntry(Value):
    """Something that happened first at a time."""

    at: datetime
    state: State
    reconciler: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstSettled(Value):
    """What a rollout settled to first, and when."""

    outcome: Outcome
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcilerStatus(Value):
    """Where one reconciler stands with a commit."""

    reconciler: str
    state: State
    reason: Reason
    message: str
    """The reason in a sentence."""
    live: bool | None
    """Whether the revision that it took up last contains the commit; None if that is not known."""
    head: str | None
    """The revision that it took up last, as Flux wrote it."""
    via: str | None
    """The later commit that decides, if it is not the commit itself."""
    health_checks: HealthChecksStatus
    seen_at: datetime | None
    """When a source of its cluster first had the commit."""
    applied_at: datetime | None
    healthy_at: datetime | None
    failed_at: datetime | None
    last_heard_at: datetime | None
    """When anything was last heard of it, by the receiver's clock."""
    event: EventSummary | None
    """Flux's own words on it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status(Value):
    """Where a rollout stands: a function of the facts, the policy and the time, and of nothing else."""

    environment: str
    commit: str
    registered: bool
    """Whether CI asked for it. A commit that it did not ask for has a status too."""
    version: str
    """What statuses are compared by: equal if and only if nothing that matters differs."""
    evaluated_at: datetime
    state: State
    """`failed` if any expected reconciler failed; else the least of theirs."""
    outcome: Outcome
    settled: bool
    """Whether those who wait have their answer."""
    live: bool | None
    """Whether what runs everywhere contains the commit; None if that is not known."""
    require: Require
    reason: Reason
    message: str
    """The reason in a sentence."""
    remedy: str | None
    """What somebody could do about it."""
    registered_at: datetime | None
    deadline_at: datetime | None
    timeout_seconds: int | None
    first_settled: FirstSettled | None
    labels: Mapping[str, str]
    reconcilers: tuple[ReconcilerStatus, ...]
    """Each expected reconciler, by name."""
    timeline: tuple[TimelineEntry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcilerReport(Value):
    """What is live in one reconciler."""

    reconciler: str
    head: str | None
    """The revision that it took up last, as Flux wrote it."""
    commit: str | None
    """That revision's commit."""
    state: State
    deleted: bool
    removed: bool
    """Whether a person took it out of every expectation."""
    health_checks: HealthChecksStatus
    last_heard_at: datetime | None
    event: EventSummary | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterReport(Value):
    """What is known of a cluster."""

    cluster: str
    first_heard_at: datetime
    last_heard_at: datetime
    reconcilers: int
    refused: int
    """How often there was no room for another reconciler."""


@dataclass(frozen=True, slots=True)
class Position(Value):
    """A rollout's place in the list of all, newest first: where the next page begins."""

    registered_at: datetime
    environment: str
    commit: str


# Effects


@dataclass(frozen=True, slots=True)
class Settlement(Value):
    """A rollout's outcome became final. Unique by environment, commit and n; the fact's `at` is when."""

    environment: str
    commit: str
    n: int
    """How many settlements of this rollout came before."""
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing(Value):
    """A rollout's state and outcome."""

    state: State
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition(Value):
    """A change of a rollout's state or outcome: handed out once, where it was made."""

    environment: str
    commit: str
    at: datetime
    from_: Standing
    """The state and outcome before."""
    to: Standing
    reason: Reason
    message: str
    cause: str | None
    """The reconciler whose event made the change; None if time, ancestry or the policy did."""
    settlements: int
    """How many times the outcome was settled before, as recorded."""
    settlement: Settlement | None
    """What to record if the outcome has become final: notify from settlements, not from transitions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects(Value):
    """What a call changed."""

    changed: Changed
    transitions: tuple[Transition, ...]
    """The changes of current rollouts, in the order of environment and commit."""
    woken: tuple[int, ...]
    """The watches whose status changed. `Brain.wait` sees to them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignored(Value):
    """Why an event was ignored: answer 200, and forget it."""

    code: str
    message: str


# Events and revisions


@dataclass(frozen=True, kw_only=True, slots=True)
class InvolvedObject(Value):
    """A reference to a Kubernetes object. What the event leaves out is empty."""

    kind: str
    namespace: str
    name: str
    uid: str
    api_version: str
    resource_version: str
    field_path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Event(Value):
    """What notification-controller posts. What it leaves out is empty."""

    involved_object: InvolvedObject
    related_object: InvolvedObject | None
    """The source of the revision (event API v1)."""
    severity: Severity
    timestamp: datetime
    message: str
    reason: str
    action: str
    """What the controller was doing, as "Apply" or "Finalize" (event API v1)."""
    metadata: Mapping[str, str]
    reporting_controller: str
    reporting_instance: str

    @classmethod
    def parse(cls, body: bytes | str) -> Event:
        """Reads the body of a request. Raises ParseError, with the place."""
        return read(cls, _core.parse("event", body))

    def lookup(self, name: str) -> str | None:
        """The metadata entry of this name, under whichever key it has: the name with the prefix of the
        object's API group, the bare name, or the name with the prefix of annotations, in this order."""
        api_version = self.involved_object.api_version
        return _core.metadata(api_version, list(self.metadata.items()), name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision(Value):
    """What a source produced: "main@sha1:<40 digits>", "latest@sha256:<64 digits>", "1.2.3" …"""

    pointer: str | None
    """The branch, tag or the like."""
    commit: str | None
    """The git commit that it names."""
    digest: str | None
    """The digest of an artifact that is no git commit."""
    version: str | None
    """The version of a chart."""
    text: str
    """The revision in the form of Flux's RFC 0005."""

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Reads a revision in any form that Flux has written. Raises RevisionError."""
        if not isinstance(text, str):
            raise TypeError(f"text must be str, not {type(text).__name__}")
        return read(cls, _core.parse("revision", text))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitObject(Value):
    """A git commit: its id, recomputed from its bytes, and its parents."""

    id: str
    parents: tuple[str, ...]

    @classmethod
    def parse(cls, content: bytes) -> CommitObject:
        """Reads what `git cat-file commit <id>` prints. Raises ParseError."""
        return read(cls, _core.parse("commit_object", content))


# What facts say


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedObject(Value):
    """A Flux object that a change list names, and what was done to it."""

    object: str
    change: Change


@dataclass(frozen=True, kw_only=True, slots=True)
class RelatedObject(Value):
    """The source that an event's revision comes from."""

    object: str
    uid: str
    resource_version: str
    """Digits; 0 if the event has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation(Value):
    """What one event said about one Flux object."""

    object: str
    uid: str
    resource_version: str
    """Digits; 0 if the event has none."""
    severity: Severity
    reason: str
    action: str
    """What the controller was doing (event API v1); empty if the event does not tell."""
    related_object: RelatedObject | None
    """The source of the revision (event API v1)."""
    commit_status: bool
    revision: str | None
    """Metadata `revision`, as it was sent."""
    origin_revision: str | None
    """Metadata `originRevision`, as it was sent."""
    commit_annotation: str | None
    """Metadata `commit`, as it was sent."""
    chart_from_oci: bool
    """Whether the chart came out of an OCI registry."""
    timestamp: datetime
    health_check_passed: bool
    created_or_configured: bool
    only_deletions: bool
    canceled: bool
    changed_objects: tuple[ChangedObject, ...]
    message: str
    proof: Proof | None
    """What follows from it for the state of the reconciler, if anything."""
    commit: str | None
    """The commit that it is about."""
    revision_text: str | None
    """The revision that the controller itself wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration(Value):
    """CI's word that it wants to know about a rollout. `Brain.registration` makes one.

    whole_cluster: whether all of the cluster that is called like the environment is expected besides
    `expect`. So it is where the environment declares no reconcilers.
    """

    environment: str
    commit: str
    expect: tuple[str, ...] = ()
    whole_cluster: bool = False
    require: Require = Require.HEALTHY
    timeout: timedelta
    failure_grace: timedelta
    transient_grace: timedelta
    learning: timedelta
    labels: Mapping[str, str] = field(default_factory=FrozenDict)


@dataclass(frozen=True, slots=True)
class Parents(Value):
    """All parents of one commit; none for a root."""

    commit: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contains(Value):
    """Some ancestors of one commit."""

    commit: str
    ancestors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ancestry(Value):
    """How commits descend from each other: claimed, or proved by commit objects."""

    parents: tuple[Parents, ...] = ()
    contains: tuple[Contains, ...] = ()

    @classmethod
    def from_objects(cls, objects: Iterable[bytes]) -> Ancestry:
        """What raw commit objects prove, as `git cat-file commit <id>` prints them. Raises ParseError."""
        return _ancestry(json.loads(_core.ancestry_of_objects(objects)))


def _ancestry(plain: Mapping[str, Any]) -> Ancestry:
    return Ancestry.from_dict({"parents": (), "contains": (), **plain})


@dataclass(frozen=True, slots=True)
class Removed(Value):
    """A person acknowledged that a reconciler is gone for good."""

    reconciler: str


@dataclass(frozen=True, slots=True)
class Forgotten(Value):
    """What is older, and no longer needed, is forgotten."""

    before: datetime


FactBody: TypeAlias = Observation | Registration | Ancestry | Settlement | Removed | Forgotten
"""What a fact can say."""


# Policy


@dataclass(frozen=True, slots=True)
class ReconcilerPolicy(Value):
    """What is declared for one reconciler, or for all that match a pattern."""

    health_checks: HealthChecks | str = HealthChecks.INFERRED


@dataclass(frozen=True, slots=True)
class Environment(Value):
    """What is declared for one environment. None stands for the default."""

    reconcilers: Iterable[str] = ()
    """Names, which are expected even if never heard of, and patterns, which expect those known:
    "staging/Kustomization/shop/*". Without any: all of the cluster of that name."""
    require: Require | str | None = None
    """What success means: healthy by default."""
    health_checks: HealthChecks | str | None = None
    """The default for its reconcilers: inferred by default."""
    timeout: timedelta | str | None = None
    """How long after its registration a rollout may take: 30 minutes by default."""
    failure_grace: timedelta | str | None = None
    """How long a failure must last before it counts: 0 by default."""
    transient_grace: timedelta | str | None = None
    """The same for hiccups of the platform: 2 minutes by default."""
    learning: timedelta | str | None = None
    """How long a cluster must have been heard before a set of reconcilers that is learned, or given by
    a pattern, is taken to be complete: 10 minutes by default."""


@dataclass(frozen=True, slots=True)
class Policy(Value):
    """What the operators declare. As soon as one environment is declared, an unknown one is an error."""

    environments: Mapping[str, Environment] = field(default_factory=FrozenDict)
    reconcilers: Mapping[str, ReconcilerPolicy] = field(default_factory=FrozenDict)


# What the native part calls, `time_of_milliseconds` too.

_BODIES: dict[str, type[Value]] = {
    "observed": Observation,
    "registered": Registration,
    "settled": Settlement,
    "removed": Removed,
    "forgotten": Forgotten,
}
_REGISTRATION_DEFAULTS: dict[str, Any] = {"expect": (), "whole_cluster": False, "labels": {}}


def body_of_plain(plain: Mapping[str, Any]) -> Any:
    """The body of a fact from what a journal has."""
    ((name, content),) = plain.items()
    if name == "ancestry":
        return _ancestry(content)
    if name == "registered":
        content = {**_REGISTRATION_DEFAULTS, **content}
    return decoder(_BODIES[name])(content)


def body_of_json(told: str) -> Any:
    """The body of a fact from JSON."""
    return body_of_plain(json.loads(told))


def body_to_json(body: object) -> str:
    """The body of a fact as a journal has it."""
    if isinstance(body, Ancestry):
        return to_text({"ancestry": body})
    for name, kind in _BODIES.items():
        if isinstance(body, kind) and name != "observed":
            return to_text({name: body})
    raise TypeError(
        "the body must be Registration, Ancestry, Settlement, Removed or Forgotten, not "
        f"{type(body).__name__}: observations come from ingest and observe"
    )


def effects_of_json(told: str) -> Effects:
    """Effects from JSON."""
    plain = json.loads(told)
    for transition in plain["transitions"]:
        settlement = transition["settlement"]
        transition["settlement"] = settlement and settlement["settled"]
    return Effects.from_dict(plain)


def ignored_of_json(told: str) -> Ignored:
    """Why an event was ignored, from JSON."""
    return read(Ignored, told)


def policy_to_json(policy: Policy | Mapping[str, Any] | None) -> str:
    """A policy as the configuration file has it."""
    if policy is not None and not isinstance(policy, (Policy, Mapping)):
        raise TypeError(f"the policy must be Policy or a mapping, not {type(policy).__name__}")
    return to_text(without_none(to_plain(policy or {})))
