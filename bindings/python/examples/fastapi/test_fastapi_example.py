"""The example as it runs: Flux's requests come to one worker process, CI's to the other."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection
from pathlib import Path
from select import select
from typing import Any, NamedTuple

import pytest

from gitops_brain import Brain, Fact, Removed, observe, sign

KEY = "the key of staging"
# Each test names what it expects. What is declared was removed, so nothing is expected beside that.
REMOVED = "staging/Kustomization/flux-system/removed"
POLICY: dict[str, Any] = {"environments": {"staging": {"reconcilers": [REMOVED]}}}
TOKEN = "the token of CI"
PATIENCE = 10.0
"""In seconds: for what is sure to happen."""


# Helpers


class Answer(NamedTuple):
    status: int
    worker: str
    body: Any


class Client:
    """A connection that is kept alive, and so stays with one worker."""

    def __init__(self, port: int) -> None:
        self.http = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.worker = self.ask("GET", "/").worker

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.http.request(method, path, body, {"Authorization": f"Bearer {TOKEN}", **named})

    def receive(self) -> Answer:
        response = self.http.getresponse()
        body = response.read()
        if response.headers["Content-Type"] == "application/json":
            body = json.loads(body)
        return Answer(response.status, response.headers["X-Worker"], body)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        self.send(method, path, body, **headers)
        return self.receive()

    def post(self, event: bytes, key: str = KEY, cluster: str = "staging") -> Answer:
        """Posts an event as Flux does."""
        return self.ask("POST", f"/flux/{cluster}", event, X_Signature=sign(key, event))

    def register(self, commit: str, kustomization: str, **more: object) -> Any:
        wanted = {"expect": [f"staging/Kustomization/flux-system/{kustomization}"], **more}
        body = json.dumps(wanted).encode()
        path = f"/rollouts/staging/{commit}"
        answer = self.ask("PUT", path, body, Content_Type="application/json")
        assert (answer.status, answer.body["registered"]) == (200, True)
        return answer.body

    def status(self, commit: str) -> Any:
        return self.ask("GET", f"/rollouts/staging/{commit}").body


class Workers(NamedTuple):
    flux: Client
    """To the one worker."""
    ci: Client
    """To the other one."""
    also_ci: Client
    """To the same one as `ci`."""


class Service:
    """The example under uvicorn, with two workers."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "brain.db"
        self.log = folder / "log"
        self.clients: list[Client] = []

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "brain_service:app", "--workers", "2"]
        command += ["--port", str(self.port), "--timeout-keep-alive", "60"]
        environment = {
            "BRAIN_DATABASE": str(self.database),
            "BRAIN_CI_TOKEN": TOKEN,
            "BRAIN_POLICY": json.dumps(POLICY),
            "BRAIN_FLUX_KEYS": json.dumps({"staging": [KEY]}),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=Path(__file__).parent,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        eventually(self.has_journal)
        self.store(Fact(Removed(REMOVED)))

    def connect(self) -> Workers:
        """One connection to the one worker, and two to the other."""
        found: defaultdict[str, list[Client]] = defaultdict(list)

        def have_all() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                client = Client(self.port)
            except OSError:
                return False
            self.clients.append(client)
            found[client.worker].append(client)
            return len(found) == 2 and all(len(clients) > 1 for clients in found.values())

        eventually(have_all)
        (flux, *_), (ci, also_ci, *_) = found.values()
        return Workers(flux, ci, also_ci)

    def end(self, how: signal.Signals) -> None:
        """Ends all of its processes."""
        for client in self.clients:
            client.http.close()
        self.clients.clear()
        os.killpg(self.process.pid, how)
        self.process.wait(PATIENCE)

    def has_journal(self) -> bool:
        """Whether a worker has made the journal's table."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'facts'").fetchone() is not None

    def store(self, *facts: Fact) -> None:
        """Puts facts into the journal in one go, as if a worker had."""
        insert = "INSERT INTO facts (id, at, line) VALUES (?, ?, ?)"
        rows = [(fact.id, fact.at.timestamp(), fact.to_line()) for fact in facts]
        with closing(sqlite3.connect(self.database)) as database, database:
            database.executemany(insert, rows)

    def facts(self, *words: str) -> list[str]:
        """The lines of the journal that contain all these words."""
        with closing(sqlite3.connect(self.database)) as database:
            lines = [line for (line,) in database.execute("SELECT line FROM facts")]
        return [line for line in lines if all(word in line for word in words)]

    def told(self, commit: str) -> list[str]:
        """What people were told about a commit."""
        lines = self.log.read_text().splitlines()
        return [line.split("notify ")[1] for line in lines if "notify " in line and commit in line]


def eventually(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def commit_of(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


def event(
    commit: str, kustomization: str, message: str, seconds_ago: int = 0, **more: object
) -> bytes:
    """The body of an event of kustomize-controller."""
    at = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
    body = {
        "involvedObject": {
            "kind": "Kustomization",
            "namespace": "flux-system",
            "name": kustomization,
            "uid": "7d0cdc51-ddcf-4743-b223-83ca5c699632",
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "resourceVersion": "110",
        },
        "severity": "info",
        "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": message,
        "reason": "Progressing",
        "metadata": {"revision": f"main@sha1:{commit}"},
        "reportingController": "kustomize-controller",
        **more,
    }
    return json.dumps(body, separators=(",", ":")).encode()


def healthy(commit: str, kustomization: str, seconds_ago: int = 0) -> bytes:
    return event(commit, kustomization, "Health check passed in 5.02s", seconds_ago)


FAILURE = (
    "health check failed after 5m0.03s: timeout waiting for: "
    "[Deployment/shop/web status: 'InProgress']"
)


def failed(commit: str, kustomization: str, seconds_ago: int = 0) -> bytes:
    reason = "HealthCheckFailed"
    return event(commit, kustomization, FAILURE, seconds_ago, severity="error", reason=reason)


def fact_of(event: bytes) -> Fact:
    fact = observe("staging", event)
    assert isinstance(fact, Fact)
    return fact


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"))
    service.start()
    yield service
    service.end(signal.SIGTERM)


@pytest.fixture
def workers(service: Service) -> Workers:
    return service.connect()


# Tests


def wait_for(workers: Workers, commit: str, event: bytes) -> Any:
    """Waits in one worker for what an event does that comes to the other."""
    workers.ci.send("GET", f"/rollouts/staging/{commit}?wait=30")
    # A worker takes its requests in turn: when it has answered these, that one is waiting.
    for _ in range(2):
        assert workers.also_ci.status(commit)["outcome"] == "in_progress"
    assert not select([workers.ci.http.sock], [], [], 0)[0]
    assert workers.flux.post(event)[::2] == (202, {"result": "accepted"})
    answer = workers.ci.receive()
    assert answer.status == 200
    assert answer.worker == workers.also_ci.worker != workers.flux.worker
    return answer.body


def settled_once(service: Service, workers: Workers, commit: str, outcome: str) -> None:
    """Both workers have seen it; one settlement is stored, and people were told once."""
    for client in (workers.flux, workers.ci):
        assert client.status(commit)["first_settled"]["outcome"] == outcome
    assert len(service.facts("settled", commit)) == 1
    eventually(lambda: service.told(commit) != [])
    assert service.told(commit) == [f"staging/{commit}/0: {outcome}"]


def test_green(service: Service, workers: Workers) -> None:
    commit = commit_of("green")
    workers.ci.register(commit, "green", labels={"app": "shop"})
    status = wait_for(workers, commit, healthy(commit, "green"))
    assert (status["outcome"], status["state"]) == ("succeeded", "healthy")
    assert status["labels"] == {"app": "shop"}
    settled_once(service, workers, commit, "succeeded")


def test_red(service: Service, workers: Workers) -> None:
    commit = commit_of("red")
    workers.ci.register(commit, "red")
    status = wait_for(workers, commit, failed(commit, "red"))
    assert (status["outcome"], status["state"]) == ("failed", "failed")
    assert status["reconcilers"][0]["event"]["message"] == FAILURE
    settled_once(service, workers, commit, "failed")


def test_red_and_green_in_one_go(service: Service, workers: Workers) -> None:
    """Workers read both at once: two settlements, of which each is told once."""
    commit = commit_of("both")
    workers.ci.register(commit, "both")
    service.store(
        fact_of(failed(commit, "both", 20)),
        fact_of(healthy(commit, "both", 10)),
    )
    eventually(lambda: len(service.told(commit)) == 2)
    for client in (workers.flux, workers.ci):
        assert client.status(commit)["first_settled"]["outcome"] == "failed"
    assert sorted(service.told(commit)) == [
        f"staging/{commit}/0: failed",
        f"staging/{commit}/1: succeeded",
    ]


def test_timeout(service: Service, workers: Workers) -> None:
    """Time alone settles it, in both workers at once."""
    commit = commit_of("timeout")
    workers.ci.register(commit, "timeout", timeout="200ms")
    status = workers.ci.ask("GET", f"/rollouts/staging/{commit}?wait=30").body
    assert (status["outcome"], status["reason"]) == ("timed_out", "timed_out")
    eventually(lambda: service.facts("settled", commit) != [])
    settled_once(service, workers, commit, "timed_out")


def test_any_change(workers: Workers) -> None:
    """With `since`, the wait ends before the rollout is settled."""
    commit = commit_of("change")
    version = workers.ci.register(commit, "change")["version"]
    assert workers.flux.post(event(commit, "change", "Deployment/shop/web created")).status == 202
    status = workers.ci.ask("GET", f"/rollouts/staging/{commit}?wait=30&since={version}").body
    assert (status["state"], status["settled"]) == ("applied", False)


def test_many_at_once(service: Service, workers: Workers) -> None:
    commits = [commit_of(f"many {n}") for n in range(20)]
    for n, commit in enumerate(commits):
        # What the one has answered the other one knows.
        workers.flux.register(commit, f"many-{n}")
        assert workers.ci.status(commit)["registered"]
    clients = (workers.flux, workers.ci)
    for n in range(0, 20, 2):
        for client, m in zip(clients, (n, n + 1), strict=True):
            body = healthy(commits[m], f"many-{m}")
            client.send("POST", "/flux/staging", body, X_Signature=sign(KEY, body))
        assert [client.receive().status for client in clients] == [202, 202]
    for commit in commits:
        settled_once(service, workers, commit, "succeeded")


def test_the_same_event_twice(service: Service, workers: Workers) -> None:
    commit = commit_of("twice")
    body = healthy(commit, "twice")
    assert workers.flux.post(body)[::2] == (202, {"result": "accepted"})
    assert workers.flux.post(body)[::2] == (200, {"result": "known"})
    assert workers.ci.post(body)[::2] == (200, {"result": "known"})
    assert len(service.facts(commit)) == 1


def test_heartbeats(service: Service, workers: Workers) -> None:
    """They count against what happened before them and arrives late. After an hour newer ones do."""
    live, late = commit_of("live"), commit_of("late")

    def heartbeat(seconds_ago: int) -> Answer:
        message = f"Reconciliation finished in {seconds_ago}ms, next run in 1m0s"
        metadata = {"revision": f"main@sha1:{live}", "commit_status": "update"}
        body = event(
            live, "beats", message, seconds_ago, reason="ReconciliationSucceeded", metadata=metadata
        )
        return workers.flux.post(body)

    assert [heartbeat(seconds_ago).status for seconds_ago in (50, 30, 20)] == [202, 202, 202]
    assert len(service.facts(live)) == 3
    with closing(sqlite3.connect(service.database)) as database, database:
        database.execute("UPDATE facts SET at = at - 7200 WHERE line LIKE ?", (f"%{live}%",))
    assert heartbeat(10).status == 202
    assert len(service.facts(live)) == 2
    workers.ci.register(late, "beats")
    assert workers.flux.post(healthy(late, "beats", 40)).status == 202
    assert workers.ci.status(late)["state"] == "pending"


def test_refused(service: Service, workers: Workers) -> None:
    commit = commit_of("refused")
    body = healthy(commit, "refused")
    wrong = workers.flux.post(body, key="another key")
    assert (wrong.status, wrong.body["code"]) == (401, "signature.mismatch")
    assert workers.flux.post(body, cluster="unknown")[::2] == wrong[::2]
    assert workers.flux.post(body, cluster="NO NAME".replace(" ", "%20"))[::2] == wrong[::2]
    assert workers.flux.ask("POST", "/flux/staging", body).body["code"] == "signature.missing"
    assert workers.flux.post(body[:-1]).status == 400
    assert service.facts(commit) == []


def test_too_large(workers: Workers) -> None:
    limit = 3 * 1024 * 1024
    assert workers.flux.post(b" " * limit).status == 400  # read, and no event
    assert workers.flux.post(b" " * (limit + 1)).status == 413


def test_only_ci(workers: Workers) -> None:
    path = f"/rollouts/staging/{commit_of('token')}"
    for header in ("", "Bearer ", "Bearer another", f"Basic {TOKEN}", "Bearer é"):
        assert workers.ci.ask("GET", path, Authorization=header).status == 401
        assert workers.ci.ask("PUT", path, b"{}", Authorization=header).status == 401


def test_killed(tmp_path: Path) -> None:
    """What was answered is there again, and what was not yet told is told."""
    answered, untold = commit_of("answered"), commit_of("untold")
    service = Service(tmp_path)
    service.start()
    try:
        workers = service.connect()
        workers.ci.register(answered, "answered")
        assert workers.flux.post(healthy(answered, "answered")).status == 202
        service.end(signal.SIGKILL)
        expect = ["staging/Kustomization/flux-system/untold"]
        registered = Fact(Brain(POLICY).registration("staging", untold, expect=expect))
        service.store(registered, fact_of(healthy(untold, "untold")))
        service.start()
        workers = service.connect()
        for commit in (answered, untold):
            assert workers.ci.status(commit)["outcome"] == "succeeded"
            settled_once(service, workers, commit, "succeeded")
    finally:
        service.end(signal.SIGTERM)
