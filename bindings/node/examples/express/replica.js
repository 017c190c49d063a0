// The brain of one worker, kept in step with the journal.

import { Brain, Fact } from 'gitops-brain'
import { Journal } from './journal.js'

/** How long it takes at most until those who wait in one worker hear what came to another one. */
const POLL_MILLISECONDS = 100

/** A brain that takes in what the journal has, in the journal's order. */
export class Replica {
  #journal
  #notify
  #position = 0
  #owed = []
  #turn = Promise.resolve()
  #timer
  #stopDeadlines

  constructor(path, policy, notify) {
    this.brain = new Brain(policy)
    this.#journal = new Journal(path)
    this.#notify = notify
  }

  /** Reads the whole journal, then follows it and keeps the deadlines. */
  async start(failed) {
    const { position, lines } = this.#journal.read(0, -1)
    await this.brain.load(lines)
    this.#position = position
    this.#owed.push(...this.brain.unrecorded())
    await this.catchUp()
    this.#stopDeadlines = this.brain.expireAtDeadlines((effects) => this.#owe(effects))
    const follow = async () => {
      try {
        await this.catchUp()
      } catch (error) {
        if (!isBusy(error)) return failed(error)
      }
      this.#timer = setTimeout(follow, POLL_MILLISECONDS)
    }
    this.#timer = setTimeout(follow, POLL_MILLISECONDS)
  }

  stop() {
    clearTimeout(this.#timer)
    this.#stopDeadlines()
    this.#journal.close()
  }

  /** Stores a fact durably, then takes it in. Resolves to whether it was new. */
  record(fact) {
    return this.#inTurn(async () => {
      await this.#catchUp()
      const heartbeat = this.brain.preview(fact) === 'last_heard' ? fact.body.object : null
      const isNew = this.#journal.append(fact, heartbeat)
      await this.#catchUp()
      return isNew
    })
  }

  /** Takes in all that is stored by now: what any worker has answered, this one knows too. */
  catchUp() {
    return this.#inTurn(() => this.#catchUp())
  }

  /** One after the other: what is read is applied before anything else is read. */
  #inTurn(work) {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  async #catchUp() {
    for (;;) {
      const { position, lines } = this.#journal.read(this.#position)
      if (lines !== '') {
        this.#owe(await this.brain.applyMany(lines))
        this.#position = position
        // What is read in one go may settle a rollout twice under one number, of which only the first
        // counts: once that is recorded, the second is found here under the next.
        this.#owed.push(...this.brain.unrecorded())
      } else if (this.#owed.length === 0) return
      for (; this.#owed.length > 0; this.#owed.shift()) {
        // Of all workers that see it, one is the first.
        if (this.#journal.append(new Fact(this.#owed[0]))) this.#notify(this.#owed[0])
      }
    }
  }

  /** Keeps settlements until they are stored. */
  #owe(effects) {
    for (const { settlement } of effects.transitions) if (settlement !== null) this.#owed.push(settlement)
  }
}

/** Whether another worker holds the file for a while. */
export const isBusy = (error) => error.code?.startsWith('SQLITE_BUSY') ?? false
