"""What one scenario has for itself: a repository, a place where it is applied, and a server that is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from brain import Brain, Verdict, Waiting
from certificates import Authority
from place import Cluster, Place
from processes import eventually
from recorder import Recorder
from repository import GitServer

KEY = "the key of staging, long enough"


class Scenario(Place):
    """The environment is `staging`, and so is the cluster."""

    brain: Brain
    recorder: Recorder

    def __init__(self, name: str, cluster: Cluster, git: GitServer, folder: Path) -> None:
        super().__init__(name, cluster, git.repository(name))
        self.git, self.folder = git, folder
        self.verdicts: list[Verdict] = []
        self._stops: list[Callable[[], None]] = []

    def deploy(self, tag: str) -> str:
        """Pushes a Deployment `web` in the folder `apps`, of an image with this tag; the id of the commit."""
        return self.repository.push({"apps/web.yaml": deployment("web", tag)})

    def follow(self) -> None:
        """Makes Flux apply the folder `apps`, and starts a server that expects it."""
        self.serve("apps")
        self.source()
        self.kustomization()

    def checking(self, tag: str, timeout: str = "60s") -> tuple[str, Waiting]:
        """Deploys what is not ready before the nodes release it, and waits for it as CI does: its health is being
        checked."""
        self.cluster.nodes.hold(self.namespace, "web")
        commit = self.deploy(tag)
        waiting = self.waiting(commit, timeout=timeout)
        self.until(commit, reason="checking_health")
        return commit, waiting

    def serve(self, *expected: str, sender: str | None = None, more: str = "") -> None:
        """Starts a server that expects these Kustomizations, which knows the cluster by what it sends: by the key,
        if nothing else is said. Each request to it is recorded."""
        brain = self._serve(expected, sender or self.secret("hmac_keys", KEY), more, None)
        self.recorder = Recorder(brain.port)
        self._stops.append(self.recorder.stop)
        if sender is None:
            self.connect(self.recorder.url, KEY)

    def serve_tls(self, *expected: str, sender: str, authority: Authority) -> None:
        """The same over TLS, with a certificate of this authority, to which nobody listens."""
        own, ours = authority.issue("server"), authority.files.certificate
        tls = f'[tls]\ncertificate = "{own.certificate}"\nkey = "{own.key}"\nclient_ca = "{ours}"\n'
        self._serve(expected, sender, tls, ours)

    def _serve(self, expected: tuple[str, ...], sender: str, more: str, authority: Path | None) -> Brain:
        names = [one if "/" in one else f"staging/Kustomization/{self.namespace}/{one}" for one in expected]
        listed = ", ".join(f'"{name}"' for name in names)
        config = f"[clusters.staging]\n{sender}\n[environments.staging]\nreconcilers = [{listed}]\n{more}\n"
        self.brain = Brain(self.folder / "brain", config, authority)
        self._stops.append(self.brain.stop)
        self.brain.start()
        return self.brain

    def secret(self, field: str, value: str, name: str = "staging") -> str:
        """An entry of a cluster's configuration whose value stands in a file."""
        path = self.folder / f"{name}-{field}"
        path.write_text(value)
        return f'{field} = ["file:{path}"]'

    def end(self) -> None:
        if hasattr(self, "recorder"):
            self.recorder.write(self.folder / "requests.jsonl")
        self.clear()
        for stop in self._stops:
            stop()

    def waiting(self, commit: str, *arguments: str, timeout: str = "60s") -> Waiting:
        """Begins to wait as CI does, in the checkout."""
        command = ["wait", commit, "-e", "staging", "--timeout", timeout, "--output", "json", *arguments]
        return Waiting(self.brain.run(*command, checkout=self.repository.checkout))

    def result(self, waiting: Waiting) -> Verdict:
        verdict = waiting.result()
        self.verdicts.append(verdict)
        return verdict

    def wait(self, commit: str, *arguments: str, timeout: str = "60s") -> Verdict:
        return self.result(self.waiting(commit, *arguments, timeout=timeout))

    def until(self, commit: str, within: float = 60, **fields: Any) -> dict[str, Any]:
        """The server's answer, once its fields are these."""
        last: dict[str, Any] = {}

        def look() -> dict[str, Any] | None:
            nonlocal last
            last = self.brain.status(commit)
            return last if all(last[name] == value for name, value in fields.items()) else None

        try:
            return eventually(f"{fields} of {commit}", look, within)
        except TimeoutError as error:
            raise AssertionError(f"{error}; instead {last['state']}, {last['reason']}: {last['message']}") from None

    def heard(self, reason: str, commit: str, since: int = 0) -> bool:
        """Whether the server took in an event with this reason at this commit, from the n-th request on."""
        events = [one.event for one in self.recorder.requests[since:] if one.answered in (200, 202)]
        revisions = [one.get("metadata", {}).get("revision", "") for one in events if one["reason"] == reason]
        return any(commit in revision for revision in revisions)


def deployment(name: str, tag: str) -> str:
    """A Deployment in YAML; one whose tag is `broken` does not become ready."""
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, image: "registry.example.com/{name}:{tag}"}}]}}
"""
