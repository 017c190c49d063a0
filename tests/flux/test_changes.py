"""Commits that arrive, one after the other."""

from __future__ import annotations

import pytest

from scenario import Scenario, deployment


@pytest.fixture
def applied(scenario: Scenario) -> str:
    """The first commit, applied: a Deployment and a ConfigMap."""
    first = scenario.repository.push({"apps/web.yaml": deployment("web", "1"), "apps/settings.yaml": SETTINGS})
    scenario.follow()
    assert scenario.wait(first).exit == 0
    return first


SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: blue}\n"


def test_first_apply(scenario: Scenario) -> None:
    """The first apply"""
    first = scenario.deploy("1")
    scenario.follow()
    verdict = scenario.wait(first)
    assert verdict.exit == 0, verdict
    assert verdict.status["state"] == "healthy"
    assert scenario.brain.status(first)["outcome"] == "succeeded"


def test_change(scenario: Scenario, applied: str) -> None:
    """A change"""
    second = scenario.deploy("2")
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["head"] == f"main@sha1:{second}"
    # What was delivered stays so, now by reason of the later commit.
    before = scenario.brain.status(applied)
    assert (before["outcome"], before["live"]) == ("succeeded", True)


def test_noop_commit(scenario: Scenario, applied: str) -> None:
    """A commit that changes nothing in the path"""
    noop = scenario.repository.push({"README.md": "Words"})
    verdict = scenario.wait(noop)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["head"] == f"main@sha1:{noop}"


def test_empty_commit(scenario: Scenario, applied: str) -> None:
    """A commit without any change"""
    empty = scenario.repository.push({})
    verdict = scenario.wait(empty)
    assert verdict.exit == 0, verdict


def test_broken_yaml(scenario: Scenario, applied: str) -> None:
    """Broken YAML, and its fix"""
    broken = scenario.repository.push({"apps/web.yaml": "kind: [Deployment\n"})
    verdict = scenario.wait(broken)
    assert verdict.exit == 1, verdict
    assert verdict.reconciler("apps")["event"]["reason"] == "BuildFailed"
    assert "web.yaml" in verdict.said
    fix = scenario.deploy("2")
    verdict = scenario.wait(fix)
    assert verdict.exit == 0, verdict
    # The fix contains it.
    assert scenario.until(broken, outcome="succeeded")["reconcilers"][0]["via"] == fix


def test_dry_run_failure(scenario: Scenario, applied: str) -> None:
    """A manifest that the API server does not take, and its fix"""
    refused = scenario.repository.push({"apps/web.yaml": deployment("web", "2").replace("name: app,", "name: A_B,")})
    verdict = scenario.wait(refused)
    assert verdict.exit == 1, verdict
    assert verdict.reconciler("apps")["event"]["reason"] == "ReconciliationFailed"
    assert "dry-run failed" in verdict.said
    fix = scenario.deploy("3")
    assert scenario.wait(fix).exit == 0


def test_prune_only(scenario: Scenario, applied: str) -> None:
    """A commit that only deletes"""
    pruned = scenario.repository.push({"apps/settings.yaml": None})
    verdict = scenario.wait(pruned)
    assert verdict.exit == 0, verdict
    assert scenario.api.get(scenario.named({"apiVersion": "v1", "kind": "ConfigMap"}, "settings")) is None


def test_two_commits_in_one_poll(scenario: Scenario, applied: str) -> None:
    """Two commits in one push: the first is covered by the second"""
    first = scenario.repository.commit({"apps/web.yaml": deployment("web", "2")})
    second = scenario.repository.push({"apps/settings.yaml": SETTINGS.replace("blue", "red")})
    verdict = scenario.wait(first)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["via"] == second
    assert scenario.wait(second).exit == 0


def test_two_commits_exact(scenario: Scenario, applied: str) -> None:
    """The same, where CI accepts its own commit alone"""
    first = scenario.repository.commit({"apps/web.yaml": deployment("web", "2")})
    scenario.repository.push({"apps/settings.yaml": SETTINGS.replace("blue", "red")})
    verdict = scenario.wait(first, "--exact")
    assert verdict.exit == 6, verdict


def test_forced_back(scenario: Scenario, applied: str) -> None:
    """A forced push back to the commit before"""
    second = scenario.deploy("2")
    assert scenario.wait(second).exit == 0
    scenario.repository.force_back(applied)
    status = scenario.until(second, reason="rolled_back")
    assert (status["state"], status["live"]) == ("pending", False)
    # Asked again, it waits until its time is over, and says why.
    verdict = scenario.wait(second, timeout="3s")
    assert verdict.exit == 3, verdict
    assert verdict.reconciler("apps")["reason"] == "rolled_back"
    assert scenario.wait(applied).exit == 0


def test_forced_elsewhere(scenario: Scenario, applied: str) -> None:
    """A forced push that puts another commit in the place of one"""
    second = scenario.deploy("2")
    assert scenario.wait(second).exit == 0
    scenario.repository.force_back(applied)
    other = scenario.deploy("3")
    verdict = scenario.wait(other)
    assert verdict.exit == 0, verdict
    status = scenario.brain.status(second)
    assert (status["state"], status["live"]) == ("pending", False)
    assert status["reason"] in ("rolled_back", "diverged")


def test_reverted(scenario: Scenario, applied: str) -> None:
    """A commit and its revert in one push: nothing changes, and both count as delivered"""
    change = scenario.repository.commit({"apps/settings.yaml": SETTINGS.replace("blue", "red")})
    revert = scenario.repository.push({"apps/settings.yaml": SETTINGS})
    assert scenario.wait(revert).exit == 0
    verdict = scenario.wait(change)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["via"] == revert


def test_ignored_path(scenario: Scenario) -> None:
    """A commit that changes only what the source ignores: the same artifact under another revision"""
    scenario.deploy("1")
    scenario.serve("apps")
    scenario.source(ignore="/*\n!/apps\n")
    scenario.kustomization()
    assert scenario.wait("HEAD").exit == 0
    ignored = scenario.repository.push({"README.md": "Words"})
    verdict = scenario.wait(ignored)
    assert verdict.exit == 0, verdict


def test_tag(scenario: Scenario) -> None:
    """A source that follows tags: what is pushed is not live, what is tagged is"""
    first = scenario.deploy("1")
    scenario.repository.tag("v1.0.0", first)
    scenario.serve("apps")
    scenario.source(ref={"semver": ">=1.0.0"})
    scenario.kustomization()
    assert scenario.wait(first).exit == 0
    second = scenario.deploy("2")
    verdict = scenario.wait(second, timeout="8s")
    assert verdict.exit == 3, verdict
    assert verdict.reconciler("apps")["reason"] == "waiting"
    scenario.repository.tag("v1.0.1", second)
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("apps")["head"] == f"v1.0.1@sha1:{second}"


def test_path_missing(scenario: Scenario) -> None:
    """The path of the Kustomization is not there, and then it is"""
    # Flux has one reason for this and for an artifact that it cannot load, which mends itself.
    scenario.serve("apps", more='transient_grace = "5s"')
    scenario.source()
    scenario.kustomization()
    gone = scenario.repository.push({"README.md": "Words"})
    verdict = scenario.wait(gone)
    assert verdict.exit == 1, verdict
    assert verdict.reconciler("apps")["event"]["reason"] == "ArtifactFailed"
    back = scenario.deploy("2")
    assert scenario.wait(back).exit == 0


def test_wait_false(scenario: Scenario) -> None:
    """A Kustomization that does not wait"""
    scenario.deploy("1")
    scenario.serve("apps")
    scenario.source()
    scenario.kustomization(wait=False)
    broken = scenario.deploy("broken")
    verdict = scenario.wait(broken)
    assert verdict.exit == 6, verdict
    assert (verdict.status["state"], verdict.reason) == ("applied", "not_checked")
    assert "wait: true" in verdict.said
    # Who asks for no more than that gets it.
    assert scenario.wait(broken, "--for", "applied").exit == 0
