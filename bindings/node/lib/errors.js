'use strict'

/** Any error of this package but a wrong type, which is a TypeError. */
class GitopsBrainError extends Error {
  constructor(message, code) {
    super(message)
    this.name = new.target.name
    this.code = code
  }
}

/** An error about a place in what was given. */
class PlacedError extends GitopsBrainError {
  constructor(message, code, place) {
    super(message, code)
    const { line = 1, column = 0, offset = 0, path = '' } = place ?? {}
    Object.assign(this, { line, column, offset, path })
  }
}

class ConfigError extends GitopsBrainError {}
class FactError extends PlacedError {}
class ParseError extends PlacedError {}
class QueryError extends GitopsBrainError {}
class RevisionError extends GitopsBrainError {}
class SignatureError extends GitopsBrainError {}

const families = { ConfigError, FactError, ParseError, QueryError, RevisionError, SignatureError }

/** The error that the native part means: it can throw texts only. */
function lift(error) {
  // By its text: where modules run in a realm of their own (Jest), it is no `Error` of theirs.
  if (typeof error?.message !== 'string' || !error.message.startsWith('{"family"')) return error
  const { family, code, message, place } = JSON.parse(error.message)
  const lifted = new families[family](message, code, place)
  Error.captureStackTrace(lifted, lift)
  return lifted
}

/** Calls the native part, and throws its errors as what they mean. */
function call(native) {
  try {
    return native()
  } catch (error) {
    throw lift(error)
  }
}

module.exports = { GitopsBrainError, ...families, lift, call }
