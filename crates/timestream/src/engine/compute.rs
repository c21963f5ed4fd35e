//! The steps of a region over a batch of rows, and its aggregations.

use std::slice;
use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Int64Array, StructArray, UInt16Array, UInt32Array,
    UInt64Array, new_null_array,
};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::filter::FilterBuilder;
use arrow_select::nullif::nullif;

use super::aggregate::{Aggregate, Batch};
use super::array::{one_a_row, retyped};
use super::boundary::Boundary;
use super::error::EngineError;
use super::join::Joined;
use super::mask::{Mask, is_true, mask};
use super::recent::Recent;
use super::region::RegionOperator;
use super::user;
use super::windows::{Since, Sliding, Trailing};
use crate::functions::{Call, Column, EvalError, FunctionKind, Warnings, eval};
use crate::plan::{Input, Reg, Region, Step, StepOp};
use crate::query::{Aggregation, Own, Part, Window};

/// The state of an aggregation over its window.
pub(super) fn state(
    region: &Region,
    aggregation: &Aggregation,
    value: Reg,
) -> Result<Box<dyn Aggregate>, EngineError> {
    let Aggregation { function, constants, window } = aggregation;
    let FunctionKind::Aggregate(make) = function.kind else {
        return Err(EngineError::mismatch("aggregate", "an aggregation", function.name));
    };
    let input = &region.steps[value].data_type;
    let made = || make(input, constants);
    Ok(match *window {
        Window::All => made()?,
        Window::Since(_) => Box::new(Since::new(made()?)),
        Window::Tumbling(_) => sliding(made, 1)?,
        Window::Sliding(intervals, _) => sliding(made, intervals)?,
        Window::Trailing(nanos) => {
            let made = made()?;
            match (made.whole(), made.trailing(nanos)) {
                (Some(whole), _) => Box::new(Recent::new(whole, nanos)),
                (None, Some(own)) => own?,
                (None, None) => Box::new(Trailing::new(made, input, nanos)?),
            }
        }
    })
}

/// An aggregation over the last intervals.
fn sliding(
    made: impl Fn() -> Result<Box<dyn Aggregate>, EngineError>,
    intervals: u32,
) -> Result<Box<dyn Aggregate>, EngineError> {
    match made()?.sliding(intervals) {
        Some(own) => own,
        None => Ok(Box::new(Sliding::new(made, intervals)?)),
    }
}

/// The value of a step that is a literal, or a call of constants before it; what does not fit is counted.
pub(super) fn constant(
    step: &Step,
    constants: &[Option<ArrayRef>],
    unfit: &Warnings,
) -> Result<Option<ArrayRef>, EngineError> {
    let cast: fn(&Call<'_>) -> Result<Column, EvalError> = eval::cast;
    let (args, evaluate) = match &step.op {
        StepOp::Literal(scalar) => return Ok(Some(eval::literal(scalar, &step.data_type)?)),
        StepOp::Call { function, args } => match function.kind {
            FunctionKind::Scalar(evaluate) => (args.as_slice(), evaluate),
            _ => return Ok(None),
        },
        StepOp::Cast(value) => (slice::from_ref(value), cast),
        _ => return Ok(None),
    };
    let args = args.iter().map(|arg| constants.get(*arg)?.clone().map(Column::Array));
    let Some(args) = args.collect::<Option<Vec<Column>>>() else { return Ok(None) };
    match evaluate(&Call { args: &args, data_type: &step.data_type, len: 1, warnings: unfit })? {
        Column::Array(value) | Column::Constant(value) if *value.data_type() == step.data_type => {
            Ok(Some(value))
        }
        other => Err(EngineError::mismatch("step", &step.data_type, other.data_type())),
    }
}

impl RegionOperator {
    /// The value of each step at each row.
    ///
    /// Where there is state, `self.numbers` are the numbers of the rows' keys. `ticks` are given where the
    /// rows are a boundary's.
    pub(super) fn compute(
        &mut self,
        joined: &Joined,
        ticks: Option<&Boundary>,
        warnings: &Warnings,
    ) -> Result<Vec<Column>, EngineError> {
        let len = joined.places.len();
        let known = self.keys();
        let region = &self.plan.regions[self.region];
        let steps = &region.steps;
        let mut registers: Vec<Column> = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            if let Some(constant) = &self.constants[at] {
                registers.push(Column::Constant(Arc::clone(constant)));
                continue;
            }
            self.halt.look()?;
            let value = match &step.op {
                StepOp::Column { input, column } => {
                    Column::Array(joined.column(*input, *column, &step.data_type)?)
                }
                StepOp::Present(input) => match (ticks, region.inputs.get(*input)) {
                    (Some(ticks), Some(Input::Ticks(at))) => {
                        ticks.points(*at, region.ticks[*at].present, &registers, len)?
                    }
                    _ => joined.present(*input)?,
                }
                .into_column(),
                StepOp::Own(own) => own_part(joined, *own, len)?,
                StepOp::Apart { part, of } => {
                    let of = of.iter().map(|(input, present)| {
                        Ok((*input, present.map_or(Ok(Mask::All), |reg| mask(&registers[reg]))?))
                    });
                    let standing = joined.apart(&of.collect::<Result<Vec<_>, EngineError>>()?)?.into_iter();
                    Column::Array(match part {
                        Part::Lane => Arc::new(UInt16Array::from_iter_values(standing.map(|(lane, _)| lane))),
                        Part::Ordinal => {
                            Arc::new(UInt64Array::from_iter_values(standing.map(|(_, ordinal)| ordinal)))
                        }
                    })
                }
                StepOp::Time => {
                    let times = Int64Array::new(joined.places.time.clone(), None);
                    Column::Array(retyped(times, &step.data_type).map_err(EngineError::kernel("time"))?)
                }
                StepOp::Literal(_) => return Err(EngineError::mismatch("literal", "a constant", "none")),
                StepOp::Call { function, args } => {
                    let FunctionKind::Scalar(evaluate) = function.kind else {
                        return Err(EngineError::mismatch("call", "a scalar function", function.name));
                    };
                    counted(evaluate, args, step, len, &registers, warnings)?
                }
                StepOp::User { function, args, present } => {
                    let args: Vec<Column> = args.iter().map(|arg| registers[*arg].clone()).collect();
                    let present = present.map(|present| &registers[present]);
                    user::call(function, &args, present, len, &step.data_type, &self.halt)?
                }
                StepOp::Cast(value) => counted(eval::cast, &[*value], step, len, &registers, warnings)?,
                StepOp::Field { value, index } => match &registers[*value] {
                    Column::Array(values) => Column::Array(field(values, *index)?),
                    Column::Constant(value) => Column::Constant(field(value, *index)?),
                },
                StepOp::Record(values) => {
                    let DataType::Struct(fields) = &step.data_type else {
                        return Err(EngineError::mismatch("record", "a struct", &step.data_type));
                    };
                    let arrays = values
                        .iter()
                        .map(|value| one_a_row(&registers[*value], len))
                        .collect::<Result<_, _>>()?;
                    let record = StructArray::try_new_with_length(fields.clone(), arrays, None, len);
                    Column::Array(Arc::new(record.map_err(EngineError::kernel("record"))?))
                }
                StepOp::Only { value, present } => match mask(&registers[*present])? {
                    Mask::All => registers[*value].clone(),
                    Mask::Nothing => Column::Array(new_null_array(&step.data_type, len)),
                    Mask::Some(present) => {
                        let value = one_a_row(&registers[*value], len)?;
                        let absent = BooleanArray::new(!&present, None);
                        Column::Array(nullif(&value, &absent).map_err(EngineError::kernel("only"))?)
                    }
                },
                StepOp::IsTrue(value) => match &registers[*value] {
                    Column::Array(values) => Mask::Some(is_true(values)?).into_column(),
                    Column::Constant(value) => Mask::constant(is_true(value)?.value(0)).into_column(),
                },
                StepOp::Both(a, b) => match (mask(&registers[*a])?, mask(&registers[*b])?) {
                    (Mask::Nothing, _) | (_, Mask::Nothing) => Mask::Nothing,
                    (Mask::All, other) | (other, Mask::All) => other,
                    (Mask::Some(a), Mask::Some(b)) => Mask::Some(&a & &b),
                }
                .into_column(),
                StepOp::Either(a, b) => match (mask(&registers[*a])?, mask(&registers[*b])?) {
                    (Mask::All, _) | (_, Mask::All) => Mask::All,
                    (Mask::Nothing, other) | (other, Mask::Nothing) => other,
                    (Mask::Some(a), Mask::Some(b)) => Mask::Some(&a | &b),
                }
                .into_column(),
                StepOp::Aggregate { value, present, ends, .. } => {
                    let Some(aggregate) = &mut self.aggregates[at] else {
                        return Err(EngineError::mismatch("aggregate", "a state", "none"));
                    };
                    let bits = |reg: &Option<Reg>| -> Result<Mask, EngineError> {
                        reg.map_or(Ok(Mask::All), |reg| mask(&registers[reg]))
                    };
                    let present = match bits(present)? {
                        Mask::All => None,
                        Mask::Nothing => Some(BooleanBuffer::new_unset(len)),
                        Mask::Some(present) => Some(present),
                    };
                    let ends = match (ends, bits(ends)?) {
                        (None, _) | (_, Mask::Nothing) => None,
                        (_, Mask::All) => Some(BooleanBuffer::new_set(len)),
                        (_, Mask::Some(ends)) => Some(ends),
                    };
                    Column::Array(aggregate.fold(&Batch {
                        keys: &self.numbers,
                        known,
                        values: &registers[*value],
                        present: present.as_ref(),
                        ends: ends.as_ref(),
                        times: &joined.places.time,
                        warnings,
                        halt: &self.halt,
                    })?)
                }
            };
            if *value.data_type() != step.data_type {
                return Err(EngineError::mismatch("step", &step.data_type, value.data_type()));
            }
            registers.push(value);
        }
        Ok(registers)
    }
}

/// A row's key, or a part of its place.
fn own_part(joined: &Joined, own: Own, len: usize) -> Result<Column, EngineError> {
    let places = &joined.places;
    let origin = |row: usize| places.lane.origin(row);
    Ok(Column::Array(match own {
        Own::Key => match &joined.key {
            Some(key) => Arc::clone(&key.values),
            None => return Err(EngineError::mismatch("key", "keys", "none")),
        },
        Own::Lane => Arc::new(UInt16Array::from_iter_values((0..len).map(|row| places.lane.at(row)))),
        Own::OriginTime => Arc::new(Int64Array::from_iter_values((0..len).map(|row| origin(row).0))),
        Own::OriginLane => Arc::new(UInt16Array::from_iter_values((0..len).map(|row| origin(row).1))),
        Own::Ordinal => Arc::new(UInt64Array::new(places.ordinal.clone(), None)),
        Own::MadeFor => match &places.made_for {
            Some(keys) => Arc::<BinaryArray>::clone(keys),
            None => new_null_array(&DataType::Binary, len),
        },
        Own::Turn => match &places.turn {
            Some(turns) => Arc::new(UInt32Array::new(turns.clone(), None)),
            None => Arc::new(UInt32Array::from_value(0, len)),
        },
    }))
}

/// A step's call, whose results that do not fit are counted where its mask holds. It rarely has any: only
/// then they are looked at again.
fn counted(
    function: fn(&Call<'_>) -> Result<Column, EvalError>,
    args: &[Reg],
    step: &Step,
    len: usize,
    registers: &[Column],
    warnings: &Warnings,
) -> Result<Column, EngineError> {
    let args: Vec<Column> = args.iter().map(|arg| registers[*arg].clone()).collect();
    let evaluate = |args: &[Column], len, warnings: &Warnings| {
        function(&Call { args, data_type: &step.data_type, len, warnings })
    };
    let at = step.counted.map_or(Ok(Mask::All), |reg| mask(&registers[reg]))?;
    let seen = Warnings::default();
    let values = call(&args, len, |args, len| evaluate(args, len, &seen))?;
    match at {
        _ if seen.is_empty() => {}
        Mask::Nothing => {}
        Mask::Some(at) if matches!(values, Column::Array(_)) => {
            let filter = FilterBuilder::new(&BooleanArray::new(at, None)).build();
            let there = args.iter().map(|arg| match arg {
                Column::Array(array) => filter.filter(array).map(Column::Array),
                Column::Constant(value) => Ok(Column::Constant(Arc::clone(value))),
            });
            let there = there.collect::<Result<Vec<_>, _>>().map_err(EngineError::kernel("warnings"))?;
            call(&there, filter.count(), |args, len| evaluate(args, len, warnings))?;
        }
        Mask::All | Mask::Some(_) => warnings.add(&seen),
    }
    Ok(values)
}

/// A call; of constants alone it is computed once and is a constant.
fn call(
    args: &[Column],
    len: usize,
    evaluate: impl Fn(&[Column], usize) -> Result<Column, EvalError>,
) -> Result<Column, EngineError> {
    let constants = args.iter().map(|arg| match arg {
        Column::Constant(value) => Some(Column::Array(Arc::clone(value))),
        Column::Array(_) => None,
    });
    if let Some(constants) = constants.collect::<Option<Vec<_>>>() {
        return Ok(match evaluate(&constants, 1)? {
            Column::Array(value) | Column::Constant(value) => Column::Constant(value),
        });
    }
    Ok(evaluate(args, len)?)
}

/// A field of a struct; null where the struct is null.
fn field(values: &ArrayRef, index: usize) -> Result<ArrayRef, EngineError> {
    let missing = || {
        EngineError::mismatch(
            "field",
            format!("a struct with {} fields or more", index + 1),
            values.data_type(),
        )
    };
    let values = values.as_struct_opt().ok_or_else(missing)?;
    let field = values.columns().get(index).ok_or_else(missing)?;
    match values.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(Arc::clone(field)),
        Some(_) => {
            let absent = boolean::is_null(values).map_err(EngineError::kernel("field"))?;
            nullif(field, &absent).map_err(EngineError::kernel("field"))
        }
    }
}
