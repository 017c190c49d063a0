'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain, ConfigError, Fact, FactError } = require('./support/package.js')
const {
  APPS,
  COMMIT,
  ROOT,
  commit,
  event,
  isDeeplyFrozen,
  observed,
  policy,
  registered,
  time,
} = require('./support/samples.js')

const registration = {
  type: 'registered',
  environment: 'staging',
  commit: COMMIT,
  expect: [APPS],
  wholeCluster: true,
  require: 'healthy',
  timeout: 1_800_000,
  failureGrace: 0,
  transientGrace: 120_000,
  learning: 600_000,
  labels: { appName: 'shop', team_name: 'camels', __proto__x: 'y' },
}

const bodies = [
  registration,
  { ...registration, expect: [], wholeCluster: false, labels: {} },
  { ...registration, require: 'applied', timeout: 1_500, failureGrace: 1 },
  { type: 'ancestry', parents: [{ commit: COMMIT, parents: [ROOT] }], contains: [] },
  { type: 'ancestry', parents: [], contains: [{ commit: COMMIT, ancestors: [ROOT, commit(1)] }] },
  { type: 'settled', environment: 'staging', commit: COMMIT, n: 3, outcome: 'timed_out' },
  { type: 'removed', reconciler: APPS },
  { type: 'forgotten', before: time(-3_600) },
]

const thrown = (make) => {
  try {
    make()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

for (const body of bodies) {
  test(`a fact of the type ${body.type} says what it was made of: ${JSON.stringify(body).slice(0, 99)}`, () => {
    const fact = new Fact(body, time(1.5))
    assert.deepEqual(fact.body, body)
    assert.ok(isDeeplyFrozen(fact.body))
    assert.deepEqual(fact.at, time(1.5))
    assert.equal(fact.v, 1)
    // Its line makes the same fact, and so does what it says.
    for (const again of [Fact.fromLine(fact.toLine()), new Fact(fact.body, fact.at)]) {
      assert.ok(again instanceof Fact)
      assert.deepEqual(again.body, body)
      assert.deepEqual(again.at, fact.at)
      assert.deepEqual(again.id, fact.id)
      assert.equal(again.toLine(), fact.toLine())
    }
  })
}

test('an observation is the body of a fact, and cannot be made by hand', () => {
  const fact = observed('healthy')
  assert.equal(fact.body.type, 'observed')
  assert.ok(isDeeplyFrozen(fact.body))
  assert.ok(fact.body.timestamp instanceof Date)
  const again = Fact.fromLine(fact.toLine())
  assert.deepEqual(again.body, fact.body)
  assert.deepEqual(again.id, fact.id)
  const error = thrown(() => new Fact(fact.body))
  assert.equal(error.constructor, TypeError)
  assert.match(error.message, /registered, ancestry, settled, removed, forgotten.*ingest and observe/)
})

test('a resource version may have more digits than a number holds', () => {
  const body = event().replace('"1001"', '"9007199254740993"')
  const fact = observed('healthy', { involvedObject: JSON.parse(body).involvedObject })
  assert.equal(fact.body.resourceVersion, '9007199254740993')
  assert.equal(Fact.fromLine(fact.toLine()).body.resourceVersion, '9007199254740993')
})

test('what was left out of a registration or an ancestry is empty', () => {
  const { expect, labels, ...rest } = registration
  assert.deepEqual(new Fact(rest).body, { ...rest, expect: [], labels: {} })
  assert.deepEqual(new Fact({ type: 'ancestry' }).body, { type: 'ancestry', parents: [], contains: [] })
})

test('a body may have durations as text, and names of fields as in the journal', () => {
  const { failureGrace, transientGrace, ...rest } = registration
  const fact = new Fact({ ...rest, timeout: '30m', failure_grace: '0s', transient_grace: 120_000, learning: '10m' })
  assert.deepEqual(fact.body, registration)
})

test('the time is the clock of the process if it is left out', () => {
  const before = Date.now()
  const times = [undefined, null].map((at) => new Fact({ type: 'removed', reconciler: APPS }, at).at.getTime())
  assert.ok(times.every((at) => before <= at && at <= Date.now()))
})

test('a fact is one line of JSON', () => {
  const fact = new Fact({ ...registration, labels: { text: 'two\nlines\u2028\u0000"\\ü' } }, time(0))
  assert.ok(!/[\n\r]/.test(fact.toLine()))
  assert.deepEqual(fact.toJSON(), JSON.parse(fact.toLine()))
  assert.equal(JSON.stringify(fact), fact.toLine())
  assert.equal(fact.toJSON().body.registered.timeout, '30m')
  assert.equal(Fact.fromLine(fact.toLine()).body.labels.text, 'two\nlines\u2028\u0000"\\ü')
})

test('a line may come as a string or as bytes, which are copied', () => {
  const { id } = observed('healthy')
  const line = observed('healthy').toLine()
  const buffer = Buffer.from(line)
  const given = [line, buffer, new Uint8Array(buffer)].map((each) => Fact.fromLine(each))
  buffer.fill(0)
  for (let count = 0; count < 300; count += 1) observed('applying')
  for (const fact of given) assert.deepEqual(fact.id, id)
})

test('an id has 16 bytes, and is that of what is said', () => {
  const fact = observed('healthy')
  assert.ok(Buffer.isBuffer(fact.id))
  assert.equal(fact.id.length, 16)
  // When it was taken in does not count, unless it is part of what is said.
  assert.deepEqual(Fact.fromLine(fact.toLine().replace('12:00:00Z"', '12:00:05Z"')).id, fact.id)
  assert.notDeepEqual(observed('failed').id, fact.id)
  const id = (at) => new Fact(registration, at).id
  assert.deepEqual(id(time(1)), id(time(1)))
  assert.notDeepEqual(id(time(1)), id(time(2)))
  // Each call gives a buffer of its own.
  fact.id.fill(0)
  assert.notDeepEqual(fact.id, Buffer.alloc(16))
})

test('a line of a newer release is told apart from one that is damaged', () => {
  const newer = thrown(() => Fact.fromLine('{"v":2,"at":"2026-11-23T12:00:00Z","body":{"unheard":1}}'))
  assert.equal(newer.constructor, FactError)
  assert.equal(newer.code, 'fact.newer_version')
  assert.deepEqual([newer.line, newer.column, newer.offset, newer.path], [1, 0, 0, ''])
  for (const [line, column] of [
    ['', 0],
    ['{', 1],
    ['{"v":1,"at":"2026-11-23T12:00:00Z","body":{"unheard":1}}', 52],
    ['{"v":0,"at":"2026-11-23T12:00:00Z","body":{"removed":{"reconciler":"a/B/c/d"}}}', 0],
    [Buffer.from([0x22, 0xff]), 0],
  ]) {
    const error = thrown(() => Fact.fromLine(line))
    assert.equal(error.constructor, FactError)
    assert.equal(error.code, 'fact.malformed')
    assert.deepEqual([error.line, error.column, error.offset], [1, column, Math.max(column - 1, 0)])
  }
})

test('a body that says something malformed is a FactError', () => {
  for (const body of [
    { type: 'registered' },
    { ...registration, commit: 'abc' },
    { ...registration, environment: 'Staging!' },
    { ...registration, expect: ['apps'] },
    { ...registration, require: 'alive' },
    { ...registration, timeout: '30' },
    { ...registration, timeout: undefined },
    { ...registration, labels: { app: 5 } },
    { type: 'ancestry', parents: [{ commit: COMMIT }] },
    { type: 'settled', environment: 'staging', commit: COMMIT, n: -1, outcome: 'failed' },
    { type: 'settled', environment: 'staging', commit: COMMIT, n: 2 ** 32, outcome: 'failed' },
    { type: 'settled', environment: 'staging', commit: COMMIT, n: 0, outcome: 'lost' },
    { type: 'removed', reconciler: 'apps' },
    { type: 'forgotten' },
    { type: 'forgotten', before: new Date(8.64e15) },
  ]) {
    const error = thrown(() => new Fact(body))
    assert.equal(error.constructor, FactError, JSON.stringify(body))
    assert.equal(error.code, 'fact.malformed')
    assert.match(error.message, /^the fact is not valid: /)
  }
})

test('a body of another type, and values that cannot be written, are wrong types', () => {
  for (const [body, type] of [
    [undefined, TypeError],
    [null, TypeError],
    ['removed', TypeError],
    [[], TypeError],
    [{}, TypeError],
    [{ type: 'toString' }, TypeError],
    [{ type: 'removed', reconciler: 1n }, TypeError],
    [{ ...registration, timeout: -1 }, RangeError],
    [{ ...registration, timeout: true }, TypeError],
    [{ type: 'forgotten', before: new Date(NaN) }, RangeError],
  ]) {
    assert.equal(thrown(() => new Fact(body)).constructor, type, String(body))
  }
  assert.throws(() => new Fact({ type: 'removed', reconciler: APPS }, 'now'), {
    name: 'TypeError',
    message: 'the time must be a Date, not string',
  })
  assert.equal(thrown(() => new Fact({ type: 'removed', reconciler: APPS }, new Date(NaN))).constructor, RangeError)
})

test('a time that not every language has is a ConfigError', () => {
  for (const at of [new Date(8.64e15), new Date(-8.64e15), new Date(Date.UTC(10_000, 0))]) {
    const error = thrown(() => new Fact({ type: 'removed', reconciler: APPS }, at))
    assert.deepEqual([error.constructor, error.code], [ConfigError, 'time.malformed'])
  }
  const last = new Date(Date.UTC(9_999, 11, 31, 23, 59, 59, 999))
  assert.deepEqual(new Fact({ type: 'removed', reconciler: APPS }, last).at, last)
})

test('facts make a journal that brings a brain back', async () => {
  const brain = new Brain(policy)
  const facts = [
    registered(brain, { at: time(0) }),
    observed('applying', { at: time(10) }),
    observed('healthy', { at: time(20) }),
  ]
  for (const fact of facts) brain.apply(fact, fact.at)
  const again = new Brain(policy)
  await again.load(facts.map((fact) => fact.toLine()).join('\n'))
  assert.ok(again.equals(brain))
  assert.deepEqual(
    again.status('staging', COMMIT, { now: time(30) }),
    brain.status('staging', COMMIT, { now: time(30) }),
  )
})
