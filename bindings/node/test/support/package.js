'use strict'

// The package under test.

module.exports = require(require('./place.js'))
