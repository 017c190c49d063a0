"""Measures the Python and the Node package beside what one would write instead, and beside the same calls
in Rust, in one run; prints medians and ratios, and draws docs/benchmarks.svg.

Run by `make bench-bindings`, which builds and installs everything first. Each contender runs in a process
of its own, in turns, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TURNS = 5
SIZES = {"0.7 KB": "6", "2 KB": "40"}
"""How many changed objects the message of an event lists."""

CONTENDERS: dict[str, list[str]] = {
    "Rust: gitops-brain": [str(ROOT / "target/release/bindings_floor"), "measure", "EVENTS"],
    **{
        f"Python: {name}": [sys.executable, str(HERE / "peers.py"), "EVENTS", name]
        for name in (
            "gitops-brain",
            "hmac.digest + msgspec",
            "hmac.digest + orjson",
            "hmac + json + dict",
        )
    },
    **{
        f"Node: {name}": ["node", str(HERE / "peers.cjs"), "EVENTS", name]
        for name in ("gitops-brain", "crypto + JSON.parse + Map")
    },
}


def measure(lines: str) -> dict[str, float]:
    """Nanoseconds per event, the median of all rounds, by contender."""
    rounds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        events = os.path.join(folder, "events.json")
        floor = CONTENDERS["Rust: gitops-brain"][0]
        subprocess.run([floor, "events", lines, events], check=True)
        for _ in range(TURNS):
            for name, command in CONTENDERS.items():
                command = [events if part == "EVENTS" else part for part in command]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rounds[name] += json.loads(done.stdout)
    return {name: statistics.median(each) for name, each in rounds.items()}


def ours(name: str) -> str:
    """The contender of the same language that is gitops-brain."""
    return f"{name.partition(':')[0]}: gitops-brain"


def report(size: str, medians: dict[str, float]) -> None:
    print(f"\n{size}: one signed event verified, read and taken in")
    floor = medians["Rust: gitops-brain"]
    for name, median in medians.items():
        told = f"  {name:34} {median / 1000:6.2f} µs"
        if name != ours(name):
            told += f"   {median / medians[ours(name)]:.2f} × gitops-brain"
        elif median != floor:
            told += f"   {median / floor:.2f} × Rust, {(median - floor) / 2:+.0f} ns a call"
        print(told)


def draw(measured: dict[str, dict[str, float]]) -> None:
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gitops-brain", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(measured), figsize=(9, 2.8), sharey=True)
    for axis, (size, medians) in zip(axes, measured.items()):
        names = list(reversed(medians))
        values = [medians[name] / 1000 for name in names]
        colours = ["#326ce5" if name == ours(name) else "#b8c0cc" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.set_title(f"event of {size}")
        axis.set_xlabel("µs for each event (less is better)")
        axis.set_xlim(0, max(values) * 1.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    target = ROOT / "docs" / "benchmarks.svg"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, metadata={"Date": None})
    print(f"\ndrawn: {target.relative_to(ROOT)}")


def main() -> None:
    measured = {size: measure(lines) for size, lines in SIZES.items()}
    for size, medians in measured.items():
        report(size, medians)
    draw(measured)


main()
