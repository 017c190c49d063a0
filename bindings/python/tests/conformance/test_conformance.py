"""Runs every vector against this package, through its public API."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gitops_brain import Brain, Fact, Observation

from . import calls
from .scenario import Scenario
from .truth import Truth, commits, heard
from .vectors import KINDS, Case, File, Wrong, read_all, read_file

FILES = read_all()
CASES = [(file.kind, case) for file in FILES for case in file.cases]
SCENARIOS = {case["id"]: case for kind, case in CASES if kind == "scenarios"}
TRUTHS = [case for kind, case in CASES if kind == "truth"]
RAN: Counter[str] = Counter()


def run(kind: str, case: Case) -> None:
    if kind == "scenarios":
        Scenario(case).run()
    elif kind == "truth":
        check_truth(case)
    else:
        calls.run(kind, case)


def shuffled_with_repetition(facts: list[Fact], seed: int) -> list[Fact]:
    """All facts in a random order, and about half of them once more."""
    numbers = random.Random(seed)
    again = facts + [fact for fact in facts if numbers.random() < 0.5]
    numbers.shuffle(again)
    return again


def some_lost(facts: list[Fact], seed: int) -> list[Fact]:
    """The facts in their order, without about a third of the observations."""
    numbers = random.Random(seed)
    return [
        fact
        for fact in facts
        if not isinstance(fact.body, Observation) or numbers.random() >= 0.33
    ]


def check_truth(case: Case) -> None:
    """Never a false green: in order, in any order, and if events are lost."""
    truth = Truth(case)
    scenario = Scenario(SCENARIOS[truth.scenario])
    facts = scenario.facts()
    for reconciler in truth.objects:
        if heard(facts, reconciler)[1] is None:
            raise Wrong(f"{reconciler} was never heard of")
    orders = [facts]
    orders += [shuffled_with_repetition(facts, seed) for seed in (1, 2)]
    orders += [some_lost(facts, seed) for seed in range(1, 7)]
    for order in orders:
        brain = Brain(scenario.policy)
        for place, fact in enumerate(order, 1):
            brain.apply(fact, fact.at)
            # Each step of the true order; of the others, which are many, each fourth and the last.
            if order is facts or place % 4 == 0 or place == len(order):
                truth.check(brain, order[:place])


@pytest.mark.parametrize(
    ("kind", "case"), [pytest.param(kind, case, id=f"{kind}/{case['id']}") for kind, case in CASES]
)
def test_the_vector_holds(kind: str, case: Case) -> None:
    RAN[kind] += 1
    run(kind, case)


@pytest.mark.parametrize("name", SCENARIOS)
def test_facts_in_any_order_give_the_same_statuses(name: str) -> None:
    scenario = Scenario(SCENARIOS[name])
    facts = scenario.facts()
    expected = scenario.answers(scenario.brain_of(facts))
    orders = [facts[::-1]] + [shuffled_with_repetition(facts, seed) for seed in range(1, 5)]
    for order in orders:
        brain = scenario.brain_of(order)
        assert scenario.answers(brain) == expected
        # What a snapshot holds is enough.
        assert scenario.answers(scenario.brain_of(brain.facts())) == expected


def test_a_loaded_snapshot_is_an_equal_brain() -> None:
    for case in SCENARIOS.values():
        scenario = Scenario(case)
        brain = scenario.brain_of(scenario.facts())
        again = Brain(brain.policy)
        again.load("\n".join(fact.to_line() for fact in brain.facts()))
        assert scenario.answers(again) == scenario.answers(brain)


def test_every_case_of_every_file_ran(request: pytest.FixtureRequest) -> None:
    chosen = {item.name for item in request.session.items}
    if len(chosen) < len(CASES) or request.config.getoption("keyword"):
        pytest.skip("only some tests were chosen")
    assert RAN == Counter(kind for kind, _ in CASES)
    assert set(RAN) == set(KINDS)


def test_a_green_that_is_not_true_would_be_found() -> None:
    by_scenario = {case["scenario"]: Truth(case) for case in TRUTHS}
    for name, found in (("captured-failed-early", True), ("captured-wait-false", False)):
        truth = by_scenario[name]
        facts = Scenario(SCENARIOS[name]).facts()
        reconciler = next(iter(truth.objects))
        uids, newest = heard(facts, reconciler)
        assert newest is not None
        told = commits(facts)
        assert any(truth.supports(reconciler, each, uids, newest) for each in told) is found
        for each in told:
            assert not truth.supports(reconciler, each, [], newest), "of another object"
            assert not truth.supports(reconciler, each, uids, facts[0].at), "before it was"


# Nothing is passed over in silence.

REVISION: Case = {
    "id": "x",
    "why": "x",
    "input": {"revision": "1.0.0"},
    "expect": {
        "ok": {
            "pointer": None,
            "commit": None,
            "digest": None,
            "version": "1.0.0",
            "display": "1.0.0",
        }
    },
}
SCENARIO: Case = {
    "id": "x",
    "why": "x",
    "queries": {"A": {"environment": "x", "commit": "a" * 40}},
    "steps": [
        {
            "at": "2026-11-23T12:00:00Z",
            "do": {"nothing": {}},
            "expect": {
                "statuses": {
                    "A": {"state": "pending", "outcome": "in_progress", "reason": "no_reconciler"}
                }
            },
        }
    ],
}


def file(folder: str, kind: str, *cases: Any) -> File:
    text = json.dumps({"kind": kind, "about": "x", "cases": cases})
    return read_file(Path(folder) / "x.json", text)


def test_a_file_that_nobody_would_read_is_an_error(tmp_path: Path) -> None:
    assert file("revisions", "revisions", REVISION).cases
    bad: list[Callable[[], object]] = [
        lambda: file("revisions", "riddles", REVISION),
        lambda: file("events", "revisions", REVISION),
        lambda: file("revisions", "revisions"),
        lambda: file("revisions", "revisions", {**REVISION, "id": ""}),
        lambda: file("revisions", "revisions", {"id": "x", "input": {}, "expect": {}}),
        lambda: read_file(Path("revisions/x.txt"), "{}"),
        lambda: read_all(tmp_path),
    ]
    for read in bad:
        with pytest.raises(Wrong):
            read()


def changed(case: Case, *path: Any, to: Any) -> Case:
    """A case in which one thing is another, or is left out (`...`)."""
    copy: Case = json.loads(json.dumps(case))
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    if to is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return copy


OK = ("expect", "ok")
STATUS = ("steps", 0, "expect", "statuses", "A")
DOCTORED = [
    ("revisions", changed(REVISION, "skip", to=True)),
    ("revisions", changed(REVISION, "input", "cluster", to="x")),
    ("revisions", changed(REVISION, *OK, "name", to="x")),
    ("revisions", changed(REVISION, *OK, "pointer", to=...)),
    ("revisions", changed(REVISION, *OK, "version", to="1.0.1")),
    ("revisions", changed(REVISION, "expect", "also", to={})),
    ("scenarios", changed(SCENARIO, *STATUS, "reason", to="waiting")),
    ("scenarios", changed(SCENARIO, *STATUS, "reason", to=...)),
    ("scenarios", changed(SCENARIO, *STATUS, "colour", to="red")),
    ("scenarios", changed(SCENARIO, "steps", 0, "expect", "transitions", to=[{}])),
    ("scenarios", changed(SCENARIO, "steps", 0, "expect", "statuses", to={})),
    ("scenarios", changed(SCENARIO, "steps", 0, "do", to={"riddle": {}})),
    ("scenarios", changed(SCENARIO, "commits", to={"A": "a" * 40})),
]


@pytest.mark.parametrize(("kind", "case"), DOCTORED)
def test_a_case_that_does_not_hold_is_found(kind: str, case: Case) -> None:
    run("revisions", REVISION)
    run("scenarios", SCENARIO)
    with pytest.raises((Wrong, TypeError, ValueError)):
        run(kind, case)


@pytest.mark.parametrize("kind", ["signatures", "events", "observations"])
def test_each_expectation_counts(kind: str) -> None:
    for case in (case for each, case in CASES if each == kind):
        with pytest.raises(Wrong):
            calls.run(kind, {**case, "expect": {"error": "riddle"}})
        with pytest.raises(Wrong):
            calls.run(kind, {**case, "expect": {"ok": {"riddle": 1}}})
