'use strict'

// Requests byte for byte as Flux's controllers sent them.

const { casesOf, readAll } = require('./vectors.js')
const { readScenario } = require('./scenario.js')

/** The requests of all captured scenarios: `{cluster, body, at, signature, keys}`. */
function capturedRequests() {
  return casesOf(readAll(), 'scenarios')
    .filter(({ id }) => id.startsWith('captured-'))
    .map(readScenario)
    .flatMap(({ steps, keys }) =>
      steps
        .filter((step) => step.do.tag === 'event')
        .map(({ at, do: { content } }) => ({ at, keys: keys[content.cluster] ?? [], ...content })),
    )
}

module.exports = { capturedRequests }
