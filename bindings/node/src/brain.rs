//! The brain.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use napi::{
    Env, Task,
    bindgen_prelude::{AsyncTask, Either, Result},
};
use napi_derive::napi;

use crate::{core, raise, shared, tables::tables};

type Shared = Arc<Mutex<core::Brain>>;

/// The fact is no longer at hand: make it again, and call once more.
const NO_FACT: i32 = -1;

/// Keeps a brain for as long as Node does.
#[napi]
#[derive(Debug)]
pub struct BrainHandle {
    number: u32,
}

#[napi]
impl BrainHandle {
    /// A brain that knows nothing yet.
    #[napi(constructor, catch_unwind)]
    pub fn new(policy: String) -> Result<Self> {
        let brain = core::Brain::new(shared::policy(&policy).map_err(raise)?);
        let brain = Arc::new(Mutex::new(brain));
        Ok(Self { number: tables(|tables| Ok(tables.brains.add(brain)))? })
    }

    /// Its number.
    #[napi(getter)]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for BrainHandle {
    fn drop(&mut self) {
        // After its thread there is nothing to remove.
        let _ = tables(|tables| {
            tables.brains.remove(self.number);
            Ok(())
        });
    }
}

fn find(brain: u32) -> Result<Shared> {
    tables(|tables| tables.brains.get(brain).cloned())
}

/// Stands for the clock of this process: it is read faster here than in Node.
#[napi]
pub const NOW: i64 = -9_007_199_254_740_991;

fn at(milliseconds: i64) -> Result<DateTime<Utc>> {
    if milliseconds == NOW { Ok(shared::now()) } else { shared::time(milliseconds).map_err(raise) }
}

/// Takes in a fact: 0 if it changed nothing, 1 for a heartbeat, 2 if it is new and nobody need be told;
/// else the effects as JSON. -1 if the fact is no longer at hand.
#[napi(catch_unwind)]
pub fn apply(brain: u32, fact: i64, now: i64) -> Result<Either<i32, String>> {
    let now = at(now)?;
    tables(|tables| {
        let Some(fact) = tables.facts.get(fact) else { return Ok(Either::A(NO_FACT)) };
        let effects = shared::lock(tables.brains.get(brain)?).apply(fact, now);
        if !effects.transitions.is_empty() || !effects.woken.is_empty() {
            return Ok(Either::B(shared::effects(&effects)));
        }
        Ok(Either::A(match effects.changed {
            core::Changed::Nothing => 0,
            core::Changed::LastHeard => 1,
            core::Changed::Knowledge => 2,
        }))
    })
}

/// What applying a fact would change at most, or null if the fact is no longer at hand.
#[napi(catch_unwind)]
pub fn preview(brain: u32, fact: i64) -> Result<Option<String>> {
    tables(|tables| {
        let brain = shared::lock(tables.brains.get(brain)?);
        Ok(tables.facts.get(fact).map(|fact| brain.preview(fact).as_str().to_owned()))
    })
}

/// Takes in all that another brain knows.
#[napi(catch_unwind)]
pub fn merge(brain: u32, other: u32, now: i64) -> Result<String> {
    let other = shared::lock(&*find(other)?).clone();
    Ok(shared::effects(&shared::lock(&*find(brain)?).merge(&other, at(now)?)))
}

/// Puts another policy in place.
#[napi(catch_unwind)]
pub fn set_policy(brain: u32, policy: String, now: i64) -> Result<String> {
    let policy = shared::policy(&policy).map_err(raise)?;
    Ok(shared::effects(&shared::lock(&*find(brain)?).set_policy(policy, at(now)?)))
}

/// Lets time pass.
#[napi(catch_unwind)]
pub fn expire(brain: u32, now: i64) -> Result<String> {
    Ok(shared::effects(&shared::lock(&*find(brain)?).expire(at(now)?)))
}

/// Answers a question in JSON, in JSON.
#[napi(catch_unwind)]
pub fn ask(brain: u32, question: String, now: i64) -> Result<String> {
    shared::ask(&shared::lock(&*find(brain)?), &question, at(now)?).map_err(raise)
}

/// The status of a rollout in JSON, or the number of the watch that waits for it.
#[napi(catch_unwind)]
pub fn watch(
    brain: u32,
    rollout: String,
    since: Option<String>,
    now: i64,
) -> Result<Either<String, f64>> {
    let brain = find(brain)?;
    let mut brain = shared::lock(&*brain);
    match shared::watch(&mut brain, &rollout, since.as_deref(), at(now)?).map_err(raise)? {
        shared::Watched::Ready(status) => Ok(Either::A(status)),
        #[expect(clippy::cast_precision_loss, reason = "2^53 watches take 300 years at 1 per µs")]
        shared::Watched::Waiting(id) => Ok(Either::B(id.get() as f64)),
    }
}

/// Gives up a watch.
#[napi(catch_unwind)]
pub fn unwatch(brain: u32, watch: i64) -> Result<()> {
    if let Ok(watch) = u64::try_from(watch) {
        shared::lock(&*find(brain)?).unwatch(core::WatchId::from_number(watch));
    }
    Ok(())
}

/// The lines of the smallest list of facts that makes an equal brain.
#[napi(catch_unwind)]
pub fn facts(brain: u32) -> Result<Vec<String>> {
    Ok(shared::lock(&*find(brain)?).facts().map(|fact| fact.to_line()).collect())
}

/// Whether two brains know the same.
#[napi(catch_unwind)]
pub fn equal(brain: u32, other: u32) -> Result<bool> {
    let other = shared::lock(&*find(other)?).clone();
    Ok(*shared::lock(&*find(brain)?) == other)
}

/// Takes in the lines of a journal, without effects, off the event loop.
#[napi(catch_unwind)]
pub fn load(brain: u32, lines: &[u8]) -> Result<AsyncTask<Load>> {
    Ok(AsyncTask::new(Load { brain: find(brain)?, lines: lines.to_vec() }))
}

/// Takes in the lines of a journal, or bodies of requests of a cluster, off the event loop.
#[napi(catch_unwind)]
pub fn apply_many(
    brain: u32,
    lines: &[u8],
    cluster: Option<String>,
    now: i64,
) -> Result<AsyncTask<ApplyMany>> {
    Ok(AsyncTask::new(ApplyMany {
        brain: find(brain)?,
        lines: lines.to_vec(),
        cluster,
        now: at(now)?,
    }))
}

/// The task of [`load`].
#[derive(Debug)]
pub struct Load {
    brain: Shared,
    lines: Vec<u8>,
}

impl Task for Load {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        let facts = shared::facts_of_lines(&self.lines).map_err(raise)?;
        shared::lock(&self.brain).load(facts);
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
        Ok(())
    }
}

/// The task of [`apply_many`].
#[derive(Debug)]
pub struct ApplyMany {
    brain: Shared,
    lines: Vec<u8>,
    cluster: Option<String>,
    now: DateTime<Utc>,
}

impl Task for ApplyMany {
    type Output = String;
    type JsValue = String;

    fn compute(&mut self) -> Result<String> {
        let facts = match &self.cluster {
            Some(cluster) => shared::facts_of_bodies(cluster, &self.lines, self.now),
            None => shared::facts_of_lines(&self.lines),
        };
        let facts = facts.map_err(raise)?;
        Ok(shared::effects(&shared::apply_many(&self.brain, &facts, self.now)))
    }

    fn resolve(&mut self, _: Env, effects: String) -> Result<String> {
        Ok(effects)
    }
}
