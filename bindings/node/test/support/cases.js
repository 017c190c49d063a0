'use strict'

// Vectors of one call each: signatures, events, revisions, observations. Each function takes a case, and
// returns what is wrong.

const {
  ConfigError,
  Event,
  Fact,
  ParseError,
  Revision,
  RevisionError,
  SignatureError,
  Verifier,
  observe,
  sign,
} = require('./package.js')
const { compare, exact, outcome, text } = require('./compare.js')
const { any, bytes, isObject, list, name, nullable, optional, oneOf, record, string, time } = require('./read.js')

const read = (input) => (value) => record({ id: string, why: string, input, expect: any })(value, 'the case')

/** A signature's input, by what is called. */
function signatureInput(value, where) {
  const call = oneOf('verify', 'sign')(value?.call, `${where}.call`)
  const shapes = {
    verify: { call: string, keys: list(bytes), header: nullable(bytes), body: bytes },
    sign: { call: string, key: bytes, body: bytes },
  }
  return record(shapes[call])(value, where)
}

function signatures(value) {
  const { input, expect } = read(signatureInput)(value)
  if (input.call === 'sign') {
    return inAnyForm([input.key, input.body], (key, body) =>
      exactly(
        expect,
        outcome([ConfigError], () => ({ ok: { header: sign(key, body) } })),
      ),
    )
  }
  return inAnyForm([input.header, input.body, ...input.keys], (header, body, ...keys) => {
    const made = outcome([ConfigError], () => ({ verifier: new Verifier(keys) }))
    if (made.error !== undefined) return exactly(expect, made)
    return exactly(
      expect,
      outcome([SignatureError], () => ({ ok: { key: made.verifier.verify(header, body) } })),
    )
  })
}

const place = ({ code, line, column, offset, path }) => ({ error: code, line, column, offset, path })

function events(value) {
  const { input, expect } = read(record({ body: bytes, lookup: optional(list(string), []) }))(value)
  return inAnyForm([input.body], (body) =>
    exactly(
      expect,
      outcome(
        [ParseError],
        () => {
          const parsed = Event.parse(body)
          // Flux's own names stand in both.
          const event = { ...parsed, timestamp: text(parsed.timestamp) }
          if (input.lookup.length === 0) return { ok: { event } }
          const found = input.lookup.map((name) => [name, parsed.lookup(name)])
          return { ok: { event, lookup: Object.fromEntries(found) } }
        },
        place,
      ),
    ),
  )
}

function revisions(value) {
  const { input, expect } = read(record({ revision: bytes }))(value)
  const given = input.revision.toString()
  if (!Buffer.from(given).equals(input.revision)) return ['the revision is not UTF-8']
  const parsed = outcome([RevisionError], () => ({ revision: Revision.parse(given) }))
  if (parsed.error !== undefined) return exactly(expect, parsed)
  const { text: display, ...parts } = parsed.revision
  const again = compare('the revision that is displayed', parsed.revision, Revision.parse(display))
  return [...again, ...exactly(expect, { ok: { ...parts, display } })]
}

function observations(value) {
  const { input, expect } = read(record({ cluster: name, at: time, body: bytes }))(value)
  return inAnyForm([input.body], (body) =>
    exactly(
      expect,
      outcome([ParseError], () => {
        const taken = observe(input.cluster, body, input.at)
        if (!(taken instanceof Fact)) return { ignored: taken.code }
        if (taken.body.type !== 'observed') throw new Error('an event is an observation')
        return { ok: describe(taken.body) }
      }),
    ),
  )
}

/** An observation in the words of the vectors. */
const describe = (observation) => ({
  proof: observation.proof,
  object: observation.object,
  commit: observation.commit,
  revision: observation.revisionText,
  health_check_passed: observation.healthCheckPassed,
  created_or_configured: observation.createdOrConfigured,
  only_deletions: observation.onlyDeletions,
  canceled: observation.canceled,
  chart_from_oci: observation.chartFromOci,
  action: observation.action,
  related_object: observation.relatedObject?.object ?? null,
  changed_objects: Object.fromEntries(observation.changedObjects.map(({ object, change }) => [object, change])),
})

/** Bytes may be given as a Buffer, as another view, and as a string if they are UTF-8: it is all the same. */
function inAnyForm(given, check) {
  const forms = [
    (buffer) => buffer,
    (buffer) => new Uint8Array(buffer),
    (buffer) => (Buffer.from(buffer.toString()).equals(buffer) ? buffer.toString() : buffer),
  ]
  return forms.flatMap((form) => check(...given.map((each) => (each === null ? null : form(each)))))
}

/**
 * What is expected must be complete: a field that it leaves out would be checked by nobody. Only of an
 * event does a vector tell the fields that matter.
 */
function exactly(expected, actual) {
  if (!isObject(expected?.ok?.event) || !isObject(actual.ok?.event)) return exact('expect', expected, actual)
  const { event, ...rest } = expected.ok
  const { event: parsed, ...found } = actual.ok
  const empty = Object.keys(event).length === 0 ? ['expect.ok.event is empty: nothing is checked'] : []
  return [
    ...empty,
    ...compare('expect.ok.event', event, parsed),
    ...exact('expect', { ...expected, ok: rest }, { ...actual, ok: found }),
  ]
}

module.exports = { events, observations, revisions, signatures }
