//! Signatures.

use pyo3::prelude::*;

use crate::{
    convert::{bytes, bytes_list, raise},
    core, shared,
};

/// The keys with which one cluster signs its events.
#[pyclass(frozen, module = "gitops_brain")]
pub(crate) struct Verifier(pub(crate) core::Verifier);

#[pymethods]
impl Verifier {
    #[new]
    fn new(keys: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = keys.py();
        let keys = bytes_list(keys, "keys")?;
        let keys: Vec<_> = keys.iter().map(|key| bytes(key, "keys")).collect::<PyResult<_>>()?;
        Ok(Self(shared::verifier(&keys).map_err(|error| raise(py, error))?))
    }

    /// Checks the value of the header `X-Signature` against the body, byte for byte as it came.
    ///
    /// Returns the place of the key in the list of keys. Raises SignatureError if the header is None
    /// or malformed, or the signature is of none of the keys.
    fn verify(
        &self,
        header: Option<&Bound<'_, PyAny>>,
        body: &Bound<'_, PyAny>,
    ) -> PyResult<usize> {
        let header = header.map(|header| bytes(header, "header")).transpose()?;
        let verified = self.0.verify(header, bytes(body, "body")?);
        verified.map(core::KeyIndex::as_usize).map_err(|error| raise(body.py(), error.into()))
    }

    fn __repr__(&self) -> &'static str {
        "Verifier(…)"
    }
}

/// The value of the header `X-Signature` that Flux would send with a body: `sha256=<64 hex digits>`.
///
/// Raises ConfigError if the key is empty.
#[pyfunction]
pub(crate) fn sign(key: &Bound<'_, PyAny>, body: &Bound<'_, PyAny>) -> PyResult<String> {
    core::sign(bytes(key, "key")?, bytes(body, "body")?)
        .map_err(|error| raise(key.py(), error.into()))
}
