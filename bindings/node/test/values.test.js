'use strict'

// What comes out is frozen, and can be written as JSON.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain, Fact, observe } = require('./support/package.js')
const {
  COMMIT,
  WEB,
  brainWith,
  event,
  isDeeplyFrozen,
  observed,
  policy,
  registered,
  time,
} = require('./support/samples.js')

/** A brain of which everything can be asked, and the effects of what it was told. */
function everything() {
  const brain = brainWith({ labels: { app: 'shop' }, expect: [WEB], timeout: '5m' })
  const effects = [
    brain.apply(observed('healthy', { name: 'web', at: time(1) }), time(1)),
    brain.apply(observed('healthy', { at: time(2) }), time(2)),
    brain.expire({ now: time(4) }),
    brain.setPolicy(
      { environments: { staging: { reconcilers: [WEB] } }, reconcilers: { [WEB]: { healthChecks: 'enabled' } } },
      { now: time(4) },
    ),
    brain.merge(new Brain(), { now: time(4) }),
  ]
  const unrecorded = brain.unrecorded()
  brain.apply(new Fact(unrecorded[0], time(2)), time(4))
  return {
    effects,
    unrecorded,
    status: brain.status('staging', COMMIT, { now: time(5) }),
    statuses: brain.statuses(COMMIT, { now: time(5) }),
    rollouts: brain.rollouts({ now: time(5) }),
    reconcilers: brain.reconcilers(),
    clusters: brain.clusters(),
    policy: brain.policy,
    registration: brain.registration('staging', COMMIT, { labels: { a: 'b' } }),
    bodies: brain.facts().map((fact) => fact.body),
    ignored: observe('staging', event('healthy', { severity: 'trace' })),
  }
}

test('all values that come out are frozen, on every level', async (t) => {
  for (const [name, value] of Object.entries(everything())) {
    const parts = name === 'effects' || name === 'bodies' ? value : [value]
    for (const part of parts) assert.ok(isDeeplyFrozen(part), name)
  }
  const brain = brainWith()
  assert.ok(isDeeplyFrozen(await brain.applyMany([observed('healthy')], { now: time(1) })))
  assert.ok(isDeeplyFrozen(await brain.wait('staging', COMMIT)))
  t.diagnostic('dates are not frozen: nothing could')
})

test('effects of which nobody need be told are frozen too, though they are shared', () => {
  const brain = new Brain(policy)
  const fact = observed('healthy')
  const [knowledge, nothing] = [brain.apply(fact, time(0)), brain.apply(fact, time(0))]
  assert.ok(isDeeplyFrozen(knowledge) && isDeeplyFrozen(nothing))
  assert.throws(() => knowledge.transitions.push({}), TypeError)
  assert.throws(() => (nothing.changed = 'knowledge'), TypeError)
})

test('values have no fields in snake case, and no undefined ones', () => {
  const check = (value, where) => {
    if (typeof value !== 'object' || value === null || value instanceof Date) {
      assert.notEqual(value, undefined, where)
      return
    }
    for (const [key, each] of Object.entries(value)) {
      assert.ok(!key.includes('_'), `${where}.${key}`)
      check(each, `${where}.${key}`)
    }
  }
  for (const [name, value] of Object.entries(everything())) check(value, name)
})

test('values are plain, and times are dates', () => {
  const { status, clusters, effects } = everything()
  for (const plain of [status, status.reconcilers[0], clusters[0], effects[0], effects[1].transitions[0]]) {
    assert.equal(Object.getPrototypeOf(plain), Object.prototype)
  }
  const dates = [
    status.evaluatedAt,
    status.registeredAt,
    status.deadlineAt,
    status.firstSettled.at,
    status.timeline[0].at,
    status.reconcilers[0].appliedAt,
    status.reconcilers[0].healthyAt,
    status.reconcilers[0].lastHeardAt,
    status.reconcilers[0].event.at,
    clusters[0].firstHeardAt,
    clusters[0].lastHeardAt,
    effects[1].transitions[0].at,
  ]
  for (const date of dates) assert.ok(date instanceof Date)
  assert.equal(status.reconcilers[0].failedAt, null)
})

test('values can be written as JSON and cloned', () => {
  for (const value of Object.values(everything())) {
    assert.deepEqual(structuredClone(value), value)
    const written = JSON.parse(JSON.stringify(value), (key, each) =>
      typeof each === 'string' && /^\d{4}-\d\d-\d\dT.*Z$/.test(each) ? new Date(each) : each,
    )
    assert.deepEqual(written, value)
  }
  assert.equal(JSON.stringify(brainWith()), '{}')
})

test('each answer is a value of its own', () => {
  const brain = brainWith()
  const [one, two] = [0, 1].map(() => brain.status('staging', COMMIT, { now: time(1) }))
  assert.deepEqual(one, two)
  one.registeredAt.setFullYear(2000)
  assert.deepEqual(two.registeredAt, time(0))
  assert.deepEqual(brain.status('staging', COMMIT, { now: time(1) }), two)
})

test('statuses are compared by their versions', () => {
  const brain = brainWith()
  const version = (seconds) => brain.status('staging', COMMIT, { now: time(seconds) }).version
  assert.match(version(1), /^[0-9a-f]+$/)
  assert.equal(version(1), version(2))
  const before = version(3)
  brain.apply(observed('applying', { at: time(3) }), time(3))
  assert.notEqual(version(3), before)
  assert.notEqual(version(1_799), version(1_800))
})
