"""What a cluster with nodes would say of its Deployments. There are no Pods: a Deployment is ready at once, is
given up if its image has the tag `broken`, and makes no progress for as long as the scenario holds it."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from kubernetes import Kubernetes, Object

BROKEN = "broken"


class Nodes(threading.Thread):
    """Looks at all Deployments a few times a second."""

    def __init__(self, api: Kubernetes) -> None:
        super().__init__(daemon=True, name="nodes")
        self._api = api
        self._ended = threading.Event()
        self._held: set[tuple[str, str]] = set()
        self.fault: Exception | None = None

    def hold(self, namespace: str, name: str) -> None:
        """Keeps this Deployment from becoming ready."""
        self._held.add((namespace, name))

    def release(self, namespace: str, name: str) -> None:
        self._held.discard((namespace, name))

    def run(self) -> None:
        while not self._ended.wait(0.2):
            try:
                for deployment in self._api.list("/apis/apps/v1/deployments"):
                    self._look(deployment)
            except Exception as fault:
                self.fault = fault

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _look(self, deployment: Object) -> None:
        deployment |= {"apiVersion": "apps/v1", "kind": "Deployment"}
        metadata = deployment["metadata"]
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        state = State.READY
        if (metadata["namespace"], metadata["name"]) in self._held:
            state = State.STARTING
        elif image.endswith(f":{BROKEN}"):
            state = State.GIVEN_UP
        wanted = status(metadata["generation"], deployment["spec"]["replicas"], state)
        now = deployment.get("status", {})
        is_so = all(now.get(field, 0) == value for field, value in wanted.items() if field != "conditions")
        if not is_so:
            self._api.patch(deployment, {"status": wanted}, "/status")


class State(Enum):
    """What becomes of the newest Pods, and the reason of the condition `Progressing`."""

    STARTING = "ReplicaSetUpdated"
    READY = "NewReplicaSetAvailable"
    GIVEN_UP = "ProgressDeadlineExceeded"


def status(generation: int, replicas: int, state: State) -> dict[str, Any]:
    """What the controller of Deployments writes."""
    is_ready = state is State.READY
    ready = replicas if is_ready else 0
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def condition(kind: str, is_true: bool, reason: str) -> dict[str, str]:
        return {
            "type": kind,
            "status": "True" if is_true else "False",
            "reason": reason,
            "message": "",
            "lastTransitionTime": now,
            "lastUpdateTime": now,
        }

    return {
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": replicas - ready,
        "conditions": [
            condition("Available", is_ready, f"MinimumReplicas{'Available' if is_ready else 'Unavailable'}"),
            condition("Progressing", state is not State.GIVEN_UP, state.value),
        ],
    }
