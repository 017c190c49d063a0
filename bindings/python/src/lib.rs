//! The Python package `gitops_brain`, its native part: conversions, and nothing else.
//!
//! `python/gitops_brain` makes it the package that people use: typed values, and waiting. What a user
//! sees of this module is documented in `_core.pyi`.

#![forbid(unsafe_code)]

mod brain;
mod convert;
mod fact;
mod verifier;

use gitops_brain as core;
use gitops_brain_bindings as shared;

#[pyo3::pymodule]
mod _core {
    #[pymodule_export]
    use crate::{
        brain::Brain,
        fact::{Fact, ingest, observe},
        texts::{ancestry_of_objects, metadata, parse},
        verifier::{Verifier, sign},
    };

    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}

mod texts {
    //! What is text on both sides: JSON of the values that Python makes of it.

    use pyo3::prelude::*;

    use crate::{
        convert::{bytes, bytes_list, raise},
        shared,
    };

    /// Reads what is named: an event, event_json, revision, commit_object or duration.
    #[pyfunction]
    pub(crate) fn parse(what: &str, text: &Bound<'_, PyAny>) -> PyResult<String> {
        shared::parse(what, bytes(text, what)?).map_err(|error| raise(text.py(), error))
    }

    /// The metadata entry of a name.
    #[pyfunction]
    pub(crate) fn metadata(
        api_version: &str,
        entries: Vec<(String, String)>,
        name: &str,
    ) -> Option<String> {
        let entries = entries.iter().map(|(key, value)| (&**key, &**value));
        shared::metadata(api_version, entries, name)
    }

    /// Raw commit objects as JSON of `Ancestry`.
    #[pyfunction]
    pub(crate) fn ancestry_of_objects(objects: &Bound<'_, PyAny>) -> PyResult<String> {
        let py = objects.py();
        let objects = bytes_list(objects, "objects")?;
        let objects: Vec<_> =
            objects.iter().map(|object| bytes(object, "objects")).collect::<PyResult<_>>()?;
        shared::ancestry_of_objects(&objects).map_err(|error| raise(py, error))
    }
}
