"""One environment over two clusters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import conftest
from place import Cluster, Place
from scenario import Scenario
from tools import Tools

KEY = "the key of the second cluster"


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, programs: Tools) -> Iterator[Cluster]:
    yield from conftest.run_cluster(tmp_path_factory.mktemp("cluster") / "second", programs)


@pytest.fixture
def other(scenario: Scenario, second: Cluster) -> Iterator[Place]:
    """The same repository in another cluster, which the server expects too."""
    place = Place(scenario.namespace, second, scenario.repository)
    more = f"[clusters.second]\n{scenario.secret('hmac_keys', KEY, 'second')}\n"
    scenario.serve("apps", f"second/Kustomization/{place.namespace}/apps", more=more)
    place.connect(scenario.recorder.url, KEY, "second")
    for one in [scenario, place]:
        one.source()
        one.kustomization()
    yield place
    place.clear()


def test_two_clusters(scenario: Scenario, other: Place) -> None:
    """Green in both clusters"""
    commit = scenario.deploy("1")
    verdict = scenario.wait(commit)
    assert verdict.exit == 0, verdict
    assert len(verdict.status["reconcilers"]) == 2


def test_second_cluster_suspended(scenario: Scenario, other: Place) -> None:
    """Green in the first, and suspended in the second: not green until it is there too"""
    first = scenario.deploy("1")
    assert scenario.wait(first).exit == 0
    apps = other.kustomization(suspend=True)
    second = scenario.deploy("2")
    verdict = scenario.wait(second, timeout="10s")
    assert verdict.exit == 3, verdict
    states = {one["reconciler"].split("/")[0]: one["state"] for one in verdict.status["reconcilers"]}
    assert states == {"staging": "healthy", "second": "pending"}
    other.api.patch(apps, {"spec": {"suspend": False}})
    assert scenario.wait(second).exit == 0


def test_second_cluster_fails(scenario: Scenario, other: Place) -> None:
    """Green in the first, and red in the second"""
    other.cluster.nodes.hold(other.namespace, "web")
    commit = scenario.deploy("1")
    verdict = scenario.wait(commit)
    assert verdict.exit == 1, verdict
    other.cluster.nodes.release(other.namespace, "web")
    assert scenario.until(commit, outcome="succeeded")["state"] == "healthy"
