"""The HTTP API is as its document says: whatever is asked, no answer is another one, and none an error of
the server's own."""

from __future__ import annotations

import atexit
import hashlib
import hmac
import os
import subprocess
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi import checks as openapi_checks

BINARY = os.environ["GITOPS_BRAIN_BINARY"]
EXAMPLES = int(os.environ.get("GITOPS_BRAIN_TEST_EXAMPLES", "40"))
KEY, TOKEN, SECRET = "the key of staging, long enough", "the token of CI, long enough", "the webhook's secret"
COMMITS = ["a" * 40, "b" * 40]
KNOWN = {
    "environment": "staging",
    "cluster": "staging",
    "host": "github",
    "file": "staging.svg",
    "kind": "Kustomization",
    "namespace": "flux-system",
    "name": "other",
    "commit": COMMITS[0],
}
APPS = "staging/Kustomization/flux-system/apps"
CONFIG = f"""
listen = "127.0.0.1:0"
[clusters.staging]
hmac_keys = ["env:KEY"]
[environments.staging]
reconcilers = ["{APPS}"]
[[tokens]]
name = "ci"
secret = "env:TOKEN"
scopes = ["read", "write", "ancestry", "admin"]
[push.github]
secrets = ["env:SECRET"]
"""


def start() -> str:
    """Starts a server that knows something, and ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="gitops-brain-openapi-"))
    (folder / "brain.toml").write_text(CONFIG)
    server = subprocess.Popen(
        [BINARY, "serve", "--config", str(folder / "brain.toml"), "--database", str(folder / "brain.db")],
        env=os.environ | {"KEY": KEY, "TOKEN": TOKEN, "SECRET": SECRET},
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    return server.stdout.readline().split()[-1]


URL = start()
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


def sign(body: bytes, key: str = KEY) -> str:
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def event(commit: str, reason: str, message: str) -> dict[str, Any]:
    return {
        "involvedObject": {"kind": "Kustomization", "namespace": "flux-system", "name": "apps", "uid": "1"},
        "severity": "info",
        "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "message": message,
        "reason": reason,
        "metadata": {"revision": f"main@sha1:{commit}"},
    }


def fill() -> None:
    for commit in COMMITS:
        url = f"{URL}/v1/rollouts/staging/{commit}"
        assert requests.put(url, json={"labels": {"app": "shop"}}, headers=ALLOWED).ok
    for message in ["Deployment/shop/web configured", "Health check passed in 5.1s"]:
        body = requests.Request("POST", URL, json=event(COMMITS[0], "Progressing", message)).prepare().body
        assert isinstance(body, bytes)
        headers = {"X-Signature": sign(body), "Content-Type": "application/json"}
        assert requests.post(f"{URL}/v1/events/staging", body, headers=headers).status_code == 202


fill()
schema = schemathesis.openapi.from_url(f"{URL}/openapi.json")


@schema.hook
def map_path_parameters(_: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Names of what there is: at random they would never be found. Every third stays as it is."""
    if parameters is not None:
        for name in KNOWN.keys() & parameters.keys():
            if len(str(parameters[name])) % 3:
                parameters[name] = KNOWN[name]
    return parameters


@schema.hook
def map_query(_: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """A wait that is a wait, and short."""
    if query and "wait" in query and len(str(query["wait"])) % 2:
        query["wait"] = "50ms"
    return query


def send(case: schemathesis.Case) -> requests.Response:
    """Sends a request, signed where that lets it in."""
    arguments = case.as_transport_kwargs(base_url=URL)
    arguments.pop("verify", None)
    arguments.pop("timeout", None)
    arguments.pop("cert", None)
    arguments.pop("allow_redirects", None)
    headers = dict(arguments.pop("headers", None) or {})
    if not case.path.startswith(("/v1/events", "/v1/push")):
        headers.setdefault("Authorization", ALLOWED["Authorization"])
    session = requests.Session()
    request = session.prepare_request(
        requests.Request(arguments.pop("method"), arguments.pop("url"), headers, **arguments)
    )
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    if case.path.startswith("/v1/events"):
        request.headers["X-Signature"] = sign(body)
    if case.path.startswith("/v1/push"):
        request.headers["X-Hub-Signature-256"] = sign(body, SECRET)
        request.headers["X-GitHub-Event"] = "push"
    return session.send(request, timeout=20, allow_redirects=False, stream=case.path == "/v1/stream")


CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
]


@schema.exclude(path="/v1/stream").parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_that_is_described(case: schemathesis.Case) -> None:
    response = send(case)
    # What is away for a while says so with 503 as well: here nothing is away.
    assert response.status_code < 500, response.text
    case.validate_response(response, checks=CHECKS)


def test_a_stream_is_one() -> None:
    with requests.get(f"{URL}/v1/stream", headers=ALLOWED, stream=True, timeout=20) as response:
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = response.iter_lines(decode_unicode=True)
        assert next(line for line in lines if line.startswith("data:"))
    refused = requests.get(f"{URL}/v1/stream?environment=nowhere", headers=ALLOWED, timeout=20)
    assert (refused.status_code, refused.json()["code"]) == (404, "environment.unknown")


def test_the_document_is_of_the_version_that_it_says() -> None:
    document = requests.get(f"{URL}/openapi.json", timeout=20).json()
    assert document["openapi"].startswith("3.1.")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary") or operation.get("description"), (method, path)


def test_what_needs_a_token_is_refused_without() -> None:
    """And nothing else is: as the document says it."""
    document = requests.get(f"{URL}/openapi.json", timeout=20).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = URL + path
            for name, value in KNOWN.items():
                url = url.replace("{" + name + "}", value)
            answer = requests.request(method, url, json={}, timeout=20)
            is_open = operation.get("security") == [{}]
            # By now this address has had many wrong signatures.
            refused = answer.status_code in (401, 429)
            assert refused != is_open, (method, path, answer.status_code)
