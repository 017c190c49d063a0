'use strict'

// What the package answers in the form of the vectors, and what differs from what they expect.

const { isDeepStrictEqual } = require('node:util')

const { isObject } = require('./read.js')

/** RFC 3339, with milliseconds only if there are any. */
const text = (date) => date.toISOString().replace('.000Z', 'Z')

const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Maps, whose keys are not names of fields. */
const maps = new Set(['labels', 'metadata'])

/** A value of the package as a vector has it: names in snake case, times as text. */
function asVector(value) {
  if (value instanceof Date) return text(value)
  if (Array.isArray(value)) return value.map(asVector)
  if (!isObject(value)) return value
  const entries = Object.entries(value)
  return Object.fromEntries(
    entries.map(([key, each]) => [snakeCase(key), maps.has(key) ? { ...each } : asVector(each)]),
  )
}

const show = (value) => JSON.stringify(value)

/** What differs from what is expected. There may be more fields; lists must have the same length. */
function compare(where, expected, actual) {
  if (isObject(expected) && isObject(actual)) {
    return Object.entries(expected).flatMap(([name, field]) =>
      Object.hasOwn(actual, name)
        ? compare(`${where}.${name}`, field, actual[name])
        : [`${where}.${name} is expected, and there is none`],
    )
  }
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return expected.flatMap((each, place) => compare(`${where}[${place}]`, each, actual[place]))
  }
  return isDeepStrictEqual(expected, actual) ? [] : [`${where} is ${show(actual)}, expected ${show(expected)}`]
}

/** The same, and there must be no more fields, on any level. */
function exact(where, expected, actual) {
  if (isObject(expected) && isObject(actual)) {
    const names = [...new Set([...Object.keys(expected), ...Object.keys(actual)])]
    return names.flatMap((name) =>
      Object.hasOwn(expected, name) && Object.hasOwn(actual, name)
        ? exact(`${where}.${name}`, expected[name], actual[name])
        : [`${where}.${name} is ${Object.hasOwn(expected, name) ? 'expected, and there is none' : 'not expected'}`],
    )
  }
  return compare(where, expected, actual)
}

/** What a call returns, or the fields of the error that it throws; an error of another class is thrown on. */
function outcome(classes, succeed, fail = (error) => ({ error: error.code })) {
  let made
  try {
    made = succeed()
  } catch (error) {
    if (classes.some((each) => error.constructor === each)) return fail(error)
    throw error
  }
  return made
}

module.exports = { asVector, compare, exact, outcome, text }
