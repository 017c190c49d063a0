"""A HelmRelease, whose chart is in the same repository, and the Kustomization that applies it and waits for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from place import HELM_RELEASE, Cluster
from processes import eventually
from scenario import Scenario, deployment

CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 0.1.0\n",
    "charts/web/values.yaml": 'tag: "1"\n',
    "charts/web/templates/deployment.yaml": deployment("web", "{{ .Values.tag }}"),
}


def release(namespace: str, tag: str) -> str:
    return f"""apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: web}}
spec:
  interval: 10s
  timeout: 15s
  targetNamespace: {namespace}
  chart:
    spec:
      chart: ./charts/web
      interval: 1s
      reconcileStrategy: Revision
      sourceRef: {{kind: GitRepository, name: source}}
  upgrade: {{remediation: {{retries: 0, remediateLastFailure: true, strategy: rollback}}}}
  values: {{tag: "{tag}"}}
"""


@pytest.fixture(scope="module")
def helm(cluster: Cluster) -> Iterator[None]:
    cluster.flux.helm.start()
    yield
    cluster.flux.helm.stop()


@pytest.fixture
def installed(helm: None, scenario: Scenario) -> str:
    """A chart in the repository, and its HelmRelease."""
    files = CHART | {"apps/release.yaml": release(scenario.namespace, "1")}
    first = scenario.repository.push(dict(files))
    scenario.follow()
    verdict = scenario.wait(first)
    assert verdict.exit == 0, verdict
    return first


def image(scenario: Scenario) -> str:
    """What runs."""
    web = scenario.api.get(scenario.named({"apiVersion": "apps/v1", "kind": "Deployment"}, "web"))
    assert web is not None
    return str(web["spec"]["template"]["spec"]["containers"][0]["image"])


def remediated(scenario: Scenario) -> bool:
    web = scenario.api.get(scenario.named(HELM_RELEASE, "web"))
    assert web is not None
    return any(one["type"] == "Remediated" for one in web["status"]["conditions"])


def test_helm_release(scenario: Scenario, installed: str) -> None:
    """A HelmRelease is installed, and upgraded"""
    assert image(scenario).endswith(":1")
    second = scenario.repository.push({"apps/release.yaml": release(scenario.namespace, "2")})
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    assert image(scenario).endswith(":2")


def test_helm_upgrade_fails(scenario: Scenario, installed: str) -> None:
    """An upgrade that fails and is rolled back: red, though what runs is healthy; and its fix"""
    broken = scenario.repository.push({"apps/release.yaml": release(scenario.namespace, "broken")})
    verdict = scenario.wait(broken)
    assert verdict.exit == 1, verdict
    assert f"HelmRelease/{scenario.namespace}/web" in verdict.said
    eventually("a rollback", lambda: remediated(scenario), 30)
    assert image(scenario).endswith(":1")
    fix = scenario.repository.push({"apps/release.yaml": release(scenario.namespace, "2")})
    verdict = scenario.wait(fix)
    assert verdict.exit == 0, verdict
    assert image(scenario).endswith(":2")


def test_helm_chart_alone(scenario: Scenario, installed: str) -> None:
    """A commit that changes the chart alone, so that its upgrade fails"""
    chart = {"charts/web/templates/deployment.yaml": deployment("web", "broken")}
    changed = scenario.repository.push(dict(chart))
    verdict = scenario.wait(changed)
    assert verdict.exit == 1, verdict


def test_helm_chart_alone_and_late(scenario: Scenario, installed: str) -> None:
    """The same, where helm-controller is slower than the health check of the Kustomization"""
    with scenario.cluster.flux.helm.away():
        chart = {"charts/web/templates/deployment.yaml": deployment("web", "broken")}
        changed = scenario.repository.push(dict(chart))
        verdict = scenario.wait(changed, timeout="20s")
        assert verdict.exit == 3, verdict
        assert verdict.reconciler("apps")["state"] == "healthy"
        assert verdict.reconciler("web")["reason"] == "waiting"
    verdict = scenario.wait(changed)
    assert verdict.exit == 1, verdict
    assert verdict.reconciler("web")["state"] == "failed"


def test_helm_each_commit(scenario: Scenario, installed: str) -> None:
    """Commits that change neither the chart nor its values, one of them nothing at all"""
    for files in [{"README.md": "Words"}, {}]:
        commit = scenario.repository.push(dict(files))
        verdict = scenario.wait(commit)
        assert verdict.exit == 0, verdict
        assert verdict.reconciler("web")["head"] == f"0.1.0+{commit[:12]}"


def test_helm_by_name(helm: None, scenario: Scenario) -> None:
    """A HelmRelease that is expected by its name, installed and upgraded"""
    files = CHART | {"apps/release.yaml": release(scenario.namespace, "1")}
    first = scenario.repository.push(dict(files))
    scenario.serve("apps", f"staging/HelmRelease/{scenario.namespace}/web")
    scenario.source()
    scenario.kustomization()
    verdict = scenario.wait(first)
    assert verdict.exit == 0, verdict
    second = scenario.repository.push({"charts/web/values.yaml": 'tag: "0"\nmore: "words"\n'})
    verdict = scenario.wait(second)
    assert verdict.exit == 0, verdict
    assert verdict.reconciler("web")["via"] is None
