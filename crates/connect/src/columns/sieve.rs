//! Which rows of a batch some scan wants, by the tests that all its points pass, before anything else is made
//! of the rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::BooleanBuffer;
use arrow_cast::cast;
use arrow_schema::{ArrowError, Field, Fields};
use skytide_timestream::functions::{Call, Column, EvalError, Warnings, eval};
use skytide_timestream::plan::{Comparison, PathStep, Scan};

use super::path;

/// The tests of all scans of a source.
#[derive(Debug, Clone)]
pub(crate) struct Sieve {
    /// By scan: every one of its tests must hold.
    scans: Vec<Vec<Test>>,
}

/// A comparison of a value inside a column with a constant.
#[derive(Debug, Clone)]
struct Test {
    /// The column, whole.
    field: Arc<Field>,
    /// The way to the value, from the row.
    path: Vec<PathStep>,
    comparison: Comparison,
    constant: ArrayRef,
}

impl Sieve {
    /// The tests of these scans of columns; none where a scan wants every row.
    pub(crate) fn of(scans: &[Scan], columns: &Fields) -> Option<Self> {
        let test = |scan: &Scan, of: &skytide_timestream::plan::Test| {
            let column = scan.columns.get(of.column)?;
            let PathStep::Field(name) = column.path.first()? else { return None };
            let (_, field) = columns.find(name)?;
            let constant = eval::literal(&of.literal, &column.data_type).ok()?;
            let (path, comparison) = (column.path.clone(), of.comparison);
            Some(Test { field: Arc::clone(field), path, comparison, constant })
        };
        let tests = |scan: &Scan| {
            let tests: Vec<Test> = scan.tests.iter().filter_map(|of| test(scan, of)).collect();
            (!tests.is_empty()).then_some(tests)
        };
        let scans: Vec<_> = scans.iter().map(tests).collect::<Option<_>>()?;
        (!scans.is_empty()).then_some(Self { scans })
    }

    /// Whether a column is tested.
    pub(crate) fn tests(&self, column: &str) -> bool {
        self.scans.iter().flatten().any(|test| test.field.name() == column)
    }

    /// The rows that pass all tests of a scan, of `len`. `column` gives a column by its field: in its type,
    /// but text may be in any form.
    pub(crate) fn wanted(
        &self,
        len: usize,
        column: impl Fn(&Field) -> Option<ArrayRef>,
    ) -> Result<BooleanBuffer, ArrowError> {
        let mut wanted = BooleanBuffer::new_unset(len);
        for tests in &self.scans {
            let mut pass = BooleanBuffer::new_set(len);
            for test in tests {
                pass = &pass & &test.holds(len, &column)?;
            }
            wanted = &wanted | &pass;
        }
        Ok(wanted)
    }
}

impl Test {
    /// At which rows it holds: as the language compares. What is null, or not there, never passes.
    fn holds(
        &self,
        len: usize,
        column: impl Fn(&Field) -> Option<ArrayRef>,
    ) -> Result<BooleanBuffer, ArrowError> {
        let Some(values) = column(&self.field) else { return Ok(BooleanBuffer::new_unset(len)) };
        let fields = Fields::from(vec![Field::clone(&self.field).with_data_type(values.data_type().clone())]);
        let values = path::at(&fields, &[values], &self.path, len)?;
        let constant = cast(&self.constant, values.data_type())?;
        let compare = match self.comparison {
            Comparison::Eq => eval::eq,
            Comparison::Ne => eval::ne,
            Comparison::Lt => eval::lt,
            Comparison::Le => eval::le,
            Comparison::Gt => eval::gt,
            Comparison::Ge => eval::ge,
        };
        let args = [Column::Array(values), Column::Constant(constant)];
        let (data_type, warnings) = (arrow_schema::DataType::Boolean, Warnings::default());
        let call = Call { args: &args, data_type: &data_type, len, warnings: &warnings };
        let made = match compare(&call).map_err(|EvalError { source, .. }| source)? {
            Column::Array(made) | Column::Constant(made) => made,
        };
        let truth = made.as_boolean();
        Ok(match truth.nulls() {
            Some(nulls) => truth.values() & nulls.inner(),
            None => truth.values().clone(),
        })
    }
}
