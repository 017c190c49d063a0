'use strict'

// Where the package under test is: beside these tests, or where one was installed.
//
// This and the other files here end in `.jslib` because `node --test` of Node 20 runs every file below
// a folder `test` that ends in `.js`, `.cjs` or `.mjs`; to `require` they are scripts all the same.

const path = require('node:path')

module.exports = path.resolve(process.env.GITOPS_BRAIN_PACKAGE ?? path.join(__dirname, '..', '..'))
