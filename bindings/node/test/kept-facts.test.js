'use strict'

// The native part keeps the latest 256 facts at hand. What is done with an older one must not be any
// different, nor may another fact ever be taken for it.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain, Fact, SignatureError, Verifier, ingest, observe, sign } = require('./support/package.js')
const { KEY, WEB, commit, event, policy, time } = require('./support/samples.js')

const COUNT = 1_000
const numbers = Array.from({ length: COUNT }, (_, number) => number)
const verifier = new Verifier([KEY])
const bodyOf = (number) => event('healthy', { of: commit(number), at: time(number) })
const revisionOf = (number) => `main@sha1:${commit(number)}`

/** Ways to come by the facts of a thousand events, each from bytes of its own. */
const ways = {
  ingest: (number) => {
    const body = Buffer.from(bodyOf(number))
    return ingest(verifier, 'staging', Buffer.from(sign(KEY, body)), body, time(number))
  },
  'ingest of a string': (number) => {
    const body = bodyOf(number)
    return ingest(verifier, 'staging', sign(KEY, body), body, time(number))
  },
  observe: (number) => {
    const body = Buffer.from(bodyOf(number))
    const fact = observe('staging', body, time(number))
    // Servers use their buffers again.
    body.fill('x')
    return fact
  },
  'observe of a string': (number) => observe('staging', bodyOf(number), time(number)),
  fromLine: (number) => {
    const line = Buffer.from(observe('staging', bodyOf(number), time(number)).toLine())
    const fact = Fact.fromLine(line)
    line.fill('x')
    return fact
  },
}

const expected = new Brain(policy)
for (const number of numbers) expected.apply(ways.observe(number), time(number))

for (const [name, make] of Object.entries(ways)) {
  test(`a thousand facts of ${name} can all be used afterwards`, async () => {
    const facts = numbers.map(make)
    const backwards = numbers.toReversed()
    for (const number of backwards) {
      const fact = facts[number]
      assert.equal(fact.body.revision, revisionOf(number))
      assert.deepEqual(fact.at, time(number))
      assert.equal(fact.v, 1)
    }
    for (const number of backwards) assert.ok(facts[number].toLine().includes(revisionOf(number)))
    assert.equal(new Set(facts.map((fact) => fact.id.toString('hex'))).size, COUNT)

    const applied = new Brain(policy)
    for (const number of numbers) {
      assert.equal(applied.preview(facts[number]), 'knowledge')
      assert.equal(applied.apply(facts[number], time(number)).changed, 'knowledge')
    }
    for (const number of numbers) assert.equal(applied.apply(facts[number], time(number)).changed, 'nothing')
    const loaded = new Brain(policy)
    await loaded.load(facts)
    const many = new Brain(policy)
    await many.applyMany(facts, { now: time(COUNT) })
    for (const brain of [applied, loaded, many]) assert.ok(brain.equals(expected))
  })
}

test('facts that were made of a body can all be used afterwards', () => {
  const facts = numbers.map((n) => {
    const body = { type: 'settled', environment: 'staging', commit: commit(n), n, outcome: 'failed' }
    const fact = new Fact(body, time(n))
    // What a fact says is what it was made of, whatever becomes of that.
    body.n = 0
    return fact
  })
  for (const n of numbers) {
    assert.equal(facts[n].body.n, n)
    assert.deepEqual(facts[n].at, time(n))
  }
  const brain = new Brain()
  for (const n of numbers) assert.equal(brain.apply(facts[n], time(n)).changed, 'knowledge')
})

test('one that was used again and again is the same each time', () => {
  const facts = numbers.slice(0, 300).map(ways.ingest)
  const lines = facts.map((fact) => fact.toLine())
  for (let round = 0; round < 3; round += 1) {
    for (const [place, fact] of facts.entries()) assert.equal(fact.toLine(), lines[place])
  }
})

test('the body of a request that was overwritten is a wrong signature, and never another fact', () => {
  const other = Buffer.from(event('failed', { of: commit(1), at: time(0) }))
  const body = Buffer.alloc(other.length, ' ')
  const first = Buffer.from(bodyOf(0))
  first.copy(body)
  const fact = ingest(verifier, 'staging', sign(KEY, body), body, time(0))
  assert.equal(fact.body.revision, revisionOf(0))
  // The next request lands in the same buffer. While the fact is at hand nobody looks there.
  other.copy(body)
  assert.equal(fact.body.revision, revisionOf(0))
  for (let number = 0; number < 256; number += 1) ways.observe(number)
  const uses = {
    body: () => fact.body,
    at: () => fact.at,
    id: () => fact.id,
    toLine: () => fact.toLine(),
    toJSON: () => fact.toJSON(),
    apply: () => new Brain().apply(fact, time(0)),
    preview: () => new Brain().preview(fact),
  }
  for (const [name, use] of Object.entries(uses)) {
    assert.throws(use, (error) => error.constructor === SignatureError && error.code === 'signature.mismatch', name)
  }
  // As it was signed, it is the same fact again.
  body.fill(' ')
  first.copy(body)
  assert.equal(fact.body.revision, revisionOf(0))
})

test('so it is if the buffer was given away', async () => {
  const body = new Uint8Array(Buffer.from(bodyOf(0)))
  const fact = ingest(verifier, 'staging', sign(KEY, body), body, time(0))
  structuredClone(body, { transfer: [body.buffer] })
  assert.equal(fact.body.revision, revisionOf(0))
  for (let number = 0; number < 256; number += 1) ways.observe(number)
  const refused = (error) => error.constructor === SignatureError
  assert.throws(() => fact.toLine(), refused)
  await assert.rejects(new Brain().load([fact]), refused)
  await assert.rejects(new Brain().applyMany([fact]), refused)
})

test('a header that was overwritten makes no difference', () => {
  const header = Buffer.from(sign(KEY, bodyOf(0)))
  const fact = ingest(verifier, 'staging', header, bodyOf(0), time(0))
  header.fill(0)
  for (let number = 0; number < 256; number += 1) ways.observe(number)
  assert.equal(fact.body.revision, revisionOf(0))
})

test('the time that a fact was given is copied', () => {
  const at = time(5)
  const facts = [
    observe('staging', bodyOf(5), at),
    ingest(verifier, 'staging', sign(KEY, bodyOf(5)), bodyOf(5), at),
    new Fact({ type: 'removed', reconciler: WEB }, at),
  ]
  at.setFullYear(2000)
  for (let number = 0; number < 256; number += 1) ways.observe(number)
  for (const fact of facts) assert.deepEqual(fact.at, time(5))
})
