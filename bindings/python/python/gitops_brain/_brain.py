"""The brain as Python has it: typed values, and waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from . import _core
from ._json import optional_text, read, text, text_map, text_of_duration, texts, to_text
from ._values import (
    Changed,
    ClusterReport,
    Effects,
    Outcome,
    Policy,
    Position,
    ReconcilerReport,
    Registration,
    Require,
    Settlement,
    Status,
    body_of_json,
    body_of_plain,
    policy_to_json,
)

Duration = timedelta | str
"""A `timedelta`, or text as Flux writes it: "30s", "15m", "1h30m"."""


class Brain(_core.Brain):
    """All that is known, and the questions that wait for an answer.

    policy: what the operators declare: a Policy, or a mapping in the form of the configuration file
    (as `tomllib` reads it). Raises ConfigError if something in it is malformed.

    All methods may be called from any thread, and take microseconds. `now` is the host's clock by
    default. Take facts in with `apply` (or many with `load` and `apply_many`); ask with `status`, or
    wait with `await brain.wait(…)`, which this brain's own `apply` ends.
    """

    _listeners: _Listeners

    def __new__(cls, policy: Policy | Mapping[str, Any] | None = None) -> Brain:
        listeners = _Listeners()
        brain = super().__new__(cls, policy_to_json(policy), listeners.tell)
        brain._listeners = listeners
        return brain

    # Taking in

    def preview(self, fact: _core.Fact) -> Changed:
        """What applying a fact would change at most. Of heartbeats (`LAST_HEARD`) it is enough to store
        the newest of each reconciler, from time to time and with the next fact about it."""
        return Changed(self._preview(fact))

    def load(self, facts: str | bytes | Iterable[_core.Fact]) -> None:
        """Takes in stored facts, without effects: to be called once, before anything else.

        facts: the lines of a journal in one text, or an iterable of facts. Other threads go on
        meanwhile. Raises FactError, with the line, and then nothing was taken in.
        """
        self._load(facts)

    def apply_many(
        self,
        facts: str | bytes | Iterable[_core.Fact],
        *,
        cluster: str | None = None,
        now: datetime | None = None,
    ) -> Effects:
        """Takes in many facts, and returns what changed in all.

        facts: lines of a journal in one text, or an iterable of facts; or, with `cluster`, bodies of
        requests, one a line, whose sender you have authenticated. Other threads go on meanwhile. Raises
        FactError or ParseError, with the line, and then nothing was taken in.
        """
        return self._apply_many(facts, optional_text(cluster, "cluster"), now)

    def merge(self, other: _core.Brain, *, now: datetime | None = None) -> Effects:
        """Takes in all that another brain knows."""
        return self._merge(other, now)

    def set_policy(
        self, policy: Policy | Mapping[str, Any], *, now: datetime | None = None
    ) -> Effects:
        """Puts another policy in place. Raises ConfigError, and then the former holds."""
        return self._set_policy(policy_to_json(policy), now)

    def registration(
        self,
        environment: str,
        commit: str,
        *,
        expect: Iterable[str] = (),
        require: Require | str | None = None,
        timeout: Duration | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Registration:
        """CI's word on a rollout, with what the policy in place declares for the environment. What is
        given here is added; of `require` the stricter holds. Make a fact of it: `Fact(registration)`.

        Raises ConfigError if a name is malformed, QueryError if the commit is, or the environment is not
        declared though others are.
        """
        told = self._question(
            "registration",
            environment=text(environment, "environment"),
            commit=text(commit, "commit"),
            expect=texts(expect, "expect"),
            require=optional_text(require, "require"),
            timeout=_duration(timeout, "timeout"),
            labels=text_map(labels or {}, "labels"),
        )
        made = body_of_json(f'{{"registered":{told}}}')
        assert isinstance(made, Registration)
        return made

    def unrecorded(self) -> tuple[Settlement, ...]:
        """Settlements that ought to have been recorded, and were not: the host stopped in between, or
        several transitions of one rollout came in one go. To be asked after `load` and `apply_many`."""
        return tuple(body_of_plain(each) for each in read(list[Any], self._question("unrecorded")))

    # Asking

    def status(
        self,
        environment: str,
        commit: str,
        *,
        require: Require | str | None = None,
        reconcilers: Iterable[str] = (),
        failure_grace: Duration | None = None,
        now: datetime | None = None,
    ) -> Status:
        """Where a rollout stands. A commit that was never registered is answered too.

        commit: the full id. require, reconcilers, failure_grace: what this asker wants for itself.
        Raises QueryError if the environment is not declared (though others are) or the commit is no
        id, ConfigError if a name or a duration is malformed.
        """
        rollout = _rollout(environment, commit, require, reconcilers, failure_grace)
        return read(Status, self._question("status", now, **rollout))

    def statuses(self, commit: str, *, now: datetime | None = None) -> tuple[Status, ...]:
        """Where a commit stands in each environment."""
        told = self._question("statuses", now, commit=text(commit, "commit"))
        return read(tuple[Status, ...], told)

    def rollouts(
        self,
        *,
        environment: str | None = None,
        outcome: Outcome | str | None = None,
        labels: Mapping[str, str] | None = None,
        after: Position | None = None,
        limit: int | None = None,
        now: datetime | None = None,
    ) -> tuple[Status, ...]:
        """Registered rollouts as they stand, those registered last first.

        labels: those that all must have; after: where the page before ended; limit: at most so many.
        """
        if after is not None and not isinstance(after, Position):
            raise TypeError(f"after must be Position, not {type(after).__name__}")
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            raise TypeError("limit must be an int that is not negative")
        told = self._question(
            "rollouts",
            now,
            environment=optional_text(environment, "environment"),
            outcome=optional_text(outcome, "outcome"),
            labels=text_map(labels or {}, "labels"),
            after=after,
            limit=limit,
        )
        return read(tuple[Status, ...], told)

    def reconcilers(
        self, *, environment: str | None = None, cluster: str | None = None
    ) -> tuple[ReconcilerReport, ...]:
        """What is live where, in the order of the names."""
        told = self._question(
            "reconcilers",
            environment=optional_text(environment, "environment"),
            cluster=optional_text(cluster, "cluster"),
        )
        return read(tuple[ReconcilerReport, ...], told)

    def clusters(self) -> tuple[ClusterReport, ...]:
        """What is known of each cluster, in the order of the names."""
        return read(tuple[ClusterReport, ...], self._question("clusters"))

    @property
    def policy(self) -> Policy:
        """The policy in place, with all defaults."""
        return read(Policy, self._question("policy"))

    def resolve(self, commit: str) -> str:
        """The full id of a commit: of a full id, or of the first 7 or more digits of one that is known.

        Raises QueryError with the code commit.malformed, commit.unknown or commit.ambiguous.
        """
        return read(str, self._question("resolve", commit=text(commit, "commit")))

    # Time

    def expire(self, *, now: datetime | None = None) -> Effects:
        """Lets time pass, and returns what it has changed: to be called at each `next_deadline`, or let
        `expire_at_deadlines` do it."""
        return self._expire(now)

    def next_deadline(self) -> datetime | None:
        """The next instant at which time alone changes something that somebody wants to know."""
        return read(datetime | None, self._question("next_deadline"))  # type: ignore[arg-type]

    async def expire_at_deadlines(
        self, on_effects: Callable[[Effects], Awaitable[object] | object]
    ) -> None:
        """Calls `expire` at each deadline, until it is cancelled: to be run as a task.

        on_effects: called with effects that have transitions, to record their settlements and to notify;
        it may be a coroutine function. An error that it raises ends the task.
        """
        with self._listeners.every_change() as moved:
            self._keep_deadlines(True)
            while True:
                moved.clear()
                deadline = self.next_deadline()
                if deadline is None:
                    await moved.wait()
                elif (left := _seconds_until(deadline)) > 0:
                    await _ring(moved, left)
                else:
                    effects = self.expire()
                    if effects.transitions:
                        told = on_effects(effects)
                        if isinstance(told, Awaitable):
                            await told

    # Waiting

    def watch(
        self,
        environment: str,
        commit: str,
        *,
        since: str | None = None,
        require: Require | str | None = None,
        reconcilers: Iterable[str] = (),
        failure_grace: Duration | None = None,
        now: datetime | None = None,
    ) -> Status | int:
        """The status at once if it is settled, or another one than that of the version `since`; else the
        number of a watch, which `Effects.woken` will name when the status changes. Then it is spent.

        For hosts with a way of waiting of their own; `wait` is made of it.
        """
        rollout = _rollout(environment, commit, require, reconcilers, failure_grace)
        answer = self._watch(to_text(rollout), optional_text(since, "since"), now)
        return answer if isinstance(answer, int) else read(Status, answer)

    def unwatch(self, watch: int) -> None:
        """Gives up a watch."""
        self._unwatch(watch)

    async def wait(
        self,
        environment: str,
        commit: str,
        timeout: float | timedelta | None = None,
        *,
        since: str | None = None,
        require: Require | str | None = None,
        reconcilers: Iterable[str] = (),
        failure_grace: Duration | None = None,
    ) -> Status:
        """Waits until a rollout is settled, and returns its status, settled or not: never an error for
        a timeout.

        timeout: in seconds; None waits until the rollout is settled, if need be by its own deadline.
        since: the version of a status that is known: then it ends at any change too (long-polling). The
        rest is as for `status`.

        Any number may wait, in any thread that runs an event loop; from a thread without one,
        `asyncio.run(brain.wait(…))`.
        """
        rollout = _rollout(environment, commit, require, reconcilers, failure_grace)
        question = to_text(rollout)
        since = optional_text(since, "since")
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            left = None if end is None else end - loop.time()
            if left is not None and left <= 0:
                return read(Status, self._question("status", **rollout))
            now = datetime.now(timezone.utc)
            with self._listeners.watch(lambda: self._watch(question, since, now)) as watched:
                if isinstance(watched, str):
                    return read(Status, watched)
                number, woken = watched
                try:
                    # At the same instant: a deadline between two would be missed by both.
                    told = self._question("next_change", now, **rollout)
                    change = read(datetime | None, told)  # type: ignore[arg-type]
                    if change is not None:
                        until = max(_seconds_until(change), 0.001)
                        left = until if left is None else min(left, until)
                    await _ring(woken, left)
                finally:
                    self._unwatch(number)

    def _question(self, what: str, now: datetime | None = None, **parts: object) -> str:
        return self._ask(to_text({what: parts} if parts else what), now)


class _Bell:
    """An event of a loop that any thread can set."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self.clear = self._rung.clear
        self.wait = self._rung.wait

    def ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._rung.set)
        except RuntimeError:
            pass  # The loop was closed: nobody waits there any more.


class _Listeners:
    """Who is to be woken. It does not know the brain, so that both are freed without the collector."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: dict[int, _Bell] = {}
        self._bells: set[_Bell] = set()

    def tell(self, effects: Effects) -> None:
        """The native part calls this after each call that may concern somebody."""
        with self._lock:
            bells = [self._watches.pop(each, None) for each in effects.woken]
            bells.extend(self._bells)
        for bell in bells:
            if bell is not None:
                bell.ring()

    @contextmanager
    def watch(self, watch: Callable[[], str | int]) -> Iterator[str | tuple[int, _Bell]]:
        """The answer at once, or the watch that waits and the bell that will be rung."""
        bell = _Bell()
        # Whoever wakes the watch takes the same lock: it cannot be woken before it is listed.
        with self._lock:
            answer = watch()
            if isinstance(answer, int):
                self._watches[answer] = bell
        if isinstance(answer, str):
            yield answer
            return
        try:
            yield answer, bell
        finally:
            with self._lock:
                self._watches.pop(answer, None)

    @contextmanager
    def every_change(self) -> Iterator[_Bell]:
        """A bell that is rung by everything that the native part tells."""
        bell = _Bell()
        with self._lock:
            self._bells.add(bell)
        try:
            yield bell
        finally:
            with self._lock:
                self._bells.discard(bell)


async def _ring(bell: _Bell, seconds: float | None) -> None:
    """Waits for a bell, but no longer than this."""
    try:
        await asyncio.wait_for(bell.wait(), seconds)
    except asyncio.TimeoutError:
        pass


def _seconds_until(time: datetime) -> float:
    return (time - datetime.now(timezone.utc)).total_seconds()


def _duration(duration: Duration | None, name: str) -> str | None:
    return None if duration is None else text_of_duration(duration, name)


def _rollout(
    environment: str,
    commit: str,
    require: Require | str | None,
    reconcilers: Iterable[str],
    failure_grace: Duration | None,
) -> dict[str, Any]:
    return {
        "environment": text(environment, "environment"),
        "commit": text(commit, "commit"),
        "require": optional_text(require, "require"),
        "reconcilers": texts(reconcilers, "reconcilers"),
        "failure_grace": _duration(failure_grace, "failure_grace"),
    }
