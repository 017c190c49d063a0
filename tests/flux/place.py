"""Where a repository is applied: a namespace of a cluster, with the Flux objects in it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from brain import manifests
from control_plane import ControlPlane
from flux import Flux
from kubernetes import Kubernetes, Object, path_of_all
from nodes import Nodes
from processes import eventually
from repository import Repository

ALERT: Object = {"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Alert"}
PROVIDER: Object = {"apiVersion": "notification.toolkit.fluxcd.io/v1beta3", "kind": "Provider"}
GIT_REPOSITORY: Object = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository"}
KUSTOMIZATION: Object = {"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization"}
HELM_RELEASE: Object = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}


@dataclass(frozen=True)
class Cluster:
    """A cluster with Flux in it."""

    plane: ControlPlane
    flux: Flux
    nodes: Nodes

    @property
    def api(self) -> Kubernetes:
        return self.plane.api


class Place:
    def __init__(self, namespace: str, cluster: Cluster, repository: Repository) -> None:
        self.namespace, self.cluster, self.repository = namespace, cluster, repository
        self.api = cluster.api
        cluster.plane.namespace(namespace)

    def connect(self, address: str, key: str, name: str = "staging") -> None:
        """Applies what the command line prints for a cluster of this name."""
        self.api.apply_text(
            manifests("--cluster", name, "--address", address, "--namespace", self.namespace, key=key)
        )

    def source(self, **spec: Any) -> Object:
        """The repository, polled each second."""
        usual = {"interval": "1s", "timeout": "20s", "url": self.repository.url, "ref": {"branch": "main"}}
        return self.put(GIT_REPOSITORY, "source", usual | spec)

    def kustomization(self, name: str = "apps", **spec: Any) -> Object:
        """A Kustomization over the folder of its name, which waits for what it applies."""
        usual = {
            "interval": "5s",
            "retryInterval": "2s",
            # Less is not taken: kustomize-controller waits for 30 s at least.
            "timeout": "30s",
            "path": f"./{name}",
            "prune": True,
            "wait": True,
            "targetNamespace": self.namespace,
            "sourceRef": {"kind": "GitRepository", "name": "source"},
        }
        return self.put(KUSTOMIZATION, name, usual | spec)

    def put(self, kind: Object, name: str, spec: Object) -> Object:
        wanted = self.named(kind, name) | {"spec": spec}
        self.api.apply(wanted)
        return wanted

    def named(self, kind: Object, name: str) -> Object:
        return kind | {"metadata": {"name": name, "namespace": self.namespace}}

    def clear(self) -> None:
        """Deletes the Flux objects, so that nothing goes on. What they tell of that is for nobody."""
        for kinds in [[ALERT, PROVIDER], [KUSTOMIZATION], [HELM_RELEASE], [GIT_REPOSITORY]]:
            for kind in kinds:
                self.api.ask("DELETE", path_of_all(kind, self.namespace))
            for kind in kinds:
                path = path_of_all(kind, self.namespace)
                eventually(f"{path} is empty", functools.partial(self._is_empty, path))

    def _is_empty(self, path: str) -> bool:
        return not self.api.list(path)
