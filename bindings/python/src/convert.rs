//! Python's values as Rust's, and back.

use chrono::{DateTime, Utc};
use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    sync::PyOnceLock,
    types::{PyBytes, PyDateTime, PyString, PyType},
};

use crate::shared;

/// Something that a module of the package defines, looked up once.
macro_rules! lookup {
    ($name:ident, $module:literal, $attribute:literal) => {
        pub(crate) fn $name<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
            static FOUND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let found = FOUND.get_or_try_init(py, || {
                Ok::<_, PyErr>(py.import($module)?.getattr($attribute)?.unbind())
            })?;
            Ok(found.bind(py))
        }
    };
}

lookup!(make_error, "gitops_brain._errors", "make");
lookup!(make_body, "gitops_brain._values", "body_of_json");
lookup!(write_body, "gitops_brain._values", "body_to_json");
lookup!(make_effects, "gitops_brain._values", "effects_of_json");
lookup!(make_ignored, "gitops_brain._values", "ignored_of_json");
lookup!(make_time, "gitops_brain._values", "time_of_milliseconds");

/// The exception that an error is in Python.
pub(crate) fn raise(py: Python<'_>, error: shared::Error) -> PyErr {
    let place = error.place.map(|place| (place.line, place.column, place.offset, place.path));
    let made = make_error(py)
        .and_then(|make| make.call1((error.family.name(), error.code, error.message, place)));
    match made {
        Ok(made) => PyErr::from_value(made),
        Err(error) => error,
    }
}

/// The bytes of `bytes` or of a `str`.
pub(crate) fn bytes<'a>(value: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a [u8]> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        Ok(bytes.as_bytes())
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(text.to_str()?.as_bytes())
    } else {
        Err(wrong_type(value, name, "bytes or str"))
    }
}

/// The elements of an iterable of `bytes` or `str`; a single one would be taken for many.
pub(crate) fn bytes_list<'py>(
    value: &Bound<'py, PyAny>,
    name: &str,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let wrong = || wrong_type(value, name, "an iterable of bytes or str");
    if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyString>() {
        return Err(wrong());
    }
    value.try_iter().map_err(|_| wrong())?.collect()
}

pub(crate) fn wrong_type(value: &Bound<'_, PyAny>, name: &str, wanted: &str) -> PyErr {
    let found = value.get_type().name();
    let found = found.as_ref().map_or_else(|_| "something else".into(), |found| found.to_string());
    PyTypeError::new_err(format!("{name} must be {wanted}, not {found}"))
}

/// The time of an aware `datetime`, in whole milliseconds; of `None`, the host's clock.
pub(crate) fn time(value: Option<&Bound<'_, PyAny>>) -> PyResult<DateTime<Utc>> {
    let Some(value) = value else { return Ok(shared::now()) };
    let py = value.py();
    if !value.is_instance(PyType::new::<PyDateTime>(py).as_any())? {
        return Err(wrong_type(value, "the time", "a datetime"));
    }
    if value.call_method0("utcoffset")?.is_none() {
        return Err(PyValueError::new_err(
            "the time has no time zone: pass an aware datetime, as datetime.now(timezone.utc)",
        ));
    }
    // A double holds the microseconds of all years that Python has.
    let seconds: f64 = value.call_method0("timestamp")?.extract()?;
    #[expect(clippy::cast_possible_truncation, reason = "within the years 1 to 9999")]
    let milliseconds = ((seconds * 1e6).round() as i64).div_euclid(1000);
    shared::time(milliseconds).map_err(|error| raise(py, error))
}

/// A time as an aware `datetime` in UTC.
pub(crate) fn datetime<'py>(py: Python<'py>, time: DateTime<Utc>) -> PyResult<Bound<'py, PyAny>> {
    make_time(py)?.call1((time.timestamp_millis(),))
}
