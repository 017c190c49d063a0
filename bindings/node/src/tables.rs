//! What Node knows by number. Each thread of Node has tables of its own, as it has objects of its own.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use napi::bindgen_prelude::{Error, Result};

use crate::core::{Brain, Fact, Verifier};

/// So many facts are kept at hand. One that is no longer is made again of what it came from.
const KEPT_FACTS: usize = 256;

thread_local! {
    static TABLES: RefCell<Tables> = const { RefCell::new(Tables::new()) };
}

/// What Node knows by number.
pub(crate) struct Tables {
    pub(crate) brains: Table<Arc<Mutex<Brain>>>,
    pub(crate) verifiers: Table<Verifier>,
    pub(crate) facts: Latest,
}

impl Tables {
    const fn new() -> Self {
        Self { brains: Table::new(), verifiers: Table::new(), facts: Latest::new() }
    }
}

/// The tables of this thread.
pub(crate) fn tables<T>(with: impl FnOnce(&mut Tables) -> Result<T>) -> Result<T> {
    TABLES
        .try_with(|tables| with(&mut *tables.try_borrow_mut().map_err(|_| busy())?))
        .unwrap_or_else(|_| Err(busy()))
}

/// No call is made from within another, nor after its thread: this does not happen.
fn busy() -> Error {
    Error::from_reason("the tables are in use")
}

/// Things by number.
pub(crate) struct Table<T> {
    things: BTreeMap<u32, T>,
    next: u32,
}

impl<T> Table<T> {
    const fn new() -> Self {
        Self { things: BTreeMap::new(), next: 0 }
    }

    pub(crate) fn add(&mut self, thing: T) -> u32 {
        let number = self.next;
        self.next += 1;
        self.things.insert(number, thing);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Result<&T> {
        self.things.get(&number).ok_or_else(|| Error::from_reason("the number stands for nothing"))
    }

    pub(crate) fn remove(&mut self, number: u32) {
        self.things.remove(&number);
    }
}

/// The latest facts.
pub(crate) struct Latest {
    facts: Vec<(i64, Box<Fact>)>,
    next: i64,
}

impl Latest {
    const fn new() -> Self {
        Self { facts: Vec::new(), next: 0 }
    }

    /// Keeps a fact in the place of the oldest.
    pub(crate) fn add(&mut self, fact: Box<Fact>) -> i64 {
        let number = self.next;
        self.next += 1;
        match self.facts.get_mut(Self::place(number)) {
            Some(place) => *place = (number, fact),
            // The places fill up in the order of the numbers.
            None => self.facts.push((number, fact)),
        }
        number
    }

    pub(crate) fn get(&self, number: i64) -> Option<&Fact> {
        let (kept, fact) = self.facts.get(Self::place(number))?;
        (*kept == number).then_some(fact)
    }

    fn place(number: i64) -> usize {
        usize::try_from(number).map_or(usize::MAX, |number| number % KEPT_FACTS)
    }
}
