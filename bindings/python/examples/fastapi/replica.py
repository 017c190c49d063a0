"""The brain of one worker, kept in step with the journal."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from gitops_brain import Brain, Changed, Effects, Fact, Observation, Settlement

from journal import Journal

POLL_SECONDS = 0.1
"""How long it takes at most until those who wait in one worker hear what came to another one."""

log = logging.getLogger(__name__)


class Replica:
    """A brain that takes in what the journal has, in the journal's order.

    All that touches the journal runs in one thread, one call after the other: the event loop never
    waits for the disk, and nothing needs a lock.
    """

    def __init__(
        self, path: str, policy: Mapping[str, Any], notify: Callable[[Settlement], None]
    ) -> None:
        self.brain = Brain(policy)
        self._journal = Journal(path)
        self._notify = notify
        self._thread = ThreadPoolExecutor(1, "journal")
        self._position = 0
        self._owed: deque[Settlement] = deque()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Reads the whole journal, then follows it and keeps the deadlines."""
        await asyncio.wrap_future(self._thread.submit(self._load))
        deadlines = self.brain.expire_at_deadlines(self._owe)
        tasks = [asyncio.create_task(each) for each in (self._follow(), deadlines)]
        for task in tasks:
            task.add_done_callback(_stop_if_failed)
        yield
        for task in tasks:
            task.cancel()
        self._thread.shutdown()
        self._journal.close()

    async def record(self, fact: Fact) -> bool:
        """Stores a fact durably, then takes it in. Returns whether it was new."""
        return await asyncio.wrap_future(self._thread.submit(self._record, fact))

    async def catch_up(self) -> None:
        """Takes in all that is stored by now: what any worker has answered, this one knows too."""
        await asyncio.wrap_future(self._thread.submit(self._catch_up))

    async def _follow(self) -> None:
        while True:
            try:
                await self.catch_up()
            except sqlite3.OperationalError as error:
                log.warning("the journal does not answer, trying again: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    def _load(self) -> None:
        self._position, lines = self._journal.read(after=0, limit=-1)
        self.brain.load(lines)
        self._owed.extend(self.brain.unrecorded())
        self._catch_up()

    def _record(self, fact: Fact) -> bool:
        self._catch_up()
        heartbeat = None
        if self.brain.preview(fact) is Changed.LAST_HEARD and isinstance(fact.body, Observation):
            heartbeat = fact.body.object
        new = self._journal.append(fact, heartbeat)
        self._catch_up()
        return new

    def _catch_up(self) -> None:
        while True:
            position, lines = self._journal.read(after=self._position)
            if lines:
                effects = self.brain.apply_many(lines)
                self._position = position
                self._owe(effects)
                # What is read in one go may settle a rollout twice under one number, of which only
                # the first counts: once that is recorded, the second is found here under the next.
                self._owed.extend(self.brain.unrecorded())
            elif not self._owed:
                return
            while self._owed:
                if self._journal.append(Fact(self._owed[0])):
                    self._notify(self._owed[0])  # of all workers that see it, one comes here
                self._owed.popleft()

    def _owe(self, effects: Effects) -> None:
        """Keeps settlements until they are stored."""
        made = (transition.settlement for transition in effects.transitions)
        self._owed.extend(settlement for settlement in made if settlement)


def _stop_if_failed(task: asyncio.Task[None]) -> None:
    """A worker that no longer follows the journal must not go on answering."""
    if not task.cancelled():
        log.critical("this worker stops", exc_info=task.exception())
        signal.raise_signal(signal.SIGTERM)
