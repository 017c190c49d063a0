"""The table of scenarios in `docs/quality.md`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- flux: begin -->", "<!-- flux: end -->"


@dataclass
class Row:
    """One scenario: what happens, what `wait` ended with each time, and how long all took."""

    what: str
    said: list[str]
    outcome: str
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"| {self.what} | {', '.join(self.said)} | {self.outcome} | {self.seconds:.0f} s |"


def write(rows: list[Row], document: Path) -> None:
    """Puts the table between the two comments."""
    text = document.read_text()
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{document} has no place for the table: {BEGIN} … {END}")
    head = ["| what happens | what `wait` says | as it should be | took |", "|---|---|---|---|"]
    table = "\n".join([*head, *map(str, rows)])
    document.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
