"""Vectors of one call each: signatures, events, revisions, observations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import gitops_brain
from gitops_brain import Event, GitopsBrainError, Ignored, Observation, Revision, Verifier

from .vectors import Case, Wrong, bytes_of, exact, fields, holds


def run(kind: str, case: Case) -> None:
    """Raises `Wrong` unless the case holds."""
    _, _, given, expect = fields(case, "id", "why", "input", "expect")
    actual = CALLS[kind](given)
    problems: list[str] = []
    # What is expected must say whether the call succeeds, and be complete on the level below.
    if set(expect) == {"ok"} and "ok" in actual:
        exact("expect.ok", expect["ok"], actual["ok"], problems)
        if expect["ok"].get("event") == {}:
            problems.append("expect.ok.event is empty: nothing is checked")
    else:
        exact("expect", expect, actual, problems)
    holds(problems)


def signature(given: Any) -> dict[str, Any]:
    call = given.get("call") if isinstance(given, dict) else None
    try:
        if call == "verify":
            _, keys, header, body = fields(given, "call", "keys", "header", "body")
            verifier = Verifier([bytes_of(key) for key in keys])
            header = None if header is None else bytes_of(header)
            return {"ok": {"key": verifier.verify(header, bytes_of(body))}}
        if call == "sign":
            _, key, body = fields(given, "call", "key", "body")
            return {"ok": {"header": gitops_brain.sign(bytes_of(key), bytes_of(body))}}
    except GitopsBrainError as error:
        return {"error": error.code}
    raise Wrong(f"there is no call {call!r}")


def event(given: Any) -> dict[str, Any]:
    body, lookup = fields(given, "body", optional={"lookup": []})
    try:
        event = Event.parse(bytes_of(body))
    except gitops_brain.ParseError as error:
        place = {name: getattr(error, name) for name in ("line", "column", "offset", "path")}
        return {"error": error.code, **place}
    ok: dict[str, Any] = {"event": camel_case(event.to_dict())}
    if lookup:
        ok["lookup"] = {name: event.lookup(name) for name in lookup}
    return {"ok": ok}


def camel_case(plain: dict[str, Any]) -> dict[str, Any]:
    """Flux's names of the fields."""

    def name(field: str) -> str:
        first, *rest = field.split("_")
        return first + "".join(part.capitalize() for part in rest)

    return {
        name(field): camel_case(value) if isinstance(value, dict) and field != "metadata" else value
        for field, value in plain.items()
    }


def revision(given: Any) -> dict[str, Any]:
    (text,) = fields(given, "revision")
    try:
        revision = Revision.parse(bytes_of(text).decode())
    except gitops_brain.RevisionError as error:
        return {"error": error.code}
    if Revision.parse(str(revision)) != revision:
        raise Wrong(f"{revision} is read as another revision")
    named = {name: getattr(revision, name) for name in ("pointer", "commit", "digest", "version")}
    return {"ok": {**named, "display": str(revision)}}


def observation(given: Any) -> dict[str, Any]:
    cluster, at, body = fields(given, "cluster", "at", "body")
    try:
        fact = gitops_brain.observe(cluster, bytes_of(body), time(at))
    except gitops_brain.ParseError as error:
        return {"error": error.code}
    if isinstance(fact, Ignored):
        return {"ignored": fact.code}
    told = fact.body
    assert isinstance(told, Observation)
    return {
        "ok": {
            "proof": None if told.proof is None else str(told.proof),
            "object": told.object,
            "commit": told.commit,
            "revision": told.revision_text,
            "health_check_passed": told.health_check_passed,
            "created_or_configured": told.created_or_configured,
            "only_deletions": told.only_deletions,
            "canceled": told.canceled,
            "chart_from_oci": told.chart_from_oci,
            "action": told.action,
            "related_object": told.related_object and told.related_object.object,
            "changed_objects": {
                changed.object: str(changed.change) for changed in told.changed_objects
            },
        }
    }


def time(text: str) -> datetime:
    """A time in RFC 3339, in UTC."""
    if not text.endswith("Z"):
        raise Wrong(f"{text} is not in UTC")
    seconds, dot, fraction = text[:-1].partition(".")
    whole = f"{seconds}.{fraction:0<6}" if dot else seconds
    return datetime.fromisoformat(f"{whole}+00:00")


CALLS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "signatures": signature,
    "events": event,
    "revisions": revision,
    "observations": observation,
}
