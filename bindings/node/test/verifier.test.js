'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { test } = require('node:test')

const { ConfigError, GitopsBrainError, SignatureError, Verifier, sign } = require('./support/package.js')

const body = 'the body, ü'
const key = 'a key, ü'

const code = (make, type) => {
  try {
    make()
  } catch (error) {
    assert.equal(error.constructor, type)
    assert.ok(error instanceof GitopsBrainError)
    assert.equal(error.name, type.name)
    return error.code
  }
  return assert.fail('nothing was thrown')
}

test('a signature is that of HMAC with SHA-256', () => {
  const expected = crypto.createHmac('sha256', key).update(body).digest('hex')
  assert.equal(sign(key, body), `sha256=${expected}`)
})

test('keys, headers and bodies are bytes in any form', () => {
  const forms = [(text) => text, (text) => Buffer.from(text), (text) => new Uint8Array(Buffer.from(text))]
  const header = sign(key, body)
  for (const ofKey of forms) {
    for (const ofBody of forms) {
      assert.equal(sign(ofKey(key), ofBody(body)), header)
      for (const ofHeader of forms) {
        assert.equal(new Verifier([ofKey(key)]).verify(ofHeader(header), ofBody(body)), 0)
      }
    }
  }
})

test('only the part of a buffer that a view shows counts', () => {
  const whole = Buffer.from(`before${body}after`)
  const part = whole.subarray(6, 6 + Buffer.byteLength(body))
  assert.equal(sign(key, part), sign(key, body))
  assert.equal(sign(part, key), sign(body, key))
  assert.equal(new Verifier([part]).verify(sign(body, body), part), 0)
})

test('while a key is rotated, the place of the key that signed is returned', () => {
  const verifier = new Verifier(['new', 'old', Buffer.from('older')])
  for (const [place, each] of ['new', 'old', 'older'].entries()) {
    assert.equal(verifier.verify(sign(each, body), body), place)
  }
})

test('keys may come from any iterable', () => {
  assert.equal(new Verifier(new Set(['a', 'b'])).verify(sign('b', body), body), 1)
  const generated = (function* () {
    yield 'a'
    yield Buffer.from('b')
  })()
  assert.equal(new Verifier(generated).verify(sign('b', body), body), 1)
})

test('keys are copied: what is done to a buffer afterwards makes no difference', () => {
  const changing = Buffer.from('a key')
  const verifier = new Verifier([changing])
  changing.fill(0)
  assert.equal(verifier.verify(sign('a key', body), body), 0)
})

test('one key by itself is a TypeError, not a list of its characters', () => {
  for (const wrong of ['a key', Buffer.from('a key'), new Uint8Array(3), undefined, null, 5, {}]) {
    assert.throws(() => new Verifier(wrong), { name: 'TypeError', message: /^keys must be an array, not / })
  }
  for (const wrong of [[5], [null], [['a key']], new Map([['a', 'key']])]) {
    assert.throws(() => new Verifier(wrong), {
      name: 'TypeError',
      message: /^keys must be a Uint8Array or a string, not /,
    })
  }
})

test('a key that anyone could sign with is a ConfigError', () => {
  assert.equal(
    code(() => new Verifier([]), ConfigError),
    'key.none',
  )
  assert.equal(
    code(() => new Verifier(['a', '']), ConfigError),
    'key.empty',
  )
  assert.equal(
    code(() => new Verifier([' \n']), ConfigError),
    'key.empty',
  )
  assert.equal(
    code(() => new Verifier(Array(17).fill('a')), ConfigError),
    'key.too_many',
  )
  assert.equal(
    code(() => sign('', body), ConfigError),
    'key.empty',
  )
})

test('no header at all is a missing signature', () => {
  const verifier = new Verifier([key])
  for (const none of [undefined, null]) {
    assert.equal(
      code(() => verifier.verify(none, body), SignatureError),
      'signature.missing',
    )
  }
})

test('a signature that is not of the body, or not of a key, is a SignatureError', () => {
  const verifier = new Verifier([key])
  const codeOf = (header, of = body) => code(() => verifier.verify(header, of), SignatureError)
  assert.equal(codeOf(sign(key, body), `${body} `), 'signature.mismatch')
  assert.equal(codeOf(sign('another', body)), 'signature.mismatch')
  assert.equal(codeOf(''), 'signature.malformed')
  assert.equal(codeOf('sha256=00'), 'signature.malformed')
  assert.equal(codeOf(Buffer.from([0xff, 0xfe])), 'signature.malformed')
  assert.equal(codeOf('md5=00'), 'signature.unsupported_algorithm')
})

test('a verifier shows no keys', () => {
  const shown = require('node:util').inspect(new Verifier(['a secret']), { showHidden: true, depth: 9 })
  assert.ok(!shown.includes('secret'), shown)
  assert.equal(JSON.stringify(new Verifier(['a secret'])), '{}')
})
