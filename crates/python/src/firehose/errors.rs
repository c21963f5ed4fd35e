//! The core's errors as the exceptions of `skytide.firehose`.

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use skytide_firehose::{ConnectionError as Cause, Error, StreamError, Timeout};

mod python {
    // The names are Python's.
    pyo3::import_exception!(skytide.firehose._errors, StreamError);
    pyo3::import_exception!(skytide.firehose._errors, ConnectionError);
    pyo3::import_exception!(skytide.firehose._errors, MessageParsingError);
    pyo3::import_exception!(skytide.firehose._errors, StreamTimeoutError);
}

/// Something that is not the message, CAR or record that it was taken for.
pub(super) fn refused(error: impl std::fmt::Display) -> PyErr {
    python::MessageParsingError::new_err(error.to_string())
}

/// What ended a subscription.
pub(super) fn ended(error: &Error) -> PyErr {
    match error {
        Error::Connection(cause) => lost(cause, cause.to_string()),
        Error::GaveUp { attempts: 0 | 1, last } => lost(last, last.to_string()),
        Error::GaveUp { last, .. } => lost(last, error.to_string()),
        Error::Stream(stream) => error_frame(stream),
        Error::Endpoint(endpoint) => PyValueError::new_err(endpoint.to_string()),
        Error::Message(message) => refused(message),
        other => PyRuntimeError::new_err(other.to_string()),
    }
}

/// An error frame that is final.
fn error_frame(stream: &StreamError) -> PyErr {
    let error = python::StreamError::new_err(stream.to_string());
    let noted = Python::try_attach(|py| {
        let value = error.value(py);
        value.setattr("error", &stream.code)?;
        value.setattr("message", &stream.message)
    });
    match noted {
        Some(Err(other)) => other,
        _ => error,
    }
}

/// A connection that could not be made, was lost, or fell silent.
fn lost(cause: &Cause, text: String) -> PyErr {
    match cause {
        Cause::Timeout(Timeout::Silent { .. } | Timeout::Ping { .. }) => {
            python::StreamTimeoutError::new_err(text)
        }
        _ => python::ConnectionError::new_err(text),
    }
}
