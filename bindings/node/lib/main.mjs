import main from './main.js'

export const {
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
} = main
