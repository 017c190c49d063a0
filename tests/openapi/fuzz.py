"""Sends mutated requests for a while, head and body, and looks for answers that nobody should get.

python fuzz.py [SECONDS] [SEED]: prints how often each status was answered; ends with 1 if one of them is an
error of the server's own, or if the server is gone.
"""

from __future__ import annotations

import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable

import test_api as api

HOST, PORT = api.URL.removeprefix("http://").split(":")
SENDERS = 16
WORDS = [b"\r\n", b"\0", b"\xff\xfe", b"%00", b"%2e%2e/", b"{", b"}", b"[", b'"', b"\\u0000", b"\\ud800", b"-1",
         b"18446744073709551616", b"1e999", b"null", b"true", b"a" * 300, b"sha256=", b"sha1:", b"main@",
         b"2026-02-30T25:61:61Z", b"9999-12-31T23:59:59Z", b"chunked", b"Transfer-Encoding: chunked\r\n",
         b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n", b"*/*/*/*", "😀".encode()]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few small changes, as they come from a broken sender or a curious one."""
    for _ in range(chance.choice([1, 1, 1, 2, 3, 8])):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice([1, 1, 2, 4, 16, 64]))
        part = data[place:end]
        match chance.randrange(6):
            case 0:
                data = data[:place] + data[end:]
            case 1:
                data = data[:place] + chance.choice(WORDS) + data[place:]
            case 2:
                data = data[:place] + chance.choice(WORDS) + data[end:]
            case 3:
                data = data[:place] + part * chance.choice([2, 3, 50]) + data[end:]
            case 4:
                data = data[:place] + bytes(byte ^ (1 << chance.randrange(8)) for byte in part) + data[end:]
            case _:
                data = data[:place]
    return data


def head(line: str, body: bytes, **headers: str) -> bytes:
    fields = {"Host": "brain", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [line + " HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def ask(line: str, body: bytes = b"") -> bytes:
    return head(line, body, Content_Type="application/json", **api.ALLOWED) + body


def event(body: bytes) -> bytes:
    return head("POST /v1/events/staging", body, X_Signature=api.sign(body)) + body


def push(body: bytes) -> bytes:
    signature = api.sign(body, api.SECRET)
    return head("POST /v1/push/github", body, Content_Type="application/json",
                X_Hub_Signature_256=signature, X_GitHub_Event="push") + body


EVENT = json.dumps(api.event(api.COMMITS[0], "Progressing", "Health check passed in 5.1s")).encode()
PUSH = json.dumps({"ref": "refs/heads/main", "before": "0" * 40, "after": "a" * 40, "forced": False,
                   "commits": [{"id": "a" * 40}, {"id": "b" * 40}], "head_commit": {"id": "a" * 40}}).encode()
CLAIMS = json.dumps([{"commit": "a" * 40, "parents": ["b" * 40]}]).encode()
WANTED = json.dumps({"expect": [api.APPS], "timeout": "10m", "labels": {"app": "shop"}, "objects": []}).encode()
ROLLOUT = f"/v1/rollouts/staging/{'a' * 40}"

# A body that is signed after it was mutated gets past the signature.
SIGNED: list[tuple[Callable[[bytes], bytes], bytes]] = [
    (event, EVENT),
    (push, PUSH),
    (lambda body: ask("POST /v1/ancestry", body), CLAIMS),
    (lambda body: ask(f"PUT {ROLLOUT}", body), WANTED),
]
WHOLE = [
    event(EVENT), push(PUSH), ask("POST /v1/ancestry", CLAIMS), ask(f"PUT {ROLLOUT}", WANTED),
    ask(f"GET {ROLLOUT}?wait=10ms&since=1.a&for=applied&reconciler={api.APPS}&failure_grace=3s"),
    ask("GET /v1/rollouts?environment=staging&outcome=succeeded&label=app=shop&limit=5&before=1.staging.a"),
    ask(f"GET /v1/commits/{'a' * 10}"), ask("GET /v1/reconcilers?environment=staging&cluster=staging"),
    ask("DELETE /v1/reconcilers/staging/Kustomization/a/b"), ask("GET /badge/staging.svg"),
    ask("GET /"), ask(f"GET /rollouts/staging/{'a' * 40}"), ask("GET /metrics"), ask("GET /openapi.json"),
    ask("GET /assets/style.css"), ask("GET /readyz"), ask("POST /login", b"token=x"),
]


def send(data: bytes) -> bytes:
    with socket.create_connection((HOST, int(PORT)), timeout=5) as connection:
        connection.settimeout(0.3)
        answer = b""
        try:
            connection.sendall(data)
            while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
                answer += more
        except OSError:
            # It waits for the rest, or has had enough.
            pass
        return answer


def ask_around(chance: random.Random, end: float, told: Counter[str]) -> None:
    while time.monotonic() < end:
        if chance.random() < 0.5:
            make, body = chance.choice(SIGNED)
            data = make(mutated(body, chance))
        else:
            data = mutated(chance.choice(WHOLE), chance)
        answer = send(data)
        status = answer[9:12].decode("ascii", "replace") if answer.startswith(b"HTTP/1.1 ") else "none"
        told[status] += 1
        if status.startswith("5"):
            print(f"{data!r}\nwas answered {answer[:500]!r}", flush=True)


def main(seconds: float, seed: int) -> int:
    end = time.monotonic() + seconds
    # Who sends half a request waits for an answer: others go on.
    counts = [Counter[str]() for _ in range(SENDERS)]
    senders = [
        threading.Thread(target=ask_around, args=(random.Random(f"{seed}.{number}"), end, told))
        for number, told in enumerate(counts)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    told = sum(counts, Counter[str]())
    bad = sum(count for status, count in told.items() if status.startswith("5"))
    alive = send(head("GET /healthz", b"")).startswith(b"HTTP/1.1 200")
    print(f"{told.total()} requests with seed {seed}: {dict(sorted(told.items()))}; alive: {alive}")
    return 0 if alive and not bad else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    duration = float(arguments[0]) if arguments else 600
    sys.exit(main(duration, int(arguments[1]) if len(arguments) > 1 else time.time_ns() % 1_000_000))
