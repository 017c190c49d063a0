"""The Flux controllers of a cluster, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import requests

from control_plane import ControlPlane
from processes import Program, free_ports

NAMESPACE = "flux-system"


class Controller:
    """One controller, with a port for each thing that it listens for."""

    def __init__(self, name: str, plane: ControlPlane, folder: Path, *arguments: str) -> None:
        metrics, health = free_ports(2)
        self._health = f"http://127.0.0.1:{health}/readyz"
        self._program = Program(
            [
                plane.tools.program(name),
                f"--metrics-addr=127.0.0.1:{metrics}",
                f"--health-addr=127.0.0.1:{health}",
                "--log-level=debug",
                *arguments,
            ],
            folder / f"{name}.log",
            # What is loaded over HTTP here is on the loopback interface.
            {"KUBECONFIG": str(plane.kubeconfig), "RUNTIME_NAMESPACE": NAMESPACE, "NO_PROXY": "127.0.0.1"}
            | {name: os.environ[name] for name in ["PATH", "HOME", "TMPDIR"] if name in os.environ},
        )

    def start(self, *more: str) -> None:
        self._program.start(self._is_ready, *more)

    def stop(self) -> None:
        self._program.stop()

    @contextlib.contextmanager
    def away(self, killed: bool = False) -> Iterator[None]:
        """Stops it for a while, in order or not."""
        if killed:
            self._program.kill()
        else:
            self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def with_arguments(self, *more: str) -> Iterator[None]:
        """Starts it anew with these arguments, for a while."""
        with self.away():
            self.start(*more)
            try:
                yield
            finally:
                self.stop()

    def _is_ready(self) -> bool:
        try:
            return requests.get(self._health, timeout=2).ok
        except requests.RequestException:
            return False


class Flux:
    def __init__(self, plane: ControlPlane) -> None:
        folder = plane.folder / "flux"
        (folder / "artifacts").mkdir(parents=True)
        events, receivers, artifacts = free_ports(3)
        told = f"--events-addr=http://127.0.0.1:{events}"
        self.notification = Controller(
            "notification-controller",
            plane,
            folder,
            f"--events-addr=127.0.0.1:{events}",
            f"--receiverAddr=127.0.0.1:{receivers}",
        )
        self.source = Controller(
            "source-controller",
            plane,
            folder,
            told,
            f"--storage-path={folder / 'artifacts'}",
            f"--storage-addr=127.0.0.1:{artifacts}",
            f"--storage-adv-addr=127.0.0.1:{artifacts}",
        )
        # A dependency is looked at again after 30 s if nothing else is said.
        self.kustomize = Controller(
            "kustomize-controller", plane, folder, told, "--requeue-dependency=2s", "--concurrent=8"
        )
        self.helm = Controller("helm-controller", plane, folder, told, "--requeue-dependency=2s")

    def start(self) -> None:
        """Starts all but helm-controller, which not every scenario needs."""
        for controller in [self.notification, self.source, self.kustomize]:
            controller.start()

    def stop(self) -> None:
        for controller in [self.helm, self.kustomize, self.source, self.notification]:
            controller.stop()
