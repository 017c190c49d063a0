'use strict'

// Nothing is passed over in silence: a runner that cannot fail would be worth nothing.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { test } = require('node:test')

const { Random } = require('../support/random.js')
const { run } = require('../support/run.js')
const { Player, readScenario } = require('../support/scenario.js')
const { Truth, check } = require('../support/truth.js')
const { casesOf, kinds, readAll, readFile } = require('../support/vectors.js')

const files = readAll()

const file = (folder, kind, cases) =>
  readFile(`${folder}/x.json`, `{"kind":"${kind}","about":"x","cases":[${cases.join()}]}`)

/** Runs a case that stands in a file by itself, and returns what is wrong. */
const alone = (kind, text) => run(kind, file(kind, kind, [text]).cases[0])

/** All places at which something stands, as a path of keys; of an object or a list, that itself too. */
function places(value, keys = []) {
  if (typeof value !== 'object' || value === null) return [keys]
  return [keys, ...Object.entries(value).flatMap(([key, each]) => places(each, [...keys, key]))]
}

const at = (value, keys) => keys.reduce((part, key) => part[key], value)

/** A copy with another value at a place. */
function changed(value, keys) {
  const copy = structuredClone(value)
  const last = keys.at(-1)
  const parent = at(copy, keys.slice(0, -1))
  const found = parent[last]
  if (Array.isArray(found)) parent[last] = [...found, {}]
  else if (typeof found === 'object' && found !== null) parent[last] = { ...found, colour: 'red' }
  else if (typeof found === 'boolean') parent[last] = !found
  else if (typeof found === 'number') parent[last] = found + 1
  else parent[last] = `${found}x`
  return copy
}

const good = JSON.stringify({
  id: 'x',
  why: 'x',
  input: { revision: '1.0.0' },
  expect: { ok: { pointer: null, commit: null, digest: null, version: '1.0.0', display: '1.0.0' } },
})

test('a file that no runner reads is an error', () => {
  assert.deepEqual(alone('revisions', good), [])
  assert.throws(() => file('revisions', 'riddles', [good]), /must be one of/)
  assert.throws(() => run('riddles', JSON.parse(good)), /no runner knows/)
  assert.throws(() => file('events', 'revisions', [good]), /belongs in the folder revisions/)
  assert.throws(() => file('revisions/more', 'revisions', [good]), /belongs in the folder revisions/)
  assert.throws(() => readFile('revisions/x.txt', ''), /is not a file of vectors/)
  assert.throws(() => readFile('revisions/x.json', ''), SyntaxError)
  assert.throws(() => file('revisions', 'revisions', []), /has no cases/)
  assert.throws(() => file('revisions', 'revisions', [good.replace('"id":"x"', '"id":""')]), /must not be empty/)
  assert.throws(() => file('revisions', 'revisions', [good.replace('"why":"x",', '')]), /must be a text/)
  assert.throws(() => file('revisions', 'revisions', [good.replace('"id"', '"id":"y","id"')]), /twice/)
  const more = '{"kind":"revisions","about":"x","skip":true,"cases":[{"id":"x","why":"x"}]}'
  assert.throws(() => readFile('revisions/x.json', more), /unknown field: skip/)
})

test('a folder with a file that is no vector, without a kind, or with an id twice is an error', (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vectors-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  const write = (where, id) => {
    fs.mkdirSync(path.join(folder, path.dirname(where)), { recursive: true })
    const kind = path.dirname(where)
    fs.writeFileSync(path.join(folder, where), JSON.stringify({ kind, about: 'x', cases: [{ id, why: 'x' }] }))
  }
  for (const kind of kinds.slice(1)) write(`${kind}/a.json`, 'a')
  assert.throws(() => readAll(folder), /has no vectors of kind signatures/)
  write('signatures/a.json', 'a')
  assert.equal(readAll(folder).length, kinds.length)
  write('signatures/b.json', 'a')
  assert.throws(() => readAll(folder), /two cases with the id a/)
  write('signatures/b.json', 'b')
  fs.writeFileSync(path.join(folder, 'signatures', 'notes.txt'), '')
  assert.throws(() => readAll(folder), /is not a file of vectors/)
})

test('a field that nobody reads, or that is missing, is a problem', () => {
  for (const [from, to] of [
    ['"why":"x"', '"why":"x","skip":true'],
    ['{"revision"', '{"cluster":"x","revision"'],
    ['"input":{"revision":"1.0.0"}', '"input":{}'],
    ['"revision":"1.0.0"', '"revision":{"base64":"!"}'],
    ['"revision":"1.0.0"', '"revision":{"hex":"00"}'],
    ['"revision":"1.0.0"', '"revision":{"repeat":"1","times":1,"base64":""}'],
    ['"display":"1.0.0"', '"display":"1.0.0","name":"x"'],
    ['"pointer":null,', ''],
    [',"version":"1.0.0"', ',"version":"1.0.1"'],
    ['{"ok":{', '{"also":{},"ok":{'],
    [/"expect":.*$/, '"expect":{}}'],
    [/,"expect":.*$/, '}'],
  ]) {
    const doctored = good.replace(from, to)
    assert.notEqual(doctored, good)
    assert.equal(alone('revisions', doctored).length, 1, doctored)
  }
})

test('a step that expects nothing of a query, or too little, is a problem', () => {
  const commit = 'a'.repeat(40)
  const scenario =
    `{"id":"x","why":"x","queries":{"A":{"environment":"x","commit":"${commit}"}},"steps":[` +
    '{"at":"2026-11-23T12:00:00Z","do":{"nothing":{}},"expect":{"statuses":{"A":' +
    '{"state":"pending","outcome":"in_progress","reason":"no_reconciler"}}}}]}'
  assert.deepEqual(alone('scenarios', scenario), [])
  for (const [from, to] of [
    ['"reason":"no_reconciler"', '"reason":"waiting"'],
    [',"reason":"no_reconciler"', ''],
    ['{"statuses"', '{"transitions":[{}],"statuses"'],
    ['"no_reconciler"}', '"no_reconciler","colour":"red"}'],
    ['"no_reconciler"}', '"no_reconciler","reconcilers":{"x/y/z/a":{}}}'],
    ['{"A":{"state"', '{"B":{},"A":{"state"'],
    [/\{"A":\{"state".*"\}\}/, '{}'],
    [/"statuses":.*"\}\}/, '"error":"x"'],
    ['{"statuses"', '{"error":"event.malformed","statuses"'],
    ['{"statuses"', '{"ignored":"event.kind_ignored","statuses"'],
    ['"id":"x",', `"id":"x","commits":{"A":"${commit}"},`],
    [commit, '${A}'],
    [commit, 'A'.repeat(40)],
    ['"environment":"x"', '"environment":"X"'],
    ['"environment":"x"', '"environment":"x","colour":"red"'],
    ['"queries"', '"policy":{"environments":{"x":{"healthChecks":"enabled"}}},"queries"'],
    ['"queries"', '"keys":{"x":"a key"},"queries"'],
    ['{"nothing":{}}', '{"nothing":{"at":"once"}}'],
    ['{"nothing":{}}', '{"nothing":{},"expire":{}}'],
    ['{"nothing":{}}', '{"wait":{}}'],
    ['{"nothing":{}}', '{"removed":"x"}'],
    ['{"nothing":{}}', '{"event":{"cluster":"x"}}'],
    ['{"nothing":{}}', '{"event":{"cluster":"x","body":""}}'],
    ['{"nothing":{}}', '{"event":{"cluster":"x","body":"","signature":"x"}}'],
    ['12:00:00Z', '12:00:00'],
    ['"do"', '"then":{},"do"'],
  ]) {
    const doctored = scenario.replace(from, to)
    assert.notEqual(doctored, scenario)
    assert.equal(alone('scenarios', doctored).length, 1, doctored)
  }
})

test('a deadline without an expire, and steps that go back in time, are problems', () => {
  const commit = 'a'.repeat(40)
  const status = { state: 'pending', outcome: 'in_progress', reason: 'no_reconciler' }
  const step = (at, action, fields = {}) => ({
    at: `2026-11-23T12:0${at}:00Z`,
    do: action,
    expect: { statuses: { A: { ...status, ...fields } } },
  })
  const register = { register: { environment: 'x', commit, timeout: '3m' } }
  const over = { outcome: 'timed_out', reason: 'timed_out' }
  const transition = {
    environment: 'x',
    commit,
    from: { state: 'pending', outcome: 'in_progress' },
    to: { state: 'pending', outcome: 'timed_out' },
    reason: 'timed_out',
  }
  const expire = step(3, { expire: {} }, over)
  expire.expect.transitions = [transition]
  const scenario = (...steps) => ({ id: 'x', why: 'x', queries: { A: { environment: 'x', commit } }, steps })
  assert.deepEqual(run('scenarios', scenario(step(0, register), expire, step(4, { nothing: {} }, over))), [])
  const [problem] = run('scenarios', scenario(step(0, register), step(4, { nothing: {} }, over)))
  assert.match(problem, /there must be an `expire` at 2026-11-23T12:03:00Z before/)
  const [earlier] = run('scenarios', scenario(step(1, { nothing: {} }), step(0, { nothing: {} })))
  assert.match(earlier, /is earlier than the step before/)
})

for (const kind of ['signatures', 'events', 'revisions', 'observations']) {
  test(`anything else in what a case of ${kind} expects is a problem`, (t) => {
    let count = 0
    for (const each of casesOf(files, kind)) {
      for (const keys of places(each.expect, ['expect'])) {
        const doctored = changed(each, keys)
        assert.notDeepEqual(run(kind, doctored), [], `${each.id}: ${keys.join('.')}`)
        count += 1
      }
    }
    t.diagnostic(`${count} expectations changed, each was noticed`)
  })
}

test('anything else in what a scenario expects is a problem', (t) => {
  const random = new Random(1)
  let count = 0
  for (const each of casesOf(files, 'scenarios')) {
    const all = each.steps.flatMap((step, place) => places(step.expect, ['steps', place, 'expect']))
    // Each scenario is played again for each change: some of them must do.
    for (let times = 0; times < 8; times += 1) {
      const keys = random.pick(all)
      const doctored = changed(each, keys)
      assert.notDeepEqual(run('scenarios', doctored), [], `${each.id}: ${keys.join('.')}`)
      count += 1
    }
  }
  t.diagnostic(`${count} expectations changed, each was noticed`)
})

test('a transition that is not expected, or is missing, is a problem', () => {
  let count = 0
  for (const each of casesOf(files, 'scenarios')) {
    const place = each.steps.findIndex(({ expect }) => expect.transitions !== undefined)
    if (place === -1) continue
    const without = structuredClone(each)
    delete without.steps[place].expect.transitions
    assert.notDeepEqual(run('scenarios', without), [], each.id)
    const twice = structuredClone(each)
    twice.steps[place].expect.transitions.push(twice.steps[place].expect.transitions[0])
    assert.notDeepEqual(run('scenarios', twice), [], each.id)
    count += 1
  }
  assert.ok(count > 100)
})

test('a healthy status that the truth of the API server does not support is a problem', () => {
  const scenarios = new Map(casesOf(files, 'scenarios').map((each) => [each.id, each]))
  const checkAll = (value) => {
    const truth = new Truth(value)
    const player = new Player(readScenario(scenarios.get(truth.scenario)))
    let told = 0
    while (player.advance()) told += check(truth, player.brain, player.facts).length
    return told
  }
  const versionsOf = (value) => Object.values(value.truth.objects).flatMap((uids) => Object.values(uids).flat())
  const doctors = {
    'it did not wait': (value) => versionsOf(value).forEach((version) => (version.waits = false)),
    'it was not ready': (value) => versionsOf(value).forEach((version) => (version.ready = 'False')),
    'nothing was applied': (value) => versionsOf(value).forEach((version) => (version.applied = null)),
    'another commit was applied': (value) =>
      versionsOf(value).forEach((version) => (version.applied = `main@sha1:${'0'.repeat(40)}`)),
    'it was later': (value) => versionsOf(value).forEach((version) => (version.at = '2036-01-01T00:00:00Z')),
    'it was another object': (value) => {
      for (const [name, uids] of Object.entries(value.truth.objects)) {
        const renamed = Object.entries(uids).map(([uid, versions]) => [`${uid}x`, versions])
        value.truth.objects[name] = Object.fromEntries(renamed)
      }
    },
  }
  let count = 0
  for (const each of casesOf(files, 'truth')) {
    if (checkAll(each) === 0) continue
    for (const [what, doctor] of Object.entries(doctors)) {
      const doctored = structuredClone(each)
      doctor(doctored)
      assert.throws(() => checkAll(doctored), /is not healthy at/, `${each.id}: ${what}`)
    }
    count += 1
  }
  assert.ok(count > 10)
})

test('a truth that nobody would check is a problem', () => {
  const [each] = casesOf(files, 'truth')
  assert.deepEqual(run('truth', each), [])
  for (const doctor of [
    (value) => (value.skip = true),
    (value) => delete value.scenario,
    (value) => (value.truth.objects = {}),
    (value) => (value.truth.subjects = {}),
    (value) => (Object.values(Object.values(value.truth.objects)[0])[0][0].colour = 'red'),
    (value) => delete Object.values(Object.values(value.truth.objects)[0])[0][0].waits,
  ]) {
    const doctored = structuredClone(each)
    doctor(doctored)
    assert.equal(run('truth', doctored).length, 1)
  }
})

test('no state, outcome or reason is without a scenario that leads to it', () => {
  const told = new Set()
  for (const each of casesOf(files, 'scenarios')) {
    for (const { expect } of each.steps) {
      for (const { state, outcome, reason } of Object.values(expect.statuses)) {
        for (const word of [state, outcome, reason]) if (word !== undefined) told.add(word)
      }
    }
  }
  const words =
    'pending applied healthy failed in_progress succeeded timed_out waiting never_heard ' +
    'blocked applying checking_health interrupted health_unproved not_checked rolled_back ' +
    'diverged deleted ancestry_unknown no_commit learning no_match_yet no_reconciler source_trouble'
  assert.deepEqual([...told].sort(), words.split(' ').sort())
})
