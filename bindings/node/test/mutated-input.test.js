'use strict'

// Bytes from outside: random ones, and real requests with a few bytes changed.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const main = require('./support/package.js')
const { capturedRequests } = require('./support/bodies.js')
const { Random } = require('./support/random.js')
const { COMMIT, KEY, ROOT, commitObject, observed } = require('./support/samples.js')

const {
  Brain,
  CommitObject,
  ConfigError,
  Event,
  Fact,
  FactError,
  ParseError,
  Revision,
  RevisionError,
  SignatureError,
} = main
const { Verifier, ingest, observe, sign } = main

const verifier = new Verifier([KEY])
const requests = capturedRequests()

/** Bytes with something changed in them. */
function mutated(bytes, random) {
  const changed = Buffer.from(bytes)
  const place = random.below(changed.length)
  const insert = (...added) => Buffer.concat([changed.subarray(0, place), ...added, changed.subarray(place)])
  switch (random.below(9)) {
    case 0:
      changed[place] ^= 1 << random.below(8)
      return changed
    case 1:
      changed[place] = random.pick([0, 0x22, 0x5c, 0x7b, 0x7d, 0x2c, 0x80, 0xff, 0x39])
      return changed
    case 2:
      return changed.subarray(0, place)
    case 3:
      return changed.subarray(place)
    case 4:
      return insert(random.bytes(random.below(9)))
    case 5:
      return insert(
        Buffer.from(
          random.pick(['"', '\\', '\\ud800', '{', '}', '[', ',', 'null', '1e999', '\n', '"\\u0000"', '{"a":']),
        ),
      )
    case 6:
      return Buffer.concat([changed.subarray(0, place), changed.subarray(place + 1 + random.below(20))])
    case 7:
      return insert(changed.subarray(0, random.below(changed.length)))
    default:
      return mutated(mutated(changed, random), random)
  }
}

/** What a call returns, or undefined if it throws one of these errors. */
function attempt(call, ...families) {
  try {
    return call()
  } catch (error) {
    if (!families.some((family) => error.constructor === family)) throw error
    assert.match(error.code, /^[a-z_]+\.[a-z0-9_]+$/)
    assert.notEqual(error.message, '')
    // What comes from outside cannot forge a line of a log; a journal is the host's own.
    if (error.constructor !== FactError) assert.doesNotMatch(error.message, /[\n\r\0]/)
    return undefined
  }
}

/** A place in an error is one in what was given. */
function checkPlace(call, bytes) {
  try {
    call()
  } catch ({ line, column, offset, path }) {
    assert.ok(Number.isSafeInteger(line) && line >= 1 && Number.isSafeInteger(column) && column >= 0)
    assert.ok(offset >= 0 && offset <= bytes.length, `${offset} of ${bytes.length}`)
    assert.equal(typeof path, 'string')
  }
}

function checkFact(fact) {
  const again = Fact.fromLine(fact.toLine())
  assert.deepEqual(again.id, fact.id)
  assert.deepEqual(again.body, fact.body)
  assert.deepEqual(again.at, fact.at)
}

test('requests that were changed on the way are refused, or are facts like others', async (t) => {
  const random = new Random(1)
  const brain = new Brain()
  let [facts, ignored, refused] = [0, 0, 0]
  for (const { body, at } of requests) {
    for (let times = 0; times < 12; times += 1) {
      const bytes = mutated(body, random)
      checkPlace(() => Event.parse(bytes), bytes)
      const parsed = attempt(() => Event.parse(bytes), ParseError)
      if (parsed !== undefined) parsed.lookup('revision')
      const observed = attempt(() => observe('captured', bytes, at), ParseError)
      const signed = attempt(() => ingest(verifier, 'captured', sign(KEY, bytes), bytes, at), ParseError)
      assert.equal(signed instanceof Fact, observed instanceof Fact)
      if (observed === undefined) {
        refused += 1
      } else if (observed instanceof Fact) {
        facts += 1
        checkFact(observed)
        assert.deepEqual(signed.id, observed.id)
        brain.apply(observed, at)
      } else {
        ignored += 1
        assert.deepEqual(signed, observed)
      }
      // No change gets past the signature that was made of something else.
      if (!bytes.equals(body)) {
        assert.equal(
          attempt(() => ingest(verifier, 'captured', sign(KEY, body), bytes, at), SignatureError),
          undefined,
        )
      }
    }
  }
  t.diagnostic(`${facts} facts, ${ignored} ignored, ${refused} refused`)
  assert.ok(facts > 100 && refused > 1_000)
  const again = new Brain()
  await again.load(brain.facts())
  assert.ok(again.equals(brain))
  brain.reconcilers()
  brain.clusters()
})

test('lines of a journal that were damaged are refused, or are facts like others', async (t) => {
  const random = new Random(2)
  const brain = new Brain()
  let [facts, refused] = [0, 0]
  const lines = requests.map(({ body, at }) => observe('captured', body, at)).filter((fact) => fact instanceof Fact)
  const others = ['registered', 'removed'].map((type) =>
    type === 'removed'
      ? new Fact({ type, reconciler: 'captured/Kustomization/a/b' })
      : new Fact(new Brain().registration('captured', COMMIT, { labels: { app: 'shop' } })),
  )
  for (const fact of [...lines, ...Array(100).fill(others).flat()]) {
    for (let times = 0; times < 6; times += 1) {
      const bytes = mutated(Buffer.from(fact.toLine()), random)
      checkPlace(() => Fact.fromLine(bytes), bytes)
      const read = attempt(() => Fact.fromLine(bytes), FactError)
      if (read === undefined) {
        refused += 1
        continue
      }
      facts += 1
      checkFact(read)
      // A damaged time may be any: only those that every language has can be the present.
      attempt(() => brain.apply(read, read.at), ConfigError)
    }
  }
  t.diagnostic(`${facts} facts, ${refused} refused`)
  assert.ok(facts > 100 && refused > 1_000)
  const again = new Brain()
  await again.load(brain.facts())
  assert.ok(again.equals(brain))
})

test('bytes that nobody ever sent are refused', async () => {
  const random = new Random(3)
  for (let times = 0; times < 5_000; times += 1) {
    const bytes = random.bytes(random.below(60))
    attempt(() => Event.parse(bytes), ParseError)
    attempt(() => observe('captured', bytes), ParseError)
    attempt(() => ingest(verifier, 'captured', sign(KEY, bytes), bytes), ParseError)
    attempt(() => ingest(verifier, 'captured', bytes, bytes), SignatureError)
    attempt(() => verifier.verify(bytes, bytes), SignatureError)
    attempt(() => Fact.fromLine(bytes), FactError)
    attempt(() => CommitObject.parse(bytes), ParseError)
    attempt(() => Revision.parse(bytes.toString('latin1')), RevisionError)
    attempt(() => Revision.parse(bytes.toString('utf16le')), RevisionError)
  }
})

test('commit objects that were changed have another id, or are refused', () => {
  const random = new Random(4)
  const content = Buffer.from(commitObject([ROOT], 'child'))
  const { id } = CommitObject.parse(content)
  for (let times = 0; times < 5_000; times += 1) {
    const bytes = mutated(content, random)
    const read = attempt(() => CommitObject.parse(bytes), ParseError)
    if (read === undefined) checkPlace(() => CommitObject.parse(bytes), bytes)
    else assert.equal(read.id === id, bytes.equals(content))
  }
})

test('revisions that were changed are refused, or are displayed as equal ones', () => {
  const random = new Random(5)
  const texts = [
    `main@sha1:${COMMIT}`,
    `main/${COMMIT}`,
    '1.2.3+build',
    `latest@sha256:${'a'.repeat(64)}`,
    `refs/tags/v1@sha1:${COMMIT}`,
  ]
  for (let times = 0; times < 5_000; times += 1) {
    const text = mutated(Buffer.from(random.pick(texts)), random).toString()
    const read = attempt(() => Revision.parse(text), RevisionError)
    if (read !== undefined) assert.deepEqual(Revision.parse(read.text), read, JSON.stringify(text))
  }
})

test('a journal with a damaged line is refused as a whole', async () => {
  const random = new Random(6)
  const good = observed('healthy').toLine()
  for (let times = 0; times < 300; times += 1) {
    const damaged = mutated(Buffer.from(good), random).toString('latin1')
    const isFact = damaged
      .split('\n')
      .every((line) => line.trim() === '' || attempt(() => Fact.fromLine(line), FactError))
    const brain = new Brain()
    try {
      await brain.load(`${good}\n${damaged}`)
      assert.ok(isFact, damaged)
    } catch (error) {
      assert.equal(error.constructor, FactError)
      assert.ok(!isFact && error.line >= 2, damaged)
      assert.ok(brain.equals(new Brain()))
    }
  }
})
