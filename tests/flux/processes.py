"""Programs that run beside the tests, and end with them."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

# A machine that has other things to do must not make a test fail.
PATIENCE = 60.0


def eventually(what: str, look: Callable[[], T | None], within: float = PATIENCE, every: float = 0.1) -> T:
    """What `look` finds, as soon as it finds something."""
    until = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        time.sleep(every)


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Program:
    """A program with a log file, which can be stopped and started again."""

    def __init__(self, command: list[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command, self.log, self.environment = command, log, environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, is_ready: Callable[[], bool], *more: str) -> None:
        """Starts it with these further arguments, if it does not run, and waits until it is ready."""
        if self.process is not None:
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *more], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(f"{self.command[0]} is ready; {self.log}", lambda: self.runs() and is_ready())

    def runs(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} has ended:\n{self.log.read_text()[-3000:]}")
        return True

    def reload(self) -> None:
        """Tells it to read its configuration again."""
        if self.process is not None:
            self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ends it in order; if it does not, kills it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self.process = None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
