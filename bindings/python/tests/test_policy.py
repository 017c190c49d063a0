"""What the operators declare."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

import pytest
from gitops_brain import (
    Brain,
    ConfigError,
    Environment,
    HealthChecks,
    Policy,
    QueryError,
    ReconcilerPolicy,
    Require,
)

from .samples import A, APPS, POLICY, START


def test_a_policy_is_given_as_values_or_as_the_file_has_it() -> None:
    values = Policy(
        environments={
            "staging": Environment(
                reconcilers=[APPS],
                require=Require.APPLIED,
                timeout=timedelta(minutes=5),
                failure_grace="90s",
            )
        },
        reconcilers={APPS: ReconcilerPolicy(HealthChecks.ENABLED)},
    )
    mapping = {
        "environments": {
            "staging": {
                "reconcilers": [APPS],
                "require": "applied",
                "timeout": "5m",
                "failure_grace": timedelta(seconds=90),
            }
        },
        "reconcilers": {APPS: {"health_checks": "enabled"}},
    }
    assert Brain(values).policy == Brain(mapping).policy


def test_defaults_are_filled_in() -> None:
    declared = Brain(POLICY).policy.environments["staging"]
    assert declared.reconcilers == (APPS,)
    assert (declared.require, declared.health_checks) == ("healthy", "inferred")
    assert declared.timeout == timedelta(minutes=30)
    assert declared.learning == timedelta(minutes=10)
    assert Brain(Brain(POLICY).policy).policy == Brain(POLICY).policy
    assert Brain().policy == Policy()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_a_configuration_file_can_be_handed_on() -> None:
    import tomllib

    text = f'[environments.staging]\nreconcilers = ["{APPS}"]\nlearning = "5m"\n'
    brain = Brain(tomllib.loads(text))
    assert brain.policy.environments["staging"].learning == timedelta(minutes=5)


@pytest.mark.parametrize(
    "policy",
    [
        {"enviroments": {}},
        {"environments": {"staging": {"time_out": "5m"}}},
        {"environments": {"staging": {"timeout": "5"}}},
        {"environments": {"staging": {"require": "green"}}},
        {"environments": {"Not A Name": {}}},
        {"environments": {"staging": {"reconcilers": ["apps"]}}},
        {"environments": {"staging": 5}},
    ],
)
def test_a_typing_mistake_is_an_error(policy: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Brain(policy)
    assert caught.value.code == "policy.malformed"


@pytest.mark.parametrize("policy", [5, "staging", [], {"environments": {5: {}}}, {"a": object()}])
def test_a_policy_of_the_wrong_type_is_a_type_error(policy: Any) -> None:
    with pytest.raises(TypeError):
        Brain(policy)


def test_another_policy_holds_at_once_and_a_bad_one_never() -> None:
    brain = Brain(POLICY)
    with pytest.raises(ConfigError):
        brain.set_policy({"typo": {}}, now=START)
    assert brain.policy == Brain(POLICY).policy
    brain.set_policy(Policy({"production": Environment([APPS])}), now=START)
    with pytest.raises(QueryError) as caught:
        brain.status("staging", A)
    assert caught.value.code == "environment.unknown"
    assert brain.status("production", A).environment == "production"
