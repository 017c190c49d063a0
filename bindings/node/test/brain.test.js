'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const {
  Ancestry,
  Brain,
  CommitObject,
  ConfigError,
  Fact,
  FactError,
  ParseError,
  QueryError,
} = require('./support/package.js')
const {
  APPS,
  COMMIT,
  ROOT,
  WEB,
  brainWith,
  commit,
  commitObject,
  event,
  observed,
  policy,
  registered,
  time,
} = require('./support/samples.js')

const thrown = (make) => {
  try {
    make()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}
const codeOf = (make) => {
  const { constructor, code } = thrown(make)
  return [constructor, code]
}

test('a commit goes from pending to healthy, and each step is told once', () => {
  const brain = new Brain(policy)
  const first = brain.apply(registered(brain), time(0))
  assert.deepEqual(first, { changed: 'knowledge', transitions: [], woken: [] })
  const pending = brain.status('staging', COMMIT, { now: time(1) })
  assert.deepEqual(
    [pending.state, pending.outcome, pending.settled, pending.reason, pending.live],
    ['pending', 'in_progress', false, 'never_heard', null],
  )

  const applied = brain.apply(observed('applying', { at: time(10) }), time(10))
  assert.deepEqual(
    applied.transitions.map(({ from, to, settlement }) => ({ from, to, settlement })),
    [
      {
        from: { state: 'pending', outcome: 'in_progress' },
        to: { state: 'applied', outcome: 'in_progress' },
        settlement: null,
      },
    ],
  )

  const fact = observed('healthy', { at: time(20) })
  const { changed, transitions } = brain.apply(fact, time(21))
  assert.equal(changed, 'knowledge')
  const settlement = { type: 'settled', environment: 'staging', commit: COMMIT, n: 0, outcome: 'succeeded' }
  const [{ message, ...transition }] = transitions
  assert.deepEqual(transition, {
    environment: 'staging',
    commit: COMMIT,
    at: time(21),
    from: { state: 'applied', outcome: 'in_progress' },
    to: { state: 'healthy', outcome: 'succeeded' },
    reason: 'succeeded',
    cause: APPS,
    settlements: 0,
    settlement,
  })
  assert.ok(message.length > 10)
  assert.deepEqual(brain.apply(fact, time(22)), { changed: 'nothing', transitions: [], woken: [] })

  const healthy = brain.status('staging', COMMIT, { now: time(30) })
  assert.deepEqual(
    [healthy.state, healthy.outcome, healthy.settled, healthy.live],
    ['healthy', 'succeeded', true, true],
  )
  assert.deepEqual(healthy.evaluatedAt, time(30))
  assert.deepEqual([healthy.registeredAt, healthy.deadlineAt], [time(0), time(1_800)])
  assert.equal(healthy.timeoutSeconds, 1_800)
  const [reconciler] = healthy.reconcilers
  assert.deepEqual([reconciler.appliedAt, reconciler.healthyAt, reconciler.failedAt], [time(10), time(20), null])
  assert.deepEqual(healthy.timeline, [
    { at: time(10), state: 'applied', reconciler: APPS },
    { at: time(20), state: 'healthy', reconciler: APPS },
  ])

  // What is settled is to be recorded, and is a fact like others.
  assert.deepEqual(brain.unrecorded(), [settlement])
  brain.apply(new Fact(settlement, time(21)), time(31))
  assert.deepEqual(brain.unrecorded(), [])
  assert.deepEqual(brain.status('staging', COMMIT, { now: time(32) }).firstSettled, {
    outcome: 'succeeded',
    at: time(21),
  })
})

test('a failure is told with the words of Flux', () => {
  const brain = brainWith()
  brain.apply(observed('failed', { at: time(10) }), time(10))
  const status = brain.status('staging', COMMIT, { now: time(10) })
  assert.deepEqual([status.state, status.outcome, status.reason], ['failed', 'failed', 'failed'])
  const [{ event }] = status.reconcilers
  assert.deepEqual([event.severity, event.reason, event.at], ['error', 'HealthCheckFailed', time(10)])
  assert.match(event.message, /^health check failed/)
  // An asker may have more patience.
  const patient = brain.status('staging', COMMIT, { failureGrace: '1m', now: time(10) })
  assert.equal(patient.outcome, 'in_progress')
  assert.equal(brain.status('staging', COMMIT, { failureGrace: 60_000, now: time(70) }).outcome, 'failed')
})

test('an asker may ask for less, and of other reconcilers', () => {
  const brain = brainWith()
  brain.apply(observed('applying', { at: time(1) }), time(1))
  const outcome = (options) => brain.status('staging', COMMIT, { now: time(2), ...options }).outcome
  assert.equal(outcome({}), 'in_progress')
  assert.equal(outcome({ require: 'applied' }), 'succeeded')
  assert.equal(outcome({ require: null, reconcilers: null, failureGrace: null }), 'in_progress')
  const names = (reconcilers) =>
    brain.status('staging', COMMIT, { reconcilers, now: time(2) }).reconcilers.map(({ reconciler }) => reconciler)
  assert.deepEqual(names([WEB]), [WEB])
  assert.deepEqual(names(new Set([WEB, APPS])), [APPS, WEB])
  assert.deepEqual(names(['staging/*/*/*']), [APPS])
  assert.deepEqual(names([]), [APPS])
})

test('a question without an answer is a QueryError', () => {
  const brain = brainWith()
  assert.deepEqual(
    codeOf(() => brain.status('production', COMMIT)),
    [QueryError, 'environment.unknown'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('staging', 'bb5a1aa')),
    [QueryError, 'commit.abbreviated'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('staging', 'main')),
    [QueryError, 'commit.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.statuses('main')),
    [QueryError, 'commit.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('Staging!', COMMIT)),
    [ConfigError, 'environment.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('staging', COMMIT, { reconcilers: ['apps'] })),
    [ConfigError, 'reconciler.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('staging', COMMIT, { failureGrace: '1w' })),
    [ConfigError, 'duration.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.status('staging', COMMIT, { require: 'alive' })),
    [ConfigError, 'query.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.rollouts({ outcome: 'lost' })),
    [ConfigError, 'query.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.reconcilers({ cluster: '!' })),
    [ConfigError, 'cluster.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.registration('staging', COMMIT, { timeout: '1w' })),
    [ConfigError, 'duration.malformed'],
  )
})

test('a commit may be written in upper case', () => {
  assert.equal(brainWith().status('staging', COMMIT.toUpperCase(), { now: time(1) }).commit, COMMIT)
})

test('the statuses of a commit are those of each environment', () => {
  const brain = new Brain({ environments: { production: {}, staging: { reconcilers: [APPS] } } })
  brain.apply(registered(brain), time(0))
  const statuses = brain.statuses(COMMIT, { now: time(1) })
  assert.deepEqual(
    statuses.map(({ environment, registered }) => [environment, registered]),
    [
      ['production', false],
      ['staging', true],
    ],
  )
  assert.deepEqual(statuses[1], brain.status('staging', COMMIT, { now: time(1) }))
})

test('a registration has what the policy declares, and what is added', () => {
  const brain = new Brain({ environments: { staging: { reconcilers: [APPS], require: 'healthy', timeout: '10m' } } })
  const plain = brain.registration('staging', COMMIT)
  assert.deepEqual([plain.expect, plain.require, plain.timeout, plain.labels], [[APPS], 'healthy', 600_000, {}])
  const added = brain.registration('staging', COMMIT, {
    expect: [WEB],
    require: 'applied',
    timeout: '1h',
    labels: { appName: 'shop', Team_Name: 'camels' },
  })
  assert.deepEqual([added.expect, added.require, added.timeout], [[APPS, WEB], 'healthy', 3_600_000])
  assert.deepEqual(added.labels, { appName: 'shop', Team_Name: 'camels' })
  brain.apply(new Fact(added, time(0)), time(0))
  assert.deepEqual(brain.status('staging', COMMIT, { now: time(0) }).labels, added.labels)
})

test('keys that mean something to JavaScript are labels like others', () => {
  const brain = new Brain()
  const labels = JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}')
  const registration = brain.registration('staging', COMMIT, { labels })
  assert.deepEqual(Object.entries(registration.labels).sort(), Object.entries(labels).sort())
  brain.apply(new Fact(registration, time(0)), time(0))
  const { labels: told } = brain.status('staging', COMMIT, { now: time(0) })
  assert.deepEqual(Object.entries(told).sort(), Object.entries(labels).sort())
  assert.equal(brain.rollouts({ labels, now: time(0) }).length, 1)
  assert.equal(brain.rollouts({ labels: JSON.parse('{"__proto__":"x"}'), now: time(0) }).length, 0)
})

test('rollouts are listed last first, by environment, outcome and labels', () => {
  const brain = new Brain()
  const apply = (number, environment, labels) =>
    brain.apply(registered(brain, { of: commit(number), at: time(number), environment, labels }), time(number))
  apply(1, 'staging', { app: 'shop' })
  apply(2, 'production', { app: 'shop', team: 'camels' })
  apply(3, 'staging', { app: 'blog' })
  const list = (options) => brain.rollouts({ now: time(10), ...options }).map(({ commit }) => commit)
  assert.deepEqual(list(), [commit(3), commit(2), commit(1)])
  assert.deepEqual(list({ environment: 'staging' }), [commit(3), commit(1)])
  assert.deepEqual(list({ labels: { app: 'shop' } }), [commit(2), commit(1)])
  assert.deepEqual(list({ labels: { app: 'shop', team: 'camels' } }), [commit(2)])
  assert.deepEqual(list({ labels: { app: 'none' } }), [])
  assert.deepEqual(list({ outcome: 'in_progress', limit: 1 }), [commit(3)])
  assert.deepEqual(list({ outcome: 'succeeded' }), [])
  assert.deepEqual(list({ limit: 0 }), [])
  assert.deepEqual(list({ environment: null, outcome: null, labels: null, after: null, limit: null }).length, 3)
  assert.deepEqual(
    brain.rollouts({ outcome: 'timed_out', now: time(1_802) }).map(({ commit }) => commit),
    [commit(2), commit(1)],
  )
})

test('a page begins after the last status of the page before', () => {
  const brain = new Brain()
  const numbers = Array.from({ length: 25 }, (_, number) => number)
  for (const number of numbers) {
    // Several at one time, some of them the same commit in another environment.
    const at = time(Math.floor(number / 4))
    brain.apply(registered(brain, { of: commit(number), at, environment: number % 2 ? 'staging' : 'production' }), at)
    brain.apply(registered(brain, { of: commit(number), at, environment: 'testing' }), at)
  }
  const all = brain.rollouts({ now: time(60) })
  assert.equal(all.length, 50)
  for (const limit of [1, 7, 50, 100]) {
    const pages = []
    for (let after; ; after = pages.at(-1)) {
      const page = brain.rollouts({ after, limit, now: time(60) })
      if (page.length === 0) break
      assert.ok(page.length <= limit)
      pages.push(...page)
    }
    assert.deepEqual(pages, all)
  }
  const { registeredAt, environment, commit: of } = all[10]
  assert.deepEqual(brain.rollouts({ after: { registeredAt, environment, commit: of }, now: time(60) }), all.slice(11))
})

test('what is live where, and what is known of each cluster, is reported by name', () => {
  const brain = new Brain({
    environments: { all: { reconcilers: ['*/Kustomization/*/*'] }, web: { reconcilers: [WEB] } },
  })
  const apply = (name, what) => brain.apply(observed(what, { name, at: time(5) }), time(5))
  apply('web', 'failed')
  apply('apps', 'healthy')
  assert.deepEqual(
    brain
      .reconcilers()
      .map(({ reconciler, state, commit, deleted, removed }) => [reconciler, state, commit, deleted, removed]),
    [
      [APPS, 'healthy', COMMIT, false, false],
      [WEB, 'failed', COMMIT, false, false],
    ],
  )
  const names = (options) => brain.reconcilers(options).map(({ reconciler }) => reconciler)
  assert.deepEqual(names({ environment: 'web' }), [WEB])
  assert.deepEqual(names({ environment: 'all', cluster: 'staging' }), [APPS, WEB])
  assert.deepEqual(names({ cluster: 'production' }), [])
  assert.deepEqual(names({ environment: null, cluster: null }), [APPS, WEB])
  assert.deepEqual(brain.clusters(), [
    { cluster: 'staging', firstHeardAt: time(5), lastHeardAt: time(5), reconcilers: 2, refused: 0 },
  ])
  assert.equal(brain.apply(new Fact({ type: 'removed', reconciler: WEB }, time(6)), time(6)).changed, 'knowledge')
  assert.equal(brain.reconcilers({ environment: 'web' })[0].removed, true)
})

test('a heartbeat is told apart from knowledge, before and after', () => {
  const brain = brainWith()
  const succeeded = (seconds) => observed('succeeded', { at: time(seconds) })
  for (const fact of [observed('healthy', { at: time(1) }), succeeded(2)]) {
    assert.equal(brain.preview(fact), 'knowledge')
    assert.equal(brain.apply(fact, fact.at).changed, 'knowledge')
  }
  // The same at the next interval: the cluster is alive, and no more.
  const again = succeeded(602)
  assert.equal(brain.preview(again), 'last_heard')
  assert.deepEqual(brain.apply(again, time(602)), { changed: 'last_heard', transitions: [], woken: [] })
  assert.deepEqual(brain.clusters()[0].lastHeardAt, time(602))
})

test('commits are resolved from the first digits of their ids', () => {
  const brain = brainWith()
  assert.equal(brain.resolve(COMMIT), COMMIT)
  assert.equal(brain.resolve(COMMIT.slice(0, 7)), COMMIT)
  assert.equal(brain.resolve(COMMIT.slice(0, 12).toUpperCase()), COMMIT)
  assert.deepEqual(
    codeOf(() => brain.resolve(COMMIT.slice(0, 6))),
    [QueryError, 'commit.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.resolve('main')),
    [QueryError, 'commit.malformed'],
  )
  assert.deepEqual(
    codeOf(() => brain.resolve('0000000')),
    [QueryError, 'commit.unknown'],
  )
  brain.apply(registered(brain, { of: `${COMMIT.slice(0, 12)}${'0'.repeat(28)}` }), time(1))
  assert.deepEqual(
    codeOf(() => brain.resolve(COMMIT.slice(0, 7))),
    [QueryError, 'commit.ambiguous'],
  )
})

test('a later commit that is healthy decides for an earlier one', () => {
  const brain = brainWith({ of: ROOT })
  const child = CommitObject.parse(commitObject([ROOT], 'child')).id
  brain.apply(observed('healthy', { of: child, at: time(5) }), time(5))
  assert.equal(brain.status('staging', ROOT, { now: time(6) }).outcome, 'in_progress')
  const ancestry = Ancestry.fromObjects([commitObject([ROOT], 'child'), commitObject()])
  const { transitions } = brain.apply(new Fact(ancestry, time(7)), time(7))
  assert.deepEqual([transitions[0].to.outcome, transitions[0].cause], ['succeeded', null])
  const status = brain.status('staging', ROOT, { now: time(7) })
  assert.deepEqual([status.outcome, status.reconcilers[0].via], ['succeeded', child])
})

test('time is told when it changes something', () => {
  const brain = brainWith({ timeout: '90s' })
  assert.deepEqual(brain.nextDeadline(), time(90))
  assert.deepEqual(brain.expire({ now: time(89.999) }), { changed: 'nothing', transitions: [], woken: [] })
  const { transitions } = brain.expire({ now: time(90) })
  assert.deepEqual([transitions[0].to.outcome, transitions[0].cause, transitions[0].at], ['timed_out', null, time(90)])
  assert.equal(transitions[0].settlement.outcome, 'timed_out')
  assert.equal(new Brain().nextDeadline(), null)
})

test('the time is the clock of the process if it is left out', () => {
  const brain = new Brain(policy)
  const before = Date.now()
  brain.apply(registered(brain, { at: new Date(before - 3_600_000), timeout: '1m' }))
  const isNow = (date) => before <= date.getTime() && date.getTime() <= Date.now()
  for (const now of [undefined, null]) {
    assert.ok(isNow(brain.status('staging', COMMIT, { now }).evaluatedAt))
    assert.ok(isNow(brain.statuses(COMMIT, { now })[0].evaluatedAt))
    assert.ok(isNow(brain.rollouts({ now })[0].evaluatedAt))
  }
  assert.ok(isNow(brain.status('staging', COMMIT).evaluatedAt))
  assert.equal(brain.status('staging', COMMIT).outcome, 'timed_out')
})

test('a journal is loaded as lines or as facts, in any order', async () => {
  const brain = brainWith()
  const facts = [registered(brain), observed('applying', { at: time(1) }), observed('healthy', { at: time(2) })]
  for (const fact of facts.slice(1)) brain.apply(fact, fact.at)
  const lines = facts.map((fact) => fact.toLine())
  const given = [
    facts,
    new Set(facts.toReversed()),
    (function* () {
      yield* facts
    })(),
    lines.join('\n'),
    `\n\n${lines.toReversed().join('\r\n')}\n \n`,
    Buffer.from(lines.join('\n')),
    new Uint8Array(Buffer.from(lines.join('\n'))),
  ]
  for (const each of given) {
    const again = new Brain(policy)
    assert.equal(await again.load(each), undefined)
    assert.ok(again.equals(brain))
    assert.deepEqual(again.unrecorded(), brain.unrecorded())
  }
  for (const nothing of ['', '\n', Buffer.alloc(0), []]) {
    const again = new Brain(policy)
    await again.load(nothing)
    assert.ok(again.equals(new Brain(policy)))
  }
})

test('a journal with a line that cannot be read is refused as a whole, with the line', async () => {
  const good = observed('healthy').toLine()
  for (const [line, code, column] of [
    ['{"v":1', 'fact.malformed', 6],
    ['{"v":9,"at":"2026-11-23T12:00:00Z","body":{}}', 'fact.newer_version', 0],
  ]) {
    for (const call of ['load', 'applyMany']) {
      const brain = new Brain(policy)
      await assert.rejects(brain[call](`${good}\n\n${line}\n${good}`), (error) => {
        assert.equal(error.constructor, FactError)
        assert.deepEqual([error.code, error.line, error.column], [code, 3, column])
        assert.match(error.message, /^line 3: /)
        return true
      })
      assert.ok(brain.equals(new Brain(policy)))
    }
  }
})

test('many facts are applied at once, with their effects in all', async () => {
  const brain = new Brain(policy)
  const facts = [registered(brain), observed('applying', { at: time(1) }), observed('healthy', { at: time(2) })]
  const effects = await brain.applyMany(facts, { now: time(3) })
  assert.equal(effects.changed, 'knowledge')
  assert.deepEqual(
    effects.transitions.map(({ to, at }) => [to.state, to.outcome, at]),
    [
      ['applied', 'in_progress', time(3)],
      ['healthy', 'succeeded', time(3)],
    ],
  )
  assert.deepEqual(await brain.applyMany(facts.map((fact) => fact.toLine()).join('\n')), {
    changed: 'nothing',
    transitions: [],
    woken: [],
  })
  assert.equal((await brain.applyMany('')).changed, 'nothing')
})

test('many bodies of a cluster are applied at once; those that say nothing are skipped', async () => {
  const bodies = [
    event('applying', { at: time(1) }),
    '',
    event('healthy', { involvedObject: { kind: 'Pod', namespace: 'a', name: 'b', uid: '1' } }),
    event('healthy', { at: time(2) }),
  ]
  const brain = brainWith()
  const effects = await brain.applyMany(bodies.join('\n'), { cluster: 'staging', now: time(3) })
  assert.equal(effects.transitions.length, 2)
  assert.equal(brain.status('staging', COMMIT, { now: time(3) }).outcome, 'succeeded')
  assert.deepEqual(brain.clusters()[0].lastHeardAt, time(3))

  const other = brainWith()
  await assert.rejects(other.applyMany(`${bodies[0]}\n{}`, { cluster: 'staging', now: time(3) }), (error) => {
    assert.equal(error.constructor, ParseError)
    assert.deepEqual([error.code, error.line, error.path], ['event.missing_field', 2, 'involvedObject'])
    return true
  })
  assert.ok(other.equals(brainWith()))
  await assert.rejects(other.applyMany(bodies[0], { cluster: '!' }), (error) => error.constructor === ConfigError)
})

test('a brain takes in all that another knows', () => {
  const [left, right] = [brainWith(), new Brain(policy)]
  right.apply(observed('healthy', { at: time(2) }), time(2))
  assert.ok(!left.equals(right))
  const { changed, transitions } = left.merge(right, { now: time(3) })
  assert.equal(changed, 'knowledge')
  assert.deepEqual(
    transitions.map(({ to, at }) => [to.outcome, at]),
    [['succeeded', time(3)]],
  )
  right.merge(left, { now: time(3) })
  assert.ok(left.equals(right) && right.equals(left) && left.equals(left))
  assert.equal(left.merge(right, { now: time(4) }).changed, 'nothing')
  assert.equal(left.merge(left, { now: time(4) }).changed, 'nothing')
})

test('what is forgotten is gone, and what is live is not', () => {
  const brain = brainWith()
  brain.apply(observed('healthy', { at: time(1) }), time(1))
  const later = time(90 * 86_400)
  brain.apply(registered(brain, { of: commit(2), at: later }), later)
  const before = new Date(later.getTime() - 1_000)
  assert.equal(brain.apply(new Fact({ type: 'forgotten', before }, later), later).changed, 'knowledge')
  assert.deepEqual(
    brain.rollouts({ now: later }).map(({ commit }) => commit),
    [commit(2)],
  )
  assert.equal(brain.reconcilers()[0].commit, COMMIT)
})

test('facts are the smallest list that makes an equal brain', async () => {
  const brain = brainWith()
  for (let second = 1; second < 50; second += 1) brain.apply(observed('applying', { at: time(second) }), time(second))
  const facts = brain.facts()
  assert.ok(Array.isArray(facts) && facts.every((fact) => fact instanceof Fact))
  assert.ok(facts.length < 10)
  const again = new Brain(policy)
  await again.load(facts)
  assert.ok(again.equals(brain))
  assert.deepEqual(new Brain().facts(), [])
})

test('many brains know different things', () => {
  const brains = Array.from({ length: 500 }, (_, number) => brainWith({ of: commit(number) }))
  for (const [number, brain] of brains.entries()) {
    assert.deepEqual(
      brain.rollouts({ now: time(1) }).map((status) => status.commit),
      [commit(number)],
    )
  }
})
