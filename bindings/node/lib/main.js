'use strict'

const { VERSION } = require('../native.js')
const { Brain } = require('./brain.js')
const {
  ConfigError,
  FactError,
  GitopsBrainError,
  ParseError,
  QueryError,
  RevisionError,
  SignatureError,
} = require('./errors.js')
const { Fact, Verifier, ingest, observe, sign } = require('./fact.js')
const { Ancestry, CommitObject, Event, Revision } = require('./values.js')

module.exports = {
  Ancestry,
  Brain,
  CommitObject,
  ConfigError,
  Event,
  Fact,
  FactError,
  GitopsBrainError,
  ParseError,
  QueryError,
  Revision,
  RevisionError,
  SignatureError,
  VERSION,
  Verifier,
  ingest,
  observe,
  sign,
}
