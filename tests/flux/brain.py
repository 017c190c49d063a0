"""The server that is tested, and the command line that asks it, each as its users have it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from processes import Program, free_ports

BINARY = os.environ.get("GITOPS_BRAIN_BINARY", "")
TOKEN = "the token of CI, long enough"

# No variable of the machine's CI system or user changes what is said.
PLAIN = {name: os.environ[name] for name in ["PATH", "HOME", "TMPDIR"] if name in os.environ} | {"NO_COLOR": "1"}

# What the exit codes mean; how it failed to be green is said beside it.
OUTCOMES = {0: "green", 1: "red", 3: "timed out", 6: "no answer"}


@dataclass(frozen=True)
class Verdict:
    """How a wait ended."""

    exit: int
    # The server's last answer.
    status: dict[str, Any]
    # What people read.
    said: str

    def __str__(self) -> str:
        return f"exit {self.exit}, {self.status.get('reason')}: {self.said}"

    @property
    def outcome(self) -> str:
        """In a word, and why if it is neither green nor red."""
        outcome = OUTCOMES.get(self.exit, f"exit {self.exit}")
        reasons = {one["reason"] for one in self.status.get("reconcilers", []) if one["state"] != "healthy"}
        return outcome if self.exit in (0, 1) else f"{outcome} ({', '.join(sorted(reasons))})"

    @property
    def reason(self) -> str:
        return str(self.status["reason"])

    def reconciler(self, name: str) -> dict[str, Any]:
        """What is said of the reconciler with this ending of its name."""
        (found,) = [one for one in self.status["reconcilers"] if one["reconciler"].endswith(f"/{name}")]
        return dict(found)


class Waiting:
    """A wait that goes on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def is_over(self) -> bool:
        return self._process.poll() is not None

    def result(self) -> Verdict:
        # It has a time limit of its own.
        out, said = self._process.communicate(timeout=300)
        try:
            answer = json.loads(out)
        except ValueError:
            answer = {}
        return Verdict(self._process.returncode, answer, said)


class Brain:
    """A server with a journal and a port of its own, which it keeps when it is started again."""

    def __init__(self, folder: Path, config: str, authority: Path | None = None) -> None:
        folder.mkdir()
        (self.port,) = free_ports(1)
        self.folder, self.authority = folder, authority
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        tokens = '[[tokens]]\nname = "ci"\nsecret = "env:TOKEN"\nscopes = ["read", "write", "ancestry", "admin"]\n'
        listen = f'listen = "127.0.0.1:{self.port}"\ndatabase = "{folder / "brain.db"}"\n'
        (folder / "brain.toml").write_text(listen + config + tokens)
        self._environment = PLAIN | {"TOKEN": TOKEN}
        self._program = Program(
            [BINARY, "serve", "--config", folder / "brain.toml"], folder / "brain.log", self._environment
        )

    def start(self) -> None:
        self._program.start(self._is_ready)

    def stop(self) -> None:
        self._program.stop()

    def configure(self, old: str, new: str) -> None:
        """Changes its configuration, and tells it so."""
        path = self.folder / "brain.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self._program.reload()

    def get(self, path: str) -> dict[str, Any]:
        """An answer of the HTTP API."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.get(self.url + path, headers=headers, timeout=30, verify=self._verify())
        answer.raise_for_status()
        return dict(answer.json())

    def status(self, commit: str, environment: str = "staging") -> dict[str, Any]:
        return self.get(f"/v1/rollouts/{environment}/{commit}")

    def run(self, *arguments: str, checkout: Path | None = None, path: Path | None = None) -> subprocess.Popen[str]:
        """The command line, with this server as its server."""
        environment = PLAIN | {"GITOPS_BRAIN_URL": self.url, "GITOPS_BRAIN_TOKEN": TOKEN}
        if self.authority:
            environment["SSL_CERT_FILE"] = str(self.authority)
        if path:
            environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
        return subprocess.Popen(
            [BINARY, *arguments],
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2, verify=self._verify()).ok
        except requests.RequestException:
            return False

    def _verify(self) -> str | bool:
        return str(self.authority) if self.authority else True


def manifests(*arguments: str, key: str | None = None) -> str:
    """The Flux objects that `gitops-brain manifests` prints."""
    if key is not None:
        arguments = (*arguments, "--key-file", "-")
    done = subprocess.run(
        [BINARY, "manifests", *arguments], input=key, env=PLAIN, capture_output=True, text=True, check=True
    )
    return done.stdout
