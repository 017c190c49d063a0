"""Measures gitops-brain beside what one would write instead, in one run, and writes docs/performance.md: the
tables between its markers, and docs/benchmarks.svg.

Run by `make bench-peers`, which builds and installs everything first. Each contender runs in a process of
its own, in turns, so that a busy moment of the machine hits all alike."""

from __future__ import annotations

import json
import os
import re
import shutil
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
PAGE = ROOT / "docs" / "performance.md"
CHART = ROOT / "docs" / "benchmarks.svg"
RUST = str(ROOT / "target/release/bench_ingest")
GO = os.environ["GITOPS_BRAIN_BENCH_GO"]
TURNS = 5
SIZES = {"0.7 KB": "6", "2 KB": "40"}
"""How many changed objects the message of an event lists."""

OURS = "Rust: gitops-brain"
FLOORS = ("Rust: HMAC alone", "Rust: JSON alone")
CONTENDERS: dict[str, list[str]] = {
    OURS: [RUST, "measure", "EVENTS", "gitops-brain"],
    FLOORS[0]: [RUST, "measure", "EVENTS", "floor: HMAC"],
    FLOORS[1]: [RUST, "measure", "EVENTS", "floor: JSON"],
    "Rust: gitops-brain, without taking in": [RUST, "measure", "EVENTS", "ingest"],
    "Go: crypto/hmac + encoding/json + Flux's Event": [GO, "EVENTS"],
    **{
        f"Python: {name}": [sys.executable, str(HERE / "python.py"), "EVENTS", name]
        for name in (
            "gitops-brain",
            "hmac.digest + msgspec",
            "hmac.digest + orjson",
            "hmac + json + dict",
        )
    },
    **{
        f"Node: {name}": ["node", str(HERE / "node.cjs"), "EVENTS", name]
        for name in ("gitops-brain", "crypto + JSON.parse + Map")
    },
}
COUNTED = {
    "parse": "parse",
    "parse and observe": "observe",
    "verify, parse, observe, take in": "gitops-brain",
    "verify": "verify",
    "serde_json alone": "floor: JSON",
}


def main() -> None:
    """Fills all sections of the page, or those that are named."""
    sections = sys.argv[1:] or ["ingest", "instructions", "load", "scale", "memory"]
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        events = {size: os.path.join(folder, f"{lines}.json") for size, lines in SIZES.items()}
        for size, lines in SIZES.items():
            subprocess.run([RUST, "events", lines, events[size]], check=True)
        for section in sections:
            match section:
                case "ingest":
                    measured = {size: measure(file) for size, file in events.items()}
                    draw(measured)
                    text = ingest_table(measured)
                case "instructions":
                    text = instructions(events["0.7 KB"])
                case bench:
                    text = printed(bench)
            page = fill(page, section, text)
    PAGE.write_text(page)
    print(page)


def measure(events: str) -> dict[str, float]:
    """Nanoseconds per event, the median of all rounds, by contender."""
    rounds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(TURNS):
        for name, command in CONTENDERS.items():
            command = [events if part == "EVENTS" else part for part in command]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rounds[name] += json.loads(done.stdout)
    return {name: statistics.median(each) for name, each in rounds.items()}


def ours(name: str) -> str:
    """The contender of the same language that is gitops-brain; for Go, which has no package, Rust's."""
    language = name.partition(":")[0]
    return OURS if language == "Go" else f"{language}: gitops-brain"


def ingest_table(measured: dict[str, dict[str, float]]) -> str:
    """A row for each contender, and what is aimed at."""
    heads = [head for size in measured for head in (f"event of {size}", "beside gitops-brain")]
    rows = [f"| | {' | '.join(heads)} |", "|---" + "|--:" * len(heads) + "|"]
    for name in CONTENDERS:
        cells = []
        for medians in measured.values():
            cells.append(f"{medians[name] / 1000:.2f} µs")
            cells.append("" if name == ours(name) else f"× {medians[name] / medians[ours(name)]:.2f}")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    go = next(name for name in CONTENDERS if name.startswith("Go"))
    for size, medians in measured.items():
        floors = sum(medians[floor] for floor in FLOORS)
        ingested = medians["Rust: gitops-brain, without taking in"]
        rows += ["", f"For an event of {size}:", ""]
        rows.append(aim("Go beside gitops-brain", medians[go] / medians[OURS], 3.0, at_least=True))
        rows.append(aim("verified and read, beside both floors", ingested / floors, 1.3))
        for language in ("Python", "Node"):
            added = medians[f"{language}: gitops-brain"] - medians[OURS]
            rows.append(f"- {language} adds {added / 2:+.0f} ns to each of the two calls.")
    return "\n".join(rows)


def aim(what: str, figure: float, bound: float, at_least: bool = False) -> str:
    reached = figure >= bound if at_least else figure <= bound
    verdict = "" if reached else " **missed**"
    return f"- {what}: × {figure:.2f} (aim: at {'least' if at_least else 'most'} {bound}){verdict}"


def instructions(events: str) -> str:
    """How many instructions each path takes for an event, as callgrind counts them."""
    if shutil.which("valgrind") is None:
        return "skipped: valgrind is not installed"
    with open(events, "rb") as opened:
        number = len(json.load(opened))

    def count(path: str, times: int) -> int:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        command += [RUST, "repeat", events, path, str(times)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert found is not None, done.stderr
        return int(found[1])

    rows = ["| | instructions |", "|---|--:|"]
    for name, path in COUNTED.items():
        each = (count(path, 2) - count(path, 1)) / number
        rows.append(f"| {name} | {each:.0f} |")
    return "\n".join(rows)


def printed(bench: str) -> str:
    """What a benchmark prints, which is Markdown."""
    command = ["cargo", "bench", "--quiet", "--locked", "-p", "gitops-brain-benches", "--bench", bench]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.stdout.strip()


def fill(page: str, name: str, text: str) -> str:
    """Puts a text between the markers of its name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    assert found and closed, f"docs/performance.md has no markers of {name}"
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def draw(measured: dict[str, dict[str, float]]) -> None:
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "gitops-brain", "font.size": 9})
    figure, axes = pyplot.subplots(1, len(measured), figsize=(9, 3), sharey=True)
    for axis, (size, medians) in zip(axes, measured.items()):
        names = [name for name in reversed(medians) if name not in FLOORS and "without" not in name]
        values = [medians[name] / 1000 for name in names]
        colours = ["#326ce5" if name == ours(name) else "#b8c0cc" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.set_title(f"event of {size}")
        axis.set_xlabel("µs for each event (less is better)")
        axis.set_xlim(0, max(values) * 1.15)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(CHART, metadata={"Date": None})


main()
