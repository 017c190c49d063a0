"""Whatever comes in: an error that can be expected, and never anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from gitops_brain import (
    Ancestry,
    Brain,
    CommitObject,
    Contains,
    Environment,
    Event,
    Fact,
    Forgotten,
    GitopsBrainError,
    Parents,
    Policy,
    Position,
    Removed,
    Revision,
    Settlement,
    Verifier,
    ingest,
    observe,
    sign,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from .samples import A, KEY, POLICY, START, captured_bodies, event, healthy, registered

# A panic of the native part would be a BaseException of its own.
EXPECTED = (TypeError, ValueError, OverflowError, GitopsBrainError)
VERIFIER = Verifier([KEY])
BODIES = captured_bodies()


def brain() -> Brain:
    made = Brain(POLICY)
    registered(made)
    made.apply(healthy(), START)
    return made


def is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.sampled_from(
        ["staging", A, A[:7], "5m", "healthy", object(), Fact, healthy(), VERIFIER, Position]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5) | inner.filter(is_hashable), inner, max_size=3)
    | st.tuples(inner, inner),
    max_leaves=6,
)


def wait(*given: Any, **named: Any) -> object:
    return asyncio.run(brain().wait(*given, **named))


CALLS: dict[str, tuple[Callable[..., object], int]] = {
    "verifier": (Verifier, 1),
    "verify": (VERIFIER.verify, 2),
    "sign": (sign, 2),
    "ingest": (ingest, 5),
    "ingest with a verifier": (lambda *given: ingest(VERIFIER, *given), 4),
    "observe": (observe, 3),
    "event": (Event.parse, 1),
    "lookup": (lambda name: Event.parse(event()).lookup(name), 1),
    "revision": (Revision.parse, 1),
    "commit object": (CommitObject.parse, 1),
    "ancestry": (Ancestry.from_objects, 1),
    "fact": (Fact, 2),
    "fact of a removal": (lambda name, at: Fact(Removed(name), at), 2),
    "fact of ancestry": (
        lambda a, b, c: Fact(Ancestry((Parents(a, b),), (Contains(a, c),)), START),
        3,
    ),
    "fact of a settlement": (lambda *given: Fact(Settlement(*given), START), 4),
    "fact of forgetting": (lambda before: Fact(Forgotten(before), START), 1),
    "fact from line": (Fact.from_line, 1),
    "brain": (Brain, 1),
    "brain with a policy": (lambda a, b: Brain(Policy({"staging": Environment(a, b)})), 2),
    "apply": (lambda *given: brain().apply(*given), 2),
    "apply at": (lambda now: brain().apply(healthy(), now), 1),
    "preview": (lambda fact: brain().preview(fact), 1),
    "load": (lambda facts: brain().load(facts), 1),
    "apply many": (lambda facts, now: brain().apply_many(facts, now=now), 2),
    "bodies": (lambda facts, of: brain().apply_many(facts, cluster=of), 2),
    "merge": (lambda other, now: brain().merge(other, now=now), 2),
    "set policy": (lambda policy, now: brain().set_policy(policy, now=now), 2),
    "registration": (
        lambda a, b, c, d, e, f: brain().registration(
            a, b, expect=c, require=d, timeout=e, labels=f
        ),
        6,
    ),
    "registration of a commit": (
        lambda c, d, e, f: brain().registration(
            "staging", A, expect=c, require=d, timeout=e, labels=f
        ),
        4,
    ),
    "status": (
        lambda a, b, c, d, e, f: brain().status(
            a, b, require=c, reconcilers=d, failure_grace=e, now=f
        ),
        6,
    ),
    "status of a commit": (
        lambda c, d, e, f: brain().status(
            "staging", A, require=c, reconcilers=d, failure_grace=e, now=f
        ),
        4,
    ),
    "statuses": (lambda commit, now: brain().statuses(commit, now=now), 2),
    "rollouts": (
        lambda a, b, c, d, e: brain().rollouts(
            environment=a, outcome=b, labels=c, after=d, limit=e
        ),
        5,
    ),
    "rollouts after": (lambda a, b, c: brain().rollouts(after=Position(a, b, c)), 3),
    "reconcilers": (lambda a, b: brain().reconcilers(environment=a, cluster=b), 2),
    "resolve": (lambda commit: brain().resolve(commit), 1),
    "expire": (lambda now: brain().expire(now=now), 1),
    "wait": (lambda a, b, c, d: wait(a, b, 0, since=c, require=d), 4),
    "wait for a commit": (lambda c, d: wait("staging", A, 0, since=c, reconcilers=d), 2),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_anything_may_be_passed(name: str, data: st.DataObject) -> None:
    call, count = CALLS[name]
    given_values = [data.draw(anything) for _ in range(count)]
    try:
        call(*given_values)
    except EXPECTED:
        pass


def taken(body: bytes) -> None:
    for call in (
        lambda: observe("staging", body, datetime(2030, 1, 1, tzinfo=timezone.utc)),
        lambda: Event.parse(body).to_json(),
        lambda: Fact.from_line(body),
        lambda: CommitObject.parse(body),
        lambda: Revision.parse(body.decode(errors="surrogateescape")),
        lambda: VERIFIER.verify(body, body),
    ):
        try:
            fact = call()
            if isinstance(fact, Fact):
                assert Fact.from_line(fact.to_line()) == fact
                _ = fact.body
        except EXPECTED:
            pass


@settings(max_examples=500, deadline=None)
@given(st.binary() | st.text().map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_may_arrive(body: bytes) -> None:
    taken(body)


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(BODIES),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 2), st.binary(max_size=4)), max_size=4),
)
def test_real_events_may_arrive_damaged(
    body: bytes, damages: list[tuple[int, int, bytes]]
) -> None:
    for place, cut, put in damages:
        place %= len(body) + 1
        body = body[:place] + put + body[place + cut :]
    taken(body)


@pytest.mark.parametrize(
    "time",
    [
        datetime.min.replace(tzinfo=timezone.utc),
        datetime.max.replace(tzinfo=timezone.utc),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=23, minutes=59))),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))),
        datetime(2026, 11, 23, tzinfo=timezone(timedelta(seconds=1))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
    ],
)
def test_odd_times_are_taken_or_refused(time: datetime) -> None:
    for call in (
        lambda: Fact(Removed("a/Kustomization/b/c"), time),
        lambda: brain().status("staging", A, now=time),
        lambda: brain().expire(now=time),
        lambda: brain().apply(healthy(), time),
        lambda: Fact(Forgotten(time)),
    ):
        try:
            made = call()
        except EXPECTED:
            continue
        if isinstance(made, Fact):
            assert made.at.tzinfo is timezone.utc


def test_a_time_before_1970_is_cut_to_milliseconds_as_any_other() -> None:
    given_time = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc)
    fact = Fact(Removed("a/Kustomization/b/c"), given_time)
    assert fact.at == given_time.replace(microsecond=999_000)


# Of no type that the checkers would object to.
FIVE: Any = 5
NONE: Any = None
BYTES: Any = b"x"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Verifier(BYTES), "keys must be an iterable of bytes or str, not bytes"),
        (lambda: VERIFIER.verify(FIVE, b""), "header must be bytes or str, not int"),
        (lambda: observe("staging", NONE), "body must be bytes or str, not NoneType"),
        (lambda: observe("staging", b"", FIVE), "the time must be a datetime, not int"),
        (lambda: brain().status(FIVE, A), "environment must be str, not int"),
        (lambda: brain().status("x", A, reconcilers="y"), "reconcilers must be an iterable of str"),
        (lambda: brain().status("x", A, failure_grace=FIVE), "failure_grace must be timedelta or str"),
        (lambda: brain().rollouts(labels=FIVE), "labels must be a mapping of str to str, not int"),
        (lambda: brain().rollouts(after=FIVE), "after must be Position, not int"),
        (lambda: brain().load(FIVE), "facts must be"),
        (lambda: brain().load([FIVE]), "facts must be lines, or an iterable of Fact, not int"),
        (lambda: brain().apply(FIVE), "Fact"),
        (lambda: Brain(FIVE), "the policy must be Policy or a mapping, not int"),
    ],
)
def test_a_wrong_type_is_told(call: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()
