'use strict'

// CommonJS and ESM export the same names, and the types declare them.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { pathToFileURL } = require('node:url')

const main = require('./support/package.js')
const place = require('./support/place.js')

const manifest = JSON.parse(fs.readFileSync(path.join(place, 'package.json'), 'utf8'))
const { import: esm, require: cjs } = manifest.exports['.']

test('import and require give the same names and the same things', async () => {
  const imported = await import(pathToFileURL(path.join(place, esm.default)))
  assert.deepEqual(Object.keys(imported).sort(), Object.keys(main).sort())
  for (const [name, value] of Object.entries(main)) assert.equal(imported[name], value, name)
  assert.equal(require(path.join(place, cjs.default)), main)
})

test('the types declare what is exported, and nothing is declared that is not there', () => {
  const types = fs.readFileSync(path.join(place, cjs.types), 'utf8')
  const declared = [...types.matchAll(/^export (?:declare )?(?:class|const|function) (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(main).sort())
  assert.match(fs.readFileSync(path.join(place, esm.types), 'utf8'), /export \* from '.\/main.js'/)
})

test('the types declare the members that classes have', () => {
  const types = fs.readFileSync(path.join(place, cjs.types), 'utf8')
  for (const name of ['Brain', 'CommitObject', 'Event', 'Fact', 'Revision', 'Verifier']) {
    const [, body] = new RegExp(`^export class ${name} \\{\\n([^]*?)^\\}`, 'm').exec(types)
    const members = [...body.matchAll(/^ {2}(?:private )?(static )?(?:readonly )?(\w+)[(:]/gm)]
    const declared = (wanted) =>
      members.filter(([, isStatic]) => Boolean(isStatic) === wanted).map(([, , member]) => member)
    const methods = Object.getOwnPropertyNames(main[name].prototype)
    for (const method of methods) assert.ok(declared(false).includes(method), `${name}.${method}`)
    const own = Object.getOwnPropertyNames(main[name]).filter((each) => !['length', 'name', 'prototype'].includes(each))
    assert.deepEqual(declared(true).sort(), own.sort())
  }
})

test('the version is that of the package', () => {
  assert.equal(main.VERSION, manifest.version)
})

test('errors form one family', () => {
  const { GitopsBrainError, ...rest } = main
  const families = Object.entries(rest).filter(([name]) => name.endsWith('Error'))
  assert.equal(families.length, 6)
  for (const [name, family] of families) {
    assert.ok(family.prototype instanceof GitopsBrainError)
    const error = new family('what is wrong', 'a.code')
    assert.ok(error instanceof Error)
    assert.deepEqual([error.name, error.message, error.code], [name, 'what is wrong', 'a.code'])
  }
})

test('the stack of an error begins where the package was called', () => {
  function caller() {
    main.Revision.parse('')
  }
  assert.throws(caller, (error) => error.stack.includes('caller') && error.stack.startsWith('RevisionError: '))
})

test('what the package does not export cannot be required', () => {
  const { createRequire } = require('node:module')
  const inside = createRequire(path.join(place, 'lib', 'main.js'))
  assert.equal(inside(manifest.name), main)
  assert.throws(() => inside(`${manifest.name}/native.js`), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' })
})
