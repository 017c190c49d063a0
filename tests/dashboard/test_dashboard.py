"""The pages in a real browser: they are followed by clicks and by keyboard, and stay up to date."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from gitops_brain import sign
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

BINARY = os.environ["GITOPS_BRAIN_BINARY"]
KEY, TOKEN = "the key of staging", "the token of people, which is long"
APPS = "staging/Kustomization/flux-system/apps"
A, B = "a" * 40, "b" * 40
CONFIG = f"""
listen = "127.0.0.1:0"
[clusters.staging]
hmac_keys = ["env:KEY"]
[environments.staging]
reconcilers = ["{APPS}"]
[[tokens]]
name = "people"
secret = "env:TOKEN"
scopes = ["read", "write"]
"""


class Server:
    def __init__(self, folder: Path) -> None:
        (folder / "brain.toml").write_text(CONFIG)
        self.process = subprocess.Popen(
            [BINARY, "serve", "--config", str(folder / "brain.toml")],
            env=os.environ | {"KEY": KEY, "TOKEN": TOKEN, "GITOPS_BRAIN_DATABASE": str(folder / "x.db")},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]

    def ask(self, method: str, path: str, body: bytes, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, named, method=method)
        urllib.request.urlopen(request, timeout=10).close()

    def register(self, commit: str, **labels: str) -> None:
        self.register_in("staging", commit, **labels)

    def register_in(self, environment: str, commit: str, **labels: str) -> None:
        body = json.dumps({"labels": labels}).encode()
        path = f"/v1/rollouts/{environment}/{commit}"
        self.ask("PUT", path, body, Authorization=f"Bearer {TOKEN}")

    def event(
        self,
        commit: str,
        reason: str,
        message: str,
        severity: str = "info",
        ago: int = 1,
        cluster: str = "staging",
    ) -> None:
        at = datetime.now(timezone.utc) - timedelta(seconds=ago)
        body = json.dumps(
            {
                "involvedObject": {
                    "kind": "Kustomization",
                    "namespace": "flux-system",
                    "name": "apps",
                    "uid": "1",
                    "resourceVersion": str(int(at.timestamp())),
                },
                "severity": severity,
                "timestamp": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "message": message,
                "reason": reason,
                "metadata": {"revision": f"main@sha1:{commit}"},
                "reportingController": "kustomize-controller",
            }
        ).encode()
        self.ask("POST", f"/v1/events/{cluster}", body, X_Signature=sign(KEY, body))


def opened(browser: Browser, server: Server, scheme: str, width: int) -> BrowserContext:
    """A window of a width, light or dark, of somebody who is logged in."""
    return browser.new_context(
        base_url=server.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 600},
        extra_http_headers={"Authorization": f"Bearer {TOKEN}"},
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "Chromium is needed: install it, or set CHROMIUM to its path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The first page, after logging in. Nothing may be reported on its console."""
    page = browser.new_page(base_url=server.url)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto("/")
    page.get_by_label("A token with the scope read").fill(TOKEN)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Environments")).to_be_visible()
    told.clear()  # The page before was refused, and the browser says so.
    yield page
    page.close()
    assert told == []


def test_a_wrong_token_opens_nothing(browser: Browser, server: Server) -> None:
    page = browser.new_page(base_url=server.url)
    page.goto("/")
    page.get_by_label("A token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("Nobody has this token")
    page.close()


def test_a_page_stays_up_to_date_by_itself(page: Page, server: Server) -> None:
    expect(page.get_by_role("status")).to_have_text("live")
    server.register(A, app="shop", version="1.4.2")
    line = page.get_by_role("listitem").filter(has_text="shop 1.4.2")
    expect(line).to_contain_text("in progress")
    server.event(A, "Progressing", "Deployment/shop/web configured", ago=20)
    expect(line).to_contain_text("applying")
    server.event(A, "Progressing", "Health check passed in 5s", ago=10)
    expect(line).to_contain_text("succeeded")
    expect(line).to_contain_text("live")
    server.register(B)
    expect(page.get_by_role("listitem").filter(has_text=B[:10])).to_contain_text("ancestry unknown")
    expect(page.get_by_role("listitem").filter(has_text="Kustomization")).to_contain_text("healthy")


def test_what_settled_is_counted(page: Page, server: Server) -> None:
    expect(page.get_by_role("table")).to_have_count(0)
    server.register(A, app="shop")
    server.event(A, "Progressing", "Health check passed in 5s", ago=1)
    expect(page.get_by_role("img", name=re.compile("1 succeeded, 0 did not"))).to_be_visible()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="shop"))
    expect(row).to_contain_text("0 %")


def test_a_rollout_is_followed_to_the_words_of_flux(page: Page, server: Server) -> None:
    server.register(A, url="https://ci.example.com/42")
    server.event(A, "Progressing", "Deployment/shop/web configured", ago=20)
    page.get_by_role("link", name=re.compile(A[:10])).click()
    expect(page).to_have_url(re.compile(f"/rollouts/staging/{A}$"))
    expect(page.get_by_role("status")).to_have_text("live")
    server.event(A, "HealthCheckFailed", "timeout: <script>alert(1)</script>", "error", ago=5)
    expect(page.get_by_role("heading", level=1)).to_contain_text("failed")
    expect(page.locator("pre")).to_have_text("timeout: <script>alert(1)</script>")
    expect(page.get_by_role("list", name="Timeline")).to_contain_text("failed")
    transitions = page.locator(".transitions li")
    expect(transitions.filter(has_text=APPS).filter(has_text="failed")).to_have_count(1)
    expect(transitions.filter(has_text="the rollout")).to_have_text([
        re.compile("registered"),
        re.compile("failed"),
    ])
    link = page.get_by_role("link", name="https://ci.example.com/42")
    expect(link).to_have_attribute("rel", re.compile("noopener"))
    page.get_by_role("link", name=APPS).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(APPS)
    page.get_by_role("link", name="Environments").click()
    expect(page.get_by_role("heading", name="staging")).to_be_visible()


def test_it_works_without_a_script(browser: Browser, server: Server) -> None:
    context = browser.new_context(base_url=server.url, java_script_enabled=False)
    page = context.new_page()
    server.register(A)
    page.goto("/")
    page.get_by_label("A token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=re.compile(A[:10])).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("in staging")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(
    browser: Browser, server: Server, scheme: str, width: int
) -> None:
    context = opened(browser, server, scheme, width)
    page = context.new_page()
    server.register(A, app="shop")
    server.event(A, "HealthCheckFailed", "x" * 300, "error")
    for path in ("/", f"/rollouts/staging/{A}", f"/reconcilers/{APPS}"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        assert not wide, path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") is (scheme == "light"), ground
    context.close()


def test_the_keyboard_reaches_everything(page: Page, server: Server) -> None:
    server.register(A)
    line = page.get_by_role("link", name=re.compile(A[:10]))
    expect(line).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        if line.evaluate("link => link === document.activeElement"):
            break
    expect(line).to_be_focused()
    # What changes meanwhile does not take the place away.
    server.event(A, "Progressing", "Deployment/shop/web configured")
    expect(page.locator(".rollouts li")).to_contain_text("applying")
    expect(line).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/rollouts/"))
