from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, final

from typing_extensions import Self, disjoint_base

from ._values import (
    Ancestry,
    Effects,
    FactBody,
    Forgotten,
    Ignored,
    Registration,
    Removed,
    Settlement,
)

__all__ = [
    "VERSION",
    "Brain",
    "Fact",
    "Verifier",
    "ancestry_of_objects",
    "ingest",
    "metadata",
    "observe",
    "parse",
    "sign",
]

VERSION: Final[str]

@final
class Verifier:
    """The keys with which one cluster signs its events.

    keys: bytes or str, the first tried first: two while a key is rotated. Raises ConfigError if there is
    none, or an empty one.
    """

    def __new__(cls, keys: Iterable[bytes | str]) -> Self: ...
    def verify(self, header: bytes | str | None, body: bytes | str) -> int:
        """Checks the value of the header X-Signature against the body, byte for byte as it came.

        Returns the place of the key in the list of keys. Raises SignatureError if the header is None or
        malformed, or the signature is of none of the keys.
        """

def sign(key: bytes | str, body: bytes | str) -> str:
    """The value of the header X-Signature that Flux would send with a body."""

@final
class Fact:
    """Something that was learned, and when: to be stored, and applied."""

    def __new__(
        cls,
        body: Registration | Ancestry | Settlement | Removed | Forgotten,
        at: datetime | None = None,
    ) -> Self: ...
    @staticmethod
    def from_line(line: bytes | str) -> Fact:
        """Reads a fact from its line of JSON."""

    def to_line(self) -> str:
        """The fact as one line of JSON, without a line break: what a journal stores."""

    @property
    def v(self) -> int:
        """The version of the format."""

    @property
    def at(self) -> datetime:
        """The receiver's clock when the fact was taken in, in UTC, in whole milliseconds."""

    @property
    def id(self) -> bytes:
        """16 bytes, for a journal's unique key."""

    @property
    def body(self) -> FactBody:
        """What was learned."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

def ingest(
    verifier: Verifier,
    cluster: str,
    header: bytes | str | None,
    body: bytes | str,
    at: datetime | None = None,
) -> Fact | Ignored:
    """Verifies a request's signature, parses its body, and takes out what counts."""

def observe(cluster: str, body: bytes | str, at: datetime | None = None) -> Fact | Ignored:
    """Parses a body whose sender you have authenticated by other means, and takes out what counts."""

@disjoint_base
class Brain:
    """The native part of `gitops_brain.Brain`."""

    def __new__(cls, policy: str, on_effects: Any) -> Self: ...
    def apply(self, fact: Fact, now: datetime | None = None) -> Effects:
        """Takes in a fact, and returns what changed. Store the fact durably first."""

    def facts(self) -> list[Fact]:
        """The smallest list of facts that makes an equal brain: for snapshots and compaction."""

    def __eq__(self, other: object, /) -> bool: ...
    def _preview(self, fact: Fact) -> str: ...
    def _load(self, facts: str | bytes | Iterable[Fact]) -> None: ...
    def _apply_many(
        self,
        facts: str | bytes | Iterable[Fact],
        cluster: str | None,
        now: datetime | None,
    ) -> Effects: ...
    def _set_policy(self, policy: str, now: datetime | None) -> Effects: ...
    def _merge(self, other: Brain, now: datetime | None) -> Effects: ...
    def _expire(self, now: datetime | None) -> Effects: ...
    def _keep_deadlines(self, keep: bool) -> None: ...
    def _ask(self, question: str, now: datetime | None) -> str: ...
    def _watch(self, rollout: str, since: str | None, now: datetime | None) -> str | int: ...
    def _unwatch(self, id: int) -> None: ...

def parse(what: str, text: bytes | str) -> str: ...
def metadata(api_version: str, entries: list[tuple[str, str]], name: str) -> str | None: ...
def ancestry_of_objects(objects: Iterable[bytes]) -> str: ...
