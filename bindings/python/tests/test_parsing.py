"""Events, revisions and commit objects; errors and their places."""

from __future__ import annotations

import copy
import pickle

import gitops_brain
import pytest
from gitops_brain import (
    Ancestry,
    CommitObject,
    Event,
    FactError,
    GitopsBrainError,
    Parents,
    ParseError,
    Revision,
    RevisionError,
    Severity,
)

from .samples import A, B, START, event

COMMIT = (
    "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
    f"parent {B}\n"
    "author A <a@example.org> 1700000000 +0000\n"
    "committer A <a@example.org> 1700000000 +0000\n\nx\n"
).encode()


def test_an_event_has_all_of_its_fields() -> None:
    read = Event.parse(event())
    assert read.involved_object.kind == "Kustomization"
    assert read.involved_object.field_path == ""
    assert read.severity is Severity.INFO
    assert read.timestamp == START
    assert read.reporting_instance == ""
    assert read.lookup("revision") == f"main@sha1:{A}"
    assert read.lookup("nothing") is None
    assert Event.parse(event().decode()) == read
    with pytest.raises(TypeError):
        read.metadata["x"] = "y"  # type: ignore[index]


def test_an_event_that_is_none_is_told_with_its_place() -> None:
    with pytest.raises(ParseError) as caught:
        Event.parse('{"involvedObject": {"kind": "ä", "name": 5}}')
    error = caught.value
    assert isinstance(error, GitopsBrainError) and isinstance(error, ValueError)
    assert error.code == "event.invalid_field"
    assert (error.line, error.path) == (1, "involvedObject.name")
    assert (error.column, error.offset) == (42, 42)
    assert "involvedObject.name" in str(error)


def test_events_of_odd_years_are_read_all_the_same() -> None:
    for odd in ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "2026-11-23T12:00:00.123456789Z"):
        body = event().replace(b"2026-11-23T12:00:00Z", odd.encode())
        assert Event.parse(body).timestamp.tzinfo is not None


def test_an_event_from_the_future_is_refused() -> None:
    with pytest.raises(ParseError) as caught:
        gitops_brain.observe("staging", event(when=START.replace(hour=13)), START)
    assert caught.value.code == "event.from_the_future"
    assert caught.value.path == "timestamp"


def test_revisions_are_read_in_every_form() -> None:
    for text in (f"main@sha1:{A}", f"main/{A}", f"sha1:{A}"):
        assert Revision.parse(text).commit == A
    assert str(Revision.parse(f"main/{A}")) == f"main@sha1:{A}"
    chart = Revision.parse("6.5.1")
    assert (chart.version, chart.commit, chart.pointer) == ("6.5.1", None, None)
    with pytest.raises(RevisionError) as caught:
        Revision.parse("")
    assert isinstance(caught.value, ValueError)


def test_the_id_of_a_commit_is_computed_from_its_bytes() -> None:
    commit = CommitObject.parse(COMMIT)
    assert len(commit.id) == 40
    assert commit.parents == (B,)
    assert CommitObject.parse(COMMIT.replace(b"\n\nx", b"\n\ny")).id != commit.id
    assert Ancestry.from_objects([COMMIT]).parents == (Parents(commit.id, (B,)),)
    with pytest.raises(ParseError) as caught:
        CommitObject.parse(b"tree x\n")
    assert caught.value.code == "commit_object.malformed"
    with pytest.raises(TypeError):
        Ancestry.from_objects(COMMIT)  # type: ignore[arg-type]


def test_errors_survive_pickling() -> None:
    errors: list[GitopsBrainError] = []
    for call in (
        lambda: Event.parse("{"),
        lambda: Revision.parse(""),
        lambda: gitops_brain.Fact.from_line("{"),
        lambda: gitops_brain.Verifier([]),
        lambda: gitops_brain.Brain().resolve("x"),
    ):
        with pytest.raises(GitopsBrainError) as caught:
            call()
        errors.append(caught.value)
    for error in errors:
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is type(error)
            assert (str(again), again.code) == (str(error), error.code)
            if isinstance(error, (ParseError, FactError)):
                places = ("line", "column", "offset", "path")
                assert [getattr(again, each) for each in places] == [
                    getattr(error, each) for each in places
                ]
