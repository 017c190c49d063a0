"""Errors: one class for each thing that can be wrong, each with a stable code."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "FactError",
    "GitopsBrainError",
    "ParseError",
    "QueryError",
    "RevisionError",
    "SignatureError",
]


class GitopsBrainError(Exception):
    """Any error of this package but a wrong type.

    `code` is stable, and the same in Rust, Python, Node and over HTTP: "signature.mismatch".
    """

    code: str

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class SignatureError(GitopsBrainError):
    """A body is not signed with one of the keys: answer 401, and take nothing in."""


class RevisionError(GitopsBrainError, ValueError):
    """A text is no revision."""


class ConfigError(GitopsBrainError, ValueError):
    """A key, a name, a duration, a time, a policy or a registration is not one."""


class QueryError(GitopsBrainError, ValueError):
    """A question has no answer: the environment or the commit is unknown."""


class _PlacedError(GitopsBrainError, ValueError):
    line: int
    column: int
    offset: int
    path: str

    def __init__(
        self,
        message: str,
        code: str,
        line: int = 1,
        column: int = 0,
        offset: int = 0,
        path: str = "",
    ) -> None:
        super().__init__(message, code)
        self.args = (message, code, line, column, offset, path)
        self.line = line
        self.column = column
        self.offset = offset
        self.path = path


class ParseError(_PlacedError):
    """A body is no event of Flux's, or bytes are no commit object: answer 400.

    `line` and `column` are counted from one, the column in characters; `offset` is in bytes, from
    zero; `path` is that of the field, empty for the whole.
    """


class FactError(_PlacedError):
    """A line of a journal cannot be read.

    With the code "fact.newer_version" a newer release wrote it: stop, rather than skip it. `line` is
    that among several; `column` is counted from one, 0 if the whole line is meant.
    """


_CLASSES: dict[str, type[GitopsBrainError]] = {
    each.__name__: each
    for each in (ConfigError, FactError, ParseError, QueryError, RevisionError, SignatureError)
}


def make(
    family: str, code: str, message: str, place: tuple[int, int, int, str] | None
) -> GitopsBrainError:
    """The native part calls this for each error."""
    made = _CLASSES[family]
    if issubclass(made, _PlacedError) and place is not None:
        return made(message, code, *place)
    return made(message, code)
