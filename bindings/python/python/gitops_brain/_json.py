"""Values as JSON, by the types of their fields: in the form of the HTTP API and of the journal."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, TypeVar

from . import _core

T = TypeVar("T")
V = TypeVar("V", bound="Value")
K = TypeVar("K")
E = TypeVar("E")


class Text(str, Enum):
    """A text of a closed list: equal to its text."""

    __slots__ = ()

    def __str__(self) -> str:
        return str(self.value)


class FrozenDict(dict[K, E]):
    """A dictionary that cannot be changed."""

    __slots__ = ()

    if not typing.TYPE_CHECKING:  # The types of the values are `Mapping`, which has none of these.

        def _refuse(self, *_: object, **__: object) -> None:
            raise TypeError("this dictionary cannot be changed: make a copy with dict(…)")

        __setitem__ = __delitem__ = __ior__ = _refuse
        clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class Value:
    """A plain value: frozen, compared by its fields."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The value in types that `json` knows, in the form of the HTTP API."""
        return typing.cast("dict[str, Any]", to_plain(self))

    def to_json(self) -> str:
        """The value as JSON, in the form of the HTTP API."""
        return to_text(self)

    @classmethod
    def from_dict(cls: type[V], plain: Mapping[str, Any]) -> V:
        """The value that `to_dict` was made of. Raises KeyError if a field is missing."""
        return typing.cast(V, decoder(cls)(plain))


def read(kind: type[T], text: str) -> T:
    """Reads a value of a type from JSON."""
    return typing.cast(T, decoder(kind)(json.loads(text)))


def to_text(value: object) -> str:
    """Writes plain values, and those of this package, as JSON."""
    return json.dumps(to_plain(value), ensure_ascii=False, separators=(",", ":"))


def to_plain(value: object) -> object:
    """The value in types that `json` knows. Raises TypeError if it has others."""
    if isinstance(value, Value):
        named = fields(value)  # type: ignore[arg-type]
        return {key_of(each.name): to_plain(getattr(value, each.name)) for each in named}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, datetime):
        return text_of_time(value)
    if isinstance(value, timedelta):
        return text_of_duration(value)
    if isinstance(value, Mapping):
        return {text(key, "a key"): to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(each) for each in value]
    raise TypeError(f"{type(value).__name__} is none of the types that values are made of")


def key_of(name: str) -> str:
    """The key of a field: Python's own words cannot be names of fields."""
    return name.removesuffix("_")


def without_none(plain: object) -> object:
    """Leaves out what has no value, so that the defaults hold."""
    if isinstance(plain, dict):
        return {key: without_none(each) for key, each in plain.items() if each is not None}
    return plain


def text(value: object, name: str) -> str:
    """The text, or TypeError."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{name} must be str, not {type(value).__name__}")


def optional_text(value: object, name: str) -> str | None:
    """The text or None, or TypeError."""
    return None if value is None else text(value, name)


def texts(value: object, name: str) -> list[str]:
    """The texts of an iterable, or TypeError: a single text would be taken for many."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be an iterable of str, not {type(value).__name__}")
    return [text(each, name) for each in value]


def text_map(value: object, name: str) -> dict[str, str]:
    """The map of texts, or TypeError."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping of str to str, not {type(value).__name__}")
    return {text(key, name): text(each, name) for key, each in value.items()}


def text_of_time(time: datetime) -> str:
    """An aware time in RFC 3339, with a fraction only if it has one."""
    if time.utcoffset() is None:
        raise ValueError(
            "the time has no time zone: pass an aware datetime, as datetime.now(timezone.utc)"
        )
    told = time.astimezone(timezone.utc).isoformat()
    if time.microsecond % 1000 == 0 and time.microsecond:
        told = time.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def time_of_text(told: str) -> datetime:
    """A time from RFC 3339 in UTC. What is finer than a microsecond is cut off.

    An event may be dated outside of the years that `datetime` has: then the nearest that it has.
    """
    if told.startswith(("+", "-")):
        return datetime.max.replace(tzinfo=timezone.utc)
    if told.startswith("0000"):
        return datetime.min.replace(tzinfo=timezone.utc)
    seconds, dot, fraction = told.removesuffix("Z").partition(".")
    if dot:
        seconds = f"{seconds}.{fraction[:6]:0<6}"
    return datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def time_of_milliseconds(milliseconds: int) -> datetime:
    """A time from milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def text_of_duration(duration: object, name: str = "a duration") -> str:
    """A duration as the native part reads it: a `timedelta`, or the text itself."""
    if isinstance(duration, timedelta):
        if duration < timedelta(0):
            raise ValueError(f"{name} must not be negative")
        return f"{duration // timedelta(milliseconds=1)}ms"
    if isinstance(duration, str):
        return duration
    raise TypeError(f"{name} must be timedelta or str, not {type(duration).__name__}")


def duration_of_text(told: str) -> timedelta:
    """A duration from text: "30m"."""
    return timedelta(milliseconds=int(_core.parse("duration", told)))


_DECODERS: dict[Any, Callable[[Any], Any]] = {}


def decoder(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of a type of what JSON has for it. Each is made once."""
    made = _DECODERS.get(kind)
    if made is None:
        made = _DECODERS[kind] = _make_decoder(kind)
    return made


def _make_decoder(kind: Any) -> Callable[[Any], Any]:
    if kind is datetime:
        return time_of_text
    if kind is timedelta:
        return duration_of_text
    if isinstance(kind, type) and issubclass(kind, Value):
        hints = typing.get_type_hints(kind)
        named = [(name, key_of(name), decoder(hint)) for name, hint in hints.items()]
        return lambda plain: kind(**{name: decode(plain[key]) for name, key, decode in named})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = decoder(next(each for each in arguments if each is not types.NoneType))
        return lambda plain: None if plain is None else inner(plain)
    if origin in (tuple, Iterable):
        inner = decoder(arguments[0])
        return lambda plain: tuple(map(inner, plain))
    if origin is not None and issubclass(origin, Mapping):
        inner = decoder(arguments[1])
        return lambda plain: FrozenDict({key: inner(each) for key, each in plain.items()})
    return lambda plain: plain
