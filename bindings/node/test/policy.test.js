'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain, ConfigError } = require('./support/package.js')
const {
  APPS,
  COMMIT,
  WEB,
  brainWith,
  isDeeplyFrozen,
  observed,
  policy,
  registered,
  time,
} = require('./support/samples.js')

const defaults = {
  reconcilers: [],
  require: 'healthy',
  healthChecks: 'inferred',
  timeout: 1_800_000,
  failureGrace: 0,
  transientGrace: 120_000,
  learning: 600_000,
}

const thrown = (make) => {
  try {
    make()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

test('without a policy nothing is declared', () => {
  for (const none of [undefined, null, {}, { environments: {} }, { environments: {}, reconcilers: {} }]) {
    assert.deepEqual(new Brain(none).policy, { environments: {}, reconcilers: {} })
  }
})

test('what an environment leaves out has the default', () => {
  const brain = new Brain({ environments: { staging: {}, 'prod-1': { reconcilers: [APPS] } } })
  assert.deepEqual(brain.policy.environments, { staging: defaults, 'prod-1': { ...defaults, reconcilers: [APPS] } })
  const undefinedToo = { environments: { staging: { timeout: undefined, require: undefined } } }
  assert.deepEqual(new Brain(undefinedToo).policy.environments.staging, defaults)
})

test('fields are named in camel case, or as in the configuration file', () => {
  const wanted = {
    environments: {
      team_a: {
        reconcilers: [APPS, WEB],
        require: 'applied',
        healthChecks: 'enabled',
        timeout: 90_000,
        failureGrace: 1_500,
        transientGrace: 0,
        learning: 86_400_000,
      },
    },
    reconcilers: { 'staging/Kustomization/flux-system/*': { healthChecks: 'disabled' } },
  }
  const asInTheFile = {
    environments: {
      team_a: {
        reconcilers: [APPS, WEB],
        require: 'applied',
        health_checks: 'enabled',
        timeout: '1m30s',
        failure_grace: '1s500ms',
        transient_grace: '0s',
        learning: '1d',
      },
    },
    reconcilers: { 'staging/Kustomization/flux-system/*': { health_checks: 'disabled' } },
  }
  for (const given of [wanted, asInTheFile]) assert.deepEqual(new Brain(given).policy, wanted)
  // What is in place can be put in place again.
  assert.deepEqual(new Brain(new Brain(wanted).policy).policy, wanted)
})

test('durations are milliseconds or text', () => {
  const timeoutOf = (timeout) =>
    new Brain({ environments: { staging: { timeout } } }).policy.environments.staging.timeout
  for (const [given, milliseconds] of [
    [0, 0],
    [1_500, 1_500],
    [1_500.9, 1_500],
    ['1500ms', 1_500],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['2d', 172_800_000],
  ]) {
    assert.equal(timeoutOf(given), milliseconds, String(given))
  }
  for (const bad of ['', '30', '-1s', '1.5h', '1w', '4000d', 1e15]) {
    assert.equal(thrown(() => timeoutOf(bad)).constructor, ConfigError, String(bad))
  }
  for (const bad of [-1, NaN, Infinity, 1e300])
    assert.equal(thrown(() => timeoutOf(bad)).constructor, RangeError, String(bad))
  for (const bad of [true, {}, [], 5n]) assert.equal(thrown(() => timeoutOf(bad)).constructor, TypeError, String(bad))
})

test('what is written wrong is a ConfigError that names it', () => {
  for (const [given, named] of [
    [{ enviroments: {} }, /enviroments/],
    [{ environments: { staging: { timout: '5m' } } }, /timout/],
    [{ environments: { staging: { healthchecks: 'enabled' } } }, /healthchecks/],
    [{ environments: { staging: { healthChecks: 'on' } } }, /`on`.*enabled.*disabled.*inferred/],
    [{ environments: { staging: { require: 'alive' } } }, /`alive`.*applied.*healthy/],
    [{ environments: { staging: { reconcilers: ['apps'] } } }, /`apps` is not a valid reconciler name/],
    [{ environments: { staging: { reconcilers: APPS } } }, /sequence/],
    [{ environments: { 'Staging!': {} } }, /`Staging!` is not a valid environment name/],
    [{ reconcilers: { apps: {} } }, /`apps` is not a valid reconciler name/],
    [{ reconcilers: { [APPS]: { require: 'healthy' } } }, /require/],
    [{ environments: { __proto__: null, ['__proto__']: {} } }, /`__proto__` is not a valid environment name/],
  ]) {
    for (const put of [() => new Brain(given), () => new Brain().setPolicy(given)]) {
      const error = thrown(put)
      assert.equal(error.constructor, ConfigError, JSON.stringify(given))
      assert.equal(error.code, 'policy.malformed')
      assert.match(error.message, named)
      // The place would be one in JSON that the caller never wrote.
      assert.doesNotMatch(error.message, /line \d/)
    }
  }
})

test('a policy of the wrong type is a TypeError', () => {
  for (const [given, message] of [
    ['policy', 'the policy must be an object, not string'],
    [[], 'the policy must be an object, not Array'],
    [5, 'the policy must be an object, not number'],
    [{ environments: ['staging'] }, "the policy's environments must be an object, not Array"],
    [{ environments: null }, "the policy's environments must be an object, not null"],
    [{ environments: { staging: null } }, 'staging must be an object, not null'],
    [{ environments: { staging: { timeout: true } } }, 'timeout must be milliseconds or a string, not boolean'],
  ]) {
    assert.throws(() => new Brain(given), { name: 'TypeError', message })
  }
  assert.throws(() => new Brain().setPolicy(), {
    name: 'TypeError',
    message: 'the policy must be an object, not undefined',
  })
})

test('another policy can be put in place, and its effects are told', () => {
  const brain = brainWith()
  brain.apply(observed('applying', { at: time(1) }), time(1))
  const effects = brain.setPolicy(
    { environments: { staging: { reconcilers: [APPS], require: 'applied' } } },
    { now: time(2) },
  )
  assert.equal(effects.changed, 'knowledge')
  assert.equal(brain.policy.environments.staging.require, 'applied')
  // What was registered before holds: a later policy does not rewrite history.
  assert.equal(brain.status('staging', COMMIT, { now: time(2) }).require, 'healthy')
  assert.equal(brain.setPolicy(brain.policy, { now: time(3) }).changed, 'nothing')
})

test('a policy that is refused leaves the former in place', () => {
  const brain = new Brain(policy)
  const before = brain.policy
  thrown(() => brain.setPolicy({ environments: { staging: { timout: 1 } } }))
  thrown(() => brain.setPolicy({ environments: {} }, { now: new Date(NaN) }))
  assert.deepEqual(brain.policy, before)
})

test('health checks that are declared decide what success means', () => {
  const verdict = (given) => {
    const brain = new Brain(given)
    brain.apply(registered(brain), time(0))
    brain.apply(observed('applying', { at: time(1) }), time(1))
    return brain.reconcilers({ environment: 'staging' })[0].healthChecks
  }
  const declared = (healthChecks) => ({ environments: { staging: { reconcilers: [APPS], healthChecks } } })
  assert.deepEqual(verdict(declared('disabled')), { policy: 'disabled', verdict: 'does_not_check' })
  assert.deepEqual(verdict(declared('enabled')), { policy: 'enabled', verdict: 'checks' })
  const single = { ...declared('disabled'), reconcilers: { [APPS]: { healthChecks: 'enabled' } } }
  assert.deepEqual(verdict(single), { policy: 'enabled', verdict: 'checks' })
})

test('the policy in place is frozen, and is not what was given', () => {
  const given = { environments: { staging: { reconcilers: [APPS] } } }
  const brain = new Brain(given)
  given.environments.staging.reconcilers.push(WEB)
  assert.deepEqual(brain.policy.environments.staging.reconcilers, [APPS])
  assert.ok(isDeeplyFrozen(brain.policy))
  assert.throws(() => (brain.policy = {}), TypeError)
})
