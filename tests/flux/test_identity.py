"""How a cluster shows which one it is."""

from __future__ import annotations

from certificates import Authority
from kubernetes import secret
from place import ALERT, PROVIDER
from processes import eventually
from scenario import KEY, Scenario

NEW = "another key of staging, long enough"
BEARER = "the token of staging, long enough"
CLIENT = "staging.flux.example.com"


def test_bearer(scenario: Scenario) -> None:
    """A `generic` Provider with a bearer token"""
    scenario.serve("apps", sender=scenario.secret("bearer_tokens", BEARER))
    provide(scenario, scenario.recorder.url, "generic", {"headers": f"Authorization: Bearer {BEARER}"})
    first = change(scenario)
    verdict = scenario.wait(first)
    assert verdict.exit == 0, verdict
    assert all("X-Signature" not in one.headers for one in scenario.recorder.requests)


def test_wrong_bearer(scenario: Scenario) -> None:
    """A `generic` Provider with a wrong bearer token: nothing is believed"""
    scenario.serve("apps", sender=scenario.secret("bearer_tokens", BEARER))
    provide(scenario, scenario.recorder.url, "generic", {"headers": "Authorization: Bearer of another"})
    first = change(scenario)
    verdict = scenario.wait(first, timeout="10s")
    assert verdict.exit == 3, verdict
    assert verdict.reconciler("apps")["reason"] == "never_heard"
    assert {one.answered for one in scenario.recorder.requests} <= {401, 429}


def test_client_certificate(scenario: Scenario) -> None:
    """A `generic` Provider with a client certificate"""
    verdict = scenario.wait(over_tls(scenario, CLIENT))
    assert verdict.exit == 0, verdict


def test_wrong_client_certificate(scenario: Scenario) -> None:
    """A `generic` Provider with the client certificate of another cluster"""
    verdict = scenario.wait(over_tls(scenario, "another.flux.example.com"), timeout="10s")
    assert verdict.exit == 3, verdict
    assert verdict.reconciler("apps")["reason"] == "never_heard"


def over_tls(scenario: Scenario, name: str) -> str:
    """A change that Flux tells with a certificate of this name."""
    authority = Authority(scenario.folder, "authority")
    client = authority.issue("flux", host=name)
    scenario.serve_tls("apps", sender=f'client_names = ["{CLIENT}"]', authority=authority)
    files = {
        "tls.crt": client.certificate.read_text(),
        "tls.key": client.key.read_text(),
        "ca.crt": authority.files.certificate.read_text(),
    }
    provide(scenario, scenario.brain.url, "generic", files, certSecretRef={"name": "gitops-brain"})
    return change(scenario)


def test_key_rotation(scenario: Scenario) -> None:
    """The key of a cluster is changed as docs/operating.md says"""
    scenario.serve("apps")
    assert scenario.wait(change(scenario)).exit == 0
    before, new = scenario.secret("hmac_keys", KEY), scenario.secret("hmac_keys", NEW, "new")
    both = before.replace("[", new.removeprefix("hmac_keys = ").replace("]", ", "))
    scenario.brain.configure(before, both)
    scenario.connect(scenario.recorder.url, NEW)
    second = scenario.deploy("2")
    assert scenario.wait(second).exit == 0
    scenario.brain.configure(both, new)
    third = scenario.deploy("3")
    assert scenario.wait(third).exit == 0
    assert {one.answered for one in scenario.recorder.requests} <= {200, 202}
    # And the old one is good for nothing any longer.
    scenario.connect(scenario.recorder.url, KEY)
    eventually("the old key is refused", lambda: scenario.recorder.requests[-1].answered == 401)


def change(scenario: Scenario) -> str:
    first = scenario.deploy("1")
    scenario.source()
    scenario.kustomization()
    return first


def provide(scenario: Scenario, url: str, kind: str, entries: dict[str, str], **spec: object) -> None:
    """A Provider that is not the one that `gitops-brain manifests` prints, and its Alert."""
    scenario.api.apply(secret(scenario.namespace, "gitops-brain", **entries))
    provider = {"type": kind, "address": f"{url}/v1/events/staging", "secretRef": {"name": "gitops-brain"}}
    scenario.put(PROVIDER, "gitops-brain", provider | spec)
    alert = {
        "providerRef": {"name": "gitops-brain"},
        "eventSeverity": "info",
        "eventSources": [{"kind": "Kustomization", "name": "*"}],
    }
    scenario.put(ALERT, "gitops-brain", alert)
