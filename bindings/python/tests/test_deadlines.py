"""Letting time pass without a loop of one's own."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import pytest
from gitops_brain import Brain, Effects, Outcome

from .samples import A, B, POLICY, registered


def now() -> datetime:
    return datetime.now(timezone.utc)


def outcomes(told: list[Effects]) -> list[tuple[str, str]]:
    return [(each.commit, each.to.outcome) for effects in told for each in effects.transitions]


@pytest.mark.parametrize("coroutine", [False, True])
def test_a_timeout_is_handed_out_as_a_transition(coroutine: bool) -> None:
    told: list[Effects] = []

    async def slowly(effects: Effects) -> None:
        await asyncio.sleep(0)
        told.append(effects)

    async def run() -> None:
        brain = Brain(POLICY)
        task = asyncio.create_task(
            brain.expire_at_deadlines(slowly if coroutine else told.append)
        )
        registered(brain, when=now(), timeout="60ms")
        async with asyncio.timeout(5) if hasattr(asyncio, "timeout") else Nothing():
            while not told:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert outcomes(told) == [(A, Outcome.TIMED_OUT)]
    assert told[0].transitions[0].settlement is not None


class Nothing:
    """Stands in for `asyncio.timeout`, which came with Python 3.11."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


def test_an_earlier_deadline_that_comes_later_is_kept_too() -> None:
    told: list[Effects] = []

    async def run() -> None:
        brain = Brain(POLICY)
        registered(brain, A, now(), timeout="1h")
        task = asyncio.create_task(brain.expire_at_deadlines(told.append))
        await asyncio.sleep(0.02)
        registered(brain, B, now(), timeout="50ms")
        for _ in range(500):
            if told:
                break
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(run())
    assert outcomes(told) == [(B, Outcome.TIMED_OUT)]


def test_when_it_is_cancelled_nothing_is_handed_out_any_more() -> None:
    told: list[Effects] = []

    async def run() -> None:
        brain = Brain(POLICY)
        task = asyncio.create_task(brain.expire_at_deadlines(told.append))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert brain._listeners._bells == set()
        registered(brain, when=now(), timeout="10ms")
        await asyncio.sleep(0.05)

    asyncio.run(run())
    assert told == []


def test_an_error_of_the_host_ends_it() -> None:
    def refuse(_: Effects) -> None:
        raise LookupError("the host's own")

    async def run() -> None:
        brain = Brain(POLICY)
        task = asyncio.create_task(brain.expire_at_deadlines(refuse))
        registered(brain, when=now(), timeout="10ms")
        await asyncio.wait_for(task, 5)

    with pytest.raises(LookupError):
        asyncio.run(run())
