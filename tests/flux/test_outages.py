"""Something is away for a while."""

from __future__ import annotations

import time

from processes import eventually
from scenario import Scenario, deployment


def test_git_server_gone(scenario: Scenario, applied: str) -> None:
    """The git server is away, and comes back"""
    with scenario.git.away():
        bare = str(scenario.git.bare(scenario.namespace))
        second = scenario.repository.push({"apps/web.yaml": deployment("web", "2")}, to=bare)
        waiting = scenario.waiting(second)
        status = scenario.until(second, reason="source_trouble")
        assert "GitRepository" in status["message"]
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict


def test_server_down(scenario: Scenario, applied: str) -> None:
    """gitops-brain is down for 60 s, while a commit is applied: all its events are lost but the next heartbeat"""
    scenario.brain.stop()
    second = scenario.deploy("2")
    waiting = scenario.waiting(second, timeout="90s")
    time.sleep(60)
    assert not waiting.is_over()
    before = len(scenario.recorder.requests)
    scenario.brain.start()
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict
    assert scenario.heard("ReconciliationSucceeded", second, before)


def test_server_down_and_health_fails(scenario: Scenario, applied: str) -> None:
    """gitops-brain is down while a health check fails, and hears of the next try"""
    scenario.brain.stop()
    broken = scenario.deploy("broken")
    eventually("its failure is lost", lambda: any(_failed(one.event) for one in scenario.recorder.requests))
    scenario.brain.start()
    verdict = scenario.wait(broken)
    assert verdict.exit == 1, verdict


def test_notification_controller_killed(scenario: Scenario, applied: str) -> None:
    """notification-controller is killed during a health check, and started again"""
    notification = scenario.cluster.flux.notification
    second, waiting = scenario.checking("2")
    with notification.away(killed=True):
        scenario.cluster.nodes.release(scenario.namespace, "web")
        # The controllers try to tell it for some seconds.
        time.sleep(5)
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict


def test_kustomize_controller_stopped(scenario: Scenario, applied: str) -> None:
    """kustomize-controller is stopped during a health check: that is no failure"""
    kustomize = scenario.cluster.flux.kustomize
    second, waiting = scenario.checking("2")
    with kustomize.away():
        time.sleep(2)
        assert not waiting.is_over()
        assert scenario.brain.status(second)["outcome"] == "in_progress"
        scenario.cluster.nodes.release(scenario.namespace, "web")
    verdict = scenario.result(waiting)
    assert verdict.exit == 0, verdict


def _failed(event: dict[str, object]) -> bool:
    return event["reason"] == "HealthCheckFailed"
