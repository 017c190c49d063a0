'use strict'

// Events, revisions and commit objects.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Ancestry, CommitObject, Event, ParseError, Revision, RevisionError } = require('./support/package.js')
const { COMMIT, ROOT, commitObject, event, isDeeplyFrozen, time } = require('./support/samples.js')

test('an event has all of its fields', () => {
  const parsed = Event.parse(event('healthy', { at: time(0.25) }))
  assert.ok(parsed instanceof Event)
  assert.deepEqual(
    { ...parsed },
    {
      involvedObject: {
        kind: 'Kustomization',
        namespace: 'flux-system',
        name: 'apps',
        uid: '7d0cdc51-ddcf-4743-b223-83ca5c699632',
        apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
        resourceVersion: '1001',
        fieldPath: '',
      },
      relatedObject: null,
      severity: 'info',
      timestamp: time(0.25),
      message: 'Health check passed in 5s',
      reason: 'Progressing',
      action: '',
      metadata: { 'kustomize.toolkit.fluxcd.io/revision': `main@sha1:${COMMIT}` },
      reportingController: 'kustomize-controller',
      reportingInstance: 'kustomize-controller-7c7b47f5f-8bhrp',
    },
  )
})

test('what an event leaves out is empty', () => {
  const parsed = Event.parse(
    '{"involvedObject":{"kind":"Pod","name":"b"},"severity":"info","timestamp":"2026-11-23T12:00:00Z",' +
      '"message":"","reason":"","reportingController":""}',
  )
  const { apiVersion, namespace, uid, resourceVersion, fieldPath } = parsed.involvedObject
  assert.deepEqual([apiVersion, namespace, uid, resourceVersion, fieldPath], ['', '', '', '', ''])
  assert.deepEqual([parsed.reportingInstance, parsed.action, parsed.relatedObject], ['', '', null])
  assert.deepEqual(parsed.metadata, {})
  assert.equal(parsed.lookup('revision'), null)
})

test('metadata keep their keys, and are found under whichever key they have', () => {
  const metadata = {
    'kustomize.toolkit.fluxcd.io/revision': 'with the group',
    revision: 'bare',
    summary: 'a summary',
    'event.toolkit.fluxcd.io/team_name': 'camels',
    __proto__x: 'y',
  }
  const parsed = Event.parse(event('healthy', { metadata }))
  assert.deepEqual({ ...parsed.metadata }, metadata)
  assert.equal(parsed.lookup('revision'), 'with the group')
  assert.equal(parsed.lookup('summary'), 'a summary')
  assert.equal(parsed.lookup('team_name'), 'camels')
  assert.equal(parsed.lookup('constructor'), null)
  assert.throws(() => parsed.lookup(5), { name: 'TypeError', message: 'name must be a string, not number' })
})

test('keys that mean something to JavaScript are keys like others', () => {
  const text = event('healthy', { metadata: {} }).replace(
    '"metadata":{}',
    '"metadata":{"__proto__":"a","toString":"b"}',
  )
  const { metadata } = Event.parse(text)
  assert.deepEqual(Object.keys(metadata).sort(), ['__proto__', 'toString'])
  assert.equal(Object.getOwnPropertyDescriptor(metadata, '__proto__').value, 'a')
  assert.equal(Event.parse(text).lookup('__proto__'), 'a')
})

test('events, revisions and commit objects are frozen', () => {
  for (const value of [Event.parse(event()), Revision.parse('1.2.3'), CommitObject.parse(commitObject([ROOT]))]) {
    assert.ok(isDeeplyFrozen(value))
    assert.throws(() => (value.more = 1), TypeError)
  }
})

test('a body that is no event is a ParseError with the place', () => {
  for (const [body, code, line, column, offset, path] of [
    ['', 'event.malformed', 1, 1, 0, ''],
    ['{"severity":"ü"\n ,"x" 1}', 'event.invalid_field', 1, 13, 12, 'severity'],
    ['{\n "reason":"ü" ö}', 'event.malformed', 2, 15, 17, 'reason'],
    [Buffer.from([0x22, 0xff, 0x22]), 'event.not_utf8', 1, 2, 1, ''],
    ['{}', 'event.missing_field', 1, 1, 0, 'involvedObject'],
  ]) {
    assert.throws(
      () => Event.parse(body),
      (error) => {
        assert.equal(error.constructor, ParseError)
        const found = [error.code, error.line, error.column, error.offset, error.path]
        assert.deepEqual(found, [code, line, column, offset, path])
        assert.ok(error.message.length > 20 && !error.message.startsWith('{'))
        return true
      },
    )
  }
})

test('a revision is read in each form, and written in the newest', () => {
  const parts = (text) => ({ ...Revision.parse(text) })
  const none = { pointer: null, commit: null, digest: null, version: null }
  const text = `main@sha1:${COMMIT}`
  assert.deepEqual(parts(text), { ...none, pointer: 'main', commit: COMMIT, text })
  assert.deepEqual(parts(`main/${COMMIT}`), { ...none, pointer: 'main', commit: COMMIT, text })
  assert.deepEqual(parts('1.2.3'), { ...none, version: '1.2.3', text: '1.2.3' })
  const oci = `latest@sha256:${'a'.repeat(64)}`
  assert.deepEqual(parts(oci), { ...none, pointer: 'latest', digest: 'a'.repeat(64), text: oci })
  const revision = Revision.parse(`main/${COMMIT}`)
  assert.ok(revision instanceof Revision)
  assert.equal(`${revision}`, text)
  assert.equal(revision.toString(), revision.text)
})

test('a text that is no revision is a RevisionError', () => {
  for (const [text, code] of [
    ['', 'revision.empty'],
    ['main\n', 'revision.malformed'],
    ['a'.repeat(10_000), 'revision.too_long'],
  ]) {
    assert.throws(
      () => Revision.parse(text),
      (error) => error.constructor === RevisionError && error.code === code,
    )
  }
  assert.throws(() => Revision.parse(Buffer.from('1.2.3')), {
    name: 'TypeError',
    message: 'revision must be a string, not Buffer',
  })
})

test('a commit object proves its id and its parents', () => {
  const root = CommitObject.parse(commitObject())
  assert.ok(root instanceof CommitObject)
  assert.deepEqual({ ...root }, { id: ROOT, parents: [] })
  const child = CommitObject.parse(Buffer.from(commitObject([ROOT], 'child')))
  assert.deepEqual(child.parents, [ROOT])
  const merge = CommitObject.parse(commitObject([child.id, ROOT], 'merge'))
  assert.deepEqual(merge.parents, [child.id, ROOT])
})

test('bytes that are no commit object are a ParseError with the line', () => {
  const text = commitObject().replace('author', 'writer')
  assert.throws(
    () => CommitObject.parse(text),
    (error) => {
      assert.equal(error.constructor, ParseError)
      assert.deepEqual([error.code, error.line, error.column, error.path], ['commit_object.malformed', 2, 1, ''])
      return true
    },
  )
})

test('commit objects make an ancestry', () => {
  const child = CommitObject.parse(commitObject([ROOT], 'child'))
  const ancestry = Ancestry.fromObjects([commitObject(), Buffer.from(commitObject([ROOT], 'child'))])
  assert.equal(ancestry.type, 'ancestry')
  assert.deepEqual(ancestry.contains, [])
  const byCommit = new Map(ancestry.parents.map(({ commit, parents }) => [commit, parents]))
  assert.deepEqual(
    byCommit,
    new Map([
      [ROOT, []],
      [child.id, [ROOT]],
    ]),
  )
  assert.ok(isDeeplyFrozen(ancestry))
  assert.deepEqual(Ancestry.fromObjects([]), { type: 'ancestry', parents: [], contains: [] })
  assert.throws(
    () => Ancestry.fromObjects(['no object']),
    (error) => error.constructor === ParseError,
  )
  assert.throws(() => Ancestry.fromObjects(commitObject()), {
    name: 'TypeError',
    message: 'objects must be an array, not string',
  })
})
