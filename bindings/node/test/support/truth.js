'use strict'

// What an API server knew: no `healthy` may be told that it does not support.

const { Revision, RevisionError } = require('./package.js')
const { outcome } = require('./compare.js')
const { Unreadable, boolean, list, map, nullable, objectName, optional, record, string, time } = require('./read.js')

const shape = record({
  id: string,
  why: string,
  scenario: string,
  truth: record({
    objects: map(
      objectName,
      map(
        string,
        list(
          record({
            at: time,
            applied: optional(nullable(string), null),
            ready: optional(nullable(string), null),
            waits: boolean,
          }),
        ),
      ),
    ),
  }),
})

/** A health check is told a moment before the API server has the status. */
const SLACK = 2_000

/** Every version of the Kustomizations of one captured scenario. */
class Truth {
  constructor(value) {
    const { scenario, truth } = shape(value, 'the case')
    const versions = Object.values(truth.objects).flatMap(Object.values)
    if (versions.every(({ length }) => length === 0)) throw new Unreadable('no version of any object is known')
    /** The id of the scenario. */
    this.scenario = scenario
    this.objects = truth.objects
  }

  get reconcilers() {
    return Object.keys(this.objects)
  }

  /** All that a brain tells to be healthy, of these commits. */
  claims(brain, environment, commits, now) {
    return this.reconcilers.flatMap((reconciler) =>
      commits.flatMap((commit) => {
        const { reconcilers } = brain.status(environment, commit, { reconcilers: [reconciler], now })
        const healthy = reconcilers.filter(({ state }) => state === 'healthy')
        return healthy.map(({ via }) => ({ reconciler, commit, proved: via ?? commit }))
      }),
    )
  }

  /**
   * Whether an object of that name had the commit applied and was ready, while it waited for health, at
   * a time or before.
   */
  supports({ reconciler, proved }, uids, until) {
    const versions = Object.entries(this.objects[reconciler] ?? {})
      .filter(([uid]) => uids.has(uid))
      .flatMap(([, versions]) => versions)
    return versions.some(
      ({ at, waits, ready, applied }) =>
        at.getTime() <= until.getTime() + SLACK && waits && ready === 'True' && names(applied, proved),
    )
  }
}

const names = (revision, commit) =>
  revision !== null && outcome([RevisionError], () => Revision.parse(revision)).commit === commit

/** The uids under which a reconciler was heard of, and the newest time at which it was. */
function heard(facts, reconciler) {
  const events = facts.filter(({ body }) => body.type === 'observed' && body.object === reconciler)
  const times = events.map(({ at }) => at.getTime())
  return {
    uids: new Set(events.map(({ body }) => body.uid)),
    newest: times.length === 0 ? null : new Date(Math.max(...times)),
  }
}

/** All commits that facts name. */
function commitsOf(facts) {
  const named = facts.flatMap(({ body }) => {
    if (body.type === 'observed') return body.commit ?? []
    if (body.type === 'registered') return body.commit
    return body.type === 'ancestry' ? body.parents.map(({ commit }) => commit) : []
  })
  return [...new Set(named)].sort()
}

/** The claims of a brain that took in these facts; one that is not true is an error. */
function check(truth, brain, facts) {
  if (facts.length === 0) return []
  const now = new Date(Math.max(...facts.map(({ at }) => at.getTime())))
  const claims = truth.claims(brain, 'captured', commitsOf(facts), now)
  for (const claim of claims) {
    const { uids, newest } = heard(facts, claim.reconciler)
    if (!truth.supports(claim, uids, newest)) {
      const { reconciler, proved, commit } = claim
      const at = now.toISOString()
      throw new Error(`${truth.scenario} at ${at}: ${reconciler} is not healthy at ${proved} (for ${commit})`)
    }
  }
  return claims
}

module.exports = { Truth, check, commitsOf, heard }
