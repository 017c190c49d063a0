'use strict'

// Files of vectors: which there are, and that none is passed over. `tests/vectors/README.md` describes
// the format.

const fs = require('node:fs')
const path = require('node:path')

const { any, json, list, nonEmpty, oneOf, record, refuse } = require('./read.js')

const root = path.resolve(
  process.env.GITOPS_BRAIN_VECTORS ?? path.join(__dirname, '..', '..', '..', '..', 'tests', 'vectors'),
)

const kinds = ['signatures', 'events', 'revisions', 'observations', 'scenarios', 'truth']

const content = record({ kind: oneOf(...kinds), about: nonEmpty, cases: list(any) })

/** Reads one file, given where it is below the root: in the folder of its kind, not empty, each case named. */
function readFile(where, text) {
  if (!where.endsWith('.json')) refuse(where, 'is not a file of vectors: no runner would read it')
  const { kind, cases } = content(json(text, where), where)
  if (path.posix.dirname(where) !== kind) refuse(where, `belongs in the folder ${kind}`)
  if (cases.length === 0) refuse(where, 'has no cases')
  for (const each of cases) {
    nonEmpty(each?.id, `${where}: the id of a case`)
    nonEmpty(each.why, `${where}: the reason for ${each.id}`)
  }
  return { where, kind, cases }
}

/** Where the files below a folder are. */
function below(folder, prefix = '') {
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const where = prefix + entry.name
    return entry.isDirectory() ? below(path.join(folder, entry.name), `${where}/`) : [where]
  })
}

/** Reads every file. `README.md` is the only one that is no vector. */
function readAll(folder = root) {
  const places = below(folder).filter((where) => where !== 'README.md')
  const files = places.sort().map((where) => readFile(where, fs.readFileSync(path.join(folder, where), 'utf8')))
  for (const kind of kinds) {
    const ids = casesOf(files, kind).map(({ id }) => id)
    if (ids.length === 0) refuse(folder, `has no vectors of kind ${kind}`)
    const twice = ids.find((id, place) => ids.indexOf(id) !== place)
    if (twice !== undefined) refuse(kind, `has two cases with the id ${twice}`)
  }
  return files
}

const casesOf = (files, kind) => files.filter((file) => file.kind === kind).flatMap(({ cases }) => cases)

module.exports = { below, casesOf, kinds, readAll, readFile, root }
