// The brain in a platform of one's own: Flux posts its events, CI registers a commit and waits for it.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import express from 'express'
import {
  Ancestry,
  Fact,
  FactError,
  GitopsBrainError,
  QueryError,
  SignatureError,
  Verifier,
  ingest,
} from 'gitops-brain'
import { Replica } from './replica.js'

const DATABASE = process.env.BRAIN_DATABASE ?? 'brain.db'
const POLICY = JSON.parse(process.env.BRAIN_POLICY ?? '{}')
const KEYS = JSON.parse(process.env.BRAIN_FLUX_KEYS)
const CI_TOKEN = digest(process.env.BRAIN_CI_TOKEN)
const PORT = Number(process.env.PORT ?? 8000)

const log = (text) => console.log(`${new Date().toISOString()} ${process.pid} ${text}`)

/** Tells people what a rollout came to. */
const notify = ({ environment, commit, n, outcome }) => log(`notify ${environment}/${commit}/${n}: ${outcome}`)

const replica = new Replica(DATABASE, POLICY, notify)
const { brain } = replica
const verifiers = new Map(Object.entries(KEYS).map(([cluster, keys]) => [cluster, new Verifier(keys)]))
const stranger = new Verifier([randomBytes(32)]) // a key that nobody has

const app = express()
app.disable('x-powered-by')
app.use((_, response, next) => {
  response.set('X-Worker', String(process.pid))
  next()
})

// What Flux posts: 202 says that it is stored. Flux tries for 15 seconds, and takes neither a 204 nor a
// redirect for an answer. The signature is of the bytes as they came: nothing may parse them before.
app.post('/flux/:cluster', express.raw({ type: () => true, limit: '3mb' }), async (request, response) => {
  const { cluster } = request.params
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const signature = request.get('x-signature')
  // Refuses an unknown cluster in the same words as a known one does.
  if (!verifiers.has(cluster)) stranger.verify(signature, body)
  const fact = ingest(verifiers.get(cluster), cluster, signature, body)
  if (!(fact instanceof Fact)) response.json({ result: 'ignored', code: fact.code })
  else if (await replica.record(fact)) response.status(202).json({ result: 'accepted' })
  else response.json({ result: 'known' })
})

const rollouts = express.Router({ mergeParams: true })
app.use('/rollouts/:environment/:commit', checkToken, rollouts)

rollouts.put('/', express.json({ limit: '3mb' }), async (request, response) => {
  const { environment, commit } = request.params
  const { expect, timeout, labels, objects = [], ...unknown } = request.body ?? {}
  if (Object.keys(unknown).length > 0) throw new TypeError(`nobody knows ${Object.keys(unknown)}`)
  const registration = brain.registration(environment, commit, { expect, timeout, labels })
  // Commits as `git cat-file commit` prints them: they prove what descends from what.
  const commits = objects.map((object) => Buffer.from(object, 'base64'))
  if (commits.length > 0) await replica.record(new Fact(Ancestry.fromObjects(commits)))
  await replica.record(new Fact(registration))
  response.json(brain.status(environment, commit))
})

// Where a rollout stands: with `wait`, as soon as it is settled; with `since`, at any change.
rollouts.get('/', async (request, response) => {
  const { environment, commit } = request.params
  const { wait = '0', since } = request.query
  const seconds = Number(wait)
  if (!(seconds >= 0 && seconds <= 300)) throw new TypeError('wait must be 0 to 300 seconds')
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  await replica.catchUp()
  try {
    const options = { timeout: seconds * 1000, signal: gone.signal, since }
    response.json(await brain.wait(environment, commit, options))
  } catch (error) {
    // Nobody is there to be answered.
    if (!gone.signal.aborted) throw error
  }
})

app.use((_, response) => response.status(404).json({ code: 'route.unknown' }))

app.use((error, _request, response, _next) => {
  if (error instanceof GitopsBrainError) {
    response.status(statusOf(error)).json({ code: error.code, message: error.message })
  } else if (error instanceof TypeError || error instanceof RangeError) {
    response.status(400).json({ code: 'request.malformed', message: error.message })
  } else if (error.code?.startsWith('SQLITE_')) {
    log(`the journal does not answer: ${error.message}`)
    response.status(503).set('Retry-After', '2').json({ code: 'store.unavailable' }) // Flux and CI try again
  } else {
    if (error.status === undefined) log(error.stack)
    response.status(error.status ?? 500).json({ code: 'request.refused' })
  }
})

/** The errors that are not the sender's, whose status is 400. */
function statusOf(error) {
  if (error instanceof SignatureError) return 401
  if (error instanceof QueryError) return error.code.endsWith('.unknown') ? 404 : 400
  return error instanceof FactError ? 503 : 400
}

function checkToken(request, response, next) {
  const token = /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? ''
  if (timingSafeEqual(digest(token), CI_TOKEN)) return next()
  response.status(401).set('WWW-Authenticate', 'Bearer').json({ code: 'token.unknown' })
}

/** Of one length, whatever the text: so comparing takes as long for each. */
function digest(text) {
  return createHash('sha256').update(text).digest()
}

/** A worker that no longer follows the journal must not go on answering. */
function fail(error) {
  log(`this worker stops: ${error.stack}`)
  process.exit(78)
}

await replica.start(fail).catch(fail)
const server = app.listen(PORT, '127.0.0.1', (error) => (error ? fail(error) : log(`listening on port ${PORT}`)))
server.keepAliveTimeout = 60_000
process.on('SIGTERM', () => {
  server.close(() => {
    replica.stop()
    process.exit(0)
  })
  server.closeIdleConnections()
  // Who waits for a status would hold it up.
  setTimeout(() => server.closeAllConnections(), 5000).unref()
})
