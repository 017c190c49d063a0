// The example as it runs: Flux's requests come to one worker process, CI's to the other.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fact, sign } from 'gitops-brain'
import Database from 'libsql'
import { Journal } from './journal.js'

const KEY = 'the key of staging'
const TOKEN = 'the token of CI'
const PATIENCE = 10_000
// Each test names what it expects. What is declared was removed, so nothing is expected beside that.
const REMOVED = 'staging/Kustomization/flux-system/removed'

const folder = mkdtempSync(join(tmpdir(), 'brain-'))
const database = join(folder, 'brain.db')
let service
let workers

/** Waits for what is sure to happen. */
async function eventually(look) {
  const end = Date.now() + PATIENCE
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(Date.now() < end, 'it does not happen')
    await sleep(20)
  }
}

/** A connection that is kept alive, and so stays with one worker. */
class Client {
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

  ask(method, path, body, headers = {}) {
    return new Promise((resolve, reject) => {
      const options = {
        agent: this.agent,
        port: service.port,
        host: '127.0.0.1',
        method,
        path,
        headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      }
      const request = http.request(options, (response) => {
        const parts = []
        response.on('data', (part) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(parts).toString()
          resolve({ status: response.statusCode, worker: response.headers['x-worker'], body: JSON.parse(text) })
        })
      })
      request.on('error', reject)
      request.end(body)
    })
  }

  /** Posts an event as Flux does. */
  post(event, { key = KEY, cluster = 'staging' } = {}) {
    return this.ask('POST', `/flux/${cluster}`, event, { 'x-signature': sign(key, event) })
  }

  async register(commit, kustomization, more = {}) {
    const expect = [`staging/Kustomization/flux-system/${kustomization}`]
    const body = JSON.stringify({ expect, ...more })
    const type = { 'content-type': 'application/json' }
    const answer = await this.ask('PUT', `/rollouts/staging/${commit}`, body, type)
    assert.deepEqual([answer.status, answer.body.registered], [200, true], JSON.stringify(answer.body))
    return answer.body
  }

  async status(commit, query = '') {
    return (await this.ask('GET', `/rollouts/staging/${commit}${query}`)).body
  }
}

async function start() {
  const free = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => free.once('listening', resolve))
  const { port } = free.address()
  await new Promise((resolve) => free.close(resolve))
  const child = spawn(process.execPath, ['main.js'], {
    cwd: import.meta.dirname ?? new URL('.', import.meta.url).pathname,
    detached: true,
    env: {
      ...process.env,
      PORT: String(port),
      BRAIN_WORKERS: '2',
      BRAIN_DATABASE: database,
      BRAIN_CI_TOKEN: TOKEN,
      BRAIN_POLICY: JSON.stringify({ environments: { staging: { reconcilers: [REMOVED] } } }),
      BRAIN_FLUX_KEYS: JSON.stringify({ staging: [KEY] }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  service = { port, child, log: '' }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (service.log += text))
  // One connection to each of the two workers, and another one to the second.
  const found = new Map()
  workers = await eventually(async () => {
    assert.equal(child.exitCode, null, service.log)
    const client = new Client()
    const answer = await client.ask('GET', '/').catch(() => undefined)
    if (answer === undefined) return false
    found.set(answer.worker, [...(found.get(answer.worker) ?? []), client])
    const all = [...found.values()]
    return all.length === 2 && all.every((clients) => clients.length > 1) && all
  })
  new Journal(database).append(new Fact({ type: 'removed', reconciler: REMOVED }))
  const [[flux], [ci, alsoCi]] = workers
  return { flux, ci, alsoCi }
}

async function end(signal) {
  for (const client of workers.flat()) client.agent.destroy()
  const gone = new Promise((resolve) => service.child.once('exit', resolve))
  process.kill(-service.child.pid, signal)
  await gone
}

/** The rows of the journal that hold all of these words. */
function facts(...words) {
  const journal = new Database(database, { readonly: true })
  const lines = journal.prepare('SELECT line FROM facts ORDER BY position').all()
  journal.close()
  return lines.map((row) => row.line).filter((line) => words.every((word) => line.includes(word)))
}

const commitOf = (name) => createHash('sha1').update(name).digest('hex')

function event(commit, kustomization, { reason = 'Progressing', message, severity = 'info', ago = 1 } = {}) {
  const at = new Date(Date.now() - ago * 1000)
  return JSON.stringify({
    involvedObject: {
      kind: 'Kustomization',
      namespace: 'flux-system',
      name: kustomization,
      uid: '1',
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      resourceVersion: String(Math.floor(at / 1000)),
    },
    severity,
    timestamp: `${at.toISOString().slice(0, 19)}Z`,
    message: message ?? 'Health check passed in 5s',
    reason,
    metadata: { revision: `main@sha1:${commit}` },
    reportingController: 'kustomize-controller',
  })
}

const red = { reason: 'HealthCheckFailed', severity: 'error', message: 'Deployment/shop/web: timeout' }

let clients
before(async () => (clients = await start()))
after(async () => {
  await end('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** A request that waits at one worker: begun, and sure to wait. */
async function waiting(client, commit) {
  let done = false
  const answer = client.status(commit, '?wait=30').finally(() => (done = true))
  await sleep(200)
  assert.equal(done, false, 'there is nothing to wait for')
  return answer
}

for (const [colour, change, outcome] of [
  ['green', {}, 'succeeded'],
  ['red', red, 'failed'],
]) {
  test(`an event that one worker receives answers ${colour} to a client that waits at another`, async () => {
    const { flux, ci } = clients
    const commit = commitOf(colour)
    await ci.register(commit, colour, { labels: { app: 'shop' } })
    const answer = (async () => waiting(ci, commit))()
    await sleep(300)
    const posted = await flux.post(event(commit, colour, change))
    assert.deepEqual([posted.status, posted.body], [202, { result: 'accepted' }])
    const status = await answer
    assert.equal(status.outcome, outcome)
    if (outcome === 'failed') assert.equal(status.reconcilers[0].event.message, red.message)
    // Told once, by whichever worker was first.
    await eventually(() => facts('"settled"', commit).length === 1)
    await sleep(300)
    assert.equal(facts('"settled"', commit).length, 1)
    assert.equal(service.log.split(`notify staging/${commit}/0: ${outcome}`).length - 1, 1)
  })
}

test('an event that is not signed by the cluster is refused, and not stored', async () => {
  const commit = commitOf('forged')
  const wrong = await clients.flux.post(event(commit, 'forged'), { key: 'another key' })
  const unknown = await clients.flux.post(event(commit, 'forged'), { cluster: 'production' })
  const missing = await clients.flux.ask('POST', '/flux/staging', event(commit, 'forged'))
  assert.deepEqual([wrong.status, unknown.status, missing.status], [401, 401, 401])
  assert.deepEqual(wrong.body, unknown.body, 'nobody learns which clusters there are')
  const broken = await clients.flux.post('{"involvedObject":')
  assert.deepEqual([broken.status, broken.body.code], [400, 'event.malformed'])
  const large = await clients.flux.post(`{"a":"${'x'.repeat(3 * 1024 * 1024)}"}`)
  assert.equal(large.status, 413)
  assert.deepEqual(facts(commit), [])
})

test('an event that comes again changes nothing', async () => {
  const body = event(commitOf('again'), 'again')
  const answers = []
  for (const client of [clients.flux, clients.ci, clients.flux]) answers.push((await client.post(body)).status)
  assert.deepEqual(answers, [202, 200, 200])
  assert.equal(facts(commitOf('again')).length, 1)
})

test('without the token nobody asks or registers', async () => {
  for (const method of ['GET', 'PUT']) {
    const path = `/rollouts/staging/${commitOf('x')}`
    const answer = await clients.ci.ask(method, path, undefined, { authorization: 'Bearer wrong' })
    assert.equal(answer.status, 401)
  }
  const unknown = await clients.ci.ask('GET', '/rollouts/staging/abc')
  assert.equal(unknown.status, 400)
})

test('a rollout times out, and that is told once', async () => {
  const commit = commitOf('late')
  await clients.ci.register(commit, 'late', { timeout: '300ms' })
  const status = await clients.alsoCi.status(commit, '?wait=20')
  assert.equal(status.outcome, 'timed_out')
  await eventually(() => facts('"settled"', commit).length === 1)
})

test('with a version that is known, any change is an answer', async () => {
  const commit = commitOf('changes')
  const { version } = await clients.ci.register(commit, 'changes')
  const answer = clients.ci.status(commit, `?wait=20&since=${version}`)
  await sleep(200)
  await clients.flux.post(event(commit, 'changes', { message: 'Deployment/shop/web configured' }))
  assert.equal((await answer).state, 'applied')
})

test('what was answered is there after everything was killed', async () => {
  const commit = commitOf('killed')
  await clients.ci.register(commit, 'killed')
  assert.equal((await clients.flux.post(event(commit, 'killed'))).status, 202)
  await end('SIGKILL')
  clients = await start()
  for (const client of [clients.flux, clients.ci]) {
    assert.equal((await client.status(commit)).outcome, 'succeeded')
  }
  await eventually(() => facts('"settled"', commit).length === 1)
})

test('the example has no secret in its log', () => {
  assert.doesNotMatch(service.log, new RegExp(`${KEY}|${TOKEN}`))
  assert.ok(readFileSync(database).length > 0)
})
