"""Values are plain: frozen, comparable, and the same in JSON as over HTTP."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
from collections.abc import Callable
from datetime import datetime, timezone
from enum import Enum
from typing import Any

import gitops_brain
import pytest
from gitops_brain import Brain, Effects, Event, Outcome, Revision, State, Status, TimelineEntry

from .samples import A, APPS, POLICY, applying, at, event, failed, registered


def values() -> list[Any]:
    brain = Brain(POLICY)
    registered(brain, labels={"app": "shop"})
    effects = brain.apply(failed(when=at(5)), at(5))
    status = brain.status("staging", A, now=at(6))
    return [
        effects,
        status,
        Event.parse(event()),
        Revision.parse(f"main@sha1:{A}"),
        applying().body,
        brain.registration("staging", A, labels={"app": "shop"}),
        brain.reconcilers()[0],
        brain.clusters()[0],
    ]


@pytest.mark.parametrize("value", values(), ids=lambda value: type(value).__name__)
def test_a_value_is_frozen_and_comes_through_everything(value: Any) -> None:
    name = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.something_new = 1
    plain = json.loads(json.dumps(value.to_dict()))
    assert json.loads(value.to_json()) == plain
    assert type(value).from_dict(plain) == value
    for again in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert again == value and hash(again) == hash(value)
    assert dataclasses.asdict(value).keys() == {each.name for each in dataclasses.fields(value)}


def test_maps_in_values_cannot_be_changed() -> None:
    brain = Brain(POLICY)
    registered(brain, labels={"app": "shop"})
    labels: Any = brain.status("staging", A, now=at(1)).labels
    changes: list[Callable[[], object]] = [
        lambda: labels.update(app="x"),
        lambda: labels.pop("app"),
        lambda: labels.clear(),
        lambda: labels.setdefault("x", "y"),
        lambda: labels.__setitem__("app", "x"),
        lambda: labels.__delitem__("app"),
    ]
    for change in changes:
        with pytest.raises(TypeError, match="make a copy"):
            change()
    assert labels == {"app": "shop"} == dict(labels)


def test_a_transition_is_told_as_over_http() -> None:
    brain = Brain(POLICY)
    registered(brain)
    effects = brain.apply(failed(when=at(5)), at(5))
    plain = effects.to_dict()["transitions"][0]
    assert plain["from"] == {"state": "pending", "outcome": "in_progress"}
    assert plain["at"] == "2026-11-23T12:00:05Z"
    assert Effects.from_dict(effects.to_dict()) == effects


def test_enums_equal_their_texts() -> None:
    healthy: Any = State.HEALTHY
    assert healthy == "healthy" and str(State.HEALTHY) == f"{State.HEALTHY}" == "healthy"
    assert Outcome("timed_out") is Outcome.TIMED_OUT
    assert json.dumps(State.FAILED) == '"failed"'
    for name in gitops_brain.__all__:
        kind = getattr(gitops_brain, name)
        if inspect.isclass(kind) and issubclass(kind, Enum):
            assert all(str(each) == each.value for each in kind)


def test_times_in_values_are_aware() -> None:
    entry = TimelineEntry(
        at=datetime(2026, 11, 23, tzinfo=timezone.utc), state=State.APPLIED, reconciler=APPS
    )
    assert entry.to_dict()["at"] == "2026-11-23T00:00:00Z"
    naive = dataclasses.replace(entry, at=datetime(2026, 11, 23))
    with pytest.raises(ValueError, match="no time zone"):
        naive.to_dict()


def test_a_value_with_a_missing_field_is_refused() -> None:
    with pytest.raises(KeyError):
        Status.from_dict({})


def test_everything_public_is_documented() -> None:
    for name in gitops_brain.__all__:
        public = getattr(gitops_brain, name)
        if inspect.isclass(public) or inspect.isroutine(public):
            assert inspect.getdoc(public), name
        if inspect.isclass(public):
            for method, value in vars(public).items():
                if not method.startswith("_") and (callable(value) or isinstance(value, property)):
                    assert inspect.getdoc(getattr(public, method)), f"{name}.{method}"
    assert gitops_brain.__doc__ and gitops_brain.__version__
