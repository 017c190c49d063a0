'use strict'

// The loop that lets time pass.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setTimeout: after } = require('node:timers/promises')

const { Brain, Fact } = require('./support/package.js')
const { COMMIT, brainWith, commit, observed, policy, registered } = require('./support/samples.js')
const { runScript } = require('./support/child.js')

/** So long something may take on a machine that is busy. */
const PATIENCE = 5_000

/** Begins the loop, and collects what it hands out. */
function begin(brain, onEffects = () => {}) {
  const handed = []
  const stop = brain.expireAtDeadlines((effects) => {
    handed.push(effects)
    onEffects(effects)
  })
  const until = async (count) => {
    const end = performance.now() + PATIENCE
    // The loop's own timer does not keep the process alive; this one does.
    while (outcomes(handed).length < count && performance.now() < end) await after(5)
    assert.equal(outcomes(handed).length, count)
  }
  return { handed, stop, until }
}

const register = (brain, number, timeout) => {
  const at = new Date()
  brain.apply(registered(brain, { of: commit(number), at, timeout }), at)
}

const outcomes = (handed) =>
  handed.flatMap(({ transitions }) => transitions.map(({ commit, to }) => [commit, to.outcome]))

test('a rollout that times out is handed out with its settlement', async (t) => {
  const brain = brainWith({ at: new Date(), timeout: '60ms' })
  const { handed, stop, until } = begin(brain)
  t.after(stop)
  await until(1)
  const [{ transitions }] = handed
  assert.equal(transitions.length, 1)
  const [{ to, at, cause, settlement }] = transitions
  assert.deepEqual([to.outcome, cause], ['timed_out', null])
  assert.ok(at >= brain.status('staging', COMMIT).deadlineAt)
  brain.apply(new Fact(settlement, at))
  assert.equal(brain.status('staging', COMMIT).firstSettled.outcome, 'timed_out')
})

test('deadlines are met one after the other', async (t) => {
  const brain = new Brain(policy)
  const { handed, stop, until } = begin(brain)
  t.after(stop)
  for (const number of [3, 1, 2]) register(brain, number, number * 120)
  await until(3)
  assert.deepEqual(
    outcomes(handed),
    [1, 2, 3].map((number) => [commit(number), 'timed_out']),
  )
})

test('a later registration with an earlier deadline is met first', async (t) => {
  const brain = new Brain(policy)
  register(brain, 1, '10m')
  const { handed, stop, until } = begin(brain)
  t.after(stop)
  await after(20)
  register(brain, 2, 60)
  await until(1)
  assert.deepEqual(outcomes(handed), [[commit(2), 'timed_out']])
})

test('every call that changes something plans anew', async (t) => {
  const changes = {
    applyMany: (brain) => brain.applyMany([registered(brain, { of: commit(2), at: new Date(), timeout: 60 })]),
    merge: (brain) => {
      const other = new Brain(policy)
      register(other, 2, 60)
      brain.merge(other)
    },
  }
  for (const [name, change] of Object.entries(changes)) {
    const brain = new Brain(policy)
    const { handed, stop, until } = begin(brain)
    t.after(stop)
    await change(brain)
    await until(1)
    assert.deepEqual(outcomes(handed), [[commit(2), 'timed_out']], name)
  }
})

test('what was due before the loop began is handed out', async (t) => {
  const brain = new Brain(policy)
  const at = new Date(Date.now() - 3_600_000)
  brain.apply(registered(brain, { at, timeout: '1m' }), at)
  const { handed, stop, until } = begin(brain)
  t.after(stop)
  assert.deepEqual(handed, [])
  await until(1)
})

test('so it is after a journal was loaded', async (t) => {
  const before = new Brain(policy)
  const at = new Date(Date.now() - 3_600_000)
  const brain = new Brain(policy)
  await brain.load([registered(before, { at, timeout: '1m' })])
  const { handed, stop, until } = begin(brain)
  t.after(stop)
  await until(1)
  assert.deepEqual(outcomes(handed), [[COMMIT, 'timed_out']])
})

test('effects without transitions are not handed out', async (t) => {
  const brain = brainWith({ at: new Date(), timeout: '50ms' })
  brain.apply(observed('healthy', { at: new Date() }))
  const { handed, stop } = begin(brain)
  t.after(stop)
  await after(120)
  assert.deepEqual(handed, [])
})

test('the loop wakes those who wait', async (t) => {
  const brain = brainWith({ at: new Date(), timeout: '60ms' })
  const { stop } = begin(brain)
  t.after(stop)
  assert.equal((await brain.wait('staging', COMMIT)).outcome, 'timed_out')
})

test('once it is stopped, nothing is handed out any more', async () => {
  const brain = brainWith({ at: new Date(), timeout: '50ms' })
  const { handed, stop } = begin(brain)
  assert.equal(stop(), undefined)
  stop()
  register(brain, 2, 20)
  await after(120)
  assert.deepEqual(handed, [])
  // What nobody let pass is still there to be handed out.
  assert.equal(brain.expire().transitions.length, 2)
})

test('it may be stopped by what it calls', async () => {
  const brain = new Brain(policy)
  const { handed, stop, until } = begin(brain, () => stop())
  register(brain, 1, 20)
  register(brain, 2, 100)
  await until(1)
  await after(150)
  assert.deepEqual(outcomes(handed), [[commit(1), 'timed_out']])
})

test('a host may call expire too: nothing is handed out twice', async (t) => {
  const brain = new Brain(policy)
  const { handed, stop } = begin(brain)
  t.after(stop)
  register(brain, 1, 40)
  while (Date.now() < brain.nextDeadline().getTime());
  assert.equal(brain.expire().transitions.length, 1)
  await after(60)
  assert.deepEqual(handed, [])
})

test('a deadline farther away than a timer can be set is not met early, nor looked for all the time', async (t) => {
  const warnings = []
  const warn = (warning) => warnings.push(warning)
  process.on('warning', warn)
  const brain = brainWith({ at: new Date(), timeout: '100d' })
  let looks = 0
  const expire = brain.expire.bind(brain)
  brain.expire = (...args) => {
    looks += 1
    return expire(...args)
  }
  const { handed, stop } = begin(brain)
  t.after(stop)
  await after(100)
  process.off('warning', warn)
  assert.deepEqual([handed, warnings, looks], [[], [], 0])
})

test('only a function can be called', () => {
  for (const wrong of [undefined, null, {}, 'onEffects']) {
    assert.throws(() => new Brain().expireAtDeadlines(wrong), TypeError)
  }
})

test('neither the loop nor its timer keeps a process alive', async () => {
  const { code, stdout, stderr, milliseconds } = await runScript(`
    const brain = samples.brainWith({ at: new Date(), timeout: '20s' })
    brain.expireAtDeadlines(() => console.log('handed out'))
    brain.apply(samples.registered(brain, { of: samples.commit(1), at: new Date(), timeout: '30s' }))
  `)
  assert.deepEqual([code, stdout, stderr], [0, '', ''])
  assert.ok(milliseconds < 15_000)
})

test('in a process that lives for something else, deadlines are met', async () => {
  const { code, stdout, stderr } = await runScript(`
    const brain = samples.brainWith({ at: new Date(), timeout: '100ms' })
    const living = setInterval(() => {}, 1_000)
    const stop = brain.expireAtDeadlines(({ transitions }) => {
      console.log(transitions[0].to.outcome)
      stop()
      clearInterval(living)
    })
  `)
  assert.deepEqual([code, stdout, stderr], [0, 'timed_out\n', ''])
})
