"""The GitHub Action and the GitLab component, run as their systems run them: the shell of each step, in the
environment that it gets there, with a release that a server on this machine hands out."""

from __future__ import annotations

import functools
import hashlib
import hmac
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GITOPS_BRAIN_BINARY", "")
if not BINARY:
    pytest.exit("set GITOPS_BRAIN_BINARY to a built gitops-brain: nothing is tested without it", returncode=1)
KEY, TOKEN = "the key of staging, long enough", "the token of CI, long enough"
COMMIT, FAILED = "a" * 40, "c" * 40
VERSION = "v" + re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
ASSET = f"gitops-brain-{VERSION}-x86_64-unknown-linux-musl.tar.gz"
CONFIG = """
listen = "127.0.0.1:0"
[clusters.staging]
hmac_keys = ["env:KEY"]
[environments.staging]
reconcilers = ["staging/Kustomization/flux-system/apps"]
[environments.production]
reconcilers = ["staging/Kustomization/flux-system/apps"]
[environments.broken]
reconcilers = ["staging/Kustomization/flux-system/broken"]
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read", "write"]
"""


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of releases; one of them was changed on its way."""
    folder = tmp_path_factory.mktemp("releases")
    for version in [VERSION, "v9.9.9"]:
        pack = ROOT / "deploy/archive.sh"
        target = "x86_64-unknown-linux-musl"
        subprocess.run([pack, BINARY, version, target, folder / version], check=True)
    # Its checksum is right, but there is no program in it.
    empty = folder / "v9.9.8" / ASSET.replace(VERSION, "v9.9.8")
    empty.parent.mkdir()
    subprocess.run(["tar", "-czf", empty, "-C", ROOT, "LICENSE"], check=True)
    checksum = hashlib.sha256(empty.read_bytes()).hexdigest()
    Path(f"{empty}.sha256").write_text(f"{checksum}  {empty.name}\n")
    changed = folder / "v9.9.9" / ASSET.replace(VERSION, "v9.9.9")
    changed.write_bytes(changed.read_bytes() + b"\0")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that knows one commit to be live and healthy, and that one failed elsewhere."""
    folder = tmp_path_factory.mktemp("brain")
    (folder / "brain.toml").write_text(CONFIG)
    process = subprocess.Popen(
        [BINARY, "serve", "--config", folder / "brain.toml", "--database", folder / "x.db"],
        env=os.environ | {"KEY": KEY, "TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    told = [("apps", COMMIT, "info", "Health check passed in 5s"), ("broken", FAILED, "error", "no such image")]
    for name, commit, severity, message in told:
        event = {
            "involvedObject": {"kind": "Kustomization", "namespace": "flux-system", "name": name, "uid": name},
            "severity": severity,
            "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "message": message,
            "reason": "Progressing" if severity == "info" else "HealthCheckFailed",
            "metadata": {"revision": f"main@sha1:{commit}"},
            "reportingController": "kustomize-controller",
        }
        body = json.dumps(event).encode()
        signature = "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
        request = urllib.request.Request(f"{url}/v1/events/staging", body, {"X-Signature": signature})
        urllib.request.urlopen(request, timeout=10).close()
    yield url
    process.kill()


class Action:
    """The action's steps, one after the other, as a runner goes through them."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder = folder
        self.text: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
        unknown = set(inputs) - set(self.text["inputs"])
        assert not unknown, unknown
        self.inputs = {
            name: inputs.get(name, declared.get("default", "")) for name, declared in self.text["inputs"].items()
        }
        self.action_ref = VERSION
        self.action_path = ROOT
        self.path = os.environ["PATH"]
        self.outputs: dict[str, dict[str, str]] = {}
        self.said = ""

    def value(self, expression: str) -> str:
        """What an expression is, of the few kinds that there are in the action."""
        where, _, name = expression.partition(".")
        if where == "inputs":
            return self.inputs[name]
        if where == "steps":
            step, _, output = name.partition(".outputs.")
            return self.outputs.get(step, {}).get(output, "")
        return {
            "github.action_ref": self.action_ref,
            "github.action_path": str(self.action_path),
            "runner.tool_cache": str(self.folder / "tools"),
            "runner.os": "Linux",
            "runner.arch": "X64",
        }[expression]

    def fill(self, text: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: self.value(match[1]), text)

    def run(self) -> int:
        for step in self.text["runs"]["steps"]:
            if condition := step.get("if"):
                left, right = condition.split(" == ")
                if self.value(left) != right.strip("'"):
                    continue
            if "uses" in step:
                # A cache that has nothing yet; its own terms must be complete.
                assert all(self.fill(str(value)) for value in step["with"].values())
                continue
            # A step's shell is what it is: nothing is filled in, so nothing can be run that way.
            assert "${{" not in step["run"]
            if code := self.step(step):
                return code
        return 0

    def step(self, step: dict[str, Any]) -> int:
        files = {name: self.folder / name for name in ["output", "path", "summary"]}
        for file in files.values():
            file.write_text("")
        environment = {
            "PATH": self.path,
            "HOME": str(self.folder),
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_PATH": str(files["path"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "RUNNER_OS": "Linux",
            "RUNNER_ARCH": "X64",
            "RUNNER_TOOL_CACHE": str(self.folder / "tools"),
        } | {name: self.fill(text) for name, text in step.get("env", {}).items()}
        # As a runner starts `shell: bash`.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        ended = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)
        self.said += ended.stdout + ended.stderr
        for added in files["path"].read_text().split():
            self.path = f"{added}:{self.path}"
        lines = files["output"].read_text().splitlines()
        self.outputs[step.get("id", "")] = dict(line.split("=", 1) for line in lines)
        return ended.returncode


@pytest.fixture
def action(tmp_path: Path, releases: str, brain: str) -> Any:
    defaults = {"url": brain, "token": TOKEN, "environment": "staging", "commit": COMMIT, "download-url": releases}
    return lambda **inputs: Action(
        tmp_path, **defaults | {name.replace("_", "-"): value for name, value in inputs.items()}
    )


def recorder(action: Action, program: str) -> Path:
    """Puts a program in front of all others that writes its arguments down."""
    folder = action.folder / "recorded"
    folder.mkdir(exist_ok=True)
    record = folder / f"{program}.arguments"
    (folder / program).write_text(f'#!/bin/sh\nfor argument; do printf "%s\\0" "$argument"; done >{record}\n')
    (folder / program).chmod(0o755)
    action.path = f"{folder}:{action.path}"
    return record


def test_a_commit_that_is_live_ends_green(action: Any) -> None:
    step = action(environment="staging,production", label="app=shop\nteam=web")
    assert step.run() == 0, step.said
    assert step.outputs["wait"]["outcome"] == "succeeded"
    for name, declared in step.text["outputs"].items():
        assert name in step.outputs["wait"], f"{name} is not written"
        assert step.fill(declared["value"]) == step.outputs["wait"][name]
    assert "::group::waiting for" in step.said
    assert "| staging |" in (step.folder / "summary").read_text()


def test_the_exit_code_is_that_of_the_wait(action: Any) -> None:
    failed = action(environment="broken", commit=FAILED)
    assert failed.run() == 1, failed.said
    assert failed.outputs["wait"]["outcome"] == "failed" and "no such image" in failed.said
    # Of several the worst counts.
    assert action(environment="broken,staging", commit=FAILED, timeout="1s").run() == 1
    assert action(environment="nowhere").run() == 2
    assert action(commit="b" * 40, timeout="1s").run() == 3
    assert action(token="another, long enough").run() == 4
    missing = action(environment="")
    assert missing.run() == 2 and "`environment` is missing" in missing.said


def test_what_is_installed_is_used_again(action: Any, releases: str) -> None:
    assert action(command="install").run() == 0
    again = action(command="install", download_url="http://127.0.0.1:1")
    assert again.run() == 0, again.said
    assert "gitops-brain" in again.said and "wait" not in again.outputs


def test_a_release_that_was_changed_is_not_run(action: Any) -> None:
    step = action(version="v9.9.9")
    assert step.run() == 1
    assert "is not what its checksum says" in step.said
    assert not (step.folder / "tools").exists()


@pytest.mark.parametrize(("version", "says"), [("v0.0.9", "there is no release v0.0.9"), ("v9.9.8", "no program in")])
def test_another_version_is_not_built_in_its_place(action: Any, version: str, says: str) -> None:
    step = action(command="install", version=version)
    record = recorder(step, "cargo")
    assert step.run() == 1
    assert says in step.said
    assert not record.exists() and not (step.folder / "tools").exists()


def test_a_broken_release_is_not_built_around(action: Any) -> None:
    # The action's own version, for which building is allowed where there is no release at all.
    step = action(command="install")
    record, tar = recorder(step, "cargo"), recorder(step, "tar")
    tar.with_name("tar").write_text("#!/bin/sh\nexit 2\n")
    assert step.run() == 1
    assert "there is no program in" in step.said and not record.exists()


@pytest.mark.parametrize("inputs", [{"version": "source"}, {"version": VERSION, "download_url": "nowhere"}, {}])
def test_where_there_is_no_release_it_is_built(action: Any, releases: str, inputs: dict[str, str]) -> None:
    # Cargo itself would take minutes: what it is asked for is written down instead.
    if "download_url" in inputs:
        inputs = inputs | {"download_url": f"{releases}/nowhere"}
    step = action(command="install", **inputs)
    if not inputs:
        step.action_ref = "main"
    record = recorder(step, "cargo")
    assert step.run() != 0, "nothing was built"
    arguments = record.read_text().split("\0")
    assert arguments[:4] == ["install", "--locked", "--path", str(ROOT / "crates/gitops-brain-cli")]


def test_inputs_arrive_as_they_are_and_run_nothing(action: Any) -> None:
    line = "$(touch pwned) `touch pwned`; touch pwned \"'"
    hostile = f"{line}\n{line}"
    step = action(
        environment=hostile, commit=f"--{hostile}", path=hostile, timeout=hostile, failure_grace=hostile,
        exact="true", label=f"a={line}\n\nb=c", reconciler=hostile, command="install", **{"for": hostile},
    )
    assert step.run() == 0, step.said
    record = recorder(step, "gitops-brain")
    wait = next(one for one in step.text["runs"]["steps"] if one.get("id") == "wait")
    assert step.step(wait) == 0, step.said
    assert record.read_text().split("\0")[:-1] == [
        "wait", "-C", hostile, f"--environment={hostile}", f"--timeout={hostile}", f"--for={hostile}",
        f"--failure-grace={hostile}", "--exact", f"--reconciler={line}", f"--reconciler={line}",
        f"--label=a={line}", "--label=b=c", "--", f"--{hostile}",
    ]
    assert not list(step.folder.rglob("pwned"))
    bad = action(version="main; touch pwned")
    assert bad.run() == 2 and not list(bad.folder.rglob("pwned"))


def component() -> tuple[dict[str, Any], str]:
    head, body = (ROOT / "templates/gitops-brain.yml").read_text().split("\n---\n")
    return yaml.safe_load(head)["spec"]["inputs"], body


class Component:
    """The component's job, as a runner goes through it."""

    def __init__(self, folder: Path, project: dict[str, str], **inputs: str) -> None:
        self.folder = folder
        declared, body = component()
        self.values = {name: one.get("default", "") for name, one in declared.items()} | inputs
        text = re.sub(r"\$\[\[ inputs\.(.*?) \]\]", lambda match: self.values[match[1]], body)
        self.job = yaml.safe_load(text)["gitops-brain"]
        given = {"GITLAB_CI": "true", "CI_COMMIT_SHA": COMMIT} | project
        # Variables name other ones, and those of the project win over those of the job.
        expanded = {
            name: re.sub(r"\$(\w+)", lambda match: given.get(match[1], ""), value)
            for name, value in self.job["variables"].items()
        }
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)} | expanded | given
        self.said = ""

    def shell(self, *parts: str) -> int:
        script = "\n".join(["set -eu", *(line for part in parts for line in self.job[part])])
        ended = subprocess.run(
            ["sh", "-c", script], env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        self.said += ended.stdout + ended.stderr
        return ended.returncode

    def run(self) -> int:
        return self.shell("before_script", "script")

    def report(self) -> dict[str, str]:
        lines = (self.folder / self.job["artifacts"]["reports"]["dotenv"]).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


def test_the_component_waits_and_reports(tmp_path: Path, releases: str, brain: str) -> None:
    project = {"GITOPS_BRAIN_URL": brain, "GITOPS_BRAIN_TOKEN": TOKEN}
    inputs = {"environment": "staging,production", "arguments": "--exact", "download-url": releases}
    job = Component(tmp_path, project, **inputs)
    assert job.job["stage"] == "deploy" and job.values["version"] == VERSION, "it installs another version than this"
    assert job.run() == 0, job.said
    assert "section_start:" in job.said
    report = job.report()
    assert report["GITOPS_BRAIN_OUTCOME"] == "succeeded"
    documented = (ROOT / "docs/ci.md").read_text().split("\n## GitLab CI\n")[1]
    for name in report:
        assert name in documented or f"`{name.removeprefix('GITOPS_BRAIN')}`" in documented, f"{name} is not documented"
    # Later jobs get these: none may change what the next wait is asked with.
    assert not set(report) & (set(project) | set(job.job["variables"]))


def test_the_exit_code_of_the_job_is_that_of_the_wait(tmp_path: Path, releases: str, brain: str) -> None:
    project = {"GITOPS_BRAIN_URL": brain, "GITOPS_BRAIN_TOKEN": TOKEN}
    job = Component(tmp_path, project, environment="broken", commit=FAILED, **{"download-url": releases})
    assert job.run() == 1, job.said
    assert job.report()["GITOPS_BRAIN_OUTCOME"] == "failed"


def test_the_component_asks_the_server_of_its_input(tmp_path: Path, releases: str, brain: str) -> None:
    project = {"GITOPS_BRAIN_URL": "http://127.0.0.1:1", "GITOPS_BRAIN_TOKEN": TOKEN}
    job = Component(tmp_path, project, url=brain, environment="staging", timeout="5s", **{"download-url": releases})
    assert job.run() == 0, job.said


def test_inputs_of_the_component_run_nothing(tmp_path: Path, releases: str) -> None:
    hostile = "$(touch pwned) `touch pwned`; touch pwned '"
    job = Component(
        tmp_path, {"GITOPS_BRAIN_TOKEN": TOKEN}, url=hostile, environment=hostile, timeout=hostile, commit=hostile,
        arguments="--reconciler s/Kustomization/shop/* `touch pwned` ;", **{"download-url": releases},
    )
    assert job.shell("before_script") == 0, job.said
    record = tmp_path / "arguments"
    writes = f'for argument; do printf "%s\\0" "$argument"; done >{record}'
    (tmp_path / "gitops-brain").write_text(f"#!/bin/sh\n{writes}\n")
    (tmp_path / "s/Kustomization/shop/file").mkdir(parents=True)
    assert job.shell("script") == 0, job.said
    assert record.read_text().split("\0")[:-1] == [
        "wait", f"--url={hostile}", f"--environment={hostile}", f"--timeout={hostile}", "--dotenv", "gitops-brain.env",
        "--reconciler", "s/Kustomization/shop/*", "`touch", "pwned`", ";", "--", hostile,
    ]
    assert not list(tmp_path.rglob("pwned"))


def documented(heading: str, first: str) -> set[str]:
    text = (ROOT / "docs/ci.md").read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    tables = [table for table in section.split("\n\n") if table.startswith(f"| {first} |")]
    return {name for table in tables for name in re.findall(r"^\| `(.*?)` \|", table, re.M)}


def test_all_inputs_and_outputs_are_documented() -> None:
    text = yaml.safe_load((ROOT / "action.yml").read_text())
    assert documented("GitHub Actions", "input") == set(text["inputs"])
    assert documented("GitHub Actions", "output") == set(text["outputs"])
    assert documented("GitLab CI", "input") == set(component()[0])


def test_snippets_are_well_formed_and_name_what_there_is() -> None:
    text = (ROOT / "docs/ci.md").read_text()
    snippets = re.findall(r"```(\w+)\n(.*?)```", text, re.S)
    assert len(snippets) >= 9
    for language, snippet in snippets:
        if language == "yaml":
            yaml.safe_load(snippet)
        for command in re.findall(r"gitops-brain ((?:wait|release make)\b.*?)(?:'|$)", snippet.replace("\\\n", " "), re.M):
            words = ["release", "make"] if command.startswith("release") else ["wait"]
            asked = subprocess.run([BINARY, *words, "--help"], capture_output=True, text=True, check=True)
            for flag in re.findall(r"(?<=\s)--?[a-z][a-z-]*", command):
                assert re.search(rf"(?<![\w-]){flag}(?![\w-])", asked.stdout), f"{flag} in {command}"


def snippet(heading: str) -> str:
    section = (ROOT / "docs/ci.md").read_text().split(f" {heading}\n")[1]
    return re.search(r"```\w+\n(.*?)```", section, re.S).group(1)


def commands(heading: str) -> list[str]:
    """What a snippet has its shell run."""
    text = snippet(heading)
    if heading == "Any shell":
        return [text]
    if heading == "CircleCI":
        return [step["run"]["command"] for step in yaml.safe_load(text)["jobs"]["live"]["steps"] if "run" in step]
    return yaml.safe_load(text)["steps"][0]["commands"]


@pytest.mark.parametrize("heading", ["Any shell", "CircleCI", "Drone"])
def test_snippets_install_what_they_run(tmp_path: Path, releases: str, brain: str, heading: str) -> None:
    # The release is this machine's, and there is no checkout that could say which commit is meant.
    script = "\n".join(["set -eu", *commands(heading)])
    published = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]["download-url"]["default"]
    for old, new in [(published, releases), ("gitops-brain wait", f"gitops-brain wait {COMMIT}")]:
        assert script.count(old) == 1
        script = script.replace(old, new)
    environment = {"PATH": "/usr/bin:/bin", "GITOPS_BRAIN_URL": brain, "GITOPS_BRAIN_TOKEN": TOKEN}
    ended = subprocess.run(["sh", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (tmp_path / "gitops-brain").exists()


def test_the_shell_is_clean() -> None:
    scripts = sorted([*(ROOT / "action").glob("*.sh"), *(ROOT / "deploy").glob("*.sh")])
    assert len(scripts) == 4
    subprocess.run([Path(sys.executable).parent / "shellcheck", *scripts], check=True)
