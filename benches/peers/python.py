"""What a platform team would write in Python instead of using gitops-brain, by hand and tuned, beside
gitops-brain itself. All do the same work for each request: verify the signature, parse the body, take the
commit out of the revision, and keep the newest state of each reconciler at each commit.

usage: python.py EVENTS CONTENDER; prints JSON: nanoseconds per event of each round."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import msgspec
import orjson

import gitops_brain

KEY = b"7152fed34dd6149a7c75a276c510da27cb6f82b0"
ROUNDS = 15
WARM_UP = 3
Request = tuple[str, bytes]
State = dict[tuple[str, str, str, str], dict[str, tuple[datetime, int, str]]]
Count = Callable[[], int]
"""How many states were kept: counted, and thrown away, when the clock has stopped."""
Contender = Callable[[list[Request]], Count]

REVISION = re.compile(r"(?:.*[@/])?(?:sha1:)?([0-9a-f]{40})")
STATES = {
    ("Progressing", "info"): "applied",
    ("ReconciliationSucceeded", "info"): "healthy",
    ("HealthCheckFailed", "error"): "failed",
}


def update(
    state: State,
    name: tuple[str, str, str, str],
    revision: str,
    when: tuple[datetime, int],
    reached: str,
) -> None:
    """Keeps the newest state of a reconciler at a commit."""
    match = REVISION.fullmatch(revision)
    if match is None:
        return
    commits = state.setdefault(name, {})
    known = commits.get(match[1])
    if known is None or known[:2] < when:
        commits[match[1]] = (*when, reached)


def size(state: State) -> int:
    return sum(map(len, state.values()))


def by_hand(requests: list[Request]) -> Count:
    """The standard library, as most write it."""
    state: State = {}
    for signature, body in requests:
        algorithm, _, told = signature.partition("=")
        expected = hmac.new(KEY, body, hashlib.sha256).hexdigest()
        if algorithm != "sha256" or not hmac.compare_digest(expected, told):
            raise PermissionError
        event = json.loads(body)
        involved = event["involvedObject"]
        metadata = event.get("metadata") or {}
        group = involved["apiVersion"].partition("/")[0]
        revision = metadata.get(f"{group}/revision") or metadata.get("revision")
        if revision is None:
            continue
        timestamp = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00"))
        received = datetime.now(timezone.utc)
        if (timestamp - received).total_seconds() > 600:
            raise ValueError("from the future")
        reached = STATES.get((event["reason"], event["severity"]), "failed")
        if event["message"].startswith("Health check passed"):
            reached = "healthy"
        name = ("staging", involved["kind"], involved["namespace"], involved["name"])
        when = (timestamp, int(involved.get("resourceVersion", 0)))
        update(state, name, revision, when, reached)
    return lambda: size(state)


class InvolvedObject(msgspec.Struct, rename="camel", gc=False):
    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""
    resource_version: str = "0"


class Event(msgspec.Struct, rename="camel", gc=False):
    involved_object: InvolvedObject
    severity: str
    timestamp: datetime
    message: str
    reason: str
    metadata: dict[str, str] = {}


def tuned(decode: Callable[[bytes], Event]) -> Contender:
    """A one-shot HMAC, a compiled decoder into structs."""

    def run(requests: list[Request]) -> Count:
        state: State = {}
        digest, compare, fromhex = hmac.digest, hmac.compare_digest, bytes.fromhex
        now, utc = datetime.now, timezone.utc
        for signature, body in requests:
            if signature[:7] != "sha256=" or not compare(
                digest(KEY, body, "sha256"), fromhex(signature[7:])
            ):
                raise PermissionError
            event = decode(body)
            involved = event.involved_object
            metadata = event.metadata
            revision = metadata.get("revision")
            if revision is None:
                group = involved.api_version.partition("/")[0]
                revision = metadata.get(f"{group}/revision")
                if revision is None:
                    continue
            if (event.timestamp - now(utc)).total_seconds() > 600:
                raise ValueError("from the future")
            reached = STATES.get((event.reason, event.severity), "failed")
            if event.message.startswith("Health check passed"):
                reached = "healthy"
            name = ("staging", involved.kind, involved.namespace, involved.name)
            when = (event.timestamp, int(involved.resource_version))
            update(state, name, revision, when, reached)
        return lambda: size(state)

    return run


def with_orjson(body: bytes) -> Event:
    """orjson has no structs: the fields are taken one by one."""
    event = orjson.loads(body)
    involved = event["involvedObject"]
    return Event(
        InvolvedObject(
            involved["kind"],
            involved["name"],
            involved.get("namespace", ""),
            involved.get("apiVersion", ""),
            involved.get("resourceVersion", "0"),
        ),
        event["severity"],
        datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")),
        event["message"],
        event["reason"],
        event.get("metadata") or {},
    )


def ours(requests: list[Request]) -> Count:
    """gitops-brain, in the two calls between which a host stores the fact."""
    verifier = gitops_brain.Verifier([KEY])
    brain = gitops_brain.Brain()
    ingest, apply, ignored = gitops_brain.ingest, brain.apply, gitops_brain.Ignored
    for signature, body in requests:
        fact = ingest(verifier, "staging", signature, body)
        if not isinstance(fact, ignored):
            apply(fact)
    return lambda: 100 * len(brain.reconcilers())


CONTENDERS: dict[str, Contender] = {
    "gitops-brain": ours,
    "hmac + json + dict": by_hand,
    "hmac.digest + msgspec": tuned(msgspec.json.Decoder(Event).decode),
    "hmac.digest + orjson": tuned(with_orjson),
}


def main() -> None:
    _, file, name = sys.argv
    with open(file, "rb") as opened:
        read: list[dict[str, Any]] = json.load(opened)
    requests = [(each["signature"], each["body"].encode()) for each in read]
    contender = CONTENDERS[name]
    measured: list[float] = []
    for number in range(ROUNDS + WARM_UP):
        start = time.perf_counter_ns()
        count = contender(requests)
        each = (time.perf_counter_ns() - start) / len(requests)
        assert count() == len(requests), name
        if number >= WARM_UP:
            measured.append(each)
    print(json.dumps(measured))


main()
