'use strict'

// A server runs for months: what it calls per event or per question must not leave anything behind.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { TOLERANCE, groups } = require('./support/memory.js')
const { runScript } = require('./support/child.js')

// With a young generation that does not grow, what does is not the garbage collector's own choice.
const flags = ['--expose-gc', '--max-semi-space-size=1']

// Elsewhere the size of a process tells less of what it holds.
const skip = process.platform === 'linux' ? false : 'only on Linux'

test('no call leaves memory behind', { concurrency: 2, skip }, async (t) => {
  const measured = groups.map((group) =>
    t.test(group, async (t) => {
      const script = `require(${JSON.stringify(require.resolve('./support/memory.js'))}).measureGroup('${group}')`
      const { code, stdout, stderr } = await runScript(script, { flags, timeout: 300_000 })
      assert.deepEqual([code, stderr], [0, ''])
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      for (const { call, calls, microseconds, growth } of lines) {
        t.diagnostic(`${call}: ${calls} calls of ${microseconds.toFixed(1)} µs, ${(growth / 1024).toFixed(0)} KiB more`)
      }
      const grown = lines.filter(({ growth }) => growth > TOLERANCE)
      assert.deepEqual(grown, [])
    }),
  )
  await Promise.all(measured)
})

test('a leak would be found', { skip }, async () => {
  const script = `
    const leak = []
    samples.leaking = (count) => leak.push(Buffer.alloc(40, count))
    require(${JSON.stringify(require.resolve('./support/memory.js'))}).measure(samples.leaking, 200_000)
      .then(({ growth }) => console.log(growth))`
  const { stdout, stderr } = await runScript(script, { flags, timeout: 120_000 })
  assert.equal(stderr, '')
  assert.ok(Number(stdout) > TOLERANCE, stdout)
})
