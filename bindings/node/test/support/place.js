'use strict'

// Where the package under test is: beside these tests, or where one was installed.

const path = require('node:path')

module.exports = path.resolve(process.env.GITOPS_BRAIN_PACKAGE ?? path.join(__dirname, '..', '..'))
