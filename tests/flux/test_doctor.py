"""`gitops-brain doctor --kubeconfig` and the real objects of a cluster."""

from __future__ import annotations

import json
from typing import Any

from place import ALERT, KUSTOMIZATION
from scenario import KEY, Scenario


def doctor(scenario: Scenario) -> tuple[int, set[tuple[str, str]], str]:
    """Its exit code, what it found and about what, and what it said."""
    plane = scenario.cluster.plane
    kubectl = plane.tools.program("kubectl").parent
    process = scenario.brain.run("doctor", "--kubeconfig", str(plane.kubeconfig), "--output", "json", path=kubectl)
    out, said = process.communicate(timeout=60)
    findings: list[dict[str, Any]] = json.loads(out)["findings"]
    return process.returncode, {(one["code"], one["subject"]) for one in findings}, out + said


def test_doctor(scenario: Scenario, applied: str) -> None:
    """`doctor` finds nothing wrong, and then each of three faults alone"""
    apps = scenario.named(KUSTOMIZATION, "apps")
    code, findings, said = doctor(scenario)
    assert (code, findings) == (0, set()), said
    subject = f"Kustomization/{scenario.namespace}/apps"

    scenario.api.patch(apps, {"spec": {"wait": False}})
    code, findings, said = doctor(scenario)
    assert (code, findings) == (1, {("kustomization_does_not_wait", subject)}), said
    scenario.api.patch(apps, {"spec": {"wait": True}})

    alert = scenario.named(ALERT, "gitops-brain")
    scenario.api.patch(alert, {"spec": {"eventSources": [{"kind": "GitRepository", "name": "*"}]}})
    code, findings, said = doctor(scenario)
    assert (code, findings) == (1, {("alert_source_missing", subject)}), said

    scenario.connect(scenario.recorder.url, "another key than the server's")
    before = len(scenario.recorder.requests)
    second = scenario.deploy("2")
    verdict = scenario.wait(second, timeout="8s")
    assert verdict.exit == 3, verdict
    assert {one.answered for one in scenario.recorder.requests[before:]} <= {401, 429}
    code, findings, said = doctor(scenario)
    assert (code, findings) == (1, {("events_refused", "staging"), ("kustomization_behind", subject)}), said

    scenario.connect(scenario.recorder.url, KEY)
    assert scenario.wait(second).exit == 0
