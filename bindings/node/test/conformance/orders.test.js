'use strict'

// The order in which facts arrive, and how often, makes no difference to where a rollout ends.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain } = require('../support/package.js')
const { shuffledWithRepetition } = require('../support/random.js')
const { answers, brainOf, factsOf, forgets, lastPolicy, readScenario } = require('../support/scenario.js')
const { casesOf, readAll } = require('../support/vectors.js')

const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
const cases = casesOf(readAll(), 'scenarios')

test('facts in any order give the same statuses', async (t) => {
  let count = 0
  for (const each of cases) {
    await t.test(each.id, async () => {
      const scenario = readScenario(each)
      const facts = factsOf(scenario)
      const first = await brainOf(scenario, facts)
      const expected = answers(scenario, first)
      const orders = [facts.toReversed(), ...seeds.map((seed) => shuffledWithRepetition(facts, seed))]
      for (const [order, facts] of orders.entries()) {
        const brain = await brainOf(scenario, facts)
        assert.deepEqual(answers(scenario, brain), expected, `order ${order}`)
        // Where something is forgotten, what is kept of it depends on when it was said.
        if (!forgets(scenario)) assert.ok(brain.equals(first), `order ${order} makes another brain`)
        // What a snapshot holds is enough.
        const again = await brainOf(scenario, brain.facts())
        assert.deepEqual(answers(scenario, again), expected, `order ${order}, snapshot`)
      }
      count += 1
    })
  }
  assert.equal(count, cases.length)
  t.diagnostic(`${count} scenarios in ${seeds.length + 1} orders`)
})

test('what a brain gives as its facts makes an equal brain', async (t) => {
  for (const each of cases) {
    await t.test(each.id, async () => {
      const scenario = readScenario(each)
      const brain = await brainOf(scenario, factsOf(scenario))
      const asFacts = new Brain(lastPolicy(scenario))
      await asFacts.load(brain.facts())
      const asLines = new Brain(lastPolicy(scenario))
      await asLines.load(
        brain
          .facts()
          .map((fact) => `${fact.toLine()}\n`)
          .join(''),
      )
      for (const again of [asFacts, asLines]) {
        assert.ok(again.equals(brain))
        assert.ok(brain.equals(again))
        assert.deepEqual(lines(again), lines(brain))
        assert.deepEqual(answers(scenario, again), answers(scenario, brain))
      }
    })
  }
})

const lines = (brain) => brain.facts().map((fact) => fact.toLine())
