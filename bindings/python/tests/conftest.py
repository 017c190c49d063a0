"""What the whole suite has in common."""

from __future__ import annotations

import sys

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells how many vectors of each kind ran."""
    module = sys.modules.get("tests.conformance.test_conformance")
    ran = getattr(module, "RAN", None)
    if ran:
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(ran.items()))
        terminalreporter.write_line(f"vectors: {told}; {sum(ran.values())} cases in all")
