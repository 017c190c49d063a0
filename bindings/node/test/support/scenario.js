'use strict'

// Scenarios: facts over time, and what follows from them.

const { isDeepStrictEqual } = require('node:util')

const {
  Ancestry,
  Brain,
  Fact,
  ParseError,
  QueryError,
  SignatureError,
  Verifier,
  ingest,
  observe,
} = require('./package.js')
const { asVector, compare, exact, outcome, text } = require('./compare.js')
const {
  Unreadable,
  any,
  bytes,
  commit,
  duration,
  isObject,
  list,
  map,
  name,
  nullable,
  objectName,
  oneOf,
  optional,
  record,
  selector,
  string,
  tagged,
  time,
  whole,
} = require('./read.js')

const require_ = nullable(oneOf('applied', 'healthy'))
const healthChecks = oneOf('enabled', 'disabled', 'inferred')

/** A policy in the form of the configuration file, as a vector must have it; it is handed on as it is. */
const policyShape = record({
  environments: optional(
    map(
      name,
      record({
        reconcilers: optional(list(selector)),
        require: optional(oneOf('applied', 'healthy')),
        health_checks: optional(healthChecks),
        timeout: optional(duration),
        failure_grace: optional(duration),
        transient_grace: optional(duration),
        learning: optional(duration),
      }),
    ),
  ),
  reconcilers: optional(map(selector, record({ health_checks: optional(healthChecks) }))),
})
const policy = (value, where) => (policyShape(value, where), value)

const request = record({ cluster: name, signature: optional(nullable(string), null), body: bytes })

const action = tagged({
  event: request,
  lost_event: request,
  nothing: record({}),
  register: record({
    environment: name,
    commit,
    expect: optional(list(selector), []),
    require: optional(require_, null),
    timeout: optional(nullable(duration), null),
    labels: optional(map(string, string), {}),
  }),
  ancestry: record({
    parents: optional(map(commit, list(commit)), {}),
    contains: optional(map(commit, list(commit)), {}),
    objects: optional(list(bytes), []),
  }),
  removed: objectName,
  forgotten: record({ before: time }),
  settled: record({
    environment: name,
    commit,
    n: whole,
    outcome: oneOf('in_progress', 'succeeded', 'failed', 'timed_out'),
  }),
  set_policy: policy,
  expire: record({}),
})

const shape = record({
  id: string,
  why: string,
  commits: optional(map(string, commit), {}),
  keys: optional(map(name, list(string)), {}),
  policy: optional(policy, {}),
  queries: map(
    string,
    record({
      environment: name,
      commit,
      require: optional(require_, null),
      reconcilers: optional(list(selector), []),
      failure_grace: optional(nullable(duration), null),
    }),
  ),
  steps: list(
    record({
      at: time,
      about: optional(nullable(string), null),
      do: action,
      expect: record({
        error: optional(nullable(string), null),
        ignored: optional(nullable(string), null),
        statuses: map(string, any),
        transitions: optional(list(any), []),
      }),
    }),
  ),
})

/** Puts commits in place of their names. Each must be used, and there must be no other. */
function resolve(value) {
  const names = isObject(value?.commits) ? Object.entries(value.commits) : []
  const used = new Set()
  const inText = (given) =>
    names.reduce((before, [name, commit]) => {
      const after = before.replaceAll(`\${${name}}`, commit)
      if (after !== before) used.add(name)
      return after
    }, given)
  const within = (part) => {
    if (typeof part === 'string') return inText(part)
    if (Array.isArray(part)) return part.map(within)
    if (!isObject(part)) return part
    return Object.fromEntries(Object.entries(part).map(([key, each]) => [inText(key), within(each)]))
  }
  const resolved = within(value)
  const unused = names.find(([name]) => !used.has(name))
  if (unused !== undefined) throw new Unreadable(`nothing uses \${${unused[0]}}`)
  const unknown = /\$\{[^}]*\}/.exec(JSON.stringify(resolved))
  if (unknown !== null) throw new Unreadable(`no commit is called ${unknown[0]}`)
  return resolved
}

/** Reads a case. Each step must tell where each question stands afterwards. */
function readScenario(value) {
  const scenario = shape(resolve(value), 'the case')
  const asked = Object.keys(scenario.queries).sort()
  if (asked.length === 0 || scenario.steps.length === 0) throw new Unreadable('`queries` and `steps` must not be empty')
  for (const [place, { expect }] of scenario.steps.entries()) {
    if (!isDeepStrictEqual(Object.keys(expect.statuses).sort(), asked)) {
      throw new Unreadable(`step ${place}: \`statuses\` must tell of each query`)
    }
    for (const [name, status] of Object.entries(expect.statuses)) {
      const needed = isObject(status) && 'error' in status ? ['error'] : ['state', 'outcome', 'reason']
      if (!isObject(status) || needed.some((field) => !Object.hasOwn(status, field))) {
        throw new Unreadable(`step ${place}: \`${name}\` lacks one of ${needed.join(', ')}`)
      }
    }
  }
  return scenario
}

const nothing = { error: null, ignored: null, effects: { changed: 'nothing', transitions: [], woken: [] } }
const degrees = ['nothing', 'last_heard', 'knowledge']

/** A scenario in the course of being played. */
class Player {
  constructor(scenario) {
    this.scenario = scenario
    this.verifiers = new Map(Object.entries(scenario.keys).map(([cluster, keys]) => [cluster, new Verifier(keys)]))
    this.brain = new Brain(scenario.policy)
    /** All facts so far. */
    this.facts = []
    this.now = new Date(0)
    this.played = 0
  }

  /** Feeds what the next step brings, whatever is expected of it. False at the end. */
  advance() {
    const step = this.scenario.steps[this.played]
    if (step === undefined) return false
    this.feed(step)
    return true
  }

  /** Feeds what the next step brings, and returns what is not as expected. */
  play() {
    const step = this.scenario.steps[this.played]
    const problems = []
    if (step.at < this.now) problems.push('is earlier than the step before')
    const deadline = this.brain.nextDeadline()
    // A host calls `expire` at each deadline. A vector that does not would hide a transition.
    if (deadline !== null && deadline < step.at)
      problems.push(`there must be an \`expire\` at ${text(deadline)} before`)
    const { error, ignored, effects } = this.feed(step)
    const { expect } = step
    if (error !== expect.error || ignored !== expect.ignored) {
      problems.push(`refused ${error}, ignored ${ignored}, expected ${expect.error} and ${expect.ignored}`)
    }
    for (const name of Object.keys(this.scenario.queries)) {
      problems.push(...compareStatus(name, expect.statuses[name], this.answer(name, step.at)))
    }
    problems.push(...compareTransitions(expect.transitions, effects))
    return problems.map((what) => `step ${this.played} (${text(step.at)}): ${what}`)
  }

  /** The status that a query gives, in the form of the vectors, reconcilers by name. */
  answer(name, now) {
    return outcome([QueryError], () => {
      const status = asVector(ask(this.brain, this.scenario.queries[name], now))
      const byName = status.reconcilers.map((reconciler) => [reconciler.reconciler, reconciler])
      return { ...status, reconcilers: Object.fromEntries(byName) }
    })
  }

  feed({ at, do: { tag, content } }) {
    this.played += 1
    if (at > this.now) this.now = at
    switch (tag) {
      case 'nothing':
      case 'lost_event':
        return nothing
      case 'expire':
        return { ...nothing, effects: this.brain.expire({ now: at }) }
      case 'set_policy':
        return { ...nothing, effects: this.brain.setPolicy(content, { now: at }) }
      case 'event': {
        const taken = outcome([SignatureError, ParseError], () => this.ingest(content, at))
        if (taken instanceof Fact) return this.take(taken, at)
        return taken.error === undefined ? { ...nothing, ignored: taken.code } : { ...nothing, error: taken.error }
      }
      default:
        return this.take(new Fact(this.body(tag, content), at), at)
    }
  }

  ingest({ cluster, signature, body }, at) {
    if (signature === null) return observe(cluster, body, at)
    const verifier = this.verifiers.get(cluster)
    if (verifier === undefined) throw new Unreadable(`there are no keys of ${cluster}`)
    return ingest(verifier, cluster, signature, body, at)
  }

  body(tag, content) {
    switch (tag) {
      case 'register': {
        const { environment, commit, ...options } = content
        return this.brain.registration(environment, commit, options)
      }
      case 'ancestry': {
        const proved = Ancestry.fromObjects(content.objects)
        const parents = Object.entries(content.parents).map(([commit, parents]) => ({ commit, parents }))
        const contains = Object.entries(content.contains).map(([commit, ancestors]) => ({ commit, ancestors }))
        return {
          type: 'ancestry',
          parents: [...proved.parents, ...parents],
          contains: [...proved.contains, ...contains],
        }
      }
      case 'removed':
        return { type: 'removed', reconciler: content }
      default:
        return { type: tag, ...content }
    }
  }

  take(fact, at) {
    checkLine(fact)
    const preview = this.brain.preview(fact)
    const effects = this.brain.apply(fact, at)
    if (degrees.indexOf(preview) < degrees.indexOf(effects.changed)) {
      throw new Error(`${effects.changed} was changed, though the preview says ${preview} at most`)
    }
    this.facts.push(fact)
    return { ...nothing, effects }
  }
}

/** What a journal and another language see of a fact must be the same. */
function checkLine(fact) {
  const line = Fact.fromLine(fact.toLine())
  const seen = ({ v, at, id, body }) => ({ v, at, id: id.toString('hex'), body })
  if (line.toLine() !== fact.toLine() || !isDeepStrictEqual(seen(line), seen(fact))) {
    throw new Error(`a fact changes when it is written and read: ${fact.toLine()}`)
  }
}

function ask(brain, { environment, commit, require, reconcilers, failure_grace: failureGrace }, now) {
  return brain.status(environment, commit, { require, reconcilers, failureGrace, now })
}

function compareStatus(name, expected, actual) {
  const problems = compare(name, expected, actual)
  // Which reconcilers are expected is told completely, or not at all.
  if (isObject(expected?.reconcilers)) {
    const more = Object.keys(actual.reconcilers ?? {}).filter((each) => !Object.hasOwn(expected.reconcilers, each))
    problems.push(...more.map((other) => `${name}: ${other} is not expected`))
  }
  return problems
}

function compareTransitions(expected, { transitions }) {
  const problems = []
  if (expected.length !== transitions.length) {
    problems.push(`expected ${expected.length} transitions: ${JSON.stringify(transitions)}`)
  }
  for (const [place, wanted] of expected.slice(0, transitions.length).entries()) {
    const { settlement, ...actual } = asVector(transitions[place])
    for (const left of ['at', 'message', 'cause', 'settlements']) {
      if (!isObject(wanted) || !Object.hasOwn(wanted, left)) delete actual[left]
    }
    problems.push(...exact(`transitions[${place}]`, wanted, actual))
    problems.push(...compareSettlement(`transitions[${place}].settlement`, transitions[place]))
  }
  return problems
}

/** No vector tells what is to be recorded: it follows from the transition. */
function compareSettlement(where, { environment, commit, from, to, settlements: n, settlement }) {
  const { outcome } = to
  const final = outcome !== 'in_progress' && outcome !== from.outcome
  return exact(where, final ? { type: 'settled', environment, commit, n, outcome } : null, settlement)
}

/** Plays a case, and returns what is not as expected. */
function scenarios(value) {
  const player = new Player(readScenario(value))
  return player.scenario.steps.flatMap(() => player.play())
}

/** The policy that is in place at the end. */
function lastPolicy({ policy, steps }) {
  return steps.findLast((step) => step.do.tag === 'set_policy')?.do.content ?? policy
}

/** Whether something is forgotten: then the order of facts that are applied makes a difference. */
const forgets = ({ steps }) => steps.some((step) => step.do.tag === 'forgotten')

/**
 * A brain that took in these facts one by one, each at its own time, under the policy that is in place
 * at the end.
 *
 * Where something is forgotten it loads them instead: forgetting is done when it is said, or when all is
 * loaded, so an older fact that is applied later would be kept until the next time.
 */
async function brainOf(scenario, facts) {
  const brain = new Brain(lastPolicy(scenario))
  if (forgets(scenario)) await brain.load(facts)
  else for (const fact of facts) brain.apply(fact, fact.at)
  return brain
}

/** What a brain answers to each question at the end. */
function answers(scenario, brain) {
  const last = new Date(Math.max(...scenario.steps.map(({ at }) => at.getTime())))
  return Object.values(scenario.queries).map((query) => outcome([QueryError], () => ask(brain, query, last)))
}

/** Plays it without looking at any expectation, and returns the facts. */
function factsOf(scenario) {
  const player = new Player(scenario)
  while (player.advance());
  return player.facts
}

module.exports = { Player, answers, brainOf, factsOf, forgets, lastPolicy, readScenario, scenarios }
