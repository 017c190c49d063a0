"""Waiting for a status."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from datetime import datetime, timedelta, timezone

import pytest
from gitops_brain import Brain, Fact, Outcome, QueryError, Status

from .samples import A, B, POLICY, applying, failed, healthy, registered


def now() -> datetime:
    return datetime.now(timezone.utc)


def seconds_ago(seconds: float) -> datetime:
    return (now() - timedelta(seconds=seconds)).replace(microsecond=0)


def brain_that_waits(**more: str) -> Brain:
    brain = Brain(POLICY)
    registered(brain, when=now(), **more)
    return brain


def green() -> Fact:
    return healthy(when=seconds_ago(1))


def test_what_is_settled_is_answered_at_once() -> None:
    brain = brain_that_waits()
    brain.apply(green())
    status = asyncio.run(brain.wait("staging", A))
    assert status.outcome is Outcome.SUCCEEDED


def test_a_host_can_wait_in_a_way_of_its_own() -> None:
    brain = brain_that_waits()
    watch = brain.watch("staging", A)
    given_up = brain.watch("staging", A)
    assert isinstance(watch, int) and isinstance(given_up, int)
    brain.unwatch(given_up)
    brain.unwatch(12345)
    assert brain.apply(green()).woken == (watch,)
    status = brain.watch("staging", A, require="healthy")
    assert isinstance(status, Status) and status.settled
    newer = brain.watch("staging", A, since="another version")
    assert isinstance(newer, Status)


def test_an_event_in_the_same_loop_wakes() -> None:
    async def run() -> Status:
        brain = brain_that_waits()
        waiting = asyncio.create_task(brain.wait("staging", A, 30))
        await asyncio.sleep(0.01)
        brain.apply(applying(when=seconds_ago(2)))
        await asyncio.sleep(0.01)
        assert not waiting.done(), "applied is not settled"
        brain.apply(green())
        return await asyncio.wait_for(waiting, 5)

    assert asyncio.run(run()).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("many", [False, True])
def test_an_event_in_another_thread_wakes(many: bool) -> None:
    async def run() -> Status:
        brain = brain_that_waits()
        waiting = asyncio.create_task(brain.wait("staging", A, 30))
        await asyncio.sleep(0.01)
        take = brain.apply_many if many else brain.apply
        thread = threading.Thread(target=take, args=([green()] if many else green(),))
        thread.start()
        status = await asyncio.wait_for(waiting, 5)
        thread.join()
        return status

    assert asyncio.run(run()).outcome is Outcome.SUCCEEDED


def test_five_hundred_wait_and_all_are_woken() -> None:
    async def run() -> list[Status]:
        brain = brain_that_waits()
        registered(brain, B, now())
        waiting = [
            asyncio.create_task(brain.wait("staging", (A, B)[number % 2], 60))
            for number in range(500)
        ]
        await asyncio.sleep(0.1)
        brain.apply(failed(B, seconds_ago(3)))
        brain.apply(green())
        return await asyncio.wait_for(asyncio.gather(*waiting), 30)

    statuses = asyncio.run(run())
    assert [each.outcome for each in statuses[:2]] == [Outcome.SUCCEEDED, Outcome.FAILED]
    assert {each.outcome for each in statuses[::2]} == {Outcome.SUCCEEDED}


@pytest.mark.parametrize("timeout", [0, 0.02, timedelta(milliseconds=20), -1])
def test_a_timeout_is_no_error(timeout: float | timedelta) -> None:
    brain = brain_that_waits()
    begun = time.monotonic()
    status = asyncio.run(brain.wait("staging", A, timeout))
    assert status.outcome is Outcome.IN_PROGRESS and not status.settled
    assert time.monotonic() - begun < 5
    assert brain._listeners._watches == {}


def test_with_a_known_version_any_change_ends_it() -> None:
    async def run() -> None:
        brain = brain_that_waits()
        known = brain.status("staging", A)
        same = await brain.wait("staging", A, 0.05, since=known.version)
        assert same.version == known.version
        waiting = asyncio.create_task(brain.wait("staging", A, 30, since=known.version))
        await asyncio.sleep(0.01)
        brain.apply(applying(when=seconds_ago(2)))
        changed = await asyncio.wait_for(waiting, 5)
        assert changed.state == "applied" and not changed.settled
        at_once = await asyncio.wait_for(brain.wait("staging", A, since=known.version), 5)
        assert at_once.version == changed.version

    asyncio.run(run())


def test_a_rollout_times_out_though_nobody_lets_time_pass() -> None:
    brain = brain_that_waits(timeout="80ms")
    status = asyncio.run(brain.wait("staging", A))
    assert status.outcome is Outcome.TIMED_OUT


def test_a_grace_ends_though_nobody_lets_time_pass() -> None:
    async def run() -> Status:
        brain = brain_that_waits()
        waiting = asyncio.create_task(brain.wait("staging", A, 30, failure_grace="1500ms"))
        await asyncio.sleep(0.01)
        brain.apply(failed(when=seconds_ago(0)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(run()).outcome is Outcome.FAILED


def test_whoever_gives_up_leaves_nothing_behind() -> None:
    async def run(brain: Brain) -> None:
        waiting = asyncio.create_task(brain.wait("staging", A))
        await asyncio.sleep(0.01)
        assert len(brain._listeners._watches) == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert brain._listeners._watches == {}

    brain = brain_that_waits()
    asyncio.run(run(brain))
    gone = weakref.ref(brain)
    gc.disable()
    try:
        del brain
        assert gone() is None, "a brain is freed without the collector"
    finally:
        gc.enable()


def test_a_question_without_an_answer_is_an_error() -> None:
    brain = brain_that_waits()
    with pytest.raises(QueryError):
        asyncio.run(brain.wait("stagign", A, 5))
    with pytest.raises(TypeError, match="commit must be str, not int"):
        asyncio.run(brain.wait("staging", 5, 5))  # type: ignore[arg-type]
    assert brain._listeners._watches == {}


def test_several_loops_in_several_threads_wait_for_one_brain() -> None:
    brain = brain_that_waits()
    outcomes: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: outcomes.append(asyncio.run(brain.wait("staging", A, 30)).outcome)
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while len(brain._listeners._watches) < 8:
        time.sleep(0.005)
    brain.apply(green())
    for thread in threads:
        thread.join(10)
    assert outcomes == [Outcome.SUCCEEDED] * 8


def test_a_loop_that_was_closed_does_not_keep_others_from_being_woken() -> None:
    brain = brain_that_waits()
    loop = asyncio.new_event_loop()
    task = loop.create_task(brain.wait("staging", A))
    loop.run_until_complete(asyncio.sleep(0.01))
    assert len(brain._listeners._watches) == 1
    loop.stop()
    asyncio_closed = loop
    asyncio_closed._ready.clear()  # type: ignore[attr-defined]
    loop.close()
    assert brain.apply(green()).woken
    task._log_destroy_pending = False  # type: ignore[attr-defined]
