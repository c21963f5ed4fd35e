//! Over which of a key's points an aggregation goes: an argument of aggregations, no value.

use pyo3::prelude::*;
use skytide_connect::tables::Value;
use skytide_timestream::builder::lit;
use skytide_timestream::chain::Chain;
use skytide_timestream::query::Calendar;
use skytide_timestream::times;

use super::errors;
use super::rows::{is_span, nanos_of_span};
use super::scalars;
use super::stream::{Argument, Stream};

/// A window: how it is written, and the streams of its condition.
#[pyclass(frozen, module = "skytide._skytide")]
pub(super) struct Window {
    pub(super) chain: Chain,
    pub(super) parts: Vec<Stream>,
}

#[pymethods]
impl Window {
    /// A window by its name in queries, by a calendar or by what it is given: a condition, a number of
    /// intervals, a timedelta.
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "what Python gives is made anew")]
    #[pyo3(signature = (name, args, calendar=None))]
    fn new(name: &str, args: Vec<Bound<'_, PyAny>>, calendar: Option<&str>) -> PyResult<Self> {
        let calendar = match calendar {
            None => None,
            Some(name) => {
                let found = Calendar::ALL.iter().find(|(known, _)| *known == name);
                let (_, calendar) = found.ok_or_else(|| errors::value(format!("no calendar is {name}")))?;
                Some(*calendar)
            }
        };
        let (mut chains, mut parts) = (Vec::new(), Vec::new());
        for arg in &args {
            // A length of a window is written as text.
            let length = match scalars::of(arg)? {
                Some(Value::Duration(nanos)) => Some(nanos),
                _ if is_span(arg)? => Some(nanos_of_span(arg)?),
                _ => None,
            };
            if let Some(nanos) = length {
                chains.extend(Chain::literal(lit(times::duration_text(nanos).as_str())));
                continue;
            }
            let arg: Argument<'_> = arg.extract()?;
            chains.push(arg.chain());
            parts.extend(arg.streams().iter().cloned());
        }
        Ok(Self { chain: Chain::window(name, calendar, chains), parts })
    }
}
