"""A control plane: etcd and an API server on the loopback interface, and nothing else of Kubernetes. There are
no nodes: `nodes.py` says of Deployments what a kubelet and the controllers of Kubernetes would."""

from __future__ import annotations

from pathlib import Path

import requests

from certificates import Authority
from kubernetes import Kubernetes
from processes import Program, eventually, free_ports
from tools import Tools


class ControlPlane:
    def __init__(self, folder: Path, tools: Tools) -> None:
        folder.mkdir()
        self.folder, self.tools = folder, tools
        authority = Authority(folder, "authority")
        server = authority.issue("kube-apiserver")
        accounts = authority.issue("service-accounts")
        # Who is of this group may do everything.
        admin = authority.issue("admin", organization="system:masters")
        store, peer, port = free_ports(3)
        self.api = Kubernetes(f"https://127.0.0.1:{port}", authority.files.certificate, admin)
        self.kubeconfig = self.api.kubeconfig(folder / "kubeconfig")
        self._store = f"http://127.0.0.1:{store}"
        self._etcd = Program(
            [
                tools.etcd,
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls={self._store}",
                f"--advertise-client-urls={self._store}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                # Nothing here outlives the tests: no write has to reach the disk.
                "--unsafe-no-fsync",
            ],
            folder / "etcd.log",
        )
        self._server = Program(
            [
                tools.program("kube-apiserver"),
                f"--etcd-servers={self._store}",
                "--bind-address=127.0.0.1",
                f"--secure-port={port}",
                f"--tls-cert-file={server.certificate}",
                f"--tls-private-key-file={server.key}",
                f"--client-ca-file={authority.files.certificate}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={accounts.certificate}",
                f"--service-account-signing-key-file={accounts.key}",
                "--service-cluster-ip-range=10.0.0.0/24",
                # A Service with endpoints on the loopback interface is not allowed, and nobody asks for one.
                "--endpoint-reconciler-type=none",
            ],
            folder / "kube-apiserver.log",
        )

    def start(self) -> None:
        try:
            self._etcd.start(lambda: _healthy(f"{self._store}/health"))
            self._server.start(self.api.is_ready)
            self._types()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._server.stop()
        self._etcd.stop()

    def namespace(self, name: str) -> str:
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        return name

    def _types(self) -> None:
        for path in self.tools.types():
            self.api.apply_text(path.read_text())
        types = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

        def all_established() -> bool:
            conditions = [one["status"].get("conditions") or [] for one in self.api.list(types)]
            return all(any(c["type"] == "Established" and c["status"] == "True" for c in of) for of in conditions)

        eventually("the types are established", all_established)


def _healthy(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False
