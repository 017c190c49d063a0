//! The brain. Its methods take and give what `gitops_brain.Brain` makes typed values of.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use pyo3::{
    prelude::*,
    sync::{MutexExt, PyOnceLock},
    types::{PyList, PyString},
};

use crate::{
    convert::{bytes, make_effects, raise, time, wrong_type},
    core,
    fact::Fact,
    shared,
};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// All that is known, and the questions that wait for an answer: the native part of it.
#[pyclass(frozen, subclass, module = "gitops_brain._core")]
pub(crate) struct Brain {
    brain: Mutex<core::Brain>,
    /// Called with the effects of a call that woke somebody.
    on_effects: Py<PyAny>,
    /// Whether it is called for all effects that can move a deadline.
    keeps_deadlines: AtomicBool,
}

impl Brain {
    /// Another thread may hold the brain for a while: meanwhile this one lets Python go on.
    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, core::Brain> {
        self.brain.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    /// What it knows now. Two that look at each other would wait for each other without a copy.
    fn copy(&self, py: Python<'_>) -> core::Brain {
        py.detach(|| shared::lock(&self.brain).clone())
    }

    fn ask<T>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&mut core::Brain) -> Result<T, shared::Error>,
    ) -> PyResult<T> {
        question(&mut self.lock(py)).map_err(|error| raise(py, error))
    }

    /// Effects as Python has them, after those that they concern were told.
    fn effects<'py>(
        &self,
        py: Python<'py>,
        effects: &core::Effects,
    ) -> PyResult<Bound<'py, PyAny>> {
        static PLAIN: [PyOnceLock<Py<PyAny>>; 3] = [const { PyOnceLock::new() }; 3];
        let make = || make_effects(py)?.call1((shared::effects(effects),));
        let made = if effects.transitions.is_empty() && effects.woken.is_empty() {
            let [nothing, last_heard, knowledge] = &PLAIN;
            let known = match effects.changed {
                core::Changed::Nothing => nothing,
                core::Changed::LastHeard => last_heard,
                core::Changed::Knowledge => knowledge,
            };
            known.get_or_try_init(py, || make().map(Bound::unbind))?.bind(py).clone()
        } else {
            make()?
        };
        let moved = effects.changed == core::Changed::Knowledge
            && self.keeps_deadlines.load(Ordering::Relaxed);
        if moved || !effects.woken.is_empty() {
            self.on_effects.bind(py).call1((&made,))?;
        }
        Ok(made)
    }
}

#[pymethods]
impl Brain {
    #[new]
    fn new(policy: &str, on_effects: Py<PyAny>, py: Python<'_>) -> PyResult<Self> {
        let policy = shared::policy(policy).map_err(|error| raise(py, error))?;
        Ok(Self {
            brain: Mutex::new(core::Brain::new(policy)),
            on_effects,
            keeps_deadlines: AtomicBool::new(false),
        })
    }

    /// Takes in a fact, and returns what changed.
    ///
    /// Store the fact durably first. now: the host's clock by default.
    #[pyo3(signature = (fact, now = None))]
    fn apply<'py>(
        &self,
        fact: &Bound<'py, Fact>,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, now) = (fact.py(), time(now)?);
        let effects = self.lock(py).apply(&fact.get().0, now);
        self.effects(py, &effects)
    }

    /// What applying a fact would change, at most: "nothing", "last_heard" or "knowledge".
    fn _preview(&self, py: Python<'_>, fact: &Bound<'_, Fact>) -> &'static str {
        self.lock(py).preview(&fact.get().0).as_str()
    }

    fn _load(&self, py: Python<'_>, facts: Any<'_, '_>) -> PyResult<()> {
        let facts = self.read(facts)?;
        py.detach(|| shared::lock(&self.brain).load(facts));
        Ok(())
    }

    #[pyo3(signature = (facts, cluster, now))]
    fn _apply_many<'py>(
        &self,
        facts: Any<'_, 'py>,
        cluster: Option<&str>,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, now) = (facts.py(), time(now)?);
        let facts = match cluster {
            Some(cluster) => {
                let bodies = bytes(facts, "facts")?;
                py.detach(|| shared::facts_of_bodies(cluster, bodies, now))
                    .map_err(|error| raise(py, error))?
            }
            None => self.read(facts)?,
        };
        let effects = py.detach(|| shared::apply_many(&self.brain, &facts, now));
        self.effects(py, &effects)
    }

    fn _set_policy<'py>(
        &self,
        py: Python<'py>,
        policy: &str,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let now = time(now)?;
        let effects = self.ask(py, |brain| Ok(brain.set_policy(shared::policy(policy)?, now)))?;
        self.effects(py, &effects)
    }

    fn _merge<'py>(
        &self,
        other: &Bound<'py, Self>,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, now) = (other.py(), time(now)?);
        let other = other.get().copy(py);
        let effects = py.detach(|| shared::lock(&self.brain).merge(&other, now));
        self.effects(py, &effects)
    }

    fn _expire<'py>(
        &self,
        py: Python<'py>,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let now = time(now)?;
        let effects = self.lock(py).expire(now);
        self.effects(py, &effects)
    }

    fn _keep_deadlines(&self, keep: bool) {
        self.keeps_deadlines.store(keep, Ordering::Relaxed);
    }

    /// Answers a question in JSON, in JSON.
    fn _ask(&self, py: Python<'_>, question: &str, now: Option<Any<'_, '_>>) -> PyResult<String> {
        let now = time(now)?;
        self.ask(py, |brain| shared::ask(brain, question, now))
    }

    /// The status of a rollout in JSON, or the number of the watch that waits for it.
    fn _watch<'py>(
        &self,
        py: Python<'py>,
        rollout: &str,
        since: Option<&str>,
        now: Option<Any<'_, 'py>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let now = time(now)?;
        Ok(match self.ask(py, |brain| shared::watch(brain, rollout, since, now))? {
            shared::Watched::Ready(status) => PyString::new(py, &status).into_any(),
            shared::Watched::Waiting(id) => id.get().into_pyobject(py)?.into_any(),
        })
    }

    fn _unwatch(&self, py: Python<'_>, id: u64) {
        self.lock(py).unwatch(core::WatchId::from_number(id));
    }

    /// The smallest list of facts that makes an equal brain: for snapshots and compaction.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let brain = self.copy(py);
        let facts: Vec<_> = py.detach(|| brain.facts().map(|fact| Fact(Box::new(fact))).collect());
        PyList::new(py, facts)
    }

    fn __eq__(&self, other: &Bound<'_, Self>) -> bool {
        let py = other.py();
        let other = other.get().copy(py);
        py.detach(|| *shared::lock(&self.brain) == other)
    }
}

impl Brain {
    /// Facts: lines in one text, or an iterable of facts and lines.
    fn read(&self, facts: Any<'_, '_>) -> PyResult<Vec<core::Fact>> {
        let py = facts.py();
        if facts.is_instance_of::<PyString>() || facts.is_instance_of::<pyo3::types::PyBytes>() {
            let lines = bytes(facts, "facts")?;
            return py.detach(|| shared::facts_of_lines(lines)).map_err(|error| raise(py, error));
        }
        let wrong = |what: Any<'_, '_>| wrong_type(what, "facts", "lines, or an iterable of Fact");
        let one = |fact: PyResult<Bound<'_, PyAny>>| {
            let fact = fact?;
            let fact = fact.cast::<Fact>().map_err(|_| wrong(&fact))?;
            Ok((*fact.get().0).clone())
        };
        facts.try_iter().map_err(|_| wrong(facts))?.map(one).collect()
    }
}
