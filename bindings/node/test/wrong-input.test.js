'use strict'

// Whatever is passed, an error is one of those that are documented, and the process lives on.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { inspect } = require('node:util')

const main = require('./support/package.js')
const { Random } = require('./support/random.js')
const { APPS, COMMIT, KEY, brainWith, event, observed, policy, registered, time } = require('./support/samples.js')

const { Ancestry, Brain, CommitObject, Event, Fact, GitopsBrainError, Revision, Verifier, ingest, observe, sign } = main

const verifier = new Verifier([KEY])
const CALLS = 40_000

const isAllowed = (error) =>
  error instanceof TypeError || error instanceof RangeError || error instanceof GitopsBrainError

/** Names that options and bodies have, so that values get to where they matter. */
const names =
  'require reconcilers failureGrace failure_grace now timeout since expect labels environment environments outcome after ' +
  'limit cluster type commit n before parents contains registeredAt healthChecks learning __proto__ constructor toJSON'
const keys = names.split(' ')

const leaves = [
  () => undefined,
  () => null,
  () => true,
  () => false,
  (random) => random.pick([0, -0, 1, -1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 53, 1e300, -1e300]),
  () => 5n,
  () => Symbol('a symbol'),
  () => () => {},
  () => class {},
  (random) =>
    random.pick([
      '',
      'staging',
      COMMIT,
      COMMIT.slice(0, 9),
      APPS,
      '*/*/*/*',
      '30m',
      'healthy',
      'failed',
      'removed',
      'settled',
    ]),
  (random) =>
    random.pick([
      '\0',
      '\ud800',
      '\udc00x',
      '__proto__',
      '🙈'.repeat(50),
      'x'.repeat(70_000),
      'registered',
      'ancestry',
      'forgotten',
    ]),
  (random) => random.bytes(random.below(40)).toString('latin1'),
  (random) => random.bytes(random.below(40)),
  (random) => new Uint8Array(random.below(9)),
  () => Buffer.alloc(0),
  () => new Uint8Array(new SharedArrayBuffer(8)),
  () => {
    const given = new Uint8Array(8)
    structuredClone(given, { transfer: [given.buffer] })
    return given
  },
  () => new ArrayBuffer(8),
  () => new DataView(new ArrayBuffer(8)),
  () => new Float64Array(3),
  () => new BigInt64Array(3),
  (random) => new Date(random.pick([0, NaN, 8.64e15, -8.64e15, Date.now(), -62_135_596_800_001, 253_402_300_800_000])),
  () => /x/,
  () => new Error('an error'),
  () => new Map([['a', 'b']]),
  () => new Set(['a']),
  () => new WeakMap(),
  () => Promise.resolve(5),
  () => Object.create(null),
  () => new Proxy({}, {}),
  () => new String('staging'),
  () => new Number(5),
  () => globalThis,
  () => deep(100),
  () => deep(3_000),
  () => event(),
  () => observed('healthy').toLine(),
  () => observed('healthy'),
  () => new Brain(policy),
  () => verifier,
  () => Event.parse(event()),
  () => brainWith().status('staging', COMMIT),
  () => AbortSignal.abort(new TypeError('a reason')),
]

/** Lists within each other. */
const deep = (depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth))

/** Any value. */
function anything(random, depth = 0) {
  const kind = depth > 2 ? 0 : random.below(10)
  if (kind === 8) return Array.from({ length: random.below(4) }, () => anything(random, depth + 1))
  if (kind === 9) return someObject(random, depth)
  return random.pick(leaves)(random)
}

function someObject(random, depth) {
  const entries = Array.from({ length: random.below(5) }, () => [random.pick(keys), anything(random, depth + 1)])
  const made = Object.fromEntries(entries)
  // What JSON.stringify calls is the caller's own code.
  delete made.toJSON
  return made
}

/** Every function and method, as one that takes any arguments. */
const targets = {
  Verifier: (args) => new Verifier(...args),
  'Verifier of keys': (args) => new Verifier([args[0]]),
  verify: (args) => verifier.verify(...args),
  sign: (args) => sign(...args),
  ingest: (args) => ingest(...args),
  'ingest with a verifier': (args) => ingest(verifier, ...args),
  observe: (args) => observe(...args),
  'observe of a cluster': (args) => observe('staging', ...args),
  Fact: (args) => new Fact(...args),
  'Fact of a body': ([body, at], random) =>
    new Fact(
      {
        ...someObject(random, 0),
        type: random.pick(['registered', 'ancestry', 'settled', 'removed', 'forgotten']),
        body,
      },
      at,
    ),
  fromLine: (args) => Fact.fromLine(...args),
  'Event.parse': (args) => Event.parse(...args),
  lookup: (args) => Event.parse(event()).lookup(...args),
  'Revision.parse': (args) => Revision.parse(...args),
  'CommitObject.parse': (args) => CommitObject.parse(...args),
  fromObjects: (args) => Ancestry.fromObjects(...args),
  'fromObjects of a list': (args) => Ancestry.fromObjects(args),
  Brain: (args) => new Brain(...args),
  'Brain with environments': ([environments, reconcilers]) => new Brain({ environments, reconcilers }),
  'Brain with an environment': (args, random) => new Brain({ environments: { staging: someObject(random, 0) } }),
  GitopsBrainError: (args) => new GitopsBrainError(String(typeof args[0]), args[1]),
}
const methods =
  'apply preview load applyMany merge setPolicy registration unrecorded facts status statuses rollouts reconcilers clusters resolve equals expire nextDeadline'
for (const name of methods.split(' ')) {
  targets[name] = (args, random, brain) => brain[name](...args)
  targets[`${name} of something else`] = (args) => Brain.prototype[name].apply(args[0], args.slice(1))
}
for (const name of ['status', 'registration']) {
  targets[`${name} of the commit`] = ([now], random, brain) =>
    brain[name]('staging', COMMIT, { ...someObject(random, 0), now })
}
targets['wait for the commit'] = async ([timeout], random, brain) => {
  const controller = new AbortController()
  const waiting = brain.wait('staging', COMMIT, { ...someObject(random, 0), timeout, signal: controller.signal })
  // It may have to wait for long, but not here.
  setImmediate(() => controller.abort(new RangeError('long enough')))
  return waiting
}
for (const name of ['rollouts', 'reconcilers']) {
  targets[`${name} with options`] = (args, random, brain) => brain[name](someObject(random, 0))
}
// Where its environment is unknown, no wait can last for ever.
const nowhere = new Brain({ environments: { nowhere: {} } })
targets.wait = (args) => nowhere.wait(...args)
targets.expireAtDeadlines = (args, random, brain) => brain.expireAtDeadlines(...args)()
for (const name of ['toLine', 'toJSON'])
  targets[`${name} of something else`] = ([other]) => Fact.prototype[name].call(other)
for (const name of ['at', 'id', 'body'])
  targets[`${name} of something else`] = ([other]) => Reflect.get(Fact.prototype, name, other)

test('anything passed to anything throws documented errors only', async (t) => {
  const random = new Random(2026)
  const all = Object.entries(targets)
  const reached = new Map(all.map(([name]) => [name, { returned: 0, threw: 0 }]))
  let brain = brainWith({ at: new Date() })
  for (let count = 0; count < CALLS; count += 1) {
    const [name, call] = all[count % all.length]
    const args = Array.from({ length: random.below(6) }, () => anything(random))
    try {
      await call(args, random, brain)
      reached.get(name).returned += 1
    } catch (error) {
      const shown = () => `${name}(${args.map((arg) => inspect(arg).slice(0, 200)).join(', ')})`
      if (!isAllowed(error)) assert.fail(`call ${count}, ${shown()}: ${error?.stack ?? error}`)
      reached.get(name).threw += 1
    }
    if (count % 5_000 === 0) brain = brainWith({ at: new Date() })
  }
  for (const [name, { returned, threw }] of reached) assert.ok(returned + threw > 0, name)
  const returned = [...reached.values()].reduce((sum, { returned }) => sum + returned, 0)
  t.diagnostic(`${CALLS} calls of ${all.length} functions, ${returned} of which returned`)
  // All is well afterwards.
  const after = brainWith()
  after.apply(observed('healthy', { at: time(1) }), time(1))
  assert.equal(after.status('staging', COMMIT, { now: time(1) }).outcome, 'succeeded')
})

test('what calls change by accident stays whole', async () => {
  const random = new Random(7)
  const brain = brainWith()
  for (let count = 0; count < 2_000; count += 1) {
    const body = {
      ...someObject(random, 0),
      type: random.pick(['registered', 'ancestry', 'settled', 'removed', 'forgotten']),
    }
    const usual = {
      environment: 'staging',
      commit: COMMIT,
      n: random.below(9),
      outcome: 'failed',
      before: time(-random.below(99)),
      reconciler: APPS,
    }
    try {
      brain.apply(new Fact({ ...usual, ...body }, time(random.below(1_000))), time(1_000))
    } catch (error) {
      if (!isAllowed(error)) throw error
    }
  }
  const again = new Brain(policy)
  await again.load(brain.facts())
  assert.ok(again.equals(brain))
  assert.equal(again.apply(registered(again), time(2_000)).changed, 'nothing')
})
