"""Files of vectors: which there are, and the forms that are common to all. Nothing is passed over: what
this does not read, it refuses."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("signatures", "events", "revisions", "observations", "scenarios", "truth")
ROOT = Path(
    os.environ.get("GITOPS_BRAIN_VECTORS", Path(__file__).parents[4] / "tests" / "vectors")
)

Case = dict[str, Any]


class Wrong(Exception):
    """A vector that cannot be read, or that does not hold: what is wrong, one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class File:
    """One file: its kind, and its cases."""

    path: Path
    kind: str
    cases: list[Case]


def read_all(root: Path = ROOT) -> list[File]:
    """Every file below a folder. README.md is the only one that is no vector."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    below = [path.relative_to(root) for path in paths]
    files = [read_file(path, (root / path).read_text()) for path in below if path != Path("README.md")]
    for kind in KINDS:
        ids = [case["id"] for file in files if file.kind == kind for case in file.cases]
        if not ids:
            raise Wrong(f"there are no vectors of kind {kind}")
        if len(set(ids)) != len(ids):
            raise Wrong(f"{kind}: two cases have one id")
    return files


def read_file(path: Path, text: str) -> File:
    """One file, given where it is below the root."""
    if path.suffix != ".json":
        raise Wrong(f"{path} is not a file of vectors: no runner would read it")
    content = json.loads(text)
    kind, about, cases = fields(content, "kind", "about", "cases")
    if kind not in KINDS or path.parent != Path(kind):
        raise Wrong(f"{path}: its kind is {kind}")
    if not about or not isinstance(cases, list) or not cases:
        raise Wrong(f"{path}: `about` and `cases` must not be empty")
    for case in cases:
        if not case.get("id") or not case.get("why"):
            raise Wrong(f"{path}: a case has no `id` or no `why`")
    return File(path, kind, cases)


def fields(value: object, *needed: str, optional: Mapping[str, Any] | None = None) -> list[Any]:
    """The values of these fields and no others; those that may be left out have a default."""
    optional = optional or {}
    if not isinstance(value, dict):
        raise Wrong(f"{value!r} is not an object")
    unknown = value.keys() - set(needed) - optional.keys()
    missing = set(needed) - value.keys()
    if unknown or missing:
        raise Wrong(f"fields that nobody reads: {sorted(unknown)}; that are missing: {sorted(missing)}")
    required = [value[name] for name in needed]
    return required + [value.get(name, default) for name, default in optional.items()]


def only(value: object) -> tuple[str, Any]:
    """The one field of an object that must have one."""
    if not isinstance(value, dict) or len(value) != 1:
        raise Wrong(f"{value!r} must have one field")
    ((name, content),) = value.items()
    return name, content


def bytes_of(value: object) -> bytes:
    """Bytes, in the form that shows best what they are."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return b"".join(bytes_of(part) for part in value)
    if isinstance(value, dict) and "repeat" in value:
        repeat, times = fields(value, "repeat", "times")
        return str(repeat).encode() * int(times)
    name, content = only(value)
    if name == "base64":
        return base64.b64decode(content, validate=True)
    if name == "json":
        return json.dumps(content).encode()
    raise Wrong(f"{value!r} is none of the forms of bytes")


def compare(path: str, expected: Any, actual: Any, problems: list[str]) -> None:
    """Notes each field of `expected` that `actual` does not have in the same way."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, field in expected.items():
            if name in actual:
                compare(f"{path}.{name}", field, actual[name], problems)
            else:
                problems.append(f"{path}.{name} is expected, and there is none")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for place, (one, other) in enumerate(zip(expected, actual)):
            compare(f"{path}[{place}]", one, other, problems)
    elif type(expected) is not type(actual) or expected != actual:
        problems.append(f"{path} is {actual!r}, expected {expected!r}")


def exact(path: str, expected: Any, actual: Any, problems: list[str]) -> None:
    """As `compare`, and `actual` must not have any field more, on any level; but for an `event`, of which
    a vector tells what matters to it."""
    compare(path, expected, actual, problems)
    more(path, expected, actual, problems)


def more(path: str, expected: Any, actual: Any, problems: list[str]) -> None:
    """Notes each field that `expected` does not have."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        problems.extend(f"{path}.{name} is not expected" for name in actual.keys() - expected.keys())
        for name in expected.keys() & actual.keys() - {"event"}:
            more(f"{path}.{name}", expected[name], actual[name], problems)


def holds(problems: list[str]) -> None:
    """Raises what is wrong, if anything is."""
    if problems:
        raise Wrong(*problems)
