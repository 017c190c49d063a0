'use strict'

// Test runners like Jest run every file in a context with globals of its own, while what is native stays
// outside of it: errors of native code are then no instances of the Error that is in reach.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const vm = require('node:vm')

const place = require('./support/place.js')
const { COMMIT, event } = require('./support/samples.js')

const inside = path.join(place, 'lib') + path.sep

/** The package, as it is where `Error`, `Date`, `Map` and `Promise` are others. */
function inAnotherRealm() {
  // What Jest hands in too.
  const context = vm.createContext({ AbortController, AbortSignal, Buffer, Uint8Array, clearTimeout, setTimeout })
  const modules = new Map()
  const load = (file) => {
    if (modules.has(file)) return modules.get(file).exports
    const module = { exports: {} }
    modules.set(file, module)
    const require_ = (name) => {
      const wanted = name.startsWith('.') ? path.resolve(path.dirname(file), name) : name
      return wanted.startsWith(inside) ? load(wanted) : require(wanted)
    }
    const parameters = ['exports', 'require', 'module', '__filename', '__dirname']
    const code = fs.readFileSync(file, 'utf8')
    const run = vm.compileFunction(code, parameters, { filename: file, parsingContext: context })
    run(module.exports, require_, module, file, path.dirname(file))
    return module.exports
  }
  return {
    main: load(path.join(place, 'lib', 'main.js')),
    realm: vm.runInContext('({ Date, Error, Promise })', context),
  }
}

test('in another realm, errors have their classes', async () => {
  const { main, realm } = inAnotherRealm()
  const { Brain, ConfigError, Fact, FactError, GitopsBrainError, ParseError, QueryError, Revision, RevisionError } =
    main
  const calls = [
    [() => Revision.parse(''), RevisionError, 'revision.empty'],
    [() => main.sign('', ''), ConfigError, 'key.empty'],
    [() => new main.Verifier(['key']).verify(null, ''), main.SignatureError, 'signature.missing'],
    [() => main.observe('staging', '{}'), ParseError, 'event.missing_field'],
    [() => new Brain().status('staging', 'main'), QueryError, 'commit.malformed'],
    [() => new Brain({ environments: { '!': {} } }), ConfigError, 'policy.malformed'],
    [() => Fact.fromLine('{'), FactError, 'fact.malformed'],
    [() => new Brain().load('{'), FactError, 'fact.malformed'],
    [() => new Brain().wait('staging', 'main'), QueryError, 'commit.malformed'],
  ]
  for (const [call, family, code] of calls) {
    const error = await (async () => call())().then(
      () => assert.fail('nothing was thrown'),
      (error) => error,
    )
    assert.deepEqual([error.constructor.name, error.code], [family.name, code])
    assert.ok(error instanceof family && error instanceof GitopsBrainError && error instanceof realm.Error)
  }
})

test('in another realm, all else works', async () => {
  const { main, realm } = inAnotherRealm()
  const { Brain, Verifier, ingest, sign } = main
  const now = new realm.Date()
  const brain = new Brain()
  brain.apply(new main.Fact(brain.registration('staging', COMMIT), now))
  const body = Buffer.from(event('healthy', { at: new Date() }))
  brain.apply(ingest(new Verifier(['key']), 'staging', sign('key', body), body), now)
  const status = await brain.wait('staging', COMMIT, { timeout: 0 })
  assert.equal(status.state, 'healthy')
  assert.ok(status.registeredAt instanceof realm.Date)
  const again = new Brain()
  await again.load(brain.facts())
  assert.ok(again.equals(brain))
})
