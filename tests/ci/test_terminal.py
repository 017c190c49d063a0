"""What a wait looks like on a terminal: its screen, drawn by a terminal emulator, at the widths that people
have, with colours and without."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import pty
import select
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pyte
import pytest

BINARY = os.environ["GITOPS_BRAIN_BINARY"]
COMMIT = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738"
HEAD = "main@sha1:84539404ff5ac8fed0f274da2d32d9442bc46bca"
APPS = "staging/Kustomization/flux-system/apps"
LONG = "staging/Kustomization/flux-system/a-very-long-name-of-a-kustomization-that-somebody-chose"
WORDS = "health check failed after 5m0s: timeout waiting for: [Deployment/shop/web status: 'InProgress']"


def status(step: int) -> dict[str, Any]:
    apps = [("pending", "waiting"), ("applied", "checking_health"), ("failed", "failed")][step]
    rest = ("healthy", "succeeded") if step else ("pending", "applying")
    reconcilers = [
        {
            "reconciler": name,
            "state": state,
            "reason": reason,
            "head": HEAD,
            "failed_at": "2026-11-23T13:04:06Z",
            "event": {"reason": "HealthCheckFailed", "message": WORDS, "at": "2026-11-23T13:04:47Z"},
        }
        for name, (state, reason) in [(APPS, apps), (LONG, rest)]
    ]
    outcome = "failed" if step == 2 else "in_progress"
    return {
        "environment": "staging", "commit": COMMIT, "version": str(step), "state": apps[0],
        "outcome": outcome, "reason": apps[1], "registered": True, "reconcilers": reconcilers,
    }


class Brain(http.server.BaseHTTPRequestHandler):
    """Says that all is on its way, and after a while that it failed."""

    step = 0
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, code: int, body: Any) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, status(0))

    def do_GET(self) -> None:
        if "/stream" in self.path:
            return self.answer(404, {"code": "route.unknown"})
        if "wait=" in self.path:
            time.sleep(1.5)
            Brain.step = min(Brain.step + 1, 2)
        self.answer(200, status(Brain.step))


def wait(columns: int, folder: Path, **more: str) -> tuple[list[str], list[str], bytes]:
    """The screen while it waits and at its end, and all that was written."""
    Brain.step = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Brain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    url = f"http://127.0.0.1:{server.server_port}"
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "GITOPS_BRAIN_URL": url} | more
    command = [BINARY, "wait", COMMIT, "-e", "staging", "-C", "/nowhere"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder)
    os.close(theirs)
    screen = pyte.Screen(columns, 40)
    stream = pyte.ByteStream(screen)
    written, during = b"", []

    def shown() -> list[str]:
        return [line.rstrip() for line in screen.display if line.strip()]

    while True:
        if select.select([ours], [], [], 0.05)[0]:
            try:
                read = os.read(ours, 65536)
            except OSError:
                break
            if not read:
                break
            written += read
            stream.feed(read)
        # Both lines have moved on: they do not do so at once.
        if not during and all(word in "".join(shown()) for word in [" applied ", " healthy "]):
            during = shown()
    server.shutdown()
    assert process.wait() == 1
    return during, shown(), written


@pytest.mark.parametrize(("columns", "colour"), [(80, True), (120, True), (80, False)])
def test_a_screen_is_well_filled(tmp_path: Path, columns: int, colour: bool) -> None:
    during, end, written = wait(columns, tmp_path, **({} if colour else {"NO_COLOR": "1"}))
    # A line for each reconciler and no more, with what matters most at its beginning.
    lines = [line for line in during if "staging/Kustomization" in line]
    assert len(lines) == 2, during
    assert "applied checking health  staging/Kustomization/flux-system/apps" in lines[0]
    assert "healthy                  staging/Kustomization/flux-system/a-very-long" in lines[1]
    assert all(len(line) <= columns for line in during)
    # At the end nothing moves, nothing is cut, and Flux's words are there in full.
    text = "\n".join(end)
    whole = text.replace("\n", "")
    assert not any(spinner in text for spinner in "⠁⠂⠄⡀⢀⠠⠐⠈⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏⠒")
    for part in ["failed: 5394cb7f48 in staging after", f"  reconciler  {APPS}", f"  | {WORDS}", LONG]:
        assert part in whole, text
    assert (b"\x1b[1;31mfailed:" in written) == colour
    assert (b"\x1b[34mapplied" in written) == colour
    if not colour:
        # What moves the cursor may stay: colours may not.
        assert not any(f"\x1b[{code}m".encode() in written for code in [1, 2, 31, 32, 33, 34, "1;31"])
