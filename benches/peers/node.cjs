// What a platform team would write in Node instead of using gitops-brain, beside gitops-brain itself. Both
// do the same work for each request: verify the signature, parse the body, take the commit out of the
// revision, and keep the newest state of each reconciler at each commit.
//
// usage: node.cjs EVENTS CONTENDER; prints JSON: nanoseconds per event of each round.

const { createHmac, timingSafeEqual } = require('node:crypto')
const { readFileSync } = require('node:fs')
const { Brain, Verifier, ingest } = require('gitops-brain')

const key = '7152fed34dd6149a7c75a276c510da27cb6f82b0'
const rounds = 15
const warmUp = 3
const revisionForm = /^(?:.*[@/])?(?:sha1:)?([0-9a-f]{40})$/
const states = { Progressing: 'applied', ReconciliationSucceeded: 'healthy' }

function byHand(requests) {
  const state = new Map()
  for (const { signature, body } of requests) {
    const expected = createHmac('sha256', key).update(body).digest()
    const told = Buffer.from(signature.slice(7), 'hex')
    if (!signature.startsWith('sha256=') || told.length !== 32 || !timingSafeEqual(expected, told)) {
      throw new Error('signature')
    }
    const event = JSON.parse(body)
    const { kind, namespace = '', name, apiVersion = '', resourceVersion = '0' } = event.involvedObject
    const revision = event.metadata?.revision ?? event.metadata?.[`${apiVersion.split('/')[0]}/revision`]
    const commit = revision && revisionForm.exec(revision)?.[1]
    if (!commit) continue
    const timestamp = Date.parse(event.timestamp)
    if (!(timestamp - Date.now() < 600_000)) throw new Error('from the future')
    let reached = event.severity === 'error' ? 'failed' : (states[event.reason] ?? 'pending')
    if (event.message.startsWith('Health check passed')) reached = 'healthy'
    const version = Number(resourceVersion)
    const reconciler = `staging/${kind}/${namespace}/${name}`
    let commits = state.get(reconciler)
    if (commits === undefined) state.set(reconciler, (commits = new Map()))
    const known = commits.get(commit)
    if (known === undefined || known.timestamp < timestamp || (known.timestamp === timestamp && known.version < version)) {
      commits.set(commit, { timestamp, version, reached })
    }
  }
  return () => [...state.values()].reduce((kept, commits) => kept + commits.size, 0)
}

/** gitops-brain, in the two calls between which a host stores the fact. */
function ours(requests) {
  const verifier = new Verifier([key])
  const brain = new Brain()
  for (const { signature, body } of requests) {
    brain.apply(ingest(verifier, 'staging', signature, body))
  }
  return () => 100 * brain.reconcilers().length
}

/** Each returns how to count the states that it kept, when the clock has stopped. */
const contenders = { 'gitops-brain': ours, 'crypto + JSON.parse + Map': byHand }

const [, , file, name] = process.argv
const requests = JSON.parse(readFileSync(file, 'utf8')).map(({ signature, body }) => ({
  signature,
  body: Buffer.from(body),
}))
const measured = []
for (let round = -warmUp; round < rounds; round++) {
  const start = process.hrtime.bigint()
  const count = contenders[name](requests)
  const each = Number(process.hrtime.bigint() - start) / requests.length
  if (count() !== requests.length) throw new Error(name)
  if (round >= 0) measured.push(each)
}
console.log(JSON.stringify(measured))
