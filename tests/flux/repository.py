"""Git repositories over smart HTTP on a loopback port: git's own `http-backend`, behind a server in Python."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

# Whatever the machine's configuration is, and whoever runs the tests.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=PLAIN, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


class GitServer:
    """Repositories that anybody may read and push to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._server = self._listen(0)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def bare(self, name: str) -> Path:
        """Where a repository is: to be pushed to while the server is away."""
        return self.folder / name

    def repository(self, name: str) -> Repository:
        bare = self.bare(name)
        bare.mkdir()
        git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
        git(bare, "config", "http.receivepack", "true")
        return Repository(f"{self.url}/{name}", self.folder / f"{name}-checkout")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Connections are refused for a while."""
        self.stop()
        try:
            yield
        finally:
            self._server = self._listen(self.port)

    def _listen(self, port: int) -> http.server.ThreadingHTTPServer:
        root = self.folder

        class Backend(_Backend):
            folder = root

        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Backend)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


class Repository:
    """A repository and a checkout of it."""

    def __init__(self, url: str, checkout: Path) -> None:
        checkout.mkdir()
        self.url, self.checkout = url, checkout
        git(checkout, "init", "--quiet", "--initial-branch=main")
        git(checkout, "remote", "add", "origin", url)

    def commit(self, files: dict[str, str | None], subject: str = "A change") -> str:
        """Writes these files, or deletes those that are None; the id of the commit."""
        for name, content in files.items():
            path = self.checkout / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        git(self.checkout, "add", "--all")
        git(self.checkout, "commit", "--quiet", "--allow-empty", "--message", subject)
        return git(self.checkout, "rev-parse", "HEAD")

    def push(self, files: dict[str, str | None] | None = None, subject: str = "A change", to: str = "origin") -> str:
        """The same, if there are files, and pushes what is committed."""
        if files is not None:
            self.commit(files, subject)
        git(self.checkout, "push", "--quiet", to, "main")
        return git(self.checkout, "rev-parse", "HEAD")

    def branch(self, name: str, commit: str) -> None:
        """Makes a branch on the server."""
        git(self.checkout, "push", "--quiet", "origin", f"{commit}:refs/heads/{name}")

    def tag(self, name: str, commit: str) -> None:
        """Tags a commit on the server."""
        git(self.checkout, "push", "--quiet", "origin", f"{commit}:refs/tags/{name}")

    def force_back(self, commit: str) -> None:
        """Takes the branch back to an earlier commit, as a forced push does."""
        git(self.checkout, "reset", "--quiet", "--hard", commit)
        git(self.checkout, "push", "--quiet", "--force", "origin", "main")


class _Backend(http.server.BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def handle(self) -> None:
        # A controller that is stopped takes its connections with it.
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: the controllers poll every second."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = PLAIN | {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "test",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n") if line]
        status = dict(fields).get("Status", "200")
        self.send_response(int(status.split()[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
