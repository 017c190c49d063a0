"""What an API server knew: no `healthy` may be told that it does not support."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from gitops_brain import Ancestry, Brain, Fact, Observation, Registration, Revision, State

from .calls import time
from .vectors import Case, Wrong, fields

# A health check is told a moment before the API server has the status.
SLACK = timedelta(seconds=2)
ENVIRONMENT = "captured"


class Truth:
    """Every version of the Kustomizations of one captured scenario."""

    def __init__(self, case: Case) -> None:
        _, _, self.scenario, truth = fields(case, "id", "why", "scenario", "truth")
        (objects,) = fields(truth, "objects")
        self.objects: dict[str, dict[str, list[tuple[datetime, Any, Any, bool]]]] = {
            name: {uid: [version(each) for each in versions] for uid, versions in uids.items()}
            for name, uids in objects.items()
        }
        if not any(versions for uids in self.objects.values() for versions in uids.values()):
            raise Wrong("no version of any object is known")

    def check(self, brain: Brain, facts: list[Fact]) -> set[tuple[str, str, str]]:
        """All that a brain tells to be healthy, each of it supported."""
        now = max(fact.at for fact in facts)
        told = set()
        for reconciler in self.objects:
            uids, newest = heard(facts, reconciler)
            for commit in commits(facts):
                status = brain.status(ENVIRONMENT, commit, reconcilers=[reconciler], now=now)
                for each in status.reconcilers:
                    if each.state is State.HEALTHY:
                        proved = each.via or commit
                        if newest is None or not self.supports(reconciler, proved, uids, newest):
                            raise Wrong(f"{self.scenario} at {now}: {reconciler} at {proved}")
                        told.add((reconciler, commit, proved))
        return told

    def supports(
        self, reconciler: str, commit: str, uids: Iterable[str], until: datetime
    ) -> bool:
        """Whether an object of that name had the commit applied and was ready, while it waited for
        health, at a time or before."""
        return any(
            at <= until + SLACK and waits and ready == "True" and commit_of(applied) == commit
            for uid in uids
            for at, applied, ready, waits in self.objects[reconciler].get(uid, [])
        )


def version(given: Any) -> tuple[datetime, Any, Any, bool]:
    at, applied, ready, waits = fields(given, "at", "applied", "ready", "waits")
    return time(at), applied, ready, waits


def commit_of(applied: str | None) -> str | None:
    return None if applied is None else Revision.parse(applied).commit


def heard(facts: list[Fact], reconciler: str) -> tuple[set[str], datetime | None]:
    """The uids under which a reconciler was heard of, and the newest time at which it was."""
    told = [(fact.body, fact.at) for fact in facts]
    found = [
        (body.uid, at)
        for body, at in told
        if isinstance(body, Observation) and body.object == reconciler
    ]
    return {uid for uid, _ in found}, max((at for _, at in found), default=None)


def commits(facts: list[Fact]) -> list[str]:
    """All commits that facts name."""
    found: set[str] = set()
    for body in (fact.body for fact in facts):
        if isinstance(body, Observation) and body.commit is not None:
            found.add(body.commit)
        elif isinstance(body, Registration):
            found.add(body.commit)
        elif isinstance(body, Ancestry):
            found.update(parents.commit for parents in body.parents)
    return sorted(found)
