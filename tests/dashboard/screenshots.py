"""Takes the pictures in docs/: python screenshots.py FOLDER."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import tempfile
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
