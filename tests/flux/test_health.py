"""Health checks: they fail, recover, and are interrupted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from processes import eventually
from scenario import Scenario, deployment


@pytest.fixture
def canceling(scenario: Scenario) -> Iterator[None]:
    """A kustomize-controller that lets a health check be for a newer revision."""
    with scenario.cluster.flux.kustomize.with_arguments("--feature-gates=CancelHealthCheckOnNewRevision=true"):
        yield


def test_health_check_fails(scenario: Scenario, applied: str) -> None:
    """A health check that fails, and recovery by the next commit"""
    broken = scenario.deploy("broken")
    verdict = scenario.wait(broken)
    assert verdict.exit == 1, verdict
    event = verdict.reconciler("apps")["event"]
    assert (event["reason"], "failed early" in event["message"]) == ("HealthCheckFailed", True)
    assert f"Deployment/{scenario.namespace}/web" in verdict.said
    # What was delivered stays so.
    assert scenario.brain.status(applied)["outcome"] == "succeeded"
    fix = scenario.deploy("3")
    verdict = scenario.wait(fix)
    assert verdict.exit == 0, verdict
    assert scenario.brain.status(broken)["outcome"] == "succeeded"


def test_recovery_at_the_same_revision(scenario: Scenario, applied: str) -> None:
    """A health check that times out, and passes when Flux tries again"""
    scenario.cluster.nodes.hold(scenario.namespace, "web")
    slow = scenario.deploy("2")
    verdict = scenario.wait(slow)
    assert verdict.exit == 1, verdict
    scenario.cluster.nodes.release(scenario.namespace, "web")
    status = scenario.until(slow, outcome="succeeded")
    assert (status["state"], status["first_settled"]["outcome"]) == ("healthy", "failed")
    assert scenario.wait(slow).exit == 0


def test_degraded(scenario: Scenario, applied: str) -> None:
    """What was healthy stops to be, without a commit; and it recovers"""
    scenario.cluster.nodes.hold(scenario.namespace, "web")
    scenario.until(applied, state="failed")
    scenario.cluster.nodes.release(scenario.namespace, "web")
    status = scenario.until(applied, state="healthy")
    assert (status["outcome"], status["first_settled"]["outcome"]) == ("succeeded", "succeeded")


def test_noop_commit_on_failure(scenario: Scenario, applied: str) -> None:
    """A commit that changes nothing, while what is there fails: neither is green"""
    broken = scenario.deploy("broken")
    assert scenario.wait(broken).exit == 1
    noop = scenario.repository.push({"README.md": "Words"})
    verdict = scenario.wait(noop)
    assert verdict.exit == 1, verdict
    assert scenario.brain.status(broken)["outcome"] == "failed"


def test_health_checks_list(scenario: Scenario) -> None:
    """A Kustomization with a list of health checks instead of `wait: true`"""
    first = scenario.repository.push({"apps/web.yaml": deployment("web", "1"), "apps/db.yaml": deployment("db", "1")})
    scenario.serve("apps")
    scenario.source()
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "namespace": scenario.namespace}
    scenario.kustomization(wait=False, healthChecks=[web])
    assert scenario.wait(first).exit == 0
    broken = scenario.deploy("broken")
    verdict = scenario.wait(broken)
    assert verdict.exit == 1, verdict


def test_grace(scenario: Scenario, applied: str) -> None:
    """The same, where CI gives a failure time to mend itself"""
    scenario.cluster.nodes.hold(scenario.namespace, "web")
    slow = scenario.deploy("2")
    waiting = scenario.waiting(slow, "--failure-grace", "60s", timeout="90s")
    assert scenario.until(slow, state="failed")["reason"] == "failed"
    scenario.cluster.nodes.release(scenario.namespace, "web")
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict


def test_commit_during_health_check(scenario: Scenario, applied: str) -> None:
    """A commit during a health check that times out: the first is red, then covered"""
    first, waiting = scenario.checking("2")
    second = scenario.deploy("3")
    verdict = scenario.result(waiting)
    assert verdict.exit == 1, verdict
    scenario.cluster.nodes.release(scenario.namespace, "web")
    later = scenario.wait(second)
    assert later.exit == 0, later
    assert scenario.brain.status(first)["outcome"] == "succeeded"


def test_commit_during_health_check_that_passes(scenario: Scenario, applied: str) -> None:
    """A commit during a health check that passes: both are green"""
    first, waiting = scenario.checking("2")
    second = scenario.deploy("3")
    scenario.cluster.nodes.release(scenario.namespace, "web")
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict
    assert scenario.wait(second).exit == 0


def test_canceled_health_check(scenario: Scenario, applied: str, canceling: None) -> None:
    """The same with CancelHealthCheckOnNewRevision: the first is not red, but covered"""
    first, waiting = scenario.checking("2")
    second = scenario.deploy("3")
    eventually("it is canceled", lambda: scenario.heard("HealthCheckCanceled", first))
    assert scenario.brain.status(first)["outcome"] == "in_progress"
    scenario.cluster.nodes.release(scenario.namespace, "web")
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["via"] == second
    assert scenario.wait(second).exit == 0


def test_canceled_health_check_then_failure(scenario: Scenario, applied: str, canceling: None) -> None:
    """With CancelHealthCheckOnNewRevision, and the second does not mend it: neither is green"""
    first, waiting = scenario.checking("broken", timeout="20s")
    second = scenario.repository.push({"README.md": "Words"})
    eventually("it is canceled", lambda: scenario.heard("HealthCheckCanceled", first))
    scenario.cluster.nodes.release(scenario.namespace, "web")
    assert scenario.wait(second).exit == 1
    verdict = scenario.result(waiting)
    assert verdict.exit in (1, 3), verdict


def test_drift(scenario: Scenario, applied: str) -> None:
    """Drift, which Flux corrects: it stays green all the time"""
    web = scenario.named({"apiVersion": "apps/v1", "kind": "Deployment"}, "web")
    before = len(scenario.recorder.requests)
    container = [{"name": "app", "image": "registry.example.com/web:drifted"}]
    scenario.api.patch(web, {"spec": {"template": {"spec": {"containers": container}}}})

    def corrected() -> bool:
        now = scenario.api.get(web)
        assert now is not None
        assert scenario.brain.status(applied)["outcome"] == "succeeded"
        return bool(now["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":1"))

    eventually("the drift is corrected", corrected)
    eventually("it is told", lambda: scenario.heard("ReconciliationSucceeded", applied, before))
    status = scenario.brain.status(applied)
    assert (status["state"], status["outcome"]) == ("healthy", "succeeded")
