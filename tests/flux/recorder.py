"""What stands between Flux and the server: it passes each request on as it came, and keeps it."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# What a connection has for itself, and the request does not.
OF_THE_CONNECTION = {"host", "connection", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    at: str
    path: str
    headers: dict[str, str]
    body: bytes
    # The server's answer; None if there was none.
    answered: int | None

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def __str__(self) -> str:
        event = self.event
        what, metadata = event["involvedObject"], event.get("metadata", {})
        return (
            f"{self.at} {self.answered} {what['kind']}/{what['namespace']}/{what['name']}"
            f"@{what.get('resourceVersion')} {event['severity']} {event['reason']}"
            f" {metadata.get('revision')} {event['message'][:200]!r}"
        )


class Recorder:
    """Listens on a port of its own for a server on another."""

    def __init__(self, port: int) -> None:
        self.requests: list[Request] = []
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                recorder.pass_on(self, port)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing: what came is kept."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def write(self, path: Path) -> None:
        """Keeps all of them, each on a line, in the order in which they came."""
        lines = [json.dumps(asdict(one) | {"body": one.body.decode()}) + "\n" for one in self.requests]
        path.write_text("".join(lines))

    def pass_on(self, request: http.server.BaseHTTPRequestHandler, port: int) -> None:
        at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name: value for name, value in request.headers.items() if name.lower() not in OF_THE_CONNECTION}
        answered, answer = None, b""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", request.path, body, headers)
            response = connection.getresponse()
            answered, answer = response.status, response.read()
            connection.close()
        except (OSError, http.client.HTTPException):
            # Where the server does not answer nobody does.
            request.close_connection = True
        self.requests.append(Request(at, request.path, headers, body, answered))
        if answered is not None:
            request.send_response(answered)
            request.send_header("Content-Type", response.headers.get("Content-Type", "text/plain"))
            request.send_header("Content-Length", str(len(answer)))
            request.end_headers()
            request.wfile.write(answer)
