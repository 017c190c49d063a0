'use strict'

// A wrong type is a TypeError that says which argument it is, what is wanted, and what was found.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const main = require('./support/package.js')
const { APPS, COMMIT, KEY, brainWith, observed } = require('./support/samples.js')

const { Ancestry, Brain, CommitObject, ConfigError, Event, Fact, Revision, Verifier, ingest, observe, sign } = main

const verifier = new Verifier([KEY])
const brain = brainWith()
const fact = observed('healthy')
const body = 'a body'

/** What each call must say if one of its arguments is of this kind. */
const calls = [
  ['keys must be an array, not string', () => new Verifier('key')],
  ['keys must be an array, not Buffer', () => new Verifier(Buffer.from('key'))],
  ['keys must be an array, not undefined', () => new Verifier()],
  ['keys must be a Uint8Array or a string, not number', () => new Verifier([5])],
  ['header must be a Uint8Array or a string, not number', () => verifier.verify(5, body)],
  ['header must be a Uint8Array or a string, not Array', () => verifier.verify(['a', 'b'], body)],
  ['body must be a Uint8Array or a string, not undefined', () => verifier.verify('header')],
  ['body must be a Uint8Array or a string, not Object', () => verifier.verify('header', { kind: 'event' })],
  ['key must be a Uint8Array or a string, not null', () => sign(null, body)],
  ['body must be a Uint8Array or a string, not ArrayBuffer', () => sign(KEY, new ArrayBuffer(1))],
  ['body must be a Uint8Array or a string, not Uint16Array', () => sign(KEY, new Uint16Array(1))],
  ['body must be a Uint8Array or a string, not String', () => sign(KEY, new String('body'))],
  ['verifier must be a Verifier, not string', () => ingest(KEY, 'staging', 'header', body)],
  ['verifier must be a Verifier, not Object', () => ingest({}, 'staging', 'header', body)],
  ['cluster must be a string, not undefined', () => ingest(verifier)],
  ['cluster must be a string, not Buffer', () => ingest(verifier, Buffer.from('staging'), 'header', body)],
  ['header must be a Uint8Array or a string, not Array', () => ingest(verifier, 'staging', [], body)],
  ['body must be a Uint8Array or a string, not undefined', () => ingest(verifier, 'staging', 'header')],
  ['the time must be a Date, not number', () => ingest(verifier, 'staging', 'header', body, Date.now())],
  ['cluster must be a string, not null', () => observe(null, body)],
  ['body must be a Uint8Array or a string, not Object', () => observe('staging', {})],
  ['the time must be a Date, not string', () => observe('staging', body, '2026-11-23T12:00:00Z')],
  ['line must be a Uint8Array or a string, not Object', () => Fact.fromLine({})],
  ['the body must be an object, not string', () => new Fact('removed')],
  ['the time must be a Date, not number', () => new Fact({ type: 'removed', reconciler: APPS }, 5)],
  ['body must be a Uint8Array or a string, not Object', () => Event.parse({})],
  ['name must be a string, not undefined', () => Event.parse(require('./support/samples.js').event()).lookup()],
  ['revision must be a string, not null', () => Revision.parse(null)],
  ['content must be a Uint8Array or a string, not undefined', () => CommitObject.parse()],
  ['objects must be an array, not Buffer', () => Ancestry.fromObjects(Buffer.from('tree'))],
  ['objects must be a Uint8Array or a string, not number', () => Ancestry.fromObjects([5])],
  ['the policy must be an object, not string', () => new Brain('policy')],
  ['fact must be a Fact, not string', () => brain.apply(fact.toLine())],
  ['fact must be a Fact, not Object', () => brain.apply(fact.toJSON())],
  ['fact must be a Fact, not undefined', () => brain.preview()],
  ['the time must be a Date, not number', () => brain.apply(fact, Date.now())],
  ['other must be a Brain, not Object', () => brain.merge({})],
  ['other must be a Brain, not undefined', () => brain.equals()],
  ['the time must be a Date, not number', () => brain.merge(new Brain(), { now: 5 })],
  ['the policy must be an object, not undefined', () => brain.setPolicy()],
  ['the time must be a Date, not string', () => brain.setPolicy({}, { now: 'now' })],
  ['environment must be a string, not undefined', () => brain.registration()],
  ['commit must be a string, not Buffer', () => brain.registration('staging', Buffer.from(COMMIT))],
  ['expect must be an array, not string', () => brain.registration('staging', COMMIT, { expect: APPS })],
  ['expect must be a string, not number', () => brain.registration('staging', COMMIT, { expect: [5] })],
  ['require must be a string, not boolean', () => brain.registration('staging', COMMIT, { require: true })],
  [
    'timeout must be milliseconds or a string, not Object',
    () => brain.registration('staging', COMMIT, { timeout: {} }),
  ],
  ['labels must be an object, not Array', () => brain.registration('staging', COMMIT, { labels: ['app'] })],
  ['labels.app must be a string, not number', () => brain.registration('staging', COMMIT, { labels: { app: 5 } })],
  ['environment must be a string, not number', () => brain.status(5, COMMIT)],
  ['commit must be a string, not undefined', () => brain.status('staging')],
  ['reconcilers must be an array, not string', () => brain.status('staging', COMMIT, { reconcilers: APPS })],
  [
    'failureGrace must be milliseconds or a string, not Date',
    () => brain.status('staging', COMMIT, { failureGrace: new Date(0) }),
  ],
  ['the time must be a Date, not number', () => brain.status('staging', COMMIT, { now: 5 })],
  ['commit must be a string, not Array', () => brain.statuses([COMMIT])],
  ['environment must be a string, not number', () => brain.rollouts({ environment: 5 })],
  ['outcome must be a string, not Array', () => brain.rollouts({ outcome: ['failed'] })],
  ['labels.app must be a string, not null', () => brain.rollouts({ labels: { app: null } })],
  ['limit must be a whole number, 0 or more', () => brain.rollouts({ limit: '5' })],
  ['limit must be a whole number, 0 or more', () => brain.rollouts({ limit: 0.5 })],
  ['limit must be a whole number, 0 or more', () => brain.rollouts({ limit: -1 })],
  ['after must be an object, not string', () => brain.rollouts({ after: COMMIT })],
  [
    'the time must be a Date, not string',
    () => brain.rollouts({ after: { registeredAt: 'now', environment: 'a', commit: COMMIT } }),
  ],
  ['after.environment must be a string, not undefined', () => brain.rollouts({ after: { registeredAt: new Date() } })],
  [
    'after.commit must be a string, not undefined',
    () => brain.rollouts({ after: { registeredAt: new Date(), environment: 'a' } }),
  ],
  ['environment must be a string, not number', () => brain.reconcilers({ environment: 5 })],
  ['cluster must be a string, not number', () => brain.reconcilers({ cluster: 5 })],
  ['commit must be a string, not undefined', () => brain.resolve()],
  ['the time must be a Date, not number', () => brain.expire({ now: Date.now() })],
  ['onEffects must be a function', () => brain.expireAtDeadlines()],
  ['facts must be an array, not undefined', () => brain.load()],
  ['facts must be an array, not Object', () => brain.load(fact.toJSON())],
  ['each of the facts must be a Fact, not string', () => brain.load([fact.toLine()])],
  ['facts must be an array, not Fact', () => brain.applyMany(fact)],
  ['cluster must be a string, not number', () => brain.applyMany('', { cluster: 5 })],
  ['the time must be a Date, not number', () => brain.applyMany('', { now: 5 })],
  ['environment must be a string, not undefined', () => brain.wait()],
  ['since must be a string, not number', () => brain.wait('staging', COMMIT, { since: 5 })],
  ['timeout must be milliseconds or a string, not boolean', () => brain.wait('staging', COMMIT, { timeout: true })],
]

for (const [message, call] of calls) {
  test(`${call.toString().slice(6)}: ${message}`, async () => {
    await assert.rejects(async () => call(), { name: 'TypeError', message })
  })
}

test('options that are no object are refused, in words about them', async () => {
  // A Date above all: `apply` takes one in this place.
  for (const wrong of [null, 5, 'now', true, new Date()]) {
    for (const [name, call] of Object.entries({
      status: () => brain.status('staging', COMMIT, wrong),
      statuses: () => brain.statuses(COMMIT, wrong),
      rollouts: () => brain.rollouts(wrong),
      reconcilers: () => brain.reconcilers(wrong),
      registration: () => brain.registration('staging', COMMIT, wrong),
      merge: () => brain.merge(new Brain(), wrong),
      setPolicy: () => brain.setPolicy(brain.policy, wrong),
      expire: () => new Brain().expire(wrong),
      applyMany: () => new Brain().applyMany('', wrong),
      wait: () => brainWith({ at: new Date(), timeout: 0 }).wait('staging', COMMIT, wrong),
    })) {
      const message = /must be an object, not (null|number|string|boolean|Date)$/
      await assert.rejects(async () => call(), { name: 'TypeError', message }, `${name}(${wrong})`)
    }
  }
})

test('a signal that is none is refused, and nobody waits any more', async () => {
  const waiting = brainWith({ at: new Date() })
  for (const signal of [5, 'abort', {}, new EventTarget(), { throwIfAborted() {} }]) {
    await assert.rejects(waiting.wait('staging', COMMIT, { signal, timeout: 10 }), TypeError)
  }
  assert.deepEqual(waiting.apply(observed('healthy', { at: new Date() })).woken, [])
})

test('what only looks like bytes is a TypeError', async () => {
  for (const fake of [Object.create(Uint8Array.prototype), new Proxy(new Uint8Array(3), {})]) {
    const uses = [
      () => new Verifier([fake]),
      () => verifier.verify(fake, body),
      () => verifier.verify('header', fake),
      () => sign(fake, body),
      () => sign(KEY, fake),
      () => ingest(verifier, 'staging', fake, body),
      () => ingest(verifier, 'staging', sign(KEY, body), fake),
      () => observe('staging', fake),
      () => Event.parse(fake),
      () => CommitObject.parse(fake),
      () => Ancestry.fromObjects([fake]),
      () => Fact.fromLine(fake),
      () => new Brain().load(fake),
      () => new Brain().applyMany(fake),
    ]
    for (const use of uses) {
      await assert.rejects(
        async () => use(),
        (error) => error.constructor === TypeError,
        use.toString(),
      )
    }
  }
})

test('what only looks like a brain, a fact or a verifier is a TypeError', () => {
  for (const [type, use] of [
    [Brain, (fake) => brain.merge(fake)],
    [Brain, (fake) => brain.equals(fake)],
    [Brain, (fake) => fake.clusters()],
    [Fact, (fake) => brain.apply(fake)],
    [Fact, (fake) => fake.toLine()],
    [Verifier, (fake) => ingest(fake, 'staging', 'header', body)],
    [Verifier, (fake) => fake.verify('header', body)],
  ]) {
    for (const fake of [
      Object.create(type.prototype),
      new Proxy(type === Fact ? fact : type === Brain ? brain : verifier, {}),
    ]) {
      assert.throws(() => use(fake), TypeError)
    }
  }
  for (const name of ['Brain', 'Fact', 'Verifier']) assert.throws(() => main[name](), TypeError)
})

test('a Date that is none is a RangeError, and one too far away a ConfigError', async () => {
  const uses = {
    apply: (now) => brain.apply(fact, now),
    merge: (now) => brain.merge(new Brain(), { now }),
    setPolicy: (now) => brain.setPolicy(brain.policy, { now }),
    expire: (now) => brain.expire({ now }),
    status: (now) => brain.status('staging', COMMIT, { now }),
    statuses: (now) => brain.statuses(COMMIT, { now }),
    rollouts: (now) => brain.rollouts({ now }),
    applyMany: (now) => brain.applyMany('', { now }),
    observe: (at) => observe('staging', body, at),
    ingest: (at) => ingest(verifier, 'staging', sign(KEY, body), body, at),
    Fact: (at) => new Fact({ type: 'removed', reconciler: APPS }, at),
  }
  for (const [name, use] of Object.entries(uses)) {
    await assert.rejects(
      async () => use(new Date(NaN)),
      { name: 'RangeError', message: 'the time is an invalid Date' },
      name,
    )
    for (const far of [8.64e15, -8.64e15, Date.UTC(10_000, 0), -62_135_596_800_001]) {
      await assert.rejects(
        async () => use(new Date(far)),
        (error) => error.constructor === ConfigError && error.code === 'time.malformed',
        name,
      )
    }
  }
  // The first and the last instant that every language has.
  for (const at of [new Date(-62_135_596_800_000), new Date(253_402_300_799_999)]) {
    for (const name of ['status', 'statuses', 'rollouts', 'expire', 'Fact']) uses[name](at)
  }
  const after = (registeredAt) => () => brain.rollouts({ after: { registeredAt, environment: 'a', commit: COMMIT } })
  assert.throws(after(new Date(NaN)), RangeError)
  assert.throws(after(new Date(8.64e15)), (error) => error.constructor === ConfigError)
})
