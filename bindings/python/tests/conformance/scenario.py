"""Scenarios: facts over time, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

import gitops_brain
from gitops_brain import (
    Ancestry,
    Brain,
    Contains,
    Effects,
    Fact,
    Forgotten,
    GitopsBrainError,
    Ignored,
    Outcome,
    Parents,
    Removed,
    Settlement,
    Verifier,
)

from .calls import time
from .vectors import Case, Wrong, bytes_of, compare, exact, fields, holds, only

# How an optional time, whose text may be absent, is left out of a comparison.
OPTIONAL_IN_TRANSITIONS = ("at", "message", "cause", "settlements")


class Scenario:
    """A policy, questions, and steps with what each should lead to."""

    def __init__(self, case: Case) -> None:
        resolved = resolve(case)
        _, _, self.queries, steps, _, self.keys, self.policy = fields(
            resolved,
            "id",
            "why",
            "queries",
            "steps",
            optional={"commits": {}, "keys": {}, "policy": None},
        )
        if not self.queries or not steps:
            raise Wrong("`queries` and `steps` must not be empty")
        for asked in self.queries.values():
            question(asked)
        self.steps = [Step(step, self.queries) for step in steps]

    def run(self) -> None:
        """Plays it, and compares after each step."""
        player = Player(self)
        problems: list[str] = []
        for number, step in enumerate(self.steps):
            found = player.play(step)
            problems += [f"step {number} ({step.at.isoformat()}): {what}" for what in found]
        holds(problems)

    def facts(self) -> list[Fact]:
        """All its facts, whatever is expected of them."""
        player = Player(self)
        for step in self.steps:
            player.feed(step)
        return player.facts

    def brain_of(self, facts: Iterable[Fact]) -> Brain:
        """A brain that took in facts one by one, under the policy that is in place at the end.

        Where something is forgotten it loads them: forgetting is done when it is said, or when all is
        loaded.
        """
        policies = [step.content for step in self.steps if step.action == "set_policy"]
        brain = Brain(policies[-1] if policies else self.policy)
        if any(step.action == "forgotten" for step in self.steps):
            brain.load(facts)
        else:
            for fact in facts:
                brain.apply(fact, fact.at)
        return brain

    def answers(self, brain: Brain) -> list[Any]:
        """What a brain answers to each question at the end of the scenario."""
        last = max(step.at for step in self.steps)
        return [ask(brain, asked, last) for asked in self.queries.values()]


class Step:
    """One thing that happens, and what is expected then."""

    def __init__(self, step: Any, queries: dict[str, Any]) -> None:
        at, do, expect, _ = fields(step, "at", "do", "expect", optional={"about": None})
        self.at = time(at)
        self.action, self.content = only(do)
        self.statuses, self.error, self.ignored, self.transitions = fields(
            expect, "statuses", optional={"error": None, "ignored": None, "transitions": []}
        )
        if set(self.statuses) != set(queries):
            raise Wrong(f"{at}: `statuses` must tell of each query")
        for name, status in self.statuses.items():
            needed = {"error"} if "error" in status else {"state", "outcome", "reason"}
            if needed - set(status):
                raise Wrong(f"{at}: {name} lacks one of {sorted(needed)}")


class Player:
    """A scenario in the course of being played."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.verifiers = {cluster: Verifier(keys) for cluster, keys in scenario.keys.items()}
        self.brain = Brain(scenario.policy)
        self.facts: list[Fact] = []
        self.now = datetime.min.replace(tzinfo=timezone.utc)
        self.error: str | None = None
        self.ignored: str | None = None

    def play(self, step: Step) -> list[str]:
        problems: list[str] = []
        if step.at < self.now:
            problems.append("is earlier than the step before")
        # A host calls `expire` at each deadline. A vector that does not would hide a transition.
        deadline = self.brain.next_deadline()
        if deadline is not None and deadline < step.at:
            problems.append(f"there must be an `expire` at {deadline.isoformat()} before")
        effects = self.feed(step)
        if (self.error, self.ignored) != (step.error, step.ignored):
            problems.append(f"refused {self.error}, ignored {self.ignored}")
        for name, asked in self.scenario.queries.items():
            expected = step.statuses[name]
            actual = ask(self.brain, asked, step.at)
            compare(name, expected, actual, problems)
            # Which reconcilers are expected is told completely, or not at all.
            if "reconcilers" in expected:
                others = sorted(set(actual["reconcilers"]) - set(expected["reconcilers"]))
                problems += [f"{name}: {other} is not expected" for other in others]
        compare_transitions(step.transitions, effects, problems)
        return problems

    def feed(self, step: Step) -> Effects | None:
        """Feeds what a step brings, whatever is expected of it."""
        self.now = max(self.now, step.at)
        self.error = self.ignored = None
        content = step.content
        if step.action == "nothing":
            fields(content)
            return None
        if step.action == "lost_event":
            _, body, _ = fields(content, "cluster", "body", optional={"signature": None})
            bytes_of(body)
            return None
        if step.action == "expire":
            fields(content)
            return self.brain.expire(now=step.at)
        if step.action == "set_policy":
            return self.brain.set_policy(content, now=step.at)
        fact = self.event(step) if step.action == "event" else Fact(self.body(step), step.at)
        if fact is None:
            return None
        # What a journal and another language see of it must be the same.
        again = Fact.from_line(fact.to_line())
        if again != fact or again.id != fact.id or again.body != fact.body:
            raise Wrong("a fact changes when it is written and read")
        effects = self.brain.apply(fact, step.at)
        self.facts.append(fact)
        return effects

    def event(self, step: Step) -> Fact | None:
        cluster, body, header = fields(
            step.content, "cluster", "body", optional={"signature": None}
        )
        try:
            if header is None:
                taken = gitops_brain.observe(cluster, bytes_of(body), step.at)
            else:
                verifier = self.verifiers[cluster]
                taken = gitops_brain.ingest(verifier, cluster, header, bytes_of(body), step.at)
        except GitopsBrainError as error:
            self.error = error.code
            return None
        if isinstance(taken, Ignored):
            self.ignored = taken.code
            return None
        return taken

    def body(self, step: Step) -> Any:
        content = step.content
        if step.action == "register":
            environment, commit, expect, require, timeout, labels = fields(
                content,
                "environment",
                "commit",
                optional={"expect": [], "require": None, "timeout": None, "labels": {}},
            )
            return self.brain.registration(
                environment, commit, expect=expect, require=require, timeout=timeout, labels=labels
            )
        if step.action == "ancestry":
            parents, contains, objects = fields(
                content, optional={"parents": {}, "contains": {}, "objects": []}
            )
            proved = Ancestry.from_objects([bytes_of(each) for each in objects])
            claimed = tuple(Parents(commit, tuple(of)) for commit, of in parents.items())
            contained = tuple(Contains(commit, tuple(of)) for commit, of in contains.items())
            return Ancestry(proved.parents + claimed, contained)
        if step.action == "removed":
            return Removed(content)
        if step.action == "forgotten":
            (before,) = fields(content, "before")
            return Forgotten(time(before))
        if step.action == "settled":
            environment, commit, n, outcome = fields(
                content, "environment", "commit", "n", "outcome"
            )
            return Settlement(environment, commit, n, Outcome(outcome))
        raise Wrong(f"there is no action {step.action}")


def question(asked: Any) -> dict[str, Any]:
    """What `Brain.status` is called with."""
    environment, commit, require, reconcilers, failure_grace = fields(
        asked,
        "environment",
        "commit",
        optional={"require": None, "reconcilers": [], "failure_grace": None},
    )
    return {
        "environment": environment,
        "commit": commit,
        "require": require,
        "reconcilers": reconcilers,
        "failure_grace": failure_grace,
    }


def ask(brain: Brain, asked: Any, now: datetime) -> dict[str, Any]:
    """A status in the words of the vectors: its reconcilers by name."""
    try:
        status = brain.status(**question(asked), now=now).to_dict()
    except GitopsBrainError as error:
        return {"error": error.code}
    status["reconcilers"] = {each["reconciler"]: each for each in status["reconcilers"]}
    return status


def compare_transitions(
    expected: list[Any], effects: Effects | None, problems: list[str]
) -> None:
    actual = [] if effects is None else [each.to_dict() for each in effects.transitions]
    if len(expected) != len(actual):
        problems.append(f"expected {len(expected)} transitions: {actual}")
    for place, (one, other) in enumerate(zip(expected, actual)):
        other.pop("settlement")  # It follows from the rest; Rust's has none either.
        for optional in OPTIONAL_IN_TRANSITIONS:
            if optional not in one:
                other.pop(optional)
        exact(f"transitions[{place}]", one, other, problems)


def resolve(case: Case) -> Case:
    """Puts commits in place of their names."""
    names = {f"${{{name}}}": commit for name, commit in case.get("commits", {}).items()}
    used: set[str] = set()

    def replace(value: Any) -> Any:
        if isinstance(value, str):
            for name, commit in names.items():
                if name in value:
                    used.add(name)
                    value = value.replace(name, commit)
            return value
        if isinstance(value, list):
            return [replace(each) for each in value]
        if isinstance(value, dict):
            return {replace(key): replace(each) for key, each in value.items()}
        return value

    resolved: Case = replace(case)
    if unused := sorted(names.keys() - used):
        raise Wrong(f"nothing uses {unused}")
    return resolved
