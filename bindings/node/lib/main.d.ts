/// <reference types="node" />

/**
 * Is my commit live and healthy in that environment: yes, no, or not yet, and why?
 *
 * Flux's notification-controller posts its events; {@link ingest} verifies and reads one;
 * {@link Brain.apply} takes it in; {@link Brain.status} and {@link Brain.wait} answer.
 *
 * Commits are 40 or 64 lower-case hexadecimal digits, reconcilers are `cluster/Kind/namespace/name`.
 * Values that come out are frozen. Errors are {@link GitopsBrainError}, each with a stable `code`; a wrong
 * type is a TypeError.
 */

/** Bytes, or a string whose bytes are those of UTF-8. */
export type Bytes = Uint8Array | string

/** Milliseconds, or text as Flux writes it: `30s`, `15m`, `1h30m`. */
export type Duration = number | string

/** How far a commit has come; `failed` for now: Flux tries again. */
export type State = 'pending' | 'applied' | 'healthy' | 'failed'

/** What CI acts on. */
export type Outcome = 'in_progress' | 'succeeded' | 'failed' | 'timed_out'

/** Why a state is what it is. Flux's own words stand under {@link ReconcilerStatus.event}. */
export type Reason =
  | 'waiting'
  | 'never_heard'
  | 'blocked'
  | 'applying'
  | 'checking_health'
  | 'interrupted'
  | 'health_unproved'
  | 'not_checked'
  | 'rolled_back'
  | 'diverged'
  | 'deleted'
  | 'ancestry_unknown'
  | 'no_commit'
  | 'learning'
  | 'no_match_yet'
  | 'no_reconciler'
  | 'source_trouble'
  | 'failed'
  | 'timed_out'
  | 'succeeded'

/** Which state a rollout must reach to have succeeded. */
export type Require = 'applied' | 'healthy'

/** Whether a reconciler waits for the health of what it applies, as declared. */
export type HealthChecks = 'enabled' | 'disabled' | 'inferred'

/** Whether a reconciler waits for the health of what it applies, as it turned out. */
export type Verdict = 'checks' | 'does_not_check' | 'unknown'

export type Severity = 'trace' | 'info' | 'error'

/** How much of a fact was new: nothing, that its sender is alive, or something that counts. */
export type Changed = 'nothing' | 'last_heard' | 'knowledge'

/** What an observation proves of a reconciler. */
export type Proof =
  | 'blocked'
  | 'interrupted'
  | 'applying'
  | 'failed'
  | 'health_checked'
  | 'succeeded'
  | 'deleted'

// Statuses

/** What is known of a reconciler's health checks. */
export interface HealthChecksStatus {
  /** What the operator declared. */
  readonly policy: HealthChecks
  /** What follows from that and from its events. */
  readonly verdict: Verdict
}

/** An event in Flux's own words. */
export interface EventSummary {
  readonly severity: Severity
  readonly reason: string
  /** Empty where it is no longer kept. */
  readonly message: string
  /** When the controller made it. */
  readonly at: Date
}

/** Where one reconciler stands with a commit. */
export interface ReconcilerStatus {
  readonly reconciler: string
  readonly state: State
  readonly reason: Reason
  /** The reason in a sentence. */
  readonly message: string
  /** Whether the revision that it took up last contains the commit; null if that is not known. */
  readonly live: boolean | null
  /** The revision that it took up last, as Flux wrote it. */
  readonly head: string | null
  /** The later commit that decides, if it is not the commit itself. */
  readonly via: string | null
  readonly healthChecks: HealthChecksStatus
  /** When a source of its cluster first had the commit. */
  readonly seenAt: Date | null
  readonly appliedAt: Date | null
  readonly healthyAt: Date | null
  readonly failedAt: Date | null
  /** When anything was last heard of it, by the receiver's clock. */
  readonly lastHeardAt: Date | null
  /** Flux's own words on it. */
  readonly event: EventSummary | null
}

/** Something that happened first at a time. */
export interface TimelineEntry {
  readonly at: Date
  readonly state: State
  readonly reconciler: string
}

/** Where a rollout stands: a function of the facts, the policy and the time, and of nothing else. */
export interface Status {
  readonly environment: string
  readonly commit: string
  /** Whether CI asked for it. A commit that it did not ask for has a status too. */
  readonly registered: boolean
  /** What statuses are compared by: equal if and only if nothing that matters differs. */
  readonly version: string
  readonly evaluatedAt: Date
  /** `failed` if any expected reconciler failed; else the least of theirs. */
  readonly state: State
  readonly outcome: Outcome
  /** Whether those who wait have their answer. */
  readonly settled: boolean
  /** Whether what runs everywhere contains the commit; null if that is not known. */
  readonly live: boolean | null
  readonly require: Require
  readonly reason: Reason
  /** The reason in a sentence. */
  readonly message: string
  /** What somebody could do about it. */
  readonly remedy: string | null
  readonly registeredAt: Date | null
  readonly deadlineAt: Date | null
  readonly timeoutSeconds: number | null
  /** What it settled to first, and when. */
  readonly firstSettled: { readonly outcome: Outcome; readonly at: Date } | null
  readonly labels: Readonly<Record<string, string>>
  /** Each expected reconciler, by name. */
  readonly reconcilers: readonly ReconcilerStatus[]
  readonly timeline: readonly TimelineEntry[]
}

/** What is live in one reconciler. */
export interface ReconcilerReport {
  readonly reconciler: string
  /** The revision that it took up last, as Flux wrote it. */
  readonly head: string | null
  /** That revision's commit. */
  readonly commit: string | null
  readonly state: State
  readonly deleted: boolean
  /** Whether a person took it out of every expectation. */
  readonly removed: boolean
  readonly healthChecks: HealthChecksStatus
  readonly lastHeardAt: Date | null
  readonly event: EventSummary | null
}

/** What is known of a cluster. */
export interface ClusterReport {
  readonly cluster: string
  readonly firstHeardAt: Date
  readonly lastHeardAt: Date
  readonly reconcilers: number
  /** How often there was no room for another reconciler. */
  readonly refused: number
}

/** A rollout's place in the list of all, newest first. A registered rollout's {@link Status} is one. */
export interface Position {
  readonly registeredAt: Date | null
  readonly environment: string
  readonly commit: string
}

// Effects

/** A rollout's state and outcome. */
export interface Standing {
  readonly state: State
  readonly outcome: Outcome
}

/** A change of a rollout's state or outcome: handed out once, where it was made. */
export interface Transition {
  readonly environment: string
  readonly commit: string
  readonly at: Date
  /** The state and outcome before. */
  readonly from: Standing
  readonly to: Standing
  readonly reason: Reason
  readonly message: string
  /** The reconciler whose event made the change; null if time, ancestry or the policy did. */
  readonly cause: string | null
  /** How many times the outcome was settled before, as recorded. */
  readonly settlements: number
  /** What to record if the outcome has become final: notify from settlements, not from transitions. */
  readonly settlement: Settlement | null
}

/** What a call changed. */
export interface Effects {
  readonly changed: Changed
  /** The changes of current rollouts, in the order of environment and commit. */
  readonly transitions: readonly Transition[]
  /** The watches whose status changed. {@link Brain.wait} sees to them. */
  readonly woken: readonly number[]
}

/** Why an event was ignored: answer 200, and forget it. */
export interface Ignored {
  readonly code: string
  readonly message: string
}

// What facts say

/** A Flux object that a change list names, and what was done to it. */
export interface ChangedObject {
  readonly object: string
  readonly change: 'created' | 'configured' | 'deleted'
}

/** The source that an event's revision comes from. */
export interface RelatedObject {
  readonly object: string
  readonly uid: string
  /** Digits; 0 if the event has none. */
  readonly resourceVersion: string
}

/** What one event said about one Flux object. */
export interface Observation {
  readonly type: 'observed'
  readonly object: string
  readonly uid: string
  /** Digits; 0 if the event has none. */
  readonly resourceVersion: string
  readonly severity: Severity
  readonly reason: string
  /** What the controller was doing (event API v1); empty if the event does not tell. */
  readonly action: string
  /** The source of the revision (event API v1). */
  readonly relatedObject: RelatedObject | null
  readonly commitStatus: boolean
  /** Metadata `revision`, as it was sent. */
  readonly revision: string | null
  /** Metadata `originRevision`, as it was sent. */
  readonly originRevision: string | null
  /** Metadata `commit`, as it was sent. */
  readonly commitAnnotation: string | null
  /** Whether the chart came out of an OCI registry. */
  readonly chartFromOci: boolean
  readonly timestamp: Date
  readonly healthCheckPassed: boolean
  readonly createdOrConfigured: boolean
  readonly onlyDeletions: boolean
  readonly canceled: boolean
  readonly changedObjects: readonly ChangedObject[]
  readonly message: string
  /** What follows from it for the state of the reconciler, if anything. */
  readonly proof: Proof | null
  /** The commit that it is about. */
  readonly commit: string | null
  /** The revision that the controller itself wrote. */
  readonly revisionText: string | null
}

/** CI's word that it wants to know about a rollout. {@link Brain.registration} makes one. */
export interface Registration {
  readonly type: 'registered'
  readonly environment: string
  readonly commit: string
  readonly expect: readonly string[]
  /** Whether all of the cluster that is called like the environment is expected too: where none is declared. */
  readonly wholeCluster: boolean
  readonly require: Require
  readonly timeout: number
  readonly failureGrace: number
  readonly transientGrace: number
  readonly learning: number
  readonly labels: Readonly<Record<string, string>>
}

/** How commits descend from each other: claimed, or proved by commit objects. */
export interface Ancestry {
  readonly type: 'ancestry'
  /** All parents of commits; none for a root. */
  readonly parents?: readonly { readonly commit: string; readonly parents: readonly string[] }[]
  /** Some ancestors of commits. */
  readonly contains?: readonly { readonly commit: string; readonly ancestors: readonly string[] }[]
}

export const Ancestry: {
  /** What raw commit objects prove, as `git cat-file commit <id>` prints them. Throws {@link ParseError}. */
  fromObjects(objects: Iterable<Bytes>): Required<Ancestry>
}

/** A rollout's outcome became final. Unique by environment, commit and n; the fact's `at` is when. */
export interface Settlement {
  readonly type: 'settled'
  readonly environment: string
  readonly commit: string
  /** How many settlements of this rollout came before. */
  readonly n: number
  readonly outcome: Outcome
}

/** A person acknowledged that a reconciler is gone for good. */
export interface Removed {
  readonly type: 'removed'
  readonly reconciler: string
}

/** What is older, and no longer needed, is forgotten. */
export interface Forgotten {
  readonly type: 'forgotten'
  readonly before: Date
}

/** What a fact can say. */
export type FactBody = Observation | Registration | Ancestry | Settlement | Removed | Forgotten

/**
 * Something that was learned, and when: to be stored, and applied. Facts can be applied more than once and
 * in any order: the brain is the same. A fact crosses processes and languages as one line of JSON.
 */
export class Fact {
  /**
   * `at`: when it was taken in, now by default. Observations come from {@link ingest} and {@link observe}.
   * Throws {@link FactError} if something in the body is malformed.
   */
  constructor(body: Exclude<FactBody, Observation>, at?: Date)
  /**
   * Reads a fact from its line of JSON. Throws {@link FactError}: with the code `fact.newer_version` if a
   * newer release wrote it (stop rather than skip it), else `fact.malformed`.
   */
  static fromLine(line: Bytes): Fact
  /** The fact as one line of JSON, without a line break: what a journal stores. */
  toLine(): string
  /** The fact's line, parsed. */
  toJSON(): unknown
  /** The version of the format. */
  readonly v: number
  /** The receiver's clock when the fact was taken in. */
  readonly at: Date
  /** 16 bytes, for a journal's unique key: the same content has the same id whenever it was taken in. */
  readonly id: Buffer
  /** What was learned. */
  readonly body: FactBody
}

// Requests

/** The keys with which one cluster signs its events. */
export class Verifier {
  /** `keys`: two while a key is rotated. Throws {@link ConfigError} if there is none, or an empty one. */
  constructor(keys: Iterable<Bytes>)
  /**
   * Checks the value of the header `X-Signature` against the body, byte for byte as it came, and returns
   * the place of the key in the list of keys. Throws {@link SignatureError}.
   */
  verify(header: Bytes | null | undefined, body: Bytes): number
}

/** The value of the header `X-Signature` that Flux would send with a body: `sha256=<64 hex digits>`. */
export function sign(key: Bytes, body: Bytes): string

/**
 * Verifies a request's signature, parses its body, and takes out what counts.
 *
 * `cluster`: the name that you give to the cluster. `header`: the value of `X-Signature`. `body`: the
 * request's body byte for byte, not to be changed afterwards. `at`: the receiver's clock, now by default.
 *
 * Returns the {@link Fact} to store and apply, or why the event is ignored. Throws {@link SignatureError} if
 * the signature is missing or wrong, {@link ParseError} if the body is not one of Flux's events or is dated
 * more than 10 minutes after `at`, {@link ConfigError} if the cluster's name is malformed.
 */
export function ingest(
  verifier: Verifier,
  cluster: string,
  header: Bytes | null | undefined,
  body: Bytes,
  at?: Date,
): Fact | Ignored

/**
 * Parses a body whose sender you have authenticated by other means (a bearer token, mTLS), and takes out
 * what counts. Returns and throws what {@link ingest} does.
 */
export function observe(cluster: string, body: Bytes, at?: Date): Fact | Ignored

/** A reference to a Kubernetes object. What the event leaves out is empty. */
export interface InvolvedObject {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly apiVersion: string
  readonly resourceVersion: string
  readonly fieldPath: string
}

/** What notification-controller posts. What it leaves out is empty. */
export class Event {
  private constructor()
  /** Reads the body of a request. Throws {@link ParseError}, with the place. */
  static parse(body: Bytes): Event
  readonly involvedObject: InvolvedObject
  /** The source of the revision (event API v1). */
  readonly relatedObject: InvolvedObject | null
  readonly severity: Severity
  readonly timestamp: Date
  readonly message: string
  readonly reason: string
  /** What the controller was doing, as `Apply` or `Finalize` (event API v1). */
  readonly action: string
  readonly metadata: Readonly<Record<string, string>>
  readonly reportingController: string
  readonly reportingInstance: string
  /**
   * The metadata entry of this name, under whichever key it has: the name with the prefix of the object's
   * API group, the bare name, or the name with the prefix of annotations, in this order.
   */
  lookup(name: string): string | null
}

/** What a source produced: `main@sha1:<40 digits>`, `latest@sha256:<64 digits>`, `1.2.3` … */
export class Revision {
  private constructor()
  /** Reads a revision in any form that Flux has written. Throws {@link RevisionError}. */
  static parse(revision: string): Revision
  /** The branch, tag or the like. */
  readonly pointer: string | null
  /** The git commit that it names. */
  readonly commit: string | null
  /** The digest of an artifact that is no git commit. */
  readonly digest: string | null
  /** The version of a chart. */
  readonly version: string | null
  /** The revision in the form of Flux's RFC 0005. */
  readonly text: string
  /** {@link text}. */
  toString(): string
}

/** A git commit: its id, recomputed from its bytes, and its parents. */
export class CommitObject {
  private constructor()
  /** Reads what `git cat-file commit <id>` prints. Throws {@link ParseError}. */
  static parse(content: Bytes): CommitObject
  readonly id: string
  readonly parents: readonly string[]
}

// Policy

/** What is declared for one environment. What is left out has the default. */
export interface Environment {
  /**
   * Names, which are expected even if never heard of, and patterns, which expect those known:
   * `staging/Kustomization/shop/*`. Without any: all of the cluster of that name.
   */
  readonly reconcilers?: readonly string[]
  /** What success means: `healthy` by default. */
  readonly require?: Require
  /** The default for its reconcilers: `inferred` by default. */
  readonly healthChecks?: HealthChecks
  /** How long after its registration a rollout may take: 30 minutes by default. */
  readonly timeout?: Duration
  /** How long a failure must last before it counts: 0 by default. */
  readonly failureGrace?: Duration
  /** The same for hiccups of the platform: 2 minutes by default. */
  readonly transientGrace?: Duration
  /**
   * How long a cluster must have been heard before a set of reconcilers that is learned, or given by a
   * pattern, is taken to be complete: 10 minutes by default.
   */
  readonly learning?: Duration
}

/**
 * What the operators declare. As soon as one environment is declared, an unknown one is an error. Fields
 * may also be named as in the configuration file (`health_checks`).
 */
export interface Policy {
  readonly environments?: Readonly<Record<string, Environment>>
  /** What is declared for one reconciler, or for all that match a pattern. */
  readonly reconcilers?: Readonly<Record<string, { readonly healthChecks?: HealthChecks }>>
}

/** The policy in place, with all defaults; durations in milliseconds. */
export interface PolicyInPlace {
  readonly environments: Readonly<
    Record<
      string,
      {
        readonly reconcilers: readonly string[]
        readonly require: Require
        readonly healthChecks: HealthChecks
        readonly timeout: number
        readonly failureGrace: number
        readonly transientGrace: number
        readonly learning: number
      }
    >
  >
  readonly reconcilers: Readonly<Record<string, { readonly healthChecks: HealthChecks }>>
}

// The brain

/** The host's clock, if it is not to be that of the process. */
export interface Now {
  readonly now?: Date | undefined
}

/** What an asker wants for itself. */
export interface Asked {
  readonly require?: Require | undefined
  /** Other reconcilers than those that are expected. */
  readonly reconcilers?: Iterable<string> | undefined
  readonly failureGrace?: Duration | undefined
}

/** How long to wait, and for what. */
export interface WaitOptions extends Asked {
  /** Without it: until the rollout is settled, if need be by its own deadline. */
  readonly timeout?: Duration | undefined
  /** The version of a status that is known: then the wait ends at any change too (long-polling). */
  readonly since?: string | undefined
  /** Ends the wait with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/**
 * All that is known, and the questions that wait for an answer. It lives in one thread; the methods that
 * return a promise work off the event loop, the others take microseconds. `now` is the clock of the process
 * by default.
 */
export class Brain {
  /** Throws {@link ConfigError} if something in the policy is malformed. */
  constructor(policy?: Policy)

  /** Takes in a fact, and returns what changed. Store the fact durably first. */
  apply(fact: Fact, now?: Date): Effects
  /**
   * What applying a fact would change at most. Of heartbeats (`last_heard`) it is enough to store the newest
   * of each reconciler, from time to time and with the next fact about it.
   */
  preview(fact: Fact): Changed
  /**
   * Takes in stored facts (the lines of a journal in one text, or facts), without effects: to be called
   * once, and awaited, before anything else. Rejects with {@link FactError}, with the line, and then
   * nothing was taken in.
   */
  load(facts: Bytes | Iterable<Fact>): Promise<void>
  /**
   * Takes in many facts, and returns what changed in all: the lines of a journal in one text, or facts; or,
   * with `cluster`, bodies of requests, one a line, whose sender you have authenticated. Rejects with
   * {@link FactError} or {@link ParseError}, with the line, and then nothing was taken in.
   */
  applyMany(
    facts: Bytes | Iterable<Fact>,
    options?: Now & { readonly cluster?: string | undefined },
  ): Promise<Effects>
  /** Takes in all that another brain knows. */
  merge(other: Brain, options?: Now): Effects
  /** Puts another policy in place. Throws {@link ConfigError}, and then the former holds. */
  setPolicy(policy: Policy, options?: Now): Effects
  /**
   * CI's word on a rollout, with what the policy in place declares for the environment. What is given here
   * is added; of `require` the stricter holds. Make a fact of it: `new Fact(registration)`. Throws
   * {@link QueryError} if the environment is not declared though others are.
   */
  registration(
    environment: string,
    commit: string,
    options?: {
      readonly expect?: Iterable<string> | undefined
      readonly require?: Require | undefined
      readonly timeout?: Duration | undefined
      readonly labels?: Readonly<Record<string, string>> | undefined
    },
  ): Registration
  /**
   * Settlements that ought to have been recorded, and were not: the host stopped in between, or several
   * transitions of one rollout came in one go. To be asked after {@link load} and {@link applyMany}.
   */
  unrecorded(): readonly Settlement[]
  /** The smallest list of facts that makes an equal brain: for snapshots and compaction. */
  facts(): Fact[]

  /**
   * Where a rollout stands. A commit that was never registered is answered too. Throws {@link QueryError}
   * if the environment is not declared (though others are) or the commit is not a full id.
   */
  status(environment: string, commit: string, options?: Asked & Now): Status
  /** Where a commit stands in each environment. */
  statuses(commit: string, options?: Now): readonly Status[]
  /** Registered rollouts as they stand, those registered last first. */
  rollouts(
    options?: Now & {
      readonly environment?: string | undefined
      readonly outcome?: Outcome | undefined
      /** Those that all must have. */
      readonly labels?: Readonly<Record<string, string>> | undefined
      /** Where the page before ended. */
      readonly after?: Position | undefined
      /** At most so many. */
      readonly limit?: number | undefined
    },
  ): readonly Status[]
  /** What is live where, in the order of the names. */
  reconcilers(options?: {
    readonly environment?: string | undefined
    readonly cluster?: string | undefined
  }): readonly ReconcilerReport[]
  /** What is known of each cluster, in the order of the names. */
  clusters(): readonly ClusterReport[]
  /** The policy in place, with all defaults. */
  readonly policy: PolicyInPlace
  /**
   * The full id of a commit: of a full id, or of the first 7 or more digits of one that is known. Throws
   * {@link QueryError} with the code `commit.malformed`, `commit.unknown` or `commit.ambiguous`.
   */
  resolve(commit: string): string
  /** Whether another brain knows the same. */
  equals(other: Brain): boolean

  /** Lets time pass, and returns what it has changed: to be called at each {@link nextDeadline}. */
  expire(options?: Now): Effects
  /** The next instant at which time alone changes something that somebody wants to know. */
  nextDeadline(): Date | null
  /**
   * Calls {@link expire} at each deadline, with timers that do not keep the process alive, and hands out
   * effects that have transitions, to record their settlements and to notify. Returns what stops it.
   */
  expireAtDeadlines(onEffects: (effects: Effects) => void): () => void

  /**
   * The status at once if it is settled, or another one than that of the version `since`; else the number of
   * a watch, which {@link Effects.woken} will name when the status changes. Then it is spent. For hosts with
   * a way of waiting of their own; {@link wait} is made of it.
   */
  watch(
    environment: string,
    commit: string,
    options?: Asked & Now & { readonly since?: string | undefined },
  ): Status | number
  /** Gives up a watch. */
  unwatch(watch: number): void

  /**
   * Waits until a rollout is settled, and resolves to its status, settled or not: never an error for a
   * timeout. Any number may wait; {@link apply} of this brain wakes them.
   */
  wait(environment: string, commit: string, options?: WaitOptions): Promise<Status>
}

// Errors

/** Any error of this package but a wrong type, which is a TypeError. */
export class GitopsBrainError extends Error {
  constructor(message: string, code: string)
  /** Stable, and the same in Rust, Python, Node and over HTTP: `signature.mismatch`. */
  readonly code: string
}

declare class PlacedError extends GitopsBrainError {
  /** Counted from one. */
  readonly line: number
  /** In characters, counted from one; 0 if the whole line is meant. */
  readonly column: number
  /** In bytes, from zero. */
  readonly offset: number
  /** That of the field; empty for the whole. */
  readonly path: string
}

/** A key, a name, a duration, a time, a policy or a registration is not one. */
export class ConfigError extends GitopsBrainError {}
/** A line of a journal cannot be read. */
export class FactError extends PlacedError {}
/** A body is no event of Flux's, or bytes are no commit object: answer 400. */
export class ParseError extends PlacedError {}
/** A question has no answer: the environment or the commit is unknown. */
export class QueryError extends GitopsBrainError {}
/** A text is no revision. */
export class RevisionError extends GitopsBrainError {}
/** A body is not signed with one of the keys: answer 401, and take nothing in. */
export class SignatureError extends GitopsBrainError {}

/** The version of this package. */
export const VERSION: string

export {}
