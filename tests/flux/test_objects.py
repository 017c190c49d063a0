"""What becomes of a commit by reason of the Flux objects: they depend, are suspended, deleted and made anew."""

from __future__ import annotations

from brain import Verdict
from kubernetes import Object
from place import GIT_REPOSITORY, KUSTOMIZATION
from processes import eventually
from scenario import Scenario, deployment


def both(scenario: Scenario, infra: str, *expected: str) -> str:
    """`apps`, which depends on `infra`, in which runs an image with this tag."""
    files = {"infra/db.yaml": deployment("db", infra), "apps/web.yaml": deployment("web", "1")}
    commit = scenario.repository.push(dict(files))
    scenario.serve(*expected)
    scenario.source()
    scenario.kustomization("infra")
    scenario.kustomization("apps", dependsOn=[{"name": "infra"}])
    return commit


def test_dependency(scenario: Scenario) -> None:
    """A Kustomization and its dependency, both in order"""
    commit = both(scenario, "1", "infra", "apps")
    verdict = scenario.wait(commit)
    assert verdict.exit == 0, verdict


def test_dependency_fails(scenario: Scenario) -> None:
    """A dependency that fails: what depends on it is blocked, and not failed"""
    commit = both(scenario, "broken", "infra", "apps")
    verdict = scenario.wait(commit)
    assert verdict.exit == 1, verdict
    assert verdict.reconciler("infra")["state"] == "failed"
    assert verdict.reconciler("apps")["state"] == "pending"


def test_dependency_not_ready(scenario: Scenario) -> None:
    """A dependency that is not ready, where only what depends on it is expected; and its fix"""
    commit = both(scenario, "broken", "apps")
    verdict = scenario.wait(commit, timeout="10s")
    assert verdict.exit == 3, verdict
    assert verdict.reconciler("apps")["reason"] == "blocked"
    assert verdict.reconciler("apps")["event"]["reason"] == "DependencyNotReady"
    fix = scenario.repository.push({"infra/db.yaml": deployment("db", "2")})
    verdict = scenario.wait(fix)
    assert verdict.exit == 0, verdict


def test_one_of_two_changes(scenario: Scenario) -> None:
    """Two Kustomizations, of which a commit changes one"""
    commit = both(scenario, "1", "infra", "apps")
    assert scenario.wait(commit).exit == 0
    second = scenario.deploy("2")
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    assert {one["state"] for one in verdict.status["reconcilers"]} == {"healthy"}


def test_learned(scenario: Scenario) -> None:
    """An environment that expects whatever reports"""
    files = {"infra/db.yaml": deployment("db", "broken"), "apps/web.yaml": deployment("web", "1")}
    commit = scenario.repository.push(dict(files))
    scenario.serve("staging/Kustomization/*/*", more='learning = "5s"')
    scenario.source()
    scenario.kustomization("apps")
    verdict = scenario.wait(commit)
    assert verdict.exit == 0, verdict
    scenario.kustomization("infra")
    fails = scenario.until(commit, state="failed")
    assert len(fails["reconcilers"]) == 2


def suspend_and_resume(scenario: Scenario, what: Object) -> Verdict:
    """How a wait ended while this was suspended; once it is resumed all is well."""
    scenario.api.patch(what, {"spec": {"suspend": True}})
    second = scenario.deploy("2")
    while_suspended = scenario.wait(second, timeout="8s")
    assert while_suspended.exit == 3, while_suspended
    scenario.api.patch(what, {"spec": {"suspend": False}})
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    return while_suspended


def test_suspended(scenario: Scenario, applied: str) -> None:
    """A Kustomization that is suspended, and resumed"""
    verdict = suspend_and_resume(scenario, scenario.named(KUSTOMIZATION, "apps"))
    assert verdict.reconciler("apps")["reason"] == "waiting"


def test_source_suspended(scenario: Scenario, applied: str) -> None:
    """A source that is suspended, and resumed"""
    suspend_and_resume(scenario, scenario.named(GIT_REPOSITORY, "source"))


def test_deleted_and_made_anew(scenario: Scenario, applied: str) -> None:
    """A Kustomization that is deleted, with all that it applied, and made anew"""
    apps = scenario.named(KUSTOMIZATION, "apps")
    scenario.api.delete(apps)
    eventually("it is gone", lambda: scenario.api.get(apps) is None)
    scenario.until(applied, reason="deleted", live=False)
    verdict = scenario.wait(applied, timeout="3s")
    assert verdict.exit == 3, verdict
    scenario.kustomization()
    verdict = scenario.wait(applied)
    assert verdict.exit == 0, verdict


def test_source_elsewhere(scenario: Scenario) -> None:
    """A source that is pointed at a branch without the commit"""
    first = scenario.deploy("1")
    scenario.serve("apps")
    source = scenario.source()
    scenario.kustomization()
    second = scenario.deploy("2")
    assert scenario.wait(second).exit == 0
    scenario.repository.branch("other", first)
    scenario.api.patch(source, {"spec": {"ref": {"branch": "other"}}})
    assert scenario.until(second, reason="rolled_back")["live"] is False
