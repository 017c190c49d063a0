"""Nothing grows with the number of calls."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable
from contextlib import suppress

import gitops_brain
import pytest
from gitops_brain import (
    Ancestry,
    Brain,
    CommitObject,
    Event,
    Fact,
    GitopsBrainError,
    Removed,
    Revision,
    Verifier,
    ingest,
    observe,
    sign,
)

from .samples import A, APPS, KEY, POLICY, START, at, event, healthy, registered
from .test_parsing import COMMIT

CALLS = 200_000
SLOW_CALLS = 20_000
"""Of what costs more than some 20 µs: a tenth of the calls, and of what may remain."""
MEGABYTE = 2**20

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the memory in use is read from /proc"
)


def resident() -> int:
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def refused(call: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with suppress(GitopsBrainError):
            call()

    return run


BODY = event()
SIGNATURE = sign(KEY, BODY)
VERIFIER = Verifier([KEY])
FACT = healthy()
LINE = FACT.to_line()
BRAIN = Brain(POLICY)
registered(BRAIN)
BRAIN.apply(FACT, START)
WAITING = Brain(POLICY)
registered(WAITING)

FAST: dict[str, Callable[[], object]] = {
    "ingest": lambda: ingest(VERIFIER, "staging", SIGNATURE, BODY, START),
    "observe": lambda: observe("staging", BODY, START),
    "verify": lambda: VERIFIER.verify(SIGNATURE, BODY),
    "sign": lambda: sign(KEY, BODY),
    "verifier": lambda: Verifier([KEY, b"another key"]),
    "fact": lambda: Fact(Removed(APPS), START),
    "fact from line": lambda: Fact.from_line(LINE),
    "fact to line": FACT.to_line,
    "fact id": lambda: FACT.id,
    "fact at": lambda: FACT.at,
    "fact hash": lambda: hash(FACT),
    "apply": lambda: BRAIN.apply(FACT, START),
    "preview": lambda: BRAIN.preview(FACT),
    "expire": lambda: BRAIN.expire(now=START),
    "next deadline": BRAIN.next_deadline,
    "resolve": lambda: BRAIN.resolve(A[:9]),
    "revision": lambda: Revision.parse(f"main@sha1:{A}"),
    "commit object": lambda: CommitObject.parse(COMMIT),
    "refused signature": refused(lambda: VERIFIER.verify(SIGNATURE, b"x")),
    "refused event": refused(lambda: observe("staging", b'{"a":', START)),
    "refused line": refused(lambda: Fact.from_line("{")),
    "refused question": refused(lambda: BRAIN.resolve("x")),
}
SLOW: dict[str, Callable[[], object]] = {
    "event": lambda: Event.parse(BODY),
    "fact body": lambda: FACT.body,
    "brain": lambda: Brain(POLICY),
    "status": lambda: BRAIN.status("staging", A, now=START),
    "statuses": lambda: BRAIN.statuses(A, now=START),
    "rollouts": lambda: BRAIN.rollouts(now=START),
    "reconcilers": BRAIN.reconcilers,
    "clusters": BRAIN.clusters,
    "policy": lambda: BRAIN.policy,
    "facts": BRAIN.facts,
    "registration": lambda: BRAIN.registration("staging", A),
    "ancestry": lambda: Ancestry.from_objects([COMMIT]),
    "apply many": lambda: BRAIN.apply_many(LINE, now=START),
    "load": lambda: BRAIN.load(LINE),
    "merge": lambda: BRAIN.merge(BRAIN, now=START),
    "set policy": lambda: BRAIN.set_policy(POLICY, now=START),
    "unrecorded": BRAIN.unrecorded,
    "compare": lambda: BRAIN == WAITING,
    "refused policy": refused(lambda: Brain({"typo": 5})),
    "refused status": refused(lambda: BRAIN.status("stagign", A)),
}


def grows(call: Callable[[], object], calls: int) -> int:
    """How many bytes more there are after so many calls."""
    for _ in range(calls // 20):
        call()
    before = resident()
    for _ in range(calls):
        call()
    return resident() - before


@pytest.mark.parametrize("name", FAST)
def test_two_hundred_thousand_calls_leave_nothing_behind(name: str) -> None:
    assert grows(FAST[name], CALLS) < 3 * MEGABYTE


@pytest.mark.parametrize("name", SLOW)
def test_twenty_thousand_slow_calls_leave_nothing_behind(name: str) -> None:
    assert grows(SLOW[name], SLOW_CALLS) < MEGABYTE


def test_waiting_leaves_nothing_behind() -> None:
    async def wait() -> None:
        for _ in range(SLOW_CALLS // 4):
            task = asyncio.create_task(WAITING.wait("staging", A))
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    WAITING.apply(Fact(Removed(APPS), at(1)), at(1))
    registered(WAITING, A, START.now(START.tzinfo))
    asyncio.run(wait())
    before = resident()
    for _ in range(3):
        asyncio.run(wait())
    assert resident() - before < MEGABYTE
    assert WAITING._listeners._watches == {}
    assert gitops_brain.__version__
