"""A key, commits, a reconciler, and the events of a rollout."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import gitops_brain
from gitops_brain import Brain, Fact

KEY = b"7152fed34dd6149a7c75a276c510da27cb6f82b0"
A, B, C = "a" * 40, "b" * 40, "c" * 40
APPS = "staging/Kustomization/flux-system/apps"
POLICY: dict[str, Any] = {"environments": {"staging": {"reconcilers": [APPS]}}}
START = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    """So long after the start."""
    return START + timedelta(seconds=seconds)


def event(
    commit: str = A,
    reason: str = "Progressing",
    message: str = "Health check passed in 5s",
    *,
    severity: str = "info",
    when: datetime = START,
    name: str = "apps",
) -> bytes:
    """The body of an event: by default the one that proves health."""
    body = {
        "involvedObject": {
            "kind": "Kustomization",
            "namespace": "flux-system",
            "name": name,
            "uid": "7d0cdc51-ddcf-4743-b223-83ca5c699632",
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "resourceVersion": str(int(when.timestamp())),
        },
        "severity": severity,
        "timestamp": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": message,
        "reason": reason,
        "metadata": {"kustomize.toolkit.fluxcd.io/revision": f"main@sha1:{commit}"},
        "reportingController": "kustomize-controller",
    }
    return json.dumps(body).encode()


def observed(body: bytes, when: datetime = START) -> Fact:
    """The fact of an event."""
    fact = gitops_brain.observe("staging", body, when)
    assert isinstance(fact, Fact)
    return fact


def applying(commit: str = A, when: datetime = START, name: str = "apps") -> Fact:
    body = event(commit, message="Deployment/shop/web configured", when=when, name=name)
    return observed(body, when)


def healthy(commit: str = A, when: datetime = START, name: str = "apps") -> Fact:
    return observed(event(commit, when=when, name=name), when)


def failed(commit: str = A, when: datetime = START) -> Fact:
    body = event(commit, "HealthCheckFailed", "timeout", severity="error", when=when)
    return observed(body, when)


def registered(brain: Brain, commit: str = A, when: datetime = START, **more: Any) -> Fact:
    fact = Fact(brain.registration("staging", commit, **more), when)
    brain.apply(fact, when)
    return fact


def captured_bodies() -> list[bytes]:
    """Bodies of requests that real controllers sent."""
    from .conformance.vectors import ROOT, bytes_of

    bodies = []
    for path in sorted(Path(ROOT, "scenarios").glob("captured-*.json")):
        for case in json.loads(path.read_text())["cases"]:
            for step in case["steps"]:
                if "event" in step["do"]:
                    bodies.append(bytes_of(step["do"]["event"]["body"]))
    return bodies
