'use strict'

const WORD = (1n << 64n) - 1n

/** Numbers that look random, and are the same for the same seed: SplitMix64, as in the Rust tests. */
class Random {
  #state

  constructor(seed) {
    this.#state = BigInt(seed)
  }

  /** Any number of 64 bits. */
  next() {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & WORD
    let mixed = this.#state
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n) & WORD
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn) & WORD
    return mixed ^ (mixed >> 31n)
  }

  /** A number below another one. */
  below(end) {
    return Number(this.next() % BigInt(Math.max(end, 1)))
  }

  /** True so many times in a hundred. */
  percent(percent) {
    return this.below(100) < percent
  }

  /** One of several. */
  pick(list) {
    return list[this.below(list.length)]
  }

  bytes(length) {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }
}

/** All of a list in a random order, and about half of it once more. */
function shuffledWithRepetition(list, seed) {
  const random = new Random(seed)
  const again = list.filter(() => random.percent(50))
  const keyed = [...list, ...again].map((each) => ({ key: random.next(), each }))
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return keyed.map(({ each }) => each)
}

module.exports = { Random, shuffledWithRepetition }
