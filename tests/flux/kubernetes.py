"""An API server as its clients see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests
import yaml

from certificates import Certificate

Object = dict[str, Any]


class Kubernetes:
    def __init__(self, url: str, authority: Path, client: Certificate) -> None:
        self.url, self.authority, self.client = url, authority, client
        self._session = requests.Session()
        # A proxy of the machine has nothing to do with the loopback interface.
        self._session.trust_env = False
        self._session.verify = str(authority)
        self._session.cert = (str(client.certificate), str(client.key))

    def is_ready(self) -> bool:
        try:
            return self._session.get(f"{self.url}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def ask(self, method: str, path: str, **options: Any) -> Object:
        answer = self._session.request(method, self.url + path, timeout=30, **options)
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return dict(answer.json())

    def apply(self, *objects: Object) -> None:
        for wanted in objects:
            self.ask(
                "PATCH",
                path_of(wanted),
                params={"fieldManager": "tests", "force": "true"},
                headers={"Content-Type": "application/apply-patch+yaml"},
                data=yaml.safe_dump(wanted),
            )

    def apply_text(self, text: str) -> None:
        self.apply(*(wanted for wanted in yaml.safe_load_all(text) if wanted))

    def get(self, like: Object) -> Object | None:
        """The object of this kind and name, if there is one."""
        answer = self._session.get(self.url + path_of(like), timeout=30)
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return dict(answer.json())

    def list(self, path: str) -> list[Object]:
        return list(self.ask("GET", path)["items"])

    def patch(self, like: Object, change: Object, part: str = "") -> None:
        """Changes these fields of an object, or of a part of it like `/status`."""
        kind = {"Content-Type": "application/merge-patch+json"}
        self.ask("PATCH", path_of(like) + part, headers=kind, json=change)

    def delete(self, like: Object) -> None:
        self.ask("DELETE", path_of(like))

    def kubeconfig(self, path: Path) -> Path:
        """Writes a file with which other programs are this client."""
        cluster = {"server": self.url, "certificate-authority": str(self.authority)}
        user = {"client-certificate": str(self.client.certificate), "client-key": str(self.client.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(config))
        return path


def path_of(like: Object) -> str:
    metadata = like["metadata"]
    return f"{path_of_all(like, metadata.get('namespace'))}/{metadata['name']}"


def path_of_all(kind: Object, namespace: str | None) -> str:
    """Where all objects of a kind are: in a namespace, if they are in one."""
    version, name = kind["apiVersion"], kind["kind"].lower()
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    if namespace:
        root += f"/namespaces/{namespace}"
    return f"{root}/{name[:-1] + 'ies' if name.endswith('y') else name + 's'}"


def secret(namespace: str, name: str, **entries: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": entries,
    }
