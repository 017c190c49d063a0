"""Is my commit live and healthy in that environment: yes, no, or not yet, and why?

Flux's notification-controller posts its events; `ingest` verifies and reads one; `Brain.apply` takes it
in; `Brain.status` and `await Brain.wait` answer.

    from gitops_brain import Brain, Ignored, Verifier, ingest

    verifier = Verifier([key])
    brain = Brain()

    fact = ingest(verifier, "staging", request.headers.get("x-signature"), body)
    if not isinstance(fact, Ignored):
        store(fact.id, fact.to_line())      # durably, before you answer 202
        brain.apply(fact)

    status = await brain.wait("staging", commit, timeout=50)

Errors are GitopsBrainError, each with a stable `code`; a wrong type is TypeError.
"""

from ._brain import Brain, Duration
from ._core import VERSION as __version__
from ._core import Fact, Verifier, ingest, observe, sign
from ._errors import (
    ConfigError,
    FactError,
    GitopsBrainError,
    ParseError,
    QueryError,
    RevisionError,
    SignatureError,
)
from ._values import (
    Ancestry,
    Change,
    Changed,
    ChangedObject,
    ClusterReport,
    CommitObject,
    Contains,
    Effects,
    Environment,
    Event,
    EventSummary,
    FactBody,
    FirstSettled,
    Forgotten,
    HealthChecks,
    HealthChecksStatus,
    Ignored,
    InvolvedObject,
    Observation,
    Outcome,
    Parents,
    Policy,
    Position,
    Proof,
    Reason,
    ReconcilerPolicy,
    ReconcilerReport,
    ReconcilerStatus,
    Registration,
    RelatedObject,
    Removed,
    Require,
    Revision,
    Settlement,
    Severity,
    Standing,
    State,
    Status,
    TimelineEntry,
    Transition,
    Verdict,
)

__all__ = [
    "Ancestry",
    "Brain",
    "Change",
    "Changed",
    "ChangedObject",
    "ClusterReport",
    "CommitObject",
    "ConfigError",
    "Contains",
    "Duration",
    "Effects",
    "Environment",
    "Event",
    "EventSummary",
    "Fact",
    "FactBody",
    "FactError",
    "FirstSettled",
    "Forgotten",
    "GitopsBrainError",
    "HealthChecks",
    "HealthChecksStatus",
    "Ignored",
    "InvolvedObject",
    "Observation",
    "Outcome",
    "Parents",
    "ParseError",
    "Policy",
    "Position",
    "Proof",
    "QueryError",
    "Reason",
    "ReconcilerPolicy",
    "ReconcilerReport",
    "ReconcilerStatus",
    "Registration",
    "RelatedObject",
    "Removed",
    "Require",
    "Revision",
    "RevisionError",
    "Settlement",
    "Severity",
    "SignatureError",
    "Standing",
    "State",
    "Status",
    "TimelineEntry",
    "Transition",
    "Verdict",
    "Verifier",
    "__version__",
    "ingest",
    "observe",
    "sign",
]
