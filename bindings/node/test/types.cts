// The types, as CommonJS sees them: this is compiled, and never called. `types.mts` has more of them.
//
// The package is a type here and an argument below, so that nothing is left to run when Node strips types.

import type main = require('gitops-brain')

type Main = typeof main

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles if and only if its argument is true. */
function check<T extends true>(): T | void {}

async function uses({ Brain, Fact, Verifier, ingest, observe, sign, VERSION, ...errors }: Main, body: Buffer) {
  const brain = new Brain({ environments: { staging: { reconcilers: ['a/b/c/d'], timeout: '30m' } } })
  const verifier = new Verifier(['key'])
  const taken = ingest(verifier, 'staging', sign('key', body), body)
  check<Same<typeof taken, main.Fact | main.Ignored>>()
  if (taken instanceof Fact) {
    const { transitions }: main.Effects = brain.apply(taken)
    for (const { settlement } of transitions) if (settlement !== null) brain.apply(new Fact(settlement))
  }
  const status: main.Status = await brain.wait('staging', 'a', { timeout: 5 })
  const outcome: 'in_progress' | 'succeeded' | 'failed' | 'timed_out' = status.outcome
  check<Same<main.Status['registeredAt'], Date | null>>()
  // @ts-expect-error: a key by itself is no list
  new Verifier('key'.length)
  // @ts-expect-error: what comes out is frozen
  status.settled = true
  // @ts-expect-error: nothing is exported by default
  errors.default
  // @ts-expect-error: what is inside stays inside
  errors.PlacedError
  observe('staging', body)
  return [outcome, VERSION, errors.ParseError, errors.Revision.parse('1.2.3').text]
}

// @ts-expect-error: the native part is not exported
type Inside = typeof import('gitops-brain/native.js')

module.exports = uses
