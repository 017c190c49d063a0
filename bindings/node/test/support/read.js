'use strict'

// Readers of a vector's parts. Each takes a value and where it stands, and returns what the value means;
// a field that nothing reads, one that is missing, and one of another type are errors: what a runner
// does not know, it must not pass over.

/** A vector, or a part of one, that no runner can read. */
class Unreadable extends Error {}

const refuse = (where, what) => {
  throw new Unreadable(`${where} ${what}`)
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

const any = (value) => value
const string = (value, where) => (typeof value === 'string' ? value : refuse(where, 'must be a text'))
const boolean = (value, where) => (typeof value === 'boolean' ? value : refuse(where, 'must be true or false'))
const whole = (value, where) =>
  Number.isSafeInteger(value) && value >= 0 ? value : refuse(where, 'must be a whole number')
const nonEmpty = (value, where) => string(value, where) || refuse(where, 'must not be empty')

const matching = (pattern, what) => (value, where) =>
  pattern.test(string(value, where)) ? value : refuse(where, `is not ${what}: ${value}`)
const oneOf =
  (...allowed) =>
  (value, where) =>
    allowed.includes(value) ? value : refuse(where, `must be one of ${allowed.join(', ')}, not ${value}`)

const NAME = '[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?'
const commit = matching(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a commit')
const name = matching(new RegExp(`^${NAME}$`), 'a name')
const objectName = matching(new RegExp(`^${NAME}(?:/[A-Za-z0-9._:-]{1,253}){3}$`), 'cluster/Kind/namespace/name')
const selector = matching(/^[a-z0-9._*-]+(?:\/[A-Za-z0-9._:*-]{1,253}){3}$/, 'a selector')
const duration = matching(/^(?:\d+(?:ms|s|m|h|d))+$/, 'a duration')

/** RFC 3339 in UTC. */
function time(value, where) {
  const text = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z$/, 'a time')(value, where)
  const date = new Date(text)
  return Number.isNaN(date.getTime()) ? refuse(where, `is no time: ${text}`) : date
}

/** May be null. */
const nullable = (read) => (value, where) => (value === null ? null : read(value, where))

/** May be left out. */
const optional = (read, missing) => Object.assign((value, where) => read(value, where), { missing, isOptional: true })

/** An object with these fields, and no others. */
const record = (shape) => (value, where) => {
  if (!isObject(value)) refuse(where, 'must be an object')
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(shape, key))
  if (unknown !== undefined) refuse(where, `has an unknown field: ${unknown}`)
  return Object.fromEntries(
    Object.entries(shape).map(([key, read]) => {
      if (Object.hasOwn(value, key)) return [key, read(value[key], `${where}.${key}`)]
      return read.isOptional ? [key, read.missing] : refuse(where, `has no field ${key}`)
    }),
  )
}

/** An object with one field, whose name tells what it is. */
const tagged = (shapes) => (value, where) => {
  const entries = isObject(value) ? Object.entries(value) : []
  if (entries.length !== 1) refuse(where, 'must be an object with one field')
  const [[tag, content]] = entries
  if (!Object.hasOwn(shapes, tag)) refuse(where, `is of an unknown kind: ${tag}`)
  return { tag, content: shapes[tag](content, `${where}.${tag}`) }
}

const list = (read) => (value, where) =>
  Array.isArray(value) ? value.map((each, place) => read(each, `${where}[${place}]`)) : refuse(where, 'must be a list')

const map = (key, read) => (value, where) =>
  isObject(value)
    ? Object.fromEntries(
        Object.entries(value).map(([name, each]) => [key(name, `a key of ${where}`), read(each, `${where}.${name}`)]),
      )
    : refuse(where, 'must be an object')

/** Bytes, in the form that shows best what they are. */
function bytes(value, where) {
  if (typeof value === 'string') return Buffer.from(value)
  if (Array.isArray(value)) return Buffer.concat(list(bytes)(value, where))
  const { tag, content } = isObject(value) && 'repeat' in value ? { tag: 'repeat', content: value } : form(value, where)
  if (tag === 'json') return Buffer.from(JSON.stringify(content))
  if (tag === 'base64') return content
  const { repeat, times } = record({ repeat: string, times: whole })(content, where)
  return Buffer.from(repeat.repeat(times))
}

const form = tagged({ json: any, base64 })

function base64(value, where) {
  const decoded = Buffer.from(string(value, where), 'base64')
  // Buffer skips what is no base64.
  return decoded.toString('base64') === value ? decoded : refuse(where, `is not base64: ${value}`)
}

/** JSON whose objects have each key once: JSON.parse would silently drop the first. */
function json(text, where) {
  const value = JSON.parse(text)
  const open = []
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push(new Set())
    else if (token === '}' || token === ']') open.pop()
    else if (token.endsWith(':')) {
      if (open.at(-1).has(token)) refuse(where, `has the key ${token} twice`)
      open.at(-1).add(token)
    }
  }
  return value
}

module.exports = {
  Unreadable,
  any,
  boolean,
  bytes,
  commit,
  duration,
  isObject,
  json,
  list,
  map,
  name,
  nonEmpty,
  nullable,
  objectName,
  oneOf,
  optional,
  record,
  refuse,
  selector,
  string,
  tagged,
  time,
  whole,
}
