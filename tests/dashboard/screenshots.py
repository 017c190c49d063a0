"""Takes the pictures in docs/: python screenshots.py FOLDER."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import test_dashboard
from playwright.sync_api import sync_playwright
from test_dashboard import APPS, TOKEN, Server, opened

test_dashboard.CONFIG += """
[clusters.production]
hmac_keys = ["env:KEY"]
[environments.production]
reconcilers = ["production/Kustomization/flux-system/apps"]
"""


def commit_object(parent: str, message: str) -> tuple[str, str]:
    """A commit object in base64, and its id."""
    parents = f"parent {parent}\n" if parent else ""
    body = (
        f"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n{parents}"
        f"author Ada <ada@example.com> 1764060000 +0000\n"
        f"committer Ada <ada@example.com> 1764060000 +0000\n\n{message}\n"
    ).encode()
    identity = hashlib.sha1(b"commit %d\0" % len(body) + body).hexdigest()
    return base64.b64encode(body).decode(), identity


OBJECTS: list[str] = []
COMMITS: list[str] = []
for version in ["1.4.0", "1.4.1", "1.4.2", "1.4.3"]:
    raw, name = commit_object(COMMITS[-1] if COMMITS else "", f"release: shop {version}")
    OBJECTS.append(raw)
    COMMITS.append(name)
FIRST, SECOND, THIRD, _ = COMMITS


def past(folder: Path) -> None:
    """Four weeks of rollouts, put into the journal before the server starts."""
    facts = []
    now = datetime.now(timezone.utc)
    plan = [
        (29 - day, environment, count, failures)
        for day, count in enumerate([1, 3, 2, 0, 0, 4, 2, 5, 1, 3, 0, 0, 2, 4, 3, 2, 6, 0, 0, 1, 3, 4, 2, 2, 0, 0, 5, 3, 2])
        for environment, failures in [("staging", int(day % 6 == 2)), ("production", 0)]
        if environment == "staging" or day % 2
    ]
    for ago, environment, count, failures in plan:
        for number in range(count + failures):
            began = now - timedelta(days=ago, hours=number)
            commit = hashlib.sha1(f"{ago} {environment} {number}".encode()).hexdigest()
            registered = {
                "environment": environment, "commit": commit, "whole_cluster": False, "require": "healthy",
                "timeout": "30m", "failure_grace": "0s", "transient_grace": "2m", "learning": "10m",
                "labels": {"app": "shop" if number % 3 else "cart"},
                "expect": [f"{environment}/Kustomization/flux-system/apps"],
            }
            outcomes = ["failed", "succeeded"] if number >= count else ["succeeded"]
            facts.append({"v": 1, "at": began.isoformat(), "body": {"registered": registered}})
            for n, outcome in enumerate(outcomes):
                settled = {"environment": environment, "commit": commit, "n": n, "outcome": outcome}
                at = began + timedelta(minutes=4 + 3 * number + 25 * n)
                facts.append({"v": 1, "at": at.isoformat(), "body": {"settled": settled}})
    # All of them are in what is live now.
    past = [fact["body"]["registered"]["commit"] for fact in facts if "registered" in fact["body"]]
    contains = [{"commit": FIRST, "ancestors": past}]
    ancestry = {"parents": [], "contains": contains}
    facts.append({"v": 1, "at": now.isoformat(), "body": {"ancestry": ancestry}})
    file = folder / "past.jsonl"
    file.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    command = [test_dashboard.BINARY, "import", "--database", str(folder / "x.db"), str(file)]
    subprocess.run(command, check=True, capture_output=True)


def fill(server: Server) -> None:
    body = json.dumps({"objects": OBJECTS}).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/json"}
    server.ask("POST", "/v1/ancestry", body, **headers)
    checked, applied = "Health check passed in 12.4s", "Deployment/shop/web configured"
    words = "health check failed after 5m0s: timeout waiting for: [Deployment/shop/web status: 'InProgress']"
    for number, (version, commit) in enumerate(zip(["1.4.0", "1.4.1", "1.4.2", "1.4.3"], COMMITS)):
        url = f"https://ci.example.com/{40 + number}"
        server.register(commit, app="shop", version=version, actor="ada", url=url)
        if version in ("1.4.0", "1.4.1"):
            server.register_in("production", commit, app="shop", version=version)
    for commit, reason, message, severity, ago in [
        (FIRST, "Progressing", applied, "info", 9000),
        (FIRST, "Progressing", checked, "info", 8980),
        (SECOND, "Progressing", applied, "info", 3000),
        (SECOND, "Progressing", checked, "info", 2980),
        (THIRD, "Progressing", applied, "info", 400),
        (THIRD, "HealthCheckFailed", words, "error", 100),
    ]:
        server.event(commit, reason, message, severity, ago)
        if commit == FIRST:
            server.event(commit, reason, message, severity, ago - 600, cluster="production")


def main(folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as temporary:
        past(Path(temporary))
        server = Server(Path(temporary))
        fill(server)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, path, scheme, width in [
            ("dashboard", "/", "light", 1000),
            ("dashboard-rollout-dark", f"/rollouts/staging/{THIRD}", "dark", 1000),
            ("dashboard-reconciler", f"/reconcilers/{APPS}", "light", 1000),
            ("dashboard-narrow", f"/rollouts/staging/{THIRD}", "light", 390),
        ]:
            context = opened(browser, server, scheme, width)
            page = context.new_page()
            page.goto(path)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            context.close()
        browser.close()
        server.process.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
