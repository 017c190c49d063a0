#!/usr/bin/env python3
"""Runs the test binaries of the workspace side by side, from what cargo says that it built.

    cargo test --workspace --no-run --message-format=json >BUILT
    rust.py BUILT

`cargo test` runs one binary after the other, and most of ours wait for servers, processes and timeouts. cargo-nextest
does what this does, and more; but to build it takes longer than all of these tests.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

SIDE_BY_SIDE = os.cpu_count() or 1
"""Most tests wait, and some measure time: with more of them at once these fail."""

COMPUTING = ("simulator", "properties", "conformance")
"""These only compute: they run one after the other beside the rest, and yield the processor to it."""


@dataclass(frozen=True)
class Binary:
    """One test binary: a name for people, the file, and the folder of its package."""

    name: str
    path: str
    folder: Path

    @property
    def computes(self) -> bool:
        return self.name.split()[-1] in COMPUTING


@dataclass(frozen=True)
class Ended:
    """What one binary printed, and how it ended."""

    binary: Binary
    output: str
    code: int
    seconds: float


def binaries(lines: list[str]) -> list[Binary]:
    found = []
    for line in lines:
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
            folder = Path(message["manifest_path"]).parent
            target = message["target"]
            # Benchmarks and examples are built with the rest, to see that they do; they hold no tests.
            if target["test"]:
                name = f"{folder.name}/{target['kind'][0]} {target['name']}"
                found.append(Binary(name, message["executable"], folder))
    return found


def run(binary: Binary) -> Ended:
    started = time.monotonic()
    env = os.environ | {"CARGO_MANIFEST_DIR": str(binary.folder)}
    ended = subprocess.run(
        ["nice", binary.path] if binary.computes else [binary.path],
        cwd=binary.folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return Ended(binary, ended.stdout, ended.returncode, time.monotonic() - started)


def main(built: Path) -> int:
    wanted = binaries(built.read_text().splitlines())
    passed = 0
    failed = []
    with ThreadPoolExecutor(1) as computing, ThreadPoolExecutor(SIDE_BY_SIDE) as waiting:
        running = [(computing if binary.computes else waiting).submit(run, binary) for binary in wanted]
        for ended in (each.result() for each in as_completed(running)):
            counts = re.findall(r"^test result: .*? (\d+) passed", ended.output, re.MULTILINE)
            passed += sum(map(int, counts))
            verdict = "ok" if ended.code == 0 else f"FAILED ({ended.code})"
            print(f"{ended.binary.name}: {verdict}, {sum(map(int, counts))} passed, {ended.seconds:.1f} s")
            if ended.code != 0:
                failed.append(ended.binary.name)
                print(ended.output)
            sys.stdout.flush()
    print(f"{len(wanted)} binaries, {passed} tests passed")
    if not passed:
        print("no test ran", file=sys.stderr)
        return 1
    if failed:
        print("failed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
