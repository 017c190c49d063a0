#!/usr/bin/env python3
"""Runs one stage of `make test` or `make check`, and prints the table of all of them.

    stage.py run LIST NAME COMMAND…   run a stage of the list LIST (`test`, `check`)
    stage.py begin LIST               forget the seconds of the list's last run
    stage.py table LIST               print what each stage of the list took

Stages run side by side. Each one's output is kept until it ends and then printed in one piece. What it took is
written to `target/stages/LIST/NAME.json`: wall seconds, and processor seconds of the command and all it started.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "target" / "stages"

YIELDING = ("lint", "doctest", "python", "node", "deny", "docs", "types")
"""What only computes yields the processor to tests that measure time."""


def run(stages: Path, name: str, command: list[str]) -> int:
    stages.mkdir(parents=True, exist_ok=True)
    # The outer make counts stages. A compiler that took its job server for its own would wait for a stage to end.
    env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    if name in YIELDING:
        command = ["nice", *command]
    log = stages / f"{name}.log"
    began, started = time.time(), time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
        _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    seconds = {"name": name, "began": began, "wall": wall, "processor": used.ru_utime + used.ru_stime, "code": code}
    (stages / f"{name}.json").write_text(json.dumps(seconds))
    with (stages / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(f"--- {name}", flush=True)
        sys.stdout.buffer.write(log.read_bytes())
        print(f"--- {name}: {'passed' if code == 0 else f'FAILED ({code})'} after {wall:.0f} s", flush=True)
    return 0 if code == 0 else 1


def table(stages: Path) -> int:
    read = [json.loads(path.read_text()) for path in stages.glob("*.json")]
    if not read:
        print(f"no stage of {stages.name} has run", file=sys.stderr)
        return 1
    read.sort(key=lambda stage: stage["began"])
    whole = max(stage["began"] + stage["wall"] for stage in read) - read[0]["began"]
    print(f"| `make {stages.name}` | started at | took | processor |")
    print("|---|--:|--:|--:|")
    for stage in read:
        failed = "" if stage["code"] == 0 else " (FAILED)"
        at = stage["began"] - read[0]["began"]
        print(f"| {stage['name']}{failed} | {at:.0f} s | {stage['wall']:.0f} s | {stage['processor']:.0f} s |")
    processor = sum(stage["processor"] for stage in read)
    print(f"| **all** | | **{whole:.0f} s** | **{processor:.0f} s** |")
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["run", stages, name, *command] if command:
            return run(FOLDER / stages, name, command)
        case ["begin", stages]:
            shutil.rmtree(FOLDER / stages, ignore_errors=True)
            return 0
        case ["table", stages]:
            return table(FOLDER / stages)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
