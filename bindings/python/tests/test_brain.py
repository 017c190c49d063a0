"""The brain: taking in, and asking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from gitops_brain import (
    Ancestry,
    Brain,
    Changed,
    ConfigError,
    Fact,
    FactError,
    Forgotten,
    Outcome,
    Parents,
    ParseError,
    Position,
    QueryError,
    Reason,
    State,
)

from .samples import (
    A,
    APPS,
    B,
    C,
    POLICY,
    START,
    applying,
    at,
    event,
    failed,
    healthy,
    registered,
)


def test_a_commit_goes_green_with_its_transitions() -> None:
    brain = Brain(POLICY)
    registered(brain)
    assert brain.status("staging", A, now=START).reason is Reason.NEVER_HEARD
    (applied,) = brain.apply(applying(when=at(1)), at(1)).transitions
    assert (applied.from_.state, applied.to.state) == (State.PENDING, State.APPLIED)
    assert applied.settlement is None
    (done,) = brain.apply(healthy(when=at(2)), at(2)).transitions
    assert done.to.outcome is Outcome.SUCCEEDED and done.cause == APPS
    assert done.settlement is not None
    effects = brain.apply(Fact(done.settlement, at(2)), at(2))
    assert effects.changed is Changed.KNOWLEDGE
    status = brain.status("staging", A, now=at(3))
    assert status.settled and status.live
    assert status.first_settled is not None and status.first_settled.at == at(2)
    assert [entry.state for entry in status.timeline] == ["applied", "healthy"]
    assert status.reconcilers[0].health_checks.verdict == "checks"
    assert brain.unrecorded() == ()


def test_a_failure_is_told_in_the_words_of_flux() -> None:
    brain = Brain(POLICY)
    registered(brain)
    brain.apply(failed(when=at(1)), at(1))
    status = brain.status("staging", A, now=at(1))
    assert status.outcome is Outcome.FAILED
    told = status.reconcilers[0].event
    assert told is not None and (told.reason, told.message) == ("HealthCheckFailed", "timeout")
    (owed,) = brain.unrecorded()
    assert owed.outcome is Outcome.FAILED


def test_what_is_new_is_told_beforehand_and_afterwards() -> None:
    brain = Brain(POLICY)
    assert brain.preview(healthy()) is Changed.KNOWLEDGE
    assert brain.apply(healthy()).changed is Changed.KNOWLEDGE
    assert brain.apply(healthy()).changed is Changed.NOTHING


def test_an_asker_can_have_its_own_terms() -> None:
    brain = Brain(POLICY)
    registered(brain)
    brain.apply(applying(when=at(1)), at(1))
    assert brain.status("staging", A, now=at(1)).outcome is Outcome.IN_PROGRESS
    assert brain.status("staging", A, require="applied", now=at(1)).outcome == "succeeded"
    brain.apply(failed(when=at(2)), at(2))
    patient = brain.status("staging", A, failure_grace=timedelta(minutes=1), now=at(3))
    assert patient.outcome is Outcome.IN_PROGRESS
    other = brain.status("staging", A, reconcilers=["staging/Kustomization/x/y"], now=at(3))
    assert other.reconcilers[0].reason is Reason.NEVER_HEARD


def test_a_later_commit_counts_if_it_is_proved_to_contain_the_earlier() -> None:
    brain = Brain(POLICY)
    registered(brain)
    brain.apply(healthy(B, at(1)), at(1))
    assert brain.status("staging", A, now=at(2)).reason is Reason.ANCESTRY_UNKNOWN
    brain.apply(Fact(Ancestry((Parents(B, (A,)),)), at(2)), at(2))
    status = brain.status("staging", A, now=at(3))
    assert status.outcome is Outcome.SUCCEEDED
    assert status.reconcilers[0].via == B


def test_rollouts_are_listed_page_by_page() -> None:
    brain = Brain(POLICY)
    for number, commit in enumerate((A, B, C)):
        registered(brain, commit, at(number), labels={"app": "shop" if commit != B else "other"})
    assert [each.commit for each in brain.rollouts()] == [C, B, A]
    first = brain.rollouts(limit=2)
    last = first[-1]
    assert last.registered_at is not None
    after = Position(last.registered_at, last.environment, last.commit)
    assert [each.commit for each in brain.rollouts(after=after)] == [A]
    assert [each.commit for each in brain.rollouts(labels={"app": "shop"})] == [C, A]
    assert brain.rollouts(environment="staging", outcome=Outcome.SUCCEEDED) == ()
    assert len(brain.rollouts(outcome="in_progress", now=at(5))) == 3


def test_what_is_live_where_is_listed() -> None:
    brain = Brain(POLICY)
    brain.apply(healthy())
    brain.apply(healthy(B, name="other"))
    apps, other = brain.reconcilers()
    assert (apps.reconciler, apps.commit, apps.state) == (APPS, A, State.HEALTHY)
    assert other.commit == B and not other.deleted and not other.removed
    assert brain.reconcilers(environment="staging") == (apps,)
    assert brain.reconcilers(cluster="production") == ()
    (cluster,) = brain.clusters()
    assert (cluster.cluster, cluster.reconcilers, cluster.refused) == ("staging", 2, 0)
    (status,) = brain.statuses(A)
    assert status.environment == "staging"


def test_a_commit_is_found_by_its_beginning() -> None:
    brain = Brain(POLICY)
    registered(brain)
    assert brain.resolve(A[:7]) == A == brain.resolve(A.upper())
    for text, code in (
        ("bbbbbbb", "commit.unknown"),
        ("x", "commit.malformed"),
        ("a" * 6, "commit.malformed"),
    ):
        with pytest.raises(QueryError) as caught:
            brain.resolve(text)
        assert caught.value.code == code
    with pytest.raises(QueryError) as caught:
        brain.status("staging", A[:7])
    assert caught.value.code == "commit.abbreviated"
    with pytest.raises(QueryError, match="declared are: staging"):
        brain.status("stagign", A)
    with pytest.raises(ConfigError):
        brain.status("staging", A, reconcilers=["apps"])
    with pytest.raises(ConfigError) as bad:
        brain.status("staging", A, failure_grace="5")
    assert bad.value.code == "duration.malformed"


def test_time_alone_ends_a_rollout() -> None:
    brain = Brain(POLICY)
    registered(brain, timeout="5m")
    assert brain.next_deadline() == at(300)
    assert brain.expire(now=at(299)).transitions == ()
    (over,) = brain.expire(now=at(300)).transitions
    assert over.to.outcome is Outcome.TIMED_OUT and over.cause is None


def facts() -> list[Fact]:
    brain = Brain(POLICY)
    made = [registered(brain, A), registered(brain, B, at(1))]
    return made + [applying(A, at(2)), failed(A, at(3)), healthy(B, at(4))]


def test_many_facts_are_taken_in_at_once() -> None:
    one = Brain(POLICY)
    for fact in facts():
        one.apply(fact, fact.at)
    lines = "\n".join(fact.to_line() for fact in facts())
    forms: list[Callable[[], Any]] = [
        facts,
        lambda: iter(facts()),
        lambda: lines,
        lambda: lines.encode(),
        lambda: f"\n{lines}\n\n",
    ]
    for form in forms:
        many, loaded = Brain(POLICY), Brain(POLICY)
        effects = many.apply_many(form(), now=at(5))
        assert effects.changed is Changed.KNOWLEDGE and effects.transitions
        loaded.load(form())
        assert many == loaded == one


def test_bodies_are_taken_in_at_once_too() -> None:
    brain = Brain(POLICY)
    bodies = b"\n".join([event(A), event(B, when=at(5))])
    assert brain.apply_many(bodies, cluster="staging", now=at(9)).changed == "knowledge"
    assert brain.reconcilers()[0].commit == B


def test_a_batch_with_a_bad_line_changes_nothing() -> None:
    brain = Brain(POLICY)
    lines = "\n".join([healthy().to_line(), "", "nonsense"])
    for call in (brain.load, brain.apply_many):
        with pytest.raises(FactError, match="line 3: not a fact") as caught:
            call(lines)
        assert caught.value.line == 3
    with pytest.raises(ParseError, match="line 2: ") as bad:
        brain.apply_many(event() + b"\n{}", cluster="staging", now=START)
    assert bad.value.line == 2
    assert brain == Brain(POLICY)


def test_brains_are_merged_and_compared() -> None:
    one, other = Brain(POLICY), Brain(POLICY)
    one.apply(healthy(A))
    other.apply(healthy(B, at(5)))
    assert one != other
    assert one.merge(other, now=at(6)).changed is Changed.KNOWLEDGE
    other.merge(one, now=at(6))
    one.merge(one, now=at(6))
    assert one == other
    assert (one == 5) is False


def test_a_snapshot_is_enough_and_what_is_old_is_forgotten() -> None:
    brain = Brain(POLICY)
    brain.load(facts())
    again = Brain(POLICY)
    again.load(brain.facts())
    assert again == brain
    brain.apply(Fact(Forgotten(at(10**7)), at(10**7)), at(10**7))
    assert len(brain.facts()) < len(facts())


def test_a_registration_adds_and_takes_nothing_away() -> None:
    brain = Brain({"environments": {"staging": {"reconcilers": [APPS], "require": "healthy"}}})
    more: dict[str, Any] = {"expect": ["staging/Kustomization/x/y"], "require": "applied"}
    made = brain.registration("staging", A, timeout=timedelta(seconds=90), labels={"a": "b"}, **more)
    assert made.expect == (APPS, "staging/Kustomization/x/y")
    assert made.require == "healthy"
    assert (made.timeout, made.labels) == (timedelta(seconds=90), {"a": "b"})
