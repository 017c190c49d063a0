'use strict'

const native = require('../native.js')
const {
  bytes,
  duration,
  instance,
  list,
  object,
  optionalText,
  options: optionsOf,
  signal: signalOf,
  text,
  textMap,
  texts,
  time,
  wrong,
} = require('./check.js')
const { call, lift } = require('./errors.js')
const { Fact, factNumber, makeAgain } = require('./fact.js')
const values = require('./values.js')

/** The longest time that a timer of Node can be set to; a longer one would go off at once. */
const LONGEST_TIMER = 2 ** 31 - 1

let brainNumber

/** All that is known, and the questions that wait for an answer. */
class Brain {
  #handle
  #number
  /** What to call when a watch is woken, by its number. */
  #waiting = new Map()
  /** What to call after each change. */
  #listeners = new Set()

  static {
    brainNumber = (brain) => instance(brain, Brain, 'other').#number
  }

  constructor(policy) {
    const written = values.writePolicy(policy)
    this.#handle = call(() => new native.BrainHandle(written))
    this.#number = this.#handle.number
  }

  // Taking in

  apply(fact, now) {
    const at = now === undefined ? native.NOW : time(now)
    let told
    try {
      told = native.apply(this.#number, factNumber(fact), at)
      if (told === -1) told = native.apply(this.#number, makeAgain(fact), at)
    } catch (error) {
      throw lift(error)
    }
    if (typeof told === 'string') return this.#tell(values.readEffects(JSON.parse(told)))
    const effects = values.quiet[told]
    return this.#listeners.size === 0 ? effects : this.#tell(effects)
  }

  preview(fact) {
    return native.preview(this.#number, factNumber(fact)) ?? native.preview(this.#number, makeAgain(fact))
  }

  async load(facts) {
    try {
      await native.load(this.#number, lines(facts))
    } catch (error) {
      throw lift(error)
    }
  }

  async applyMany(facts, options) {
    const { cluster, now } = optionsOf(options)
    const [of, at] = [optionalText(cluster, 'cluster'), time(now)]
    try {
      const told = await native.applyMany(this.#number, lines(facts), of, at)
      return this.#tell(values.readEffects(JSON.parse(told)))
    } catch (error) {
      throw lift(error)
    }
  }

  merge(other, options) {
    const { now } = optionsOf(options)
    const [from, at] = [brainNumber(other), time(now)]
    return this.#change(() => native.merge(this.#number, from, at))
  }

  setPolicy(policy, options) {
    const { now } = optionsOf(options)
    const [written, at] = [values.writePolicy(object(policy, 'the policy')), time(now)]
    return this.#change(() => native.setPolicy(this.#number, written, at))
  }

  registration(environment, commit, options) {
    const { expect, require, timeout, labels } = optionsOf(options)
    const asked = {
      environment: text(environment, 'environment'),
      commit: text(commit, 'commit'),
      expect: texts(expect, 'expect'),
      require: optionalText(require, 'require'),
      timeout: duration(timeout, 'timeout'),
      labels: textMap(labels, 'labels'),
    }
    return values.readBody({ registered: this.#ask({ registration: asked }) })
  }

  unrecorded() {
    return values.listOf(values.readBody)(this.#ask('unrecorded'))
  }

  facts() {
    return native.facts(this.#number).map((line) => Fact.fromLine(line))
  }

  // Asking

  status(environment, commit, options) {
    const asked = optionsOf(options)
    return values.readStatus(this.#ask({ status: rollout(environment, commit, asked) }, asked.now))
  }

  statuses(commit, options) {
    const { now } = optionsOf(options)
    return values.listOf(values.readStatus)(this.#ask({ statuses: { commit: text(commit, 'commit') } }, now))
  }

  rollouts(options) {
    const { environment, outcome, labels, after, limit, now } = optionsOf(options)
    const asked = {
      environment: optionalText(environment, 'environment'),
      outcome: optionalText(outcome, 'outcome'),
      labels: textMap(labels, 'labels'),
      after: position(after),
      limit: count(limit, 'limit'),
    }
    return values.listOf(values.readStatus)(this.#ask({ rollouts: asked }, now))
  }

  reconcilers(options) {
    const { environment, cluster } = optionsOf(options)
    const asked = {
      environment: optionalText(environment, 'environment'),
      cluster: optionalText(cluster, 'cluster'),
    }
    return values.listOf(values.reconcilerReport)(this.#ask({ reconcilers: asked }))
  }

  clusters() {
    return values.listOf(values.clusterReport)(this.#ask('clusters'))
  }

  get policy() {
    return values.readPolicy(this.#ask('policy'))
  }

  resolve(commit) {
    return this.#ask({ resolve: { commit: text(commit, 'commit') } })
  }

  equals(other) {
    return native.equal(this.#number, brainNumber(other))
  }

  // Time

  expire(options) {
    const { now } = optionsOf(options)
    const at = time(now)
    return this.#change(() => native.expire(this.#number, at))
  }

  nextDeadline() {
    const deadline = this.#ask('next_deadline')
    return deadline === null ? null : new Date(deadline)
  }

  expireAtDeadlines(onEffects) {
    if (typeof onEffects !== 'function') throw new TypeError('onEffects must be a function')
    let timer
    let stopped = false
    const plan = () => {
      clearTimeout(timer)
      const deadline = this.nextDeadline()
      if (stopped || deadline === null) return
      timer = setTimeout(expire, within(deadline.getTime() - Date.now()))
      timer.unref()
    }
    const expire = () => {
      const effects = this.expire()
      plan()
      if (effects.transitions.length > 0) onEffects(effects)
    }
    this.#listeners.add(plan)
    plan()
    return () => {
      stopped = true
      clearTimeout(timer)
      this.#listeners.delete(plan)
    }
  }

  // Waiting

  watch(environment, commit, options) {
    const { since, now, ...terms } = optionsOf(options)
    const question = values.stringify(rollout(environment, commit, terms), 'the question')
    const [known, at] = [optionalText(since, 'since'), time(now)]
    const watched = call(() => native.watch(this.#number, question, known, at))
    return typeof watched === 'string' ? values.readStatus(JSON.parse(watched)) : watched
  }

  unwatch(watch) {
    native.unwatch(this.#number, count(watch, 'watch') ?? 0)
  }

  async wait(environment, commit, options) {
    const { timeout, since: known, signal: given, ...terms } = optionsOf(options)
    const asked = rollout(environment, commit, terms)
    const question = values.stringify(asked, 'the question')
    const since = optionalText(known, 'since')
    const signal = signalOf(given)
    const end = timeout === undefined || timeout === null ? Infinity : Date.now() + milliseconds(timeout)
    for (;;) {
      signal?.throwIfAborted()
      const now = Date.now()
      if (now >= end) return values.readStatus(this.#ask({ status: asked }))
      const watched = call(() => native.watch(this.#number, question, since, now))
      if (typeof watched === 'string') return values.readStatus(JSON.parse(watched))
      // At the same instant: a deadline between two would be missed by both.
      const change = this.#ask({ next_change: asked }, new Date(now))
      const until = change === null ? end : Math.min(end, new Date(change).getTime())
      await this.#woken(watched, within(until - now), signal)
    }
  }

  /** Waits until a watch is woken, time is over, or the signal is given. */
  async #woken(watch, milliseconds, signal) {
    let timer
    let wake
    try {
      await new Promise((resolve) => {
        wake = resolve
        this.#waiting.set(watch, wake)
        signal?.addEventListener('abort', wake, { once: true })
        timer = setTimeout(wake, milliseconds)
      })
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', wake)
      this.#waiting.delete(watch)
      native.unwatch(this.#number, watch)
    }
  }

  /** Makes a change, and tells those whom it concerns. */
  #change(make) {
    return this.#tell(values.readEffects(JSON.parse(call(make))))
  }

  #tell(effects) {
    for (const watch of effects.woken) this.#waiting.get(watch)?.()
    if (effects.changed === 'knowledge') for (const listener of this.#listeners) listener()
    return effects
  }

  #ask(question, now) {
    const [asked, at] = [values.stringify(question, 'the question'), time(now)]
    return JSON.parse(call(() => native.ask(this.#number, asked, at)))
  }
}

/** What can be asked of one rollout. */
function rollout(environment, commit, { require, reconcilers, failureGrace }) {
  return {
    environment: text(environment, 'environment'),
    commit: text(commit, 'commit'),
    require: optionalText(require, 'require'),
    reconcilers: texts(reconcilers, 'reconcilers'),
    failure_grace: duration(failureGrace, 'failureGrace'),
  }
}

/** Where the next page begins. */
function position(after) {
  if (after === undefined || after === null) return null
  const { registeredAt, environment, commit } = object(after, 'after')
  if (registeredAt === null || registeredAt === undefined) throw wrong('after.registeredAt', 'a Date', registeredAt)
  return {
    registered_at: new Date(time(registeredAt)),
    environment: text(environment, 'after.environment'),
    commit: text(commit, 'after.commit'),
  }
}

function count(value, name) {
  if (value === undefined || value === null) return null
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new TypeError(`${name} must be a whole number, 0 or more`)
}

/** A duration that a timer is to be set to. */
function milliseconds(timeout) {
  return Number(call(() => native.parse('duration', Buffer.from(duration(timeout, 'timeout')))))
}

/** Timers may go off a little early: a millisecond more, and not too long. */
function within(milliseconds) {
  return Math.min(Math.max(milliseconds, 0) + 1, LONGEST_TIMER)
}

/** Facts as the lines of a journal. */
function lines(facts) {
  if (typeof facts === 'string' || facts instanceof Uint8Array) return bytes(facts, 'facts')
  const given = list(facts, 'facts').map((fact) => instance(fact, Fact, 'each of the facts').toLine())
  return Buffer.from(given.join('\n'))
}

module.exports = { Brain }
