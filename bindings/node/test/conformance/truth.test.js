'use strict'

// Never a false green: each `healthy` stands on what the API server knew at the time.

const assert = require('node:assert/strict')
const { test } = require('node:test')

const { Brain } = require('../support/package.js')
const { Random, shuffledWithRepetition } = require('../support/random.js')
const { Player, factsOf, lastPolicy, readScenario } = require('../support/scenario.js')
const { Truth, check, commitsOf, heard } = require('../support/truth.js')
const { casesOf, readAll } = require('../support/vectors.js')

const files = readAll()
const scenarioOf = (id) => readScenario(casesOf(files, 'scenarios').find((each) => each.id === id))

/** The facts in their order, without about a third of the observations. */
function someLost(facts, seed) {
  const random = new Random(seed)
  return facts.filter(({ body }) => body.type !== 'observed' || !random.percent(33))
}

/** Checks a brain after each of these facts, as if there were no more of them. */
function checkEach(truth, scenario, facts) {
  const brain = new Brain(lastPolicy(scenario))
  for (const [place, fact] of facts.entries()) {
    brain.apply(fact, fact.at)
    check(truth, brain, facts.slice(0, place + 1))
  }
}

test('every healthy is true, in any order and whatever is lost', async (t) => {
  const cases = casesOf(files, 'truth')
  let [held, count] = [0, 0]
  for (const each of cases) {
    await t.test(each.id, (t) => {
      const truth = new Truth(each)
      const scenario = scenarioOf(truth.scenario)
      const player = new Player(scenario)
      const told = new Set()
      while (player.advance()) {
        for (const claim of check(truth, player.brain, player.facts)) told.add(JSON.stringify(claim))
      }
      for (const reconciler of truth.reconcilers) {
        assert.notEqual(heard(player.facts, reconciler).newest, null, `${reconciler} was never heard of`)
      }
      // In another order less is known at each step: that must not make anything greener.
      for (let seed = 1; seed <= 4; seed += 1) {
        checkEach(truth, scenario, shuffledWithRepetition(player.facts, seed))
      }
      // Nor may the loss of events.
      for (let seed = 1; seed <= 16; seed += 1) checkEach(truth, scenario, someLost(player.facts, seed))
      t.diagnostic(`${truth.scenario}: ${told.size} told`)
      held += told.size
      count += 1
    })
  }
  assert.equal(count, cases.length)
  assert.ok(held > 0)
  t.diagnostic(`${held} times healthy, all true`)
})

test('a green that is not true would be found', async (t) => {
  for (const [id, found] of [
    ['captured-failed-early', true],
    ['captured-wait-false', false],
  ]) {
    await t.test(id, () => {
      const truth = casesOf(files, 'truth')
        .map((each) => new Truth(each))
        .find(({ scenario }) => scenario === id)
      const facts = factsOf(scenarioOf(id))
      const [reconciler] = truth.reconcilers
      const { uids, newest } = heard(facts, reconciler)
      const supported = (commit, uids, until) => truth.supports({ reconciler, commit, proved: commit }, uids, until)
      const commits = commitsOf(facts)
      // The truth does not say yes to everything: of a Kustomization that does not wait, to nothing.
      assert.equal(
        commits.some((commit) => supported(commit, uids, newest)),
        found,
      )
      for (const commit of commits) {
        assert.ok(!supported(commit, new Set(), newest), 'of another object')
        assert.ok(!supported(commit, uids, facts[0].at), 'before it was')
      }
    })
  }
})
