'use strict'

// Arguments of the right types, or a TypeError that says which is wrong.

const { setMaxListeners } = require('node:events')
const { isDate, isSharedArrayBuffer, isUint8Array } = require('node:util/types')

const describe = (value) =>
  value === null ? 'null' : typeof value === 'object' ? value.constructor?.name ?? 'object' : typeof value

function wrong(name, wanted, value) {
  return new TypeError(`${name} must be ${wanted}, not ${describe(value)}`)
}

function text(value, name) {
  if (typeof value === 'string') return value
  throw wrong(name, 'a string', value)
}

function optionalText(value, name) {
  return value === undefined || value === null ? null : text(value, name)
}

/** A string's bytes are those of UTF-8. */
function bytes(value, name) {
  if (typeof value === 'string') return Buffer.from(value)
  // Not `instanceof`: that holds of what only looks so, and does not across realms.
  if (isUint8Array(value)) {
    // Of memory that other threads can write to, a copy is read.
    const { buffer } = value
    return !(buffer instanceof ArrayBuffer) && isSharedArrayBuffer(buffer) ? Buffer.from(value) : value
  }
  throw wrong(name, 'a Uint8Array or a string', value)
}

function list(value, name) {
  if (typeof value === 'object' && typeof value?.[Symbol.iterator] === 'function' && !ArrayBuffer.isView(value)) {
    return [...value]
  }
  throw wrong(name, 'an array', value)
}

function texts(value, name) {
  return value === undefined || value === null ? [] : list(value, name).map((each) => text(each, name))
}

function object(value, name) {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)) return value
  throw wrong(name, 'an object', value)
}

/** What may be left out. A Date is no options: it would be overlooked. */
function options(value) {
  if (value === undefined) return {}
  if (isDate(value)) throw wrong('the options', 'an object', value)
  return object(value, 'the options')
}

/** A signal, as an AbortController has it. */
function signal(value) {
  if (value === undefined || value === null) return undefined
  if (typeof value.aborted === 'boolean' && typeof value.addEventListener === 'function') {
    // Any number may wait with one signal, without a warning.
    if (value instanceof EventTarget) setMaxListeners(0, value)
    return value
  }
  throw wrong('signal', 'an AbortSignal', value)
}

function textMap(value, name) {
  const entries = Object.entries(object(value ?? {}, name))
  return Object.fromEntries(entries.map(([key, each]) => [key, text(each, `${name}.${key}`)]))
}

/** A time in milliseconds: that of a Date, or else the host's clock. */
function time(value) {
  if (value === undefined || value === null) return Date.now()
  if (!isDate(value)) throw wrong('the time', 'a Date', value)
  const milliseconds = value.getTime()
  if (Number.isNaN(milliseconds)) throw new RangeError('the time is an invalid Date')
  return milliseconds
}

/** A duration as the native part reads it. */
function duration(value, name) {
  if (value === undefined || value === null) return null
  if (typeof value === 'string') return value
  if (typeof value !== 'number') throw wrong(name, 'milliseconds or a string', value)
  if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`${name} must be a number of milliseconds, 0 or more`)
  return `${Math.trunc(value)}ms`
}

function instance(value, type, name) {
  if (value instanceof type) return value
  throw wrong(name, `a ${type.name}`, value)
}

module.exports = {
  bytes,
  duration,
  instance,
  list,
  object,
  optionalText,
  options,
  signal,
  text,
  textMap,
  texts,
  time,
  wrong,
}
