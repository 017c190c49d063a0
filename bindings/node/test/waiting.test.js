'use strict'

const assert = require('node:assert/strict')
const { getEventListeners, setMaxListeners } = require('node:events')
const { test } = require('node:test')
const { setTimeout: after } = require('node:timers/promises')

const { Brain, ConfigError, QueryError } = require('./support/package.js')
const { APPS, COMMIT, WEB, brainWith, commit, observed, policy, registered } = require('./support/samples.js')
const { runScript } = require('./support/child.js')

/** So long something may take on a machine that is busy; what hangs takes longer. */
const PATIENCE = 5_000

/** A brain that was told of a commit just now. */
const fresh = (options) => brainWith({ at: new Date(), ...options })

const now = (what, fields) => observed(what, { at: new Date(), ...fields })

/** Rejects if a promise takes too long. */
async function soon(promise) {
  const patience = new AbortController()
  const late = after(PATIENCE, undefined, { signal: patience.signal }).then(() => assert.fail('this takes too long'))
  try {
    return await Promise.race([promise, late])
  } finally {
    patience.abort()
    late.catch(() => {})
  }
}

const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length

test('a rollout that is settled is answered at once', async () => {
  const brain = fresh()
  brain.apply(now('healthy'))
  const before = timers()
  const waiting = brain.wait('staging', COMMIT)
  assert.equal(timers(), before)
  const first = await Promise.race([waiting, new Promise((resolve) => setImmediate(resolve, 'late'))])
  assert.equal(first.outcome, 'succeeded')
  assert.ok(first.settled)
})

test('a rollout that settles later is answered then', async () => {
  const brain = fresh()
  const waiting = brain.wait('staging', COMMIT)
  let answered = false
  waiting.then(() => (answered = true))
  brain.apply(now('applying'))
  await after(20)
  assert.equal(answered, false)
  const { woken } = brain.apply(now('healthy'))
  assert.equal(woken.length, 1)
  const status = await soon(waiting)
  assert.deepEqual([status.outcome, status.settled], ['succeeded', true])
})

test('a host can wait in a way of its own', () => {
  const brain = fresh()
  const watch = brain.watch('staging', COMMIT)
  const givenUp = brain.watch('staging', COMMIT)
  assert.equal(typeof watch, 'number')
  brain.unwatch(givenUp)
  brain.unwatch(12345)
  assert.deepEqual(brain.apply(now('healthy')).woken, [watch])
  const status = brain.watch('staging', COMMIT, { require: 'healthy' })
  assert.equal(status.outcome, 'succeeded')
  assert.equal(brain.watch('staging', COMMIT, { since: 'another version' }).settled, true)
  assert.throws(() => brain.unwatch('x'), TypeError)
})

test('any call that changes something wakes those who wait', async () => {
  const healthy = (brain) => {
    brain.apply(now('healthy'))
    return brain
  }
  const changes = {
    apply: (brain) => healthy(brain),
    applyMany: (brain) => brain.applyMany([now('healthy')]),
    merge: (brain) => brain.merge(healthy(new Brain(policy))),
    setPolicy: (brain) => brain.setPolicy({ environments: { staging: { reconcilers: [WEB] } } }),
  }
  for (const [name, change] of Object.entries(changes)) {
    const brain =
      name === 'setPolicy' ? new Brain({ environments: { staging: { reconcilers: [APPS, WEB] } } }) : fresh()
    if (name === 'setPolicy') brain.apply(now('healthy', { name: 'web' }))
    const waiting = brain.wait('staging', COMMIT)
    await after(1)
    await change(brain)
    assert.equal((await soon(waiting)).outcome, 'succeeded', name)
  }
})

test('five hundred that wait are woken together', async () => {
  const brain = fresh()
  const waiting = Array.from({ length: 500 }, () => brain.wait('staging', COMMIT))
  const others = Array.from({ length: 10 }, () => brain.wait('staging', commit(1), { timeout: 200 }))
  const { woken } = brain.apply(now('healthy'))
  assert.ok(woken.length >= 500)
  const statuses = await soon(Promise.all(waiting))
  for (const status of statuses) assert.deepEqual(status.version, statuses[0].version)
  assert.ok(statuses.every(({ outcome }) => outcome === 'succeeded'))
  for (const status of await soon(Promise.all(others))) assert.equal(status.settled, false)
  // Nobody waits any more.
  assert.deepEqual(brain.apply(now('failed', { at: new Date(Date.now() + 1_000) })).woken, [])
})

test('those who wait for different things are woken for theirs', async () => {
  const brain = fresh()
  const answers = []
  const wait = (name, options) => brain.wait('staging', COMMIT, options).then(() => answers.push(name))
  const waiting = [wait('healthy', {}), wait('applied', { require: 'applied' }), wait('web', { reconcilers: [WEB] })]
  brain.apply(now('applying'))
  await after(10)
  assert.deepEqual(answers, ['applied'])
  brain.apply(now('healthy', { name: 'web' }))
  await after(10)
  assert.deepEqual(answers, ['applied', 'web'])
  brain.apply(now('healthy'))
  await soon(Promise.all(waiting))
  assert.deepEqual(answers, ['applied', 'web', 'healthy'])
})

test('after the timeout the status is what it is, and no error', async () => {
  const brain = fresh()
  for (const timeout of [50, '50ms']) {
    const begun = performance.now()
    const status = await soon(brain.wait('staging', COMMIT, { timeout }))
    assert.ok(performance.now() - begun >= 45)
    assert.deepEqual([status.outcome, status.settled], ['in_progress', false])
  }
  assert.deepEqual(brain.apply(now('healthy')).woken, [])
})

test('with a timeout of nothing the status is told at once', async () => {
  const brain = fresh()
  for (const timeout of [0, '0s']) assert.equal((await brain.wait('staging', COMMIT, { timeout })).settled, false)
  brain.apply(now('healthy'))
  assert.equal((await brain.wait('staging', COMMIT, { timeout: 0 })).settled, true)
})

test('a version that is known ends the wait at any change', async () => {
  const brain = fresh()
  const { version } = brain.status('staging', COMMIT)
  assert.equal((await soon(brain.wait('staging', COMMIT, { since: 'another' }))).version, version)
  const waiting = brain.wait('staging', COMMIT, { since: version })
  await after(5)
  brain.apply(now('applying'))
  const status = await soon(waiting)
  assert.deepEqual([status.state, status.settled], ['applied', false])
  assert.notEqual(status.version, version)
  assert.equal((await brain.wait('staging', COMMIT, { since: status.version, timeout: 20 })).version, status.version)
})

test('a signal that is given already rejects with its reason', async () => {
  const reason = new Error('no longer wanted')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(fresh().wait('staging', COMMIT, { signal }), (error) => error === reason)
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  await assert.rejects(fresh().wait('staging', COMMIT, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})

test('a signal that is given meanwhile rejects with its reason, and nobody waits any more', async () => {
  for (const reason of [new Error('no longer wanted'), 'a text', null]) {
    const brain = fresh()
    const controller = new AbortController()
    const before = timers()
    const waiting = brain.wait('staging', COMMIT, { signal: controller.signal, timeout: '1h' })
    assert.equal(getEventListeners(controller.signal, 'abort').length, 1)
    assert.equal(timers(), before + 1)
    controller.abort(reason)
    await assert.rejects(waiting, (error) => error === reason)
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
    assert.equal(timers(), before)
    assert.deepEqual(brain.apply(now('healthy')).woken, [])
  }
  const waiting = fresh().wait('staging', COMMIT, { signal: AbortSignal.timeout(20) })
  await assert.rejects(soon(waiting), { name: 'TimeoutError' })
})

test('a signal that is never given is left alone', async () => {
  const controller = new AbortController()
  const { signal } = controller
  const brain = fresh()
  const settled = brain.wait('staging', COMMIT, { signal })
  const timedOut = brain.wait('staging', commit(1), { signal, timeout: 20 })
  await after(5)
  brain.apply(now('healthy'))
  await soon(Promise.all([settled, timedOut]))
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  await soon(brain.wait('staging', COMMIT, { signal }))
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  controller.abort()
})

test('many may wait with one signal', async () => {
  const controller = new AbortController()
  // Node 20 warns of more than ten, as it does for its own functions.
  setMaxListeners(0, controller.signal)
  const brain = fresh()
  const waiting = Array.from({ length: 100 }, () => brain.wait('staging', COMMIT, { signal: controller.signal }))
  assert.equal(getEventListeners(controller.signal, 'abort').length, 100)
  controller.abort()
  const results = await soon(Promise.allSettled(waiting))
  assert.ok(results.every(({ reason }) => reason === controller.signal.reason))
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

test('a rollout settles by its own deadline, though nobody calls expire', async () => {
  const brain = fresh({ timeout: '100ms' })
  const begun = performance.now()
  const status = await soon(brain.wait('staging', COMMIT))
  assert.deepEqual([status.outcome, status.settled], ['timed_out', true])
  assert.ok(performance.now() - begun >= 90)
})

test('a failure that must last settles when it has lasted', async () => {
  const brain = fresh()
  brain.apply(now('failed'))
  const status = await soon(brain.wait('staging', COMMIT, { failureGrace: '1100ms' }))
  assert.equal(status.outcome, 'failed')
})

test('a deadline that passes while a wait begins is not missed', async (t) => {
  // The clock moves on within the call: of two looks at it, the deadline lies between.
  const clock = Date.now
  t.after(() => (Date.now = clock))
  const brain = fresh({ timeout: '50ms' })
  const { deadlineAt } = brain.status('staging', COMMIT)
  while (clock() < deadlineAt.getTime() + 1) await after(1)
  let looks = 0
  Date.now = () => {
    looks += 1
    return looks === 1 ? deadlineAt.getTime() - 1 : clock()
  }
  const controller = new AbortController()
  const waiting = brain.wait('staging', COMMIT, { signal: controller.signal })
  Date.now = clock
  const patience = setTimeout(() => controller.abort(new Error('the wait would never have ended')), 1_000)
  try {
    assert.equal((await waiting).outcome, 'timed_out')
  } finally {
    clearTimeout(patience)
  }
})

test('a deadline farther away than a timer can be set does not end the wait', async () => {
  const brain = fresh({ timeout: '100d' })
  const status = await soon(brain.wait('staging', COMMIT, { timeout: 50 }))
  assert.equal(status.settled, false)
  const controller = new AbortController()
  let ended = false
  const waiting = brain
    .wait('staging', COMMIT, { timeout: '90d', signal: controller.signal })
    .finally(() => (ended = true))
  await after(50)
  assert.equal(ended, false)
  controller.abort()
  await assert.rejects(waiting)
})

test('a question without an answer rejects, and so does a wrong type: neither throws', async () => {
  const brain = fresh()
  const rejects = async (args, constructor, code) => {
    const waiting = brain.wait(...args)
    await assert.rejects(waiting, (error) => {
      assert.equal(error.constructor, constructor)
      assert.equal(error.code, code)
      return true
    })
  }
  await rejects(['production', COMMIT], QueryError, 'environment.unknown')
  await rejects(['production', COMMIT, { timeout: 0 }], QueryError, 'environment.unknown')
  await rejects(['staging', 'main'], QueryError, 'commit.malformed')
  await rejects(['staging', COMMIT, { timeout: '1w' }], ConfigError, 'duration.malformed')
  await rejects(['staging', COMMIT, { reconcilers: ['apps'] }], ConfigError, 'reconciler.malformed')
  await rejects(['staging', COMMIT, { timeout: -1 }], RangeError)
  await rejects(['staging', COMMIT, { timeout: true }], TypeError)
  await rejects(['staging', COMMIT, { since: 5 }], TypeError)
  await rejects([], TypeError)
})

test('a process ends by itself once nobody waits any more', async () => {
  const begin = `
    const { COMMIT, brainWith, observed } = samples
    const brain = brainWith({ at: new Date(), timeout: '1h' })
    const controller = new AbortController()
    const { signal } = controller
    const end = (what) => console.log('ended', what?.outcome ?? what?.name)
  `
  const scripts = {
    'the timeout is over': `brain.wait('staging', COMMIT, { timeout: 50, signal }).then(end)`,
    'the signal is given': `
      brain.wait('staging', COMMIT, { signal }).catch(end)
      setTimeout(() => controller.abort(), 50)`,
    'it is settled': `
      brain.wait('staging', COMMIT, { timeout: '30m', signal }).then(end)
      setTimeout(() => brain.apply(observed('healthy', { at: new Date() })), 50)`,
    'it was settled': `
      brain.apply(observed('healthy', { at: new Date() }))
      brain.wait('staging', COMMIT, { timeout: '30m', signal }).then(end)`,
  }
  const ends = Object.entries(scripts).map(async ([name, script]) => {
    const { code, stdout, stderr } = await runScript(begin + script, { timeout: 20_000 })
    assert.deepEqual([code, stderr], [0, ''], name)
    assert.match(stdout, /^ended /, name)
  })
  await Promise.all(ends)
})

test('a brain that is let go while somebody waits answers all the same', async () => {
  const waiting = (() => fresh({ timeout: '200ms' }).wait('staging', COMMIT))()
  globalThis.gc?.()
  assert.equal((await soon(waiting)).outcome, 'timed_out')
})

test('those who wait again after each change see each change', async () => {
  const brain = new Brain(policy)
  brain.apply(registered(brain, { at: new Date() }))
  const seen = []
  const watching = (async () => {
    let status = brain.status('staging', COMMIT)
    while (!status.settled) {
      seen.push(status.state)
      status = await brain.wait('staging', COMMIT, { since: status.version })
    }
    return status
  })()
  await after(2)
  brain.apply(now('applying'))
  await after(2)
  brain.apply(now('healthy'))
  assert.equal((await soon(watching)).state, 'healthy')
  assert.deepEqual(seen, ['pending', 'applied'])
})
