'use strict'

// Scripts in processes of their own: for what must end by itself, and for what might not.

const { spawn } = require('node:child_process')

const place = require('./place.js')

/** What stands before each script: `main` is the package. */
const preamble = `
'use strict'
const main = require(${JSON.stringify(place)})
const samples = require(${JSON.stringify(require.resolve('./samples.js'))})
`

/**
 * Runs a script until it ends by itself, or for so long at most. Tells how it ended, what it printed, and
 * how many milliseconds it took.
 */
function runScript(script, { flags = [], timeout = 30_000, env = {} } = {}) {
  const begun = performance.now()
  const child = spawn(process.execPath, [...flags, '--eval', preamble + script], {
    // The child is no test, even if a test started it.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
    const chunks = []
    stream.on('data', (chunk) => chunks.push(chunk))
    return () => Buffer.concat(chunks).toString()
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) =>
      resolve({ code, signal, stdout: stdout(), stderr: stderr(), milliseconds: performance.now() - begun }),
    )
  })
}

module.exports = { runScript }
