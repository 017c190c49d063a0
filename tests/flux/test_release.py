"""A release, from the command line to the cluster and back."""

from __future__ import annotations

import subprocess

from brain import Verdict
from scenario import Scenario


def release(scenario: Scenario, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`gitops-brain release`, with the repository as CI has it: by its address."""
    common = ["--repository", scenario.repository.url, "--wait", "-e", "staging", "--timeout", "60s"]
    process = scenario.brain.run("release", *arguments, *common, checkout=scenario.folder)
    out, said = process.communicate(timeout=120)
    scenario.verdicts.append(Verdict(process.returncode, {}, said))
    return subprocess.CompletedProcess(arguments, process.returncode, out, said)


def make(scenario: Scenario, version: str) -> subprocess.CompletedProcess[str]:
    image = f"spec.template.spec.containers[name=app].image=registry.example.com/web:{version}"
    return release(scenario, "make", "--app", "web", "--version", version, "--file", "apps/web.yaml", "--set", image)


def test_release(scenario: Scenario, applied: str) -> None:
    """`release make` goes green, then red, and `release rollback` takes it back"""
    done = make(scenario, "2")
    assert done.returncode == 0, done
    done = make(scenario, "broken")
    assert (done.returncode, "HealthCheckFailed" in done.stdout + done.stderr) == (1, True), done
    done = release(scenario, "rollback", "--app", "web")
    assert done.returncode == 0, done
    web = scenario.api.get(scenario.named({"apiVersion": "apps/v1", "kind": "Deployment"}, "web"))
    assert web is not None
    assert web["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":2")
