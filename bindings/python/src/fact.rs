//! Facts, and how requests become some.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash as _, Hasher as _},
};

use pyo3::{prelude::*, types::PyBytes};

use crate::{
    convert::{bytes, datetime, make_body, make_ignored, raise, time, write_body},
    core, shared,
    verifier::Verifier,
};

/// Something that was learned, and when: to be stored, and applied.
///
/// Facts can be applied more than once and in any order: the brain is the same. A fact crosses
/// processes and languages as one line of JSON.
///
/// body: a Registration, Ancestry, Settlement, Removal or Forgetting; at: when it was taken in, now by
/// default. Observations come from ingest and observe. Raises ConfigError or FactError if something in
/// the body is malformed.
#[pyclass(frozen, module = "gitops_brain")]
pub(crate) struct Fact(pub(crate) Box<core::Fact>);

#[pymethods]
impl Fact {
    #[new]
    #[pyo3(signature = (body, at = None))]
    fn new(body: &Bound<'_, PyAny>, at: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = body.py();
        let json: String = write_body(py)?.call1((body,))?.extract()?;
        let body = shared::body(&json).map_err(|error| raise(py, error))?;
        Ok(Self(Box::new(core::Fact::new(time(at)?, body))))
    }

    /// Reads a fact from its line of JSON, str or bytes.
    ///
    /// Raises FactError: with the code fact.newer_version if a newer release wrote it (stop rather than
    /// skip it), else fact.malformed.
    #[staticmethod]
    fn from_line(line: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fact = shared::fact_of_line(bytes(line, "line")?);
        Ok(Self(Box::new(fact.map_err(|error| raise(line.py(), error))?)))
    }

    /// The fact as one line of JSON, without a line break: what a journal stores.
    fn to_line(&self) -> String {
        self.0.to_line()
    }

    /// The version of the format.
    #[getter]
    fn v(&self) -> u32 {
        self.0.v
    }

    /// The receiver's clock when the fact was taken in, in UTC, in whole milliseconds.
    #[getter]
    fn at<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        datetime(py, self.0.at)
    }

    /// 16 bytes, for a journal's unique key: the same content has the same id whenever it was taken in.
    #[getter]
    fn id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.id())
    }

    /// What was learned: an Observation, Registration, Ancestry, Settlement, Removal or Forgetting.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        make_body(py)?.call1((shared::body_of(&self.0.body),))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.0.id(), self.0.at).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("Fact.from_line({:?})", self.0.to_line())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_line")?, (slf.get().to_line(),)))
    }
}

/// Verifies a request's signature, parses its body, and takes out what counts.
///
/// cluster: the name that you give to the cluster; header: the value of X-Signature, or None if there
/// is none; body: the request's body byte for byte; at: the receiver's clock, now by default.
///
/// Returns the Fact to store and apply, or Ignored. Raises SignatureError if the signature is missing
/// or wrong, ParseError if the body is not one of Flux's events or is dated more than 10 minutes after
/// `at`, ConfigError if the cluster's name is malformed.
#[pyfunction]
#[pyo3(signature = (verifier, cluster, header, body, at = None))]
pub(crate) fn ingest<'py>(
    verifier: &Bound<'py, Verifier>,
    cluster: &str,
    header: Option<&Bound<'py, PyAny>>,
    body: &Bound<'py, PyAny>,
    at: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let header = header.map(|header| bytes(header, "header")).transpose()?;
    let body = bytes(body, "body")?;
    let taken = shared::ingest(&verifier.get().0, cluster, header, body, time(at)?);
    taken_to_python(verifier.py(), taken)
}

/// Parses a body whose sender you have authenticated by other means (a bearer token, mTLS), and takes
/// out what counts.
///
/// Returns the Fact to store and apply, or Ignored. Raises ParseError and ConfigError as ingest does.
#[pyfunction]
#[pyo3(signature = (cluster, body, at = None))]
pub(crate) fn observe<'py>(
    cluster: &str,
    body: &Bound<'py, PyAny>,
    at: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let taken = shared::observe(cluster, bytes(body, "body")?, time(at)?);
    taken_to_python(body.py(), taken)
}

fn taken_to_python(
    py: Python<'_>,
    taken: Result<shared::Taken, shared::Error>,
) -> PyResult<Bound<'_, PyAny>> {
    match taken.map_err(|error| raise(py, error))? {
        shared::Taken::Fact(fact) => Ok(Bound::new(py, Fact(fact))?.into_any()),
        shared::Taken::Ignored(why) => make_ignored(py)?.call1((why,)),
    }
}
