'use strict'

// Each thread of Node has brains of its own.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { Brain, Fact } = require('./support/package.js')
const place = require('./support/place.js')
const { runScript } = require('./support/child.js')
const { COMMIT, isDeeplyFrozen, observed, policy, time } = require('./support/samples.js')

/** What each thread does: takes in many events, and answers everything that can be asked. */
const work = `
  const samples = require(${JSON.stringify(require.resolve('./support/samples.js'))})
  const { Brain, Verifier, ingest, sign } = require(${JSON.stringify(place)})
  async function work(rounds) {
    const { KEY, COMMIT, commit, event, policy, registered, time } = samples
    const brains = [0, 1, 2].map(() => new Brain(policy))
    const verifier = new Verifier([KEY])
    for (const brain of brains) brain.apply(registered(brain), time(0))
    const facts = []
    for (let round = 0; round < rounds; round += 1) {
      const fields = { name: 'app-' + (round % 40), of: commit(round % 90), at: time(round) }
      const body = event(['applying', 'healthy', 'succeeded', 'failed'][round % 4], fields)
      const fact = ingest(verifier, 'staging', sign(KEY, body), body, time(round))
      facts.push(fact)
      brains[round % 2].apply(fact, time(round))
    }
    await brains[2].applyMany(facts, { now: time(rounds) })
    const waited = await brains[2].wait('staging', COMMIT, { timeout: 1, reconcilers: ['staging/*/*/*'] })
    return {
      waited: waited.state,
      ids: facts.map((fact) => fact.id.toString('hex')),
      lines: brains.map((brain) => brain.facts().map((fact) => fact.toLine())),
      statuses: brains.map((brain) => brain.status('staging', COMMIT, { now: time(rounds) })),
      reconcilers: brains.map((brain) => brain.reconcilers()),
      clusters: brains.map((brain) => brain.clusters()),
    }
  }
`

/** Runs a script in a thread, and resolves to the first thing that it posts. */
function inThread(script) {
  const worker = new Worker(script, { eval: true })
  const posted = new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => reject(new Error(`the thread ended with ${code}`)))
  })
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  return { posted, ended, worker }
}

test('threads that work at the same time give the answers that one gives', async () => {
  const here = new Function('require', `${work}; return work(1500)`)(require)
  const threads = Array.from({ length: 5 }, () =>
    inThread(`${work}; work(1500).then((all) => require('node:worker_threads').parentPort.postMessage(all))`),
  )
  const expected = await here
  assert.ok(expected.reconcilers[0].length > 10)
  for (const { posted, ended } of threads) {
    assert.deepEqual(await posted, expected)
    assert.equal(await ended, 0)
  }
})

test('errors have their classes in each thread', async () => {
  const { posted } = inThread(`
    const main = require(${JSON.stringify(place)})
    const codes = []
    for (const call of [() => main.Revision.parse(''), () => main.sign('', ''), () => new main.Brain().status('a', 'main')]) {
      try { call() } catch (error) {
        codes.push([error instanceof main.GitopsBrainError, error.name, error.code])
      }
    }
    require('node:worker_threads').parentPort.postMessage(codes)
  `)
  assert.deepEqual(await posted, [
    [true, 'RevisionError', 'revision.empty'],
    [true, 'ConfigError', 'key.empty'],
    [true, 'QueryError', 'commit.malformed'],
  ])
})

test('a fact crosses threads as its line', async () => {
  const line = observed('healthy', { at: time(1) }).toLine()
  const { posted } = inThread(`
    const { Brain, Fact } = require(${JSON.stringify(place)})
    const { policy, time } = require(${JSON.stringify(require.resolve('./support/samples.js'))})
    const brain = new Brain(policy)
    brain.apply(Fact.fromLine(${JSON.stringify(line)}), time(1))
    require('node:worker_threads').parentPort.postMessage(brain.facts().map((fact) => fact.toLine()))
  `)
  const brain = new Brain(policy)
  brain.apply(Fact.fromLine(line), time(1))
  assert.deepEqual(
    await posted,
    brain.facts().map((fact) => fact.toLine()),
  )
  // What structured cloning makes of one is none.
  assert.throws(() => brain.apply(structuredClone(Fact.fromLine(line))), TypeError)
  assert.ok(isDeeplyFrozen(brain.status('staging', COMMIT)))
})

test('threads come and go, and this one goes on', async () => {
  const brain = new Brain(policy)
  for (let round = 0; round < 15; round += 1) {
    const { posted, ended } = inThread(`
      const { Brain, Verifier, observe } = require(${JSON.stringify(place)})
      const { event, policy, time } = require(${JSON.stringify(require.resolve('./support/samples.js'))})
      const kept = [new Brain(policy), new Verifier(['key']), observe('staging', event(), time(0))]
      kept[0].apply(kept[2], time(0))
      require('node:worker_threads').parentPort.postMessage(kept.length)
    `)
    assert.equal(await posted, 3)
    assert.equal(await ended, 0)
    brain.apply(observed('healthy', { at: time(round) }), time(round))
  }
  assert.equal(brain.reconcilers().length, 1)
})

// In processes of their own: what goes wrong here ends the process.

test('threads that are terminated in the middle of their work end without harm', async () => {
  const { code, signal, stdout, stderr } = await runScript(
    `
    const { Worker } = require('node:worker_threads')
    const busy = ${JSON.stringify(work)} + \`
      const { parentPort } = require('node:worker_threads')
      parentPort.postMessage('begun')
      ;(async () => { for (;;) await work(300) })()\`
    const end = async (milliseconds) => {
      const worker = new Worker(busy, { eval: true })
      await new Promise((resolve) => worker.once('message', resolve))
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      await worker.terminate()
    }
    ;(async () => {
      for (let round = 0; round < 8; round += 1) {
        await Promise.all([0, 3, 11, 30].map((milliseconds) => end(milliseconds + round)))
        // This thread works too.
        samples.brainWith().apply(samples.observed('healthy'), samples.time(1))
      }
      console.log('all is well')
    })()
  `,
    { timeout: 120_000 },
  )
  assert.deepEqual([code, signal, stdout, stderr], [0, null, 'all is well\n', ''])
})

test('threads that end while a batch is under way end without harm', async () => {
  const { code, signal, stdout, stderr } = await runScript(
    `
    const { Worker } = require('node:worker_threads')
    const lines = []
    for (let number = 0; number < 20_000; number += 1) {
      const fields = { name: 'app-' + (number % 99), of: samples.commit(number), at: samples.time(number) }
      lines.push(samples.observed('healthy', fields).toLine())
    }
    const workerData = lines.join('\\n')
    const busy = \`
      const { parentPort, workerData } = require('node:worker_threads')
      const { Brain } = require(${JSON.stringify(place)})
      const brain = new Brain()
      brain.wait('staging', '${COMMIT}')
      brain.expireAtDeadlines(() => {})
      const batches = [brain.load(workerData), brain.applyMany(workerData), new Brain().applyMany(workerData)]
      parentPort.postMessage('begun')\`
    const begin = (script) => {
      const worker = new Worker(script, { eval: true, workerData })
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      return { worker, ended, begun: new Promise((resolve) => worker.once('message', resolve)) }
    }
    ;(async () => {
      for (let round = 0; round < 6; round += 1) {
        const terminated = begin(busy)
        await terminated.begun
        await terminated.worker.terminate()
        await begin(busy + '; process.exit()').ended
        const failed = begin(busy + '; throw new Error()')
        failed.worker.once('error', () => {})
        await failed.ended
      }
      console.log('all is well')
    })()
  `,
    // With a debug build, at low priority beside other suites, a million facts take minutes. This ends a hang.
    { timeout: 600_000 },
  )
  assert.deepEqual([code, signal, stdout, stderr], [0, null, 'all is well\n', ''])
})

test('a process that ends while a batch is under way ends at once, and without harm', async () => {
  const { code, signal, stderr } = await runScript(`
    const lines = []
    for (let number = 0; number < 20_000; number += 1) {
      lines.push(samples.observed('healthy', { of: samples.commit(number), at: samples.time(number) }).toLine())
    }
    const batch = lines.join('\\n')
    const brain = new main.Brain()
    brain.load(batch)
    brain.applyMany(batch)
    setTimeout(() => process.exit(7), 5)
  `)
  assert.deepEqual([code, signal, stderr], [7, null, ''])
})
