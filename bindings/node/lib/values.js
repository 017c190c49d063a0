'use strict'

// Values as JSON has them, in the form of the HTTP API and of the journal, and as JavaScript has them:
// names in camel case, times as Date, durations in milliseconds, all of it frozen.

const native = require('../native.js')
const { call } = require('./errors.js')
const { bytes, duration, list, object, text } = require('./check.js')

const camelCase = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())
const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

// How to read a part that is not plain.

const date = (value) => (value === null ? null : new Date(value))
const milliseconds = (value) => Number(native.parse('duration', Buffer.from(value)))
const map = (value) => Object.freeze({ ...value })
const listOf = (read) => (value) => Object.freeze(value.map(read))
const mapOf = (read) => (value) =>
  Object.freeze(Object.fromEntries(Object.entries(value).map(([key, each]) => [key, read(each)])))
const texts = listOf((each) => each)

/** Reads an object whose other fields are plain. */
function record(special, prototype) {
  const names = new Map()
  return (value) => {
    if (value === null) return null
    const made = prototype === undefined ? {} : Object.create(prototype)
    for (const key of Object.keys(value)) {
      let name = names.get(key)
      if (name === undefined) names.set(key, (name = camelCase(key)))
      const read = special[name]
      made[name] = read === undefined ? value[key] : read(value[key])
    }
    return Object.freeze(made)
  }
}

const plain = record({})
const eventSummary = record({ at: date })
const reconcilerStatus = record({
  healthChecks: plain,
  seenAt: date,
  appliedAt: date,
  healthyAt: date,
  failedAt: date,
  lastHeardAt: date,
  event: eventSummary,
})
const readStatus = record({
  evaluatedAt: date,
  registeredAt: date,
  deadlineAt: date,
  firstSettled: record({ at: date }),
  labels: map,
  reconcilers: listOf(reconcilerStatus),
  timeline: listOf(record({ at: date })),
})
const reconcilerReport = record({ healthChecks: plain, lastHeardAt: date, event: eventSummary })
const clusterReport = record({ firstHeardAt: date, lastHeardAt: date })

// What facts say.

const bodies = {
  observed: record({ timestamp: date, changedObjects: listOf(plain) }),
  registered: record({
    expect: texts,
    timeout: milliseconds,
    failureGrace: milliseconds,
    transientGrace: milliseconds,
    learning: milliseconds,
    labels: map,
  }),
  ancestry: record({
    parents: listOf(record({ parents: texts })),
    contains: listOf(record({ ancestors: texts })),
  }),
  settled: plain,
  removed: plain,
  forgotten: record({ before: date }),
}
const missing = {
  registered: { expect: [], wholeCluster: false, labels: {} },
  ancestry: { parents: [], contains: [] },
}

/** What a fact says, with its type among the fields. */
function readBody(value) {
  const [[type, content]] = Object.entries(value)
  return bodies[type]({ type, ...missing[type], ...content })
}

/** What a fact is to say, as a journal has it. */
function writeBody(body) {
  const { type, ...content } = object(body, 'the body')
  if (!Object.hasOwn(bodies, type) || type === 'observed') {
    const allowed = Object.keys(bodies).filter((each) => each !== 'observed')
    throw new TypeError(`the body's type must be one of ${allowed.join(', ')}: observations come from ingest and observe`)
  }
  const written = Object.entries(content).map(([key, value]) => [snakeCase(key), writePart(key, value)])
  return JSON.stringify({ [type]: Object.fromEntries(written) })
}

const durations = new Set(['timeout', 'failureGrace', 'transientGrace', 'learning'])

function writePart(key, value) {
  if (durations.has(camelCase(key))) return duration(value, key)
  if (value instanceof Date && Number.isNaN(value.getTime())) throw new RangeError(`${key} is an invalid Date`)
  return value
}

// Effects.

const standing = plain
const readEffects = record({
  transitions: listOf(
    record({
      at: date,
      from: standing,
      to: standing,
      settlement: (value) => (value === null ? null : readBody(value)),
    }),
  ),
  woken: texts,
})

/** What a call changed that concerns nobody: by the number that the native part gives. */
const quiet = ['nothing', 'last_heard', 'knowledge'].map((changed) => readEffects({ changed, transitions: [], woken: [] }))

// Policies.

const environmentOf = record({
  reconcilers: texts,
  timeout: milliseconds,
  failureGrace: milliseconds,
  transientGrace: milliseconds,
  learning: milliseconds,
})
const readPolicy = record({ environments: mapOf(environmentOf), reconcilers: mapOf(plain) })

/** A policy as the configuration file has it; names may be in camel case or as they are there. */
function writePolicy(policy) {
  const written = Object.entries(object(policy ?? {}, 'the policy')).map(([part, entries]) => [
    part,
    Object.fromEntries(
      Object.entries(object(entries, `the policy's ${part}`)).map(([name, entry]) => [name, writeEntry(name, entry)]),
    ),
  ])
  return stringify(Object.fromEntries(written), 'the policy')
}

function writeEntry(name, entry) {
  const given = Object.entries(object(entry, name)).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([key, value]) => [snakeCase(key), writePart(key, value)]))
}

/** JSON of what a caller gave. */
function stringify(value, name) {
  try {
    return JSON.stringify(value)
  } catch (error) {
    throw new TypeError(`${name} cannot be written as JSON: ${error.message}`)
  }
}

// Events, revisions, commits.

const parse = (what, given) => JSON.parse(call(() => native.parse(what, given)))

/** What notification-controller posts. What it leaves out is empty. */
class Event {
  static parse(body) {
    return readEvent(parse('event', bytes(body, 'body')))
  }

  lookup(name) {
    const entries = Object.entries(this.metadata).flat()
    return native.metadata(this.involvedObject.apiVersion, entries, text(name, 'name'))
  }
}
const readEvent = record({ involvedObject: plain, relatedObject: plain, timestamp: date, metadata: map }, Event.prototype)

/** What a source produced. */
class Revision {
  static parse(revision) {
    return readRevision(parse('revision', Buffer.from(text(revision, 'revision'))))
  }

  toString() {
    return this.text
  }
}
const readRevision = record({}, Revision.prototype)

/** A git commit: its id, recomputed from its bytes, and its parents. */
class CommitObject {
  static parse(content) {
    return readCommitObject(parse('commit_object', bytes(content, 'content')))
  }
}
const readCommitObject = record({ parents: texts }, CommitObject.prototype)

const Ancestry = Object.freeze({
  /** What raw commit objects prove. */
  fromObjects(objects) {
    const given = list(objects, 'objects').map((each) => bytes(each, 'objects'))
    return readBody({ ancestry: JSON.parse(call(() => native.ancestryOfObjects(given))) })
  },
})

module.exports = {
  Ancestry,
  CommitObject,
  Event,
  Revision,
  clusterReport,
  listOf,
  plain,
  quiet,
  readBody,
  readEffects,
  readPolicy,
  readStatus,
  reconcilerReport,
  stringify,
  writeBody,
  writePolicy,
}
