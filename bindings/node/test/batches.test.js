'use strict'

// Large batches are worked on off the event loop, and what happens meanwhile is right.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { setImmediate: next } = require('node:timers/promises')

const { Brain, FactError } = require('./support/package.js')
const { COMMIT, WEB, commit, event, observed, policy, registered, time } = require('./support/samples.js')

const COUNT = 60_000

/** The events of many reconcilers. */
const fields = (number) => ({ name: `app-${number % 200}`, of: commit(number % 3_000), at: time(number) })
const whatOf = (number) => ['applying', 'healthy', 'succeeded'][number % 3]
const numbers = Array.from({ length: COUNT }, (_, number) => number)
const journal = Buffer.from(numbers.map((number) => observed(whatOf(number), fields(number)).toLine()).join('\n'))

/** Counts how often the event loop comes round while a promise is pending. */
async function roundsDuring(promise) {
  let [rounds, beats, pending] = [0, 0, true]
  const heart = setInterval(() => (beats += 1), 1)
  const ended = promise.finally(() => {
    pending = false
    clearInterval(heart)
  })
  while (pending) {
    await next()
    rounds += 1
  }
  return { rounds, beats, result: await ended }
}

for (const call of ['load', 'applyMany']) {
  test(`the event loop goes on while ${call} works`, async (t) => {
    const brain = new Brain(policy)
    const begun = performance.now()
    const { rounds, beats } = await roundsDuring(brain[call](journal))
    t.diagnostic(`${COUNT} facts in ${Math.round(performance.now() - begun)} ms, ${rounds} rounds, ${beats} beats`)
    // If it were blocked, there would be one round or two. How many more there are is the machine's affair.
    assert.ok(rounds > 3 && beats > 1, `${rounds} rounds, ${beats} beats`)
    assert.equal(brain.reconcilers().length, 200)
  })
}

test('the event loop goes on while bodies are read', async () => {
  const bodies = numbers.map((number) => event(whatOf(number), fields(number)))
  const brain = new Brain(policy)
  const batch = brain.applyMany(bodies.join('\n'), { cluster: 'staging', now: time(COUNT) })
  const { rounds, beats } = await roundsDuring(batch)
  assert.ok(rounds > 3 && beats > 1, `${rounds} rounds, ${beats} beats`)
  assert.equal(brain.reconcilers().length, 200)
})

test('a brain can be asked and told while a batch is applied', async (t) => {
  const brain = new Brain(policy)
  brain.apply(registered(brain), time(0))
  let pending = true
  const batch = brain.applyMany(journal, { now: time(COUNT) }).finally(() => (pending = false))
  const told = []
  const transitions = []
  for (let round = 0; pending; round += 1) {
    const fact = observed('healthy', { name: `other-${round % 50}`, of: commit(round), at: time(round) })
    brain.apply(fact, time(round))
    told.push(fact)
    if (round === 10) transitions.push(...brain.apply(observed('healthy', { at: time(5) }), time(6)).transitions)
    assert.equal(brain.status('staging', COMMIT, { now: time(7) }).outcome, round < 10 ? 'in_progress' : 'succeeded')
    await next()
  }
  const { changed } = await batch
  t.diagnostic(`${told.length} facts were applied meanwhile`)
  assert.equal(changed, 'knowledge')
  assert.ok(told.length > 10)
  assert.deepEqual(
    transitions.map(({ to }) => to.outcome),
    ['succeeded'],
  )

  const expected = new Brain(policy)
  await expected.load(journal)
  await expected.load([registered(expected), observed('healthy', { at: time(5) }), ...told])
  assert.ok(brain.equals(expected))
})

test('several batches may be under way, of one brain and of several', async () => {
  const lines = numbers.slice(0, 6_000).map((number) => observed(whatOf(number), fields(number)).toLine())
  const parts = [0, 1, 2].map((part) => lines.filter((_, place) => place % 3 === part).join('\n'))
  const brains = [0, 1, 2, 3].map(() => new Brain(policy))
  await Promise.all(brains.flatMap((brain) => parts.map((part) => brain.applyMany(part, { now: time(COUNT) }))))
  const expected = new Brain(policy)
  await expected.load(lines.join('\n'))
  for (const brain of brains) assert.ok(brain.equals(expected))
})

test('what a batch was given may be changed while it works', async () => {
  const lines = numbers.slice(0, 5_000).map((number) => observed(whatOf(number), fields(number)).toLine())
  const expected = new Brain(policy)
  await expected.load(lines.join('\n'))
  for (const call of ['load', 'applyMany']) {
    const given = Buffer.from(lines.join('\n'))
    const brain = new Brain(policy)
    const batch = brain[call](given)
    given.fill('x')
    await batch
    assert.ok(brain.equals(expected))
  }
})

test('a batch wakes those who wait, and hands out what it changed', async () => {
  const brain = new Brain({ environments: { staging: { reconcilers: [WEB] } } })
  brain.apply(registered(brain, { at: new Date() }))
  const waiting = brain.wait('staging', COMMIT)
  const lines = numbers.slice(0, 3_000).map((number) => observed(whatOf(number), fields(number)).toLine())
  lines.splice(1_500, 0, observed('healthy', { name: 'web', at: new Date() }).toLine())
  const { transitions, woken } = await brain.applyMany(lines.join('\n'))
  assert.deepEqual(
    transitions.map(({ to }) => to.outcome),
    ['succeeded'],
  )
  assert.equal(woken.length, 1)
  assert.equal((await waiting).outcome, 'succeeded')
})

test('a large batch with a line that is damaged changes nothing', async () => {
  const brain = new Brain(policy)
  for (const call of ['load', 'applyMany']) {
    const batch = brain[call](Buffer.concat([journal, Buffer.from('\n{"v":1')]))
    await assert.rejects(batch, (error) => error.constructor === FactError && error.line === COUNT + 1)
    assert.ok(brain.equals(new Brain(policy)))
  }
})

test('a brain that is let go is kept until its batch is done', async () => {
  const batch = (() => new Brain(policy).applyMany(journal))()
  globalThis.gc?.()
  assert.equal((await batch).changed, 'knowledge')
})
