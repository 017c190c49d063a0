'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const {
  ConfigError,
  Fact,
  ParseError,
  SignatureError,
  Verifier,
  ingest,
  observe,
  sign,
} = require('./support/package.js')
const { APPS, COMMIT, KEY, event, time } = require('./support/samples.js')

const verifier = new Verifier([KEY])
const body = event()
const header = sign(KEY, body)

test('a signed event becomes a fact', () => {
  for (const [ofHeader, ofBody] of [
    [header, body],
    [Buffer.from(header), Buffer.from(body)],
    [new Uint8Array(Buffer.from(header)), new Uint8Array(Buffer.from(body))],
  ]) {
    const fact = ingest(verifier, 'staging', ofHeader, ofBody, time(1))
    assert.ok(fact instanceof Fact)
    assert.deepEqual(fact.at, time(1))
    const { type, object, commit, proof } = fact.body
    assert.deepEqual(
      { type, object, commit, proof },
      { type: 'observed', object: APPS, commit: COMMIT, proof: 'health_checked' },
    )
  }
})

test('an event from a sender that is known otherwise becomes the same fact', () => {
  const signed = ingest(verifier, 'staging', header, body, time(1))
  for (const given of [body, Buffer.from(body), new Uint8Array(Buffer.from(body))]) {
    assert.equal(observe('staging', given, time(1)).toLine(), signed.toLine())
  }
})

test('the time is the clock of the process if it is left out', () => {
  const before = Date.now()
  const facts = [ingest(verifier, 'staging', header, body), observe('staging', body), observe('staging', body, null)]
  const after = Date.now()
  for (const fact of facts) assert.ok(before <= fact.at.getTime() && fact.at.getTime() <= after)
})

test('a signature is checked before anything is read', () => {
  const refused = (...args) => {
    assert.throws(
      () => ingest(verifier, 'staging', ...args),
      (error) => error.constructor === SignatureError,
    )
  }
  refused(undefined, body)
  refused(null, 'no event')
  refused(sign('another', body), body)
  refused(header, body.replace('info', 'error'))
  refused(Buffer.from([0xe4]), body)
  refused('\ud800', body)
})

test('what says nothing about rollouts is ignored, with the reason', () => {
  const alert = event('healthy', { involvedObject: { kind: 'Pod', namespace: 'a', name: 'b', uid: '1' } })
  const ignored = observe('staging', alert)
  assert.ok(!(ignored instanceof Fact))
  assert.deepEqual(ignored, { code: 'event.kind_ignored', message: 'events of kind `Pod` say nothing about rollouts' })
  assert.ok(Object.isFrozen(ignored))
  assert.equal(ingest(verifier, 'staging', sign(KEY, alert), alert).code, 'event.kind_ignored')
  assert.equal(observe('staging', event('healthy', { severity: 'trace' })).code, 'event.trace_ignored')
})

test('a body that is no event is a ParseError with the place', () => {
  const text = '{"involvedObject":\n{"kind":5}}'
  for (const call of [() => observe('staging', text), () => ingest(verifier, 'staging', sign(KEY, text), text)]) {
    assert.throws(call, (error) => {
      assert.equal(error.constructor, ParseError)
      const { code, line, column, offset, path } = error
      assert.deepEqual(
        { code, line, column, offset, path },
        { code: 'event.invalid_field', line: 2, column: 9, offset: 27, path: 'involvedObject.kind' },
      )
      return true
    })
  }
})

test('an event from the future, or about a name that cannot be, is a ParseError with the field', () => {
  const parse = (given, at) => {
    try {
      observe('staging', given, at)
    } catch (error) {
      assert.equal(error.constructor, ParseError)
      return [error.code, error.line, error.column, error.offset, error.path]
    }
    return assert.fail('nothing was thrown')
  }
  const future = event('healthy', { at: time(601) })
  assert.deepEqual(parse(future, time(0)), ['event.from_the_future', 1, 1, 0, 'timestamp'])
  assert.ok(observe('staging', event('healthy', { at: time(600) }), time(0)) instanceof Fact)
  assert.deepEqual(parse(event('healthy', { name: 'a/b' })), ['event.invalid_field', 1, 1, 0, 'involvedObject'])
})

test('a name that no cluster has is a ConfigError', () => {
  for (const call of [() => observe('Staging!', body), () => ingest(verifier, 'Staging!', header, body)]) {
    assert.throws(call, (error) => error.constructor === ConfigError && error.code === 'cluster.malformed')
  }
})

test('a verifier may go before its facts do', async () => {
  const fact = (() => ingest(new Verifier([KEY]), 'staging', header, body, time(1)))()
  for (let count = 0; count < 300; count += 1) observe('staging', body, time(count))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(fact.at, time(1))
})
