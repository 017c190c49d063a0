#!/usr/bin/env python3
"""Checks the crates that changed since a revision (default: HEAD), and the conformance vectors.

    quick.py [REVISION]

Formatting, clippy and tests; a file that belongs to no crate changes none. With nothing changed, the core is checked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CARGO = os.environ.get("CARGO", "cargo")
CORE = "gitops-brain"

ALL = ("Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "clippy.toml")
"""What concerns every crate."""


def lines(*command: str) -> list[str]:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def changed_crates(revision: str) -> list[str]:
    metadata = json.loads("".join(lines(CARGO, "metadata", "--locked", "--offline", "--no-deps", "--format-version=1")))
    crates = {
        Path(package["manifest_path"]).parent.relative_to(ROOT): package["name"] for package in metadata["packages"]
    }
    files = lines("git", "diff", "--name-only", revision) + lines("git", "ls-files", "--others", "--exclude-standard")
    if any(file in ALL for file in files):
        return sorted(crates.values())
    found = set()
    for file in files:
        owner = next((crates[folder] for folder in Path(file).parents if folder in crates), None)
        if owner and file.endswith((".rs", ".toml", ".html", ".css", ".js", ".txt")):
            found.add(owner)
    return sorted(found) or [CORE]


def main(revision: str) -> int:
    crates = changed_crates(revision)
    packages = [f"--package={crate}" for crate in crates]
    print("checks " + ", ".join(crates), flush=True)
    commands = [
        [CARGO, "fmt", "--all", "--check"],
        [CARGO, "clippy", "--locked", *packages, "--all-targets", "--", "-D", "warnings"],
        [CARGO, "test", "--locked", *packages, "--quiet"],
    ]
    if CORE not in crates:
        commands.append([CARGO, "test", "--locked", f"--package={CORE}", "--quiet", "--test=conformance"])
    for command in commands:
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["HEAD"])))
