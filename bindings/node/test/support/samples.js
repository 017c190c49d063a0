'use strict'

// What the tests of single subjects talk about: one environment with one reconciler, and its events.

const { Brain, Fact, observe } = require('./package.js')

const APPS = 'staging/Kustomization/flux-system/apps'
const WEB = 'staging/Kustomization/flux-system/web'
const COMMIT = '5394cb7f48332b2de7c17dd8b8384bbc84b7e738'
const KEY = 'the key that the cluster signs with'

/** A commit for each number. */
const commit = (number) => number.toString(16).padStart(40, 'c')

/** A time so many seconds after a fixed one. */
const time = (seconds) => new Date(Date.UTC(2026, 10, 23, 12) + seconds * 1_000)

const policy = Object.freeze({ environments: { staging: { reconcilers: [APPS] } } })

const kinds = {
  applying: { message: 'Deployment/apps/web configured' },
  healthy: { message: 'Health check passed in 5s' },
  failed: {
    severity: 'error',
    reason: 'HealthCheckFailed',
    message: "health check failed after 1m0s: timeout waiting for: [Deployment/apps/web status: 'InProgress']",
  },
  succeeded: {
    reason: 'ReconciliationSucceeded',
    message: 'Reconciliation finished in 1s, next run in 10m0s',
    more: { 'kustomize.toolkit.fluxcd.io/commit_status': 'update' },
  },
}

/** The body of an event about the reconciler `apps`, or about another. */
function event(what = 'healthy', { of = COMMIT, name = 'apps', at = time(0), ...fields } = {}) {
  const { more, ...said } = kinds[what]
  return JSON.stringify({
    involvedObject: {
      kind: 'Kustomization',
      namespace: 'flux-system',
      name,
      uid: '7d0cdc51-ddcf-4743-b223-83ca5c699632',
      apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
      resourceVersion: '1001',
    },
    severity: 'info',
    timestamp: at.toISOString(),
    reason: 'Progressing',
    ...said,
    metadata: { 'kustomize.toolkit.fluxcd.io/revision': `main@sha1:${of}`, ...more },
    reportingController: 'kustomize-controller',
    reportingInstance: 'kustomize-controller-7c7b47f5f-8bhrp',
    ...fields,
  })
}

/** The fact of such an event that arrives when it is made. */
const observed = (what, fields = {}) => observe('staging', event(what, fields), fields.at ?? time(0))

/** The fact that CI wants to know of a commit. */
function registered(brain, { of = COMMIT, at = time(0), environment = 'staging', ...options } = {}) {
  return new Fact(brain.registration(environment, of, options), at)
}

/** A brain that was told of one commit. */
function brainWith({ at = time(0), ...options } = {}) {
  const brain = new Brain(policy)
  brain.apply(registered(brain, { at, ...options }), at)
  return brain
}

/** What `git cat-file commit` prints. */
const commitObject = (parents = [], message = 'root') =>
  [
    'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904',
    ...parents.map((parent) => `parent ${parent}`),
    'author A Uthor <a@example.org> 1700000000 +0100',
    'committer C Ommitter <c@example.org> 1700000000 +0100',
    '',
    `${message}\n`,
  ].join('\n')
const ROOT = 'edaa5f86ebf507f692e5a3373a860c75791ca7ac'

/** Whether a value and all that it holds are frozen; dates and buffers cannot be. */
function isDeeplyFrozen(value) {
  if (typeof value !== 'object' || value === null || value instanceof Date) return true
  return Object.isFrozen(value) && Reflect.ownKeys(value).every((key) => isDeeplyFrozen(value[key]))
}

module.exports = {
  APPS,
  COMMIT,
  KEY,
  ROOT,
  WEB,
  brainWith,
  commit,
  commitObject,
  event,
  isDeeplyFrozen,
  observed,
  policy,
  registered,
  time,
}
