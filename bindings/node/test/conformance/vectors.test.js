'use strict'

// Runs every vector of `tests/vectors`. Python and Rust run the same files.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const { below, kinds, readAll, root } = require('../support/vectors.js')
const { run } = require('../support/run.js')

const files = readAll()
const ran = new Set()

for (const kind of kinds) {
  test(`every vector of kind ${kind} holds`, async (t) => {
    const ofKind = files.filter((file) => file.kind === kind)
    let count = 0
    for (const file of ofKind) {
      for (const each of file.cases) {
        await t.test(`${file.where} · ${each.id}`, () => {
          ran.add(`${kind} ${each.id}`)
          assert.deepEqual(run(kind, each), [])
        })
        count += 1
      }
    }
    t.diagnostic(`${kind}: ${count} cases in ${ofKind.length} files`)
  })
}

test('every case of every file was run', (t) => {
  // Counted anew from the files, so that what reads them cannot have lost any.
  const there = below(root)
    .filter((where) => where.endsWith('.json'))
    .map((where) => JSON.parse(fs.readFileSync(path.join(root, where), 'utf8')))
    .flatMap(({ kind, cases }) => cases.map(({ id }) => `${kind} ${id}`))
  assert.deepEqual([...ran].sort(), there.sort())
  t.diagnostic(`${ran.size} cases in ${files.length} files`)
})
