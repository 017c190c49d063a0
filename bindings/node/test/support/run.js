'use strict'

// Runs one case of any kind.

const { Unreadable } = require('./read.js')
const { Truth } = require('./truth.js')
const { scenarios } = require('./scenario.js')

const runners = {
  ...require('./cases.js'),
  scenarios,
  // There is nothing to run by itself: it is held against the scenario that it names.
  truth: (value) => (new Truth(value), []),
}

/** Runs a case, and returns what is wrong. */
function run(kind, value) {
  if (!Object.hasOwn(runners, kind)) throw new Unreadable(`no runner knows the kind ${kind}`)
  try {
    return runners[kind](value)
  } catch (error) {
    if (error instanceof Unreadable) return [error.message]
    throw error
  }
}

module.exports = { run }
