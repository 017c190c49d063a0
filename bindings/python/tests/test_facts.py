"""Facts: what is stored, and applied."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from gitops_brain import (
    Ancestry,
    Brain,
    Contains,
    Fact,
    FactError,
    Forgotten,
    Observation,
    Outcome,
    Parents,
    Proof,
    Registration,
    Removed,
    Settlement,
)

from .samples import A, APPS, B, POLICY, START, healthy


def bodies() -> list[Any]:
    return [
        Brain(POLICY).registration("staging", A, labels={"app": "shop"}),
        Ancestry((Parents(A, (B,)), Parents(B, ())), (Contains(A, (B,)),)),
        Settlement("staging", A, 2, Outcome.FAILED),
        Removed(APPS),
        Forgotten(START),
    ]


@pytest.mark.parametrize("body", bodies(), ids=lambda body: type(body).__name__)
def test_what_is_said_comes_back(body: Any) -> None:
    fact = Fact(body, START)
    assert fact.body == body
    again = Fact.from_line(fact.to_line())
    assert again == fact and hash(again) == hash(fact)
    assert again.body == body and again.id == fact.id
    assert (fact.v, fact.at) == (1, START)


def test_an_observation_tells_what_it_proves() -> None:
    body = healthy().body
    assert isinstance(body, Observation)
    assert (body.object, body.proof, body.commit) == (APPS, Proof.HEALTH_CHECKED, A)
    assert body.resource_version == str(int(START.timestamp()))
    with pytest.raises(TypeError, match="observations come from ingest"):
        Fact(body)  # type: ignore[arg-type]


def test_the_id_is_that_of_the_content() -> None:
    assert len(healthy().id) == 16
    later = START + timedelta(hours=1)
    assert Fact(Removed(APPS), START).id != Fact(Removed(APPS), later).id
    settled = Settlement("staging", A, 0, Outcome.FAILED)
    assert Fact(settled, START).id == Fact(settled, later).id
    assert Fact(settled, START) != Fact(settled, later)


def test_times_are_in_utc_and_in_milliseconds() -> None:
    eastern = timezone(timedelta(hours=-5))
    given = datetime(2026, 11, 23, 7, 0, 0, 123_999, tzinfo=eastern)
    fact = Fact(Removed(APPS), given)
    assert fact.at == datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=timezone.utc)
    assert fact.at.tzinfo is timezone.utc
    before = datetime.now(timezone.utc) - timedelta(milliseconds=1)
    assert before <= Fact(Removed(APPS)).at <= datetime.now(timezone.utc)
    with pytest.raises(ValueError, match="no time zone"):
        Fact(Removed(APPS), datetime(2026, 11, 23))


def test_facts_are_copied_and_pickled() -> None:
    fact = healthy()
    for again in (copy.copy(fact), copy.deepcopy(fact), pickle.loads(pickle.dumps(fact))):
        assert again == fact
    assert eval(repr(fact)) == fact
    assert {fact, healthy()} == {fact}
    assert fact != 5


def test_a_line_that_cannot_be_read_is_told() -> None:
    line = json.loads(healthy().to_line())
    newer = json.dumps({**line, "v": 99})
    with pytest.raises(FactError) as caught:
        Fact.from_line(newer)
    assert caught.value.code == "fact.newer_version"
    for bad in ("{", b"\xff", json.dumps({**line, "body": {}})):
        with pytest.raises(FactError) as caught:
            Fact.from_line(bad)
        assert caught.value.code == "fact.malformed"
    with pytest.raises(FactError) as caught:
        Fact.from_line('{"v":1,"at":5}')
    assert caught.value.column > 0


def test_a_malformed_body_is_told() -> None:
    bad: list[Any] = [
        Removed("no reconciler"),
        Settlement("staging", "no commit", 0, Outcome.FAILED),
        Settlement("staging", A, -1, Outcome.FAILED),
        Removed(5),  # type: ignore[arg-type]
    ]
    for body in bad:
        with pytest.raises(FactError) as caught:
            Fact(body)
        assert caught.value.code == "fact.malformed"
    with pytest.raises(TypeError):
        Fact({"removed": APPS})  # type: ignore[arg-type]


def test_a_registration_keeps_what_the_policy_declares() -> None:
    registration = Brain(POLICY).registration("staging", A)
    assert isinstance(registration, Registration)
    assert registration.expect == (APPS,)
    assert registration.timeout == timedelta(minutes=30)
