'use strict'

// Calls everything that a host calls per event or per question very many times, and measures whether the
// process grows. Runs with `--expose-gc` in a process of its own.

const { setImmediate: next } = require('node:timers/promises')

const main = require('./package.js')
const {
  APPS,
  COMMIT,
  KEY,
  ROOT,
  brainWith,
  commit,
  commitObject,
  event,
  observed,
  policy,
  registered,
  time,
} = require('./samples.js')

const { Ancestry, Brain, CommitObject, Event, Fact, Revision, Verifier, ingest, observe, sign } = main

/** So often each is called; what takes longer than 15 µs, less often in proportion. */
const CALLS = 200_000
const LONGEST = 3_000

const verifier = new Verifier([KEY])
const now = time(2)
const text = event()
const body = Buffer.from(text)
const header = sign(KEY, body)
const headerBytes = Buffer.from(header)
const fact = observed('healthy')
const line = fact.toLine()
const lineBytes = Buffer.from(line)
const trace = Buffer.from(event('healthy', { severity: 'trace' }))
const parsed = Event.parse(body)
const object = commitObject([ROOT], 'child')
const settled = brainWith()
settled.apply(observed('healthy', { at: time(1) }), time(1))
const pending = brainWith({ at: new Date(), timeout: '1d' })
const removed = { type: 'removed', reconciler: APPS }
const loaded = new Brain(policy)
/** More facts than are kept at hand, so that using one makes it again. */
const many = Array.from({ length: 300 }, (_, number) => observed('healthy', { of: commit(number) }))
const signed = many.map((_, number) => {
  const body = Buffer.from(event('healthy', { of: commit(number) }))
  return ingest(verifier, 'staging', sign(KEY, body), body, now)
})

const failing = (call) => () => {
  try {
    call()
  } catch {
    return
  }
  throw new Error('nothing was thrown')
}
const rejecting = (call) => () =>
  call().then(
    () => Promise.reject(new Error('it did not reject')),
    () => {},
  )

let beat = 0
const heart = brainWith()
heart.apply(observed('healthy', { at: time(1) }), time(1))

const groups = {
  events: {
    'ingest of bytes': () => ingest(verifier, 'staging', headerBytes, body, now),
    'ingest of text': () => ingest(verifier, 'staging', header, text, now),
    'observe of bytes': () => observe('staging', body, now),
    'observe of text': () => observe('staging', text, now),
    'observe of what is ignored': () => observe('staging', trace, now),
    verify: () => verifier.verify(header, body),
    sign: () => sign(KEY, body),
    'Event.parse': () => Event.parse(body),
    lookup: () => parsed.lookup('revision'),
    'Revision.parse': () => Revision.parse(`main@sha1:${COMMIT}`),
    'CommitObject.parse': () => CommitObject.parse(object),
    'Ancestry.fromObjects': () => Ancestry.fromObjects([object]),
    'a stream of heartbeats': () => {
      beat += 1
      const at = time(beat)
      const told = heart.apply(observe('staging', event('succeeded', { at }), at), at)
      if (beat > 9 && told.changed !== 'last_heard') throw new Error(`it is no heartbeat but ${told.changed}`)
    },
  },
  facts: {
    'Fact.fromLine of text': () => Fact.fromLine(line),
    'Fact.fromLine of bytes': () => Fact.fromLine(lineBytes),
    'new Fact': () => new Fact(removed, now),
    toLine: () => fact.toLine(),
    toJSON: () => fact.toJSON(),
    body: () => fact.body,
    id: () => fact.id,
    at: () => fact.at,
    'facts that are made again': (count) => many[count % many.length].id,
    'signed facts that are made again': (count) => signed[count % signed.length].at,
  },
  questions: {
    apply: () => settled.apply(fact, now),
    preview: () => settled.preview(fact),
    status: () => settled.status('staging', COMMIT, { now }),
    'status with options': () =>
      settled.status('staging', COMMIT, { require: 'applied', reconcilers: [APPS], failureGrace: '1m', now }),
    statuses: () => settled.statuses(COMMIT, { now }),
    rollouts: () => settled.rollouts({ environment: 'staging', labels: {}, limit: 10, now }),
    reconcilers: () => settled.reconcilers({ environment: 'staging' }),
    clusters: () => settled.clusters(),
    resolve: () => settled.resolve(COMMIT.slice(0, 9)),
    policy: () => settled.policy,
    registration: () => settled.registration('staging', COMMIT, { labels: { app: 'shop' } }),
  },
  changes: {
    expire: () => settled.expire({ now }),
    nextDeadline: () => settled.nextDeadline(),
    unrecorded: () => settled.unrecorded(),
    facts: () => settled.facts(),
    equals: () => settled.equals(pending),
    merge: () => loaded.merge(settled, { now }),
    setPolicy: () => loaded.setPolicy(policy, { now }),
    expireAtDeadlines: () => pending.expireAtDeadlines(() => {})(),
    'a registration that is known': () => settled.apply(registered(settled), now),
  },
  waiting: {
    'wait with a timeout of nothing': () => pending.wait('staging', COMMIT, { timeout: 0 }),
    'wait for what is settled': () => settled.wait('staging', COMMIT),
    'wait that is woken': () => {
      const brain = pending
      const waiting = brain.wait('staging', COMMIT, { since: brain.status('staging', COMMIT).version })
      beat += 1
      brain.apply(observed(beat % 2 ? 'applying' : 'failed', { at: time(beat) }), new Date())
      return waiting
    },
    'wait that is aborted': rejecting(() => {
      const controller = new AbortController()
      const waiting = pending.wait('staging', commit(1), { signal: controller.signal })
      controller.abort()
      return waiting
    }),
    'wait that is refused': rejecting(() => pending.wait('production', COMMIT)),
    load: () => loaded.load(line),
    applyMany: () => loaded.applyMany([fact], { now }),
    'applyMany of bodies': () => loaded.applyMany(body, { cluster: 'staging', now }),
    'applyMany that is refused': rejecting(() => loaded.applyMany('{')),
  },
  errors: {
    'a wrong signature': failing(() => ingest(verifier, 'staging', 'sha256=00', body, now)),
    'no signature': failing(() => verifier.verify(null, body)),
    'a body that is no event': failing(() => observe('staging', '{"involvedObject":1}', now)),
    'a name that is none': failing(() => observe('Staging!', body, now)),
    'a line that is no fact': failing(() => Fact.fromLine('{"v":1,')),
    'a body of a fact that is none': failing(() => new Fact({ type: 'removed', reconciler: 'apps' }, now)),
    'a revision that is none': failing(() => Revision.parse('')),
    'a commit object that is none': failing(() => CommitObject.parse('tree')),
    'an environment that is unknown': failing(() => settled.status('production', COMMIT, { now })),
    'a policy that is none': failing(() => new Brain({ environments: { staging: { timout: 1 } } })),
    'a verifier without keys': failing(() => new Verifier([])),
    'a wrong type': failing(() => ingest(verifier, 'staging', header, 5, now)),
    'a time that is none': failing(() => settled.expire({ now: new Date(NaN) })),
  },
}

/** What is made and let go: 20,000 of each. */
const HANDLES = 20_000
const handles = {
  Brain: () => new Brain(policy),
  'Brain that knows something': () => brainWith(),
  Verifier: () => new Verifier([KEY, 'another']),
}

async function settle() {
  for (let times = 0; times < 3; times += 1) {
    globalThis.gc()
    // What native memory is freed by finalizers, which run in turns of the event loop.
    for (let turns = 0; turns < 3; turns += 1) await next()
  }
  return process.memoryUsage.rss()
}

async function repeat(call, calls) {
  for (let count = 0; count < calls; count += 1) {
    const made = call(count)
    if (made instanceof Promise) await made
    // A host comes round to its event loop too.
    if (count % 500 === 0) await next()
  }
}

/** By how many bytes the process grows with so many calls: the least of three times, for others grow it too. */
async function measure(call, most) {
  const warming = Math.ceil(most / 10)
  const begun = performance.now()
  await repeat(call, warming)
  const each = (performance.now() - begun) / warming
  const calls = Math.min(most, Math.ceil(LONGEST / each))
  let least = Infinity
  for (let times = 0; times < 3 && least > TOLERANCE / 2; times += 1) {
    const before = await settle()
    await repeat(call, calls)
    least = Math.min(least, (await settle()) - before)
  }
  return { calls, microseconds: each * 1_000, growth: least }
}

/** A leak of 32 bytes a call, the least that an allocator hands out, would be more than that. */
const TOLERANCE = 3 * 1024 * 1024

/** Measures a group, and prints a line of JSON for each call. */
async function measureGroup(name) {
  const [calls, most] = name === 'handles' ? [handles, HANDLES] : [groups[name], CALLS]
  for (const [call, make] of Object.entries(calls)) {
    console.log(JSON.stringify({ call, ...(await measure(make, most)) }))
  }
}

module.exports = { TOLERANCE, groups: [...Object.keys(groups), 'handles'], measure, measureGroup }
