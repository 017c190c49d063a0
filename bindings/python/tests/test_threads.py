"""Many threads at one brain."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable

import pytest
from gitops_brain import Brain, Fact

from .conformance.scenario import Scenario
from .conformance.test_conformance import SCENARIOS
from .samples import A, B, POLICY, applying, at, healthy


def together(*works: Callable[[], object]) -> None:
    """Runs all at the same time, and raises what one of them raised."""
    errors: list[BaseException] = []

    def guard(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]


def captured() -> tuple[Scenario, list[Fact]]:
    scenario = Scenario(SCENARIOS["captured-first-run"])
    return scenario, scenario.facts()


def test_eight_threads_make_the_same_brain_as_one() -> None:
    scenario, facts = captured()
    expected = scenario.brain_of(facts)
    brain = Brain(scenario.policy)
    done = threading.Event()

    def take(seed: int) -> Callable[[], None]:
        mine = facts[:]
        random.Random(seed).shuffle(mine)

        def run() -> None:
            for fact in mine:
                brain.apply(fact, fact.at)

        return run

    def ask() -> None:
        while not done.is_set():
            brain.reconcilers()
            brain.rollouts(now=facts[-1].at)
            brain.facts()
            scenario.answers(brain)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        together(*(take(seed) for seed in range(8)))
    finally:
        done.set()
        asking.join()
    assert scenario.answers(brain) == scenario.answers(expected)
    assert brain == expected


def many_lines() -> str:
    # Each line another fact, of one of twenty reconcilers.
    line = applying(name="NAME").to_line()
    assert A in line
    return "\n".join(
        line.replace(A, f"{number:040x}").replace("NAME", f"apps-{number % 20}")
        for number in range(60_000)
    )


@pytest.mark.parametrize("call", ["load", "apply_many", "merge"])
def test_others_go_on_while_many_facts_are_taken_in(call: str) -> None:
    brain, lines = Brain(POLICY), many_lines()
    if call == "merge":
        other = Brain(POLICY)
        other.load(lines)
        work: Callable[[], object] = lambda: brain.merge(other, now=at(9))  # noqa: E731
    else:
        work = lambda: getattr(brain, call)(lines)  # noqa: E731
    thread = threading.Thread(target=work)
    ticks = 0
    begun = time.perf_counter()
    thread.start()
    while thread.is_alive():
        ticks += 1
        time.sleep(0.001)
    took = time.perf_counter() - begun
    # If the interpreter were held, there would be a tick before and one after.
    assert took > 0.02, "too quick to tell anything"
    assert ticks > took / 0.001 / 20, f"{ticks} ticks in {took:.3f} s"


def test_brains_that_merge_and_compare_each_other_do_not_wait_for_each_other() -> None:
    one, other = Brain(POLICY), Brain(POLICY)
    one.apply(healthy(A))
    other.apply(healthy(B, at(5)))

    def merge(into: Brain, of: Brain) -> Callable[[], None]:
        def run() -> None:
            for _ in range(200):
                into.merge(of, now=at(9))
                assert into != Brain(POLICY)
                _ = into == of

        return run

    together(merge(one, other), merge(other, one), merge(one, one))
    assert one == other


def test_the_interpreter_stays_free_of_its_lock() -> None:
    enabled: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    import sysconfig

    if enabled is None or not sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("this interpreter has a global lock")
    assert not enabled()
