// The types, as ESM sees them: this is compiled, and never called.
//
// Where something is refused, the comment above it fails the build if it is not. Nothing here is more than
// types when Node strips them: newer releases run every file of a folder `test`.

import {
  Ancestry,
  Brain,
  CommitObject,
  ConfigError,
  Event,
  Fact,
  FactError,
  GitopsBrainError,
  ParseError,
  QueryError,
  Revision,
  RevisionError,
  SignatureError,
  VERSION,
  Verifier,
  ingest,
  observe,
  sign,
  type Asked,
  type Bytes,
  type ChangedObject,
  type Changed,
  type ClusterReport,
  type Duration,
  type Effects,
  type Environment,
  type EventSummary,
  type FactBody,
  type Forgotten,
  type HealthChecks,
  type HealthChecksStatus,
  type Ignored,
  type InvolvedObject,
  type Now,
  type Observation,
  type Outcome,
  type Policy,
  type PolicyInPlace,
  type Position,
  type Proof,
  type Reason,
  type ReconcilerReport,
  type ReconcilerStatus,
  type Registration,
  type Removed,
  type Require,
  type Settlement,
  type Severity,
  type Standing,
  type State,
  type Status,
  type TimelineEntry,
  type Transition,
  type Verdict,
  type WaitOptions,
} from 'gitops-brain'

/** Whether two types are the same, `readonly` and `any` included. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles if and only if its argument is true. */
function check<T extends true>(): T | void {}

export function unions() {
  check<Same<State, 'pending' | 'applied' | 'healthy' | 'failed'>>()
  check<Same<Outcome, 'in_progress' | 'succeeded' | 'failed' | 'timed_out'>>()
  check<Same<Require, 'applied' | 'healthy'>>()
  check<Same<HealthChecks, 'enabled' | 'disabled' | 'inferred'>>()
  check<Same<Verdict, 'checks' | 'does_not_check' | 'unknown'>>()
  check<Same<Severity, 'trace' | 'info' | 'error'>>()
  check<Same<Changed, 'nothing' | 'last_heard' | 'knowledge'>>()
  check<Same<Proof, 'blocked' | 'interrupted' | 'applying' | 'failed' | 'health_checked' | 'succeeded' | 'deleted'>>()
  check<Same<Bytes, Uint8Array | string>>()
  check<Same<Duration, number | string>>()
  check<Same<FactBody['type'], 'observed' | 'registered' | 'ancestry' | 'settled' | 'removed' | 'forgotten'>>()
  check<Same<ChangedObject['change'], 'created' | 'configured' | 'deleted'>>()
  check<
    Same<
      Extract<Reason, 'never_heard' | 'learning' | 'timed_out' | 'succeeded'>,
      'never_heard' | 'learning' | 'timed_out' | 'succeeded'
    >
  >()
  // @ts-expect-error: there is no such state
  const state: State = 'alive'
  // @ts-expect-error: a reason is one of a few
  const reason: Reason = 'because'
  return [state, reason]
}

export function requests(header: string | undefined, body: Buffer) {
  const verifier = new Verifier(['new', Buffer.from('old'), new Uint8Array(3)])
  new Verifier(new Set(['key']))
  // @ts-expect-error: one key is not a list of keys
  new Verifier(Buffer.from('key'))
  // @ts-expect-error: there must be keys
  new Verifier()
  const place: number = verifier.verify(header, body)
  verifier.verify(null, new Uint8Array(3))
  // @ts-expect-error: a header may be missing, but must be passed
  verifier.verify(body)
  // @ts-expect-error: bytes are no list of numbers
  verifier.verify(header, [1, 2, 3])

  const signature: string = sign('key', body)
  check<Same<ReturnType<typeof sign>, string>>()
  // @ts-expect-error: a key is no number
  sign(5, body)

  const taken = ingest(verifier, 'staging', header, body, new Date())
  check<Same<typeof taken, Fact | Ignored>>()
  ingest(verifier, 'staging', null, 'a body')
  // @ts-expect-error: keys are no verifier
  ingest(['key'], 'staging', header, body)
  // @ts-expect-error: a time is a Date
  ingest(verifier, 'staging', header, body, Date.now())
  // @ts-expect-error: what was ignored has no body
  taken.body
  if (taken instanceof Fact) check<Same<typeof taken.body, FactBody>>()
  else check<Same<typeof taken, Ignored>>()
  const ignored: Ignored = { code: 'event.kind_ignored', message: 'x' }

  check<Same<ReturnType<typeof observe>, Fact | Ignored>>()
  observe('staging', body)
  // @ts-expect-error: the cluster comes first
  observe(body, 'staging')
  return [place, signature, ignored]
}

export function facts(registration: Registration, settlement: Settlement) {
  const fact = new Fact(registration)
  new Fact(settlement, new Date())
  new Fact({ type: 'removed', reconciler: 'a/b/c/d' })
  new Fact({ type: 'forgotten', before: new Date() })
  new Fact({ type: 'ancestry', parents: [{ commit: 'a', parents: [] }] })
  new Fact({ type: 'ancestry', contains: [{ commit: 'a', ancestors: ['b'] }] })
  new Fact({ type: 'settled', environment: 'staging', commit: 'a', n: 0, outcome: 'failed' })
  // @ts-expect-error: a fact cannot be removed and forgotten
  new Fact({ type: 'removed', before: new Date() })
  // @ts-expect-error: a field that no fact has
  new Fact({ type: 'removed', reconciler: 'a/b/c/d', reason: 'gone' })
  // @ts-expect-error: there is no such type
  new Fact({ type: 'heard' })
  // @ts-expect-error: a time is a Date
  new Fact({ type: 'forgotten', before: '2026-11-23T12:00:00Z' })
  // @ts-expect-error: there is no such outcome
  new Fact({ type: 'settled', environment: 'staging', commit: 'a', n: 0, outcome: 'lost' })

  const line: string = fact.toLine()
  check<Same<ReturnType<typeof Fact.fromLine>, Fact>>()
  Fact.fromLine(Buffer.from(line))
  // @ts-expect-error: a line is no object
  Fact.fromLine({})
  check<Same<Fact['at'], Date>>()
  check<Same<Fact['id'], Buffer>>()
  check<Same<Fact['v'], number>>()
  check<Same<ReturnType<Fact['toJSON']>, unknown>>()
  // @ts-expect-error: a fact does not change
  fact.at = new Date()

  const { body } = fact
  // @ts-expect-error: only observations have objects
  body.object
  switch (body.type) {
    case 'observed': {
      check<Same<typeof body, Observation>>()
      // @ts-expect-error: an observation comes from an event
      new Fact(body)
      check<Same<typeof body.resourceVersion, string>>()
      check<Same<typeof body.timestamp, Date>>()
      check<Same<typeof body.proof, Proof | null>>()
      check<Same<typeof body.changedObjects, readonly ChangedObject[]>>()
      break
    }
    case 'registered':
      check<Same<typeof body, Registration>>()
      check<Same<typeof body.timeout, number>>()
      check<Same<typeof body.labels, Readonly<Record<string, string>>>>()
      // @ts-expect-error: what comes out is frozen
      body.labels['app'] = 'shop'
      // @ts-expect-error: what comes out is frozen
      body.expect.push('a/b/c/d')
      break
    case 'ancestry':
      check<Same<typeof body, Ancestry>>()
      break
    case 'settled':
      check<Same<typeof body, Settlement>>()
      break
    case 'removed':
      check<Same<typeof body, Removed>>()
      break
    case 'forgotten':
      check<Same<typeof body, Forgotten>>()
      check<Same<typeof body.before, Date>>()
      break
    default:
      check<Same<typeof body, never>>()
  }

  const proved = Ancestry.fromObjects(['tree', Buffer.from('tree')])
  check<Same<typeof proved, Required<Ancestry>>>()
  check<Same<typeof proved.parents, readonly { readonly commit: string; readonly parents: readonly string[] }[]>>()
  // @ts-expect-error: one object is not a list of them
  Ancestry.fromObjects(Buffer.from('tree'))
  return new Fact(proved)
}

export function parsed(body: Uint8Array) {
  const event = Event.parse(body)
  check<Same<typeof event, Event>>()
  check<Same<Event['involvedObject'], InvolvedObject>>()
  check<Same<Event['severity'], Severity>>()
  check<Same<Event['timestamp'], Date>>()
  check<Same<Event['metadata'], Readonly<Record<string, string>>>>()
  check<Same<ReturnType<Event['lookup']>, string | null>>()
  check<Same<InvolvedObject['resourceVersion'], string>>()
  // @ts-expect-error: an event is parsed
  new Event()
  // @ts-expect-error: an event does not change
  event.reason = 'x'

  const revision = Revision.parse('1.2.3')
  check<Same<Revision['commit'], string | null>>()
  check<Same<Revision['text'], string>>()
  const text: string = `${revision}`
  // @ts-expect-error: a revision is a text
  Revision.parse(body)
  // @ts-expect-error: a revision is parsed
  new Revision()

  const object = CommitObject.parse(body)
  check<Same<CommitObject['parents'], readonly string[]>>()
  // @ts-expect-error: a commit object is parsed
  new CommitObject()
  const version: string = VERSION
  return [text, object.id, version]
}

export function policies() {
  const policy: Policy = {
    environments: {
      staging: {
        reconcilers: ['a/b/c/d'],
        require: 'applied',
        healthChecks: 'enabled',
        timeout: 60_000,
        failureGrace: '1m',
        transientGrace: 0,
        learning: '10m',
      },
      production: {},
    },
    reconcilers: { 'a/b/c/*': { healthChecks: 'disabled' } },
  }
  const brain = new Brain(policy)
  new Brain()
  new Brain({})
  // @ts-expect-error: there is no such field
  new Brain({ environments: { staging: { timout: '1m' } } })
  // @ts-expect-error: there is no such requirement
  new Brain({ environments: { staging: { require: 'alive' } } })
  // @ts-expect-error: a list of names
  new Brain({ environments: { staging: { reconcilers: 'a/b/c/d' } } })
  const environment: Environment = { timeout: 5 }
  // @ts-expect-error: what is declared is not changed
  environment.timeout = 6

  check<Same<Brain['policy'], PolicyInPlace>>()
  const inPlace = brain.policy.environments['staging']
  // @ts-expect-error: it may not be declared
  inPlace.timeout
  if (inPlace !== undefined) {
    check<Same<typeof inPlace.timeout, number>>()
    check<Same<typeof inPlace.healthChecks, HealthChecks>>()
    check<Same<typeof inPlace.reconcilers, readonly string[]>>()
  }
  // @ts-expect-error: it is put in place by a method
  brain.policy = policy
  // What is in place can be put in place.
  const effects: Effects = brain.setPolicy(brain.policy, { now: new Date() })
  // @ts-expect-error: there must be a policy
  brain.setPolicy()
  return effects
}

export async function changes(brain: Brain, fact: Fact) {
  const effects = brain.apply(fact, new Date())
  check<Same<typeof effects, Effects>>()
  check<Same<Effects['changed'], Changed>>()
  check<Same<Effects['transitions'], readonly Transition[]>>()
  check<Same<Effects['woken'], readonly number[]>>()
  for (const transition of effects.transitions) {
    check<Same<typeof transition.at, Date>>()
    check<Same<typeof transition.from, Standing>>()
    check<Same<typeof transition.cause, string | null>>()
    check<Same<typeof transition.settlement, Settlement | null>>()
    // @ts-expect-error: there may be nothing to record
    new Fact(transition.settlement)
    if (transition.settlement !== null) brain.apply(new Fact(transition.settlement, transition.at))
  }
  // @ts-expect-error: what comes out is frozen
  effects.transitions.pop()
  // @ts-expect-error: a line is no fact
  brain.apply(fact.toLine())
  // @ts-expect-error: what may be ignored is no fact yet
  brain.apply(observe('staging', ''))
  // @ts-expect-error: the time comes by itself
  brain.apply(fact, { now: new Date() })

  check<Same<ReturnType<Brain['preview']>, Changed>>()
  check<Same<ReturnType<Brain['load']>, Promise<void>>>()
  await brain.load('a line')
  await brain.load(Buffer.from('a line'))
  await brain.load([fact])
  // @ts-expect-error: lines come in one text
  await brain.load(['a line'])
  check<Same<ReturnType<Brain['applyMany']>, Promise<Effects>>>()
  await brain.applyMany(new Set([fact]), { cluster: 'staging', now: new Date() })
  await brain.applyMany('a line', { cluster: undefined, now: undefined })
  // @ts-expect-error: the cluster is a name
  await brain.applyMany('a line', { cluster: 5 })
  check<Same<ReturnType<Brain['merge']>, Effects>>()
  brain.merge(brain, { now: new Date() })
  // @ts-expect-error: facts are no brain
  brain.merge([fact])
  check<Same<ReturnType<Brain['facts']>, Fact[]>>()
  check<Same<ReturnType<Brain['unrecorded']>, readonly Settlement[]>>()
  check<Same<ReturnType<Brain['equals']>, boolean>>()

  check<Same<ReturnType<Brain['expire']>, Effects>>()
  brain.expire({ now: new Date() })
  // @ts-expect-error: the time has a name
  brain.expire(new Date())
  check<Same<ReturnType<Brain['nextDeadline']>, Date | null>>()
  const stop = brain.expireAtDeadlines(({ transitions }) => check<Same<typeof transitions, readonly Transition[]>>())
  check<Same<typeof stop, () => void>>()
  // @ts-expect-error: there must be a function
  brain.expireAtDeadlines()
}

export async function questions(brain: Brain, signal: AbortSignal) {
  const status = brain.status('staging', 'a', {
    require: 'applied',
    reconcilers: new Set(['a/b/c/d']),
    failureGrace: '1m',
    now: new Date(),
  })
  check<Same<typeof status, Status>>()
  check<Same<Status['state'], State>>()
  check<Same<Status['outcome'], Outcome>>()
  check<Same<Status['reason'], Reason>>()
  check<Same<Status['require'], Require>>()
  check<Same<Status['settled'], boolean>>()
  check<Same<Status['live'], boolean | null>>()
  check<Same<Status['evaluatedAt'], Date>>()
  check<Same<Status['deadlineAt'], Date | null>>()
  check<Same<Status['timeoutSeconds'], number | null>>()
  check<Same<Status['firstSettled'], { readonly outcome: Outcome; readonly at: Date } | null>>()
  check<Same<Status['labels'], Readonly<Record<string, string>>>>()
  check<Same<Status['reconcilers'], readonly ReconcilerStatus[]>>()
  check<Same<Status['timeline'], readonly TimelineEntry[]>>()
  check<Same<ReconcilerStatus['healthChecks'], HealthChecksStatus>>()
  check<Same<ReconcilerStatus['healthyAt'], Date | null>>()
  check<Same<ReconcilerStatus['event'], EventSummary | null>>()
  check<Same<ReconcilerReport['commit'], string | null>>()
  check<Same<ClusterReport['lastHeardAt'], Date>>()
  // @ts-expect-error: what comes out is frozen
  status.state = 'healthy'
  // @ts-expect-error: a label may be missing
  const label: string = status.labels['app']
  // @ts-expect-error: there is no such state
  if (status.state === 'alive') return label
  // @ts-expect-error: options have names
  brain.status('staging', 'a', new Date())
  // @ts-expect-error: there is no such option
  brain.status('staging', 'a', { failure_grace: '1m' })
  // @ts-expect-error: names come in a list
  brain.status('staging', 'a', { reconcilers: 5 })
  const asked: Asked & Now = { require: undefined, reconcilers: undefined, failureGrace: undefined, now: undefined }
  brain.status('staging', 'a', asked)

  check<Same<ReturnType<Brain['statuses']>, readonly Status[]>>()
  brain.statuses('a', { now: new Date() })
  const page = brain.rollouts({ environment: 'staging', outcome: 'failed', labels: { app: 'shop' }, limit: 10 })
  check<Same<typeof page, readonly Status[]>>()
  brain.rollouts({ after: page.at(-1), now: new Date() })
  const position: Position = status
  brain.rollouts({ after: { registeredAt: new Date(), environment: 'staging', commit: 'a' } })
  // @ts-expect-error: there is no such outcome
  brain.rollouts({ outcome: 'lost' })
  // @ts-expect-error: a place has three parts
  brain.rollouts({ after: { commit: 'a' } })
  check<Same<ReturnType<Brain['reconcilers']>, readonly ReconcilerReport[]>>()
  brain.reconcilers({ environment: 'staging', cluster: 'a' })
  // @ts-expect-error: there is no such option
  brain.reconcilers({ now: new Date() })
  check<Same<ReturnType<Brain['clusters']>, readonly ClusterReport[]>>()
  check<Same<ReturnType<Brain['resolve']>, string>>()

  const registration = brain.registration('staging', 'a', {
    expect: ['a/b/c/d'],
    require: 'healthy',
    timeout: 60_000,
    labels: { app: 'shop' },
  })
  check<Same<typeof registration, Registration>>()
  new Fact(brain.registration('staging', 'a'))
  // @ts-expect-error: labels are texts
  brain.registration('staging', 'a', { labels: { number: 5 } })

  const options: WaitOptions = { timeout: '30m', since: status.version, signal, require: 'applied' }
  const waited = brain.wait('staging', 'a', options)
  check<Same<typeof waited, Promise<Status>>>()
  // @ts-expect-error: a controller is not its signal
  await brain.wait('staging', 'a', { signal: new AbortController() })
  // @ts-expect-error: the time of a wait is the clock of the process
  await brain.wait('staging', 'a', { now: new Date() })
  return [await waited, position, registration]
}

export function errors(error: unknown) {
  if (error instanceof ParseError || error instanceof FactError) {
    const { code, line, column, offset, path } = error
    check<Same<typeof code, string>>()
    check<Same<typeof line, number>>()
    check<Same<typeof path, string>>()
    return [column, offset, error.message]
  }
  if (error instanceof SignatureError || error instanceof ConfigError || error instanceof QueryError) {
    // @ts-expect-error: only what is read has places
    return error.line
  }
  if (error instanceof RevisionError) {
    // @ts-expect-error: an error does not change
    error.code = 'x'
  }
  return error instanceof GitopsBrainError ? error.code : new GitopsBrainError('x', 'a.code')
}
