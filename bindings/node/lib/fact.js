'use strict'

const native = require('../native.js')
const { bytes, instance, list, text, time } = require('./check.js')
const { call } = require('./errors.js')
const { plain, readBody, writeBody } = require('./values.js')

let verifierNumber

/** The keys with which one cluster signs its events. */
class Verifier {
  #handle
  #number

  static {
    verifierNumber = (verifier) => instance(verifier, Verifier, 'verifier').#number
  }

  constructor(keys) {
    const given = list(keys, 'keys').map((key) => bytes(key, 'keys'))
    this.#handle = call(() => new native.VerifierHandle(given))
    this.#number = this.#handle.number
  }

  verify(header, body) {
    const signature = header === undefined || header === null ? null : bytes(header, 'header')
    const content = bytes(body, 'body')
    return call(() => native.verify(this.#number, signature, content))
  }
}

function sign(key, body) {
  const [secret, content] = [bytes(key, 'key'), bytes(body, 'body')]
  return call(() => native.sign(secret, content))
}

/** What the constructor of Fact is given by this module. */
const taken = Symbol('taken')

let factNumber, makeAgain

/**
 * Something that was learned, and when. The native part keeps the latest ones, by their numbers; one
 * that it no longer keeps is made again, by the call that made it first.
 */
class Fact {
  #number
  #make

  static {
    factNumber = (fact) => instance(fact, Fact, 'fact').#number
    makeAgain = (fact) => (fact.#number = call(fact.#make))
  }

  constructor(body, at, number, make) {
    if (body === taken) {
      this.#number = number
      this.#make = make
    } else {
      const written = writeBody(body)
      const stamped = time(at)
      this.#make = () => native.factOfBody(written, stamped)
      makeAgain(this)
    }
  }

  static fromLine(line) {
    const copy = Buffer.from(bytes(line, 'line'))
    const make = () => native.factOfLine(copy)
    return new Fact(taken, undefined, call(make), make)
  }

  toLine() {
    return this.#read(native.factLine)
  }

  get v() {
    return native.FACT_VERSION
  }

  get at() {
    return new Date(this.#read(native.factAt))
  }

  get id() {
    return this.#read(native.factId)
  }

  get body() {
    return readBody(JSON.parse(this.#read(native.factBody)))
  }

  toJSON() {
    return JSON.parse(this.toLine())
  }

  #read(read) {
    return read(this.#number) ?? read(makeAgain(this))
  }
}

function ingest(verifier, cluster, header, body, at) {
  text(cluster, 'cluster')
  const signature = header === undefined || header === null ? null : headerText(header)
  const content = bytes(body, 'body')
  const stamped = time(at)
  // Made again, the signature is checked again: the body cannot have been changed meanwhile.
  return take(() => native.ingest(verifierNumber(verifier), cluster, signature, content, stamped))
}

function observe(cluster, body, at) {
  text(cluster, 'cluster')
  // A copy: nothing else would notice if the body were changed meanwhile.
  const content = Buffer.from(bytes(body, 'body'))
  const stamped = time(at)
  return take(() => native.observe(cluster, content, stamped))
}

/** A fact, or why there is none. */
function take(make) {
  const told = call(make)
  return typeof told === 'string' ? plain(JSON.parse(told)) : new Fact(taken, undefined, told, make)
}

/** A header of bytes that are no text is no signature either. */
function headerText(header) {
  return typeof header === 'string' ? header : Buffer.from(bytes(header, 'header')).toString('latin1')
}

module.exports = { Fact, Verifier, factNumber, ingest, makeAgain, observe, sign }
