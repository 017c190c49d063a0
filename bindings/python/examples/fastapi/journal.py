"""The journal: facts in one SQLite file, which all workers on a machine share."""

from __future__ import annotations

import sqlite3
import time

from gitops_brain import Fact

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    id        BLOB NOT NULL UNIQUE,
    at        REAL NOT NULL,
    heartbeat TEXT,
    line      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS heartbeats ON facts (heartbeat, at) WHERE heartbeat IS NOT NULL;
"""

HEARTBEAT_SECONDS = 3600
"""How long a heartbeat is kept. It decides about events that happened before it and arrive after it."""


class Journal:
    """Facts in the order in which they were committed.

    One process writes at a time, and only who writes is given positions, none of them twice: whoever
    has read up to a position has missed nothing before it.
    """

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(
            path, timeout=5, isolation_level="IMMEDIATE", check_same_thread=False
        )
        self._make_wal()
        self._db.execute("PRAGMA synchronous = FULL")  # with less, a power cut takes commits back
        self._db.executescript(SCHEMA)

    def append(self, fact: Fact, heartbeat: str | None = None) -> bool:
        """Stores a fact durably, and returns whether it was new.

        heartbeat: the reconciler, if it tells only that this is alive: it replaces older such facts.
        """
        at = fact.at.timestamp()
        row = (fact.id, at, heartbeat, fact.to_line())
        insert = "INSERT OR IGNORE INTO facts (id, at, heartbeat, line) VALUES (?, ?, ?, ?)"
        with self._db:
            new = self._db.execute(insert, row).rowcount > 0
            if new and heartbeat is not None:
                old = (heartbeat, at - HEARTBEAT_SECONDS)
                self._db.execute("DELETE FROM facts WHERE heartbeat = ? AND at < ?", old)
        return new

    def read(self, after: int, limit: int = 1000) -> tuple[int, str]:
        """The lines of the facts after a position, and the position of the last of them."""
        select = "SELECT position, line FROM facts WHERE position > ? ORDER BY position LIMIT ?"
        rows = self._db.execute(select, (after, limit)).fetchall()
        return (rows[-1][0] if rows else after), "\n".join(line for _, line in rows)

    def close(self) -> None:
        self._db.close()

    def _make_wal(self) -> None:
        """Of several workers that make the file at once, SQLite lets one do this, and none wait."""
        for tries_left in reversed(range(50)):
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if not tries_left:
                    raise
                time.sleep(0.1)
