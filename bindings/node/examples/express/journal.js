// The journal: facts in one SQLite file, which all workers on a machine share.

import Database from 'libsql'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS facts (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    id        BLOB NOT NULL UNIQUE,
    at        INTEGER NOT NULL,
    heartbeat TEXT,
    line      TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS heartbeats ON facts (heartbeat, at) WHERE heartbeat IS NOT NULL;
`

/** How long a heartbeat is kept. It decides about events that happened before it and arrive after it. */
const HEARTBEAT_MILLISECONDS = 3_600_000

/** How long it is tried to make the file, while other workers do the same. */
const PATIENCE_MILLISECONDS = 5000

/**
 * Facts in the order in which they were committed. One process writes at a time, and only who writes is
 * given positions, none of them twice: whoever has read up to a position has missed nothing before it.
 */
export class Journal {
  #database
  #insert
  #forget
  #select

  constructor(path) {
    this.#database = new Database(path, { timeout: PATIENCE_MILLISECONDS })
    this.#prepare()
    this.#insert = this.#database.prepare(
      'INSERT OR IGNORE INTO facts (id, at, heartbeat, line) VALUES (?, ?, ?, ?)',
    )
    this.#forget = this.#database.prepare('DELETE FROM facts WHERE heartbeat = ? AND at < ?')
    this.#select = this.#database.prepare(
      'SELECT position, line FROM facts WHERE position > ? ORDER BY position LIMIT ?',
    )
  }

  /**
   * Stores a fact durably, and returns whether it was new. `heartbeat`: the reconciler, if the fact tells only
   * that this is alive: it replaces older such facts.
   */
  append(fact, heartbeat = null) {
    const at = fact.at.getTime()
    const new_ = this.#insert.run(fact.id, at, heartbeat, fact.toLine()).changes > 0
    if (new_ && heartbeat !== null) this.#forget.run(heartbeat, at - HEARTBEAT_MILLISECONDS)
    return new_
  }

  /** The lines of the facts after a position, and the position of the last of them. */
  read(after, limit = 1000) {
    const rows = this.#select.all(after, limit)
    return { position: rows.at(-1)?.position ?? after, lines: rows.map((row) => row.line).join('\n') }
  }

  close() {
    this.#database.close()
  }

  #prepare() {
    const end = Date.now() + PATIENCE_MILLISECONDS
    for (;;) {
      try {
        this.#database.exec('PRAGMA journal_mode = WAL')
        this.#database.exec('PRAGMA synchronous = FULL') // with less, a power cut takes commits back
        this.#database.exec(SCHEMA)
        return
      } catch (error) {
        // Changing the mode does not wait for others who do the same.
        if (!/locked|busy/i.test(error.message) || Date.now() > end) throw error
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
      }
    }
  }
}
