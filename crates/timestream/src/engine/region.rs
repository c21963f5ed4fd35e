//! The operator of a region: joins its inputs into rows, computes every step at every row, hands on re-keyed rows.
//!
//! One epoch is one call. Registers are Arrow arrays or constants, masks are bitmaps or known to be all or nothing, so that
//! a region with one input and no filter copies nothing. State is held by aggregations alone, under one numbering of keys.

use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, StructArray, new_null_array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType;
use arrow_select::nullif::nullif;

use super::aggregate::{Aggregate, Batch};
use super::array::{one_a_row, retyped};
use super::choose::{Chosen, feed_rows};
use super::error::{EngineError, SnapshotError};
use super::join::{Join, Joined};
use super::keys::KeyIndex;
use super::mask::{Mask, is_true, mask};
use super::{snapshot, user};
use crate::functions::{Call, Column, EvalError, FunctionKind, Warnings, eval};
use crate::plan::{Plan, Reg, StepOp};
use crate::rows::{Keys, Rows};

/// Computes a region of a plan.
pub struct RegionOperator {
    plan: Arc<Plan>,
    region: usize,
    join: Join,
    /// The constants among the steps.
    literals: Vec<Option<ArrayRef>>,
    /// The aggregations among the steps.
    aggregates: Vec<Option<Box<dyn Aggregate>>>,
    /// The keys' numbers, where there are aggregations.
    keys: Option<KeyIndex>,
    /// The number of each row's key in the batch at hand; kept for its room.
    numbers: Vec<u32>,
}

/// What an epoch gave.
#[derive(Debug)]
pub struct Emitted {
    /// The rows of each of the region's feeds, in order, under their new keys.
    pub feeds: Vec<Rows>,
    /// The points of the answer, in order; of the last region only. Its columns are the plan's output columns.
    pub answer: Option<Rows>,
    /// Whole-number results beyond their type, now null (SEMANTICS 2.3).
    pub overflows: u64,
    /// Values that a cast could not convert, now null (SEMANTICS 2.6).
    pub misfits: u64,
}

impl RegionOperator {
    /// The operator of `plan.regions[region]`, with no state.
    ///
    /// # Errors
    /// The plan has no such region, or one of its aggregations does not take its input's type.
    pub fn new(plan: Arc<Plan>, region: usize) -> Result<Self, EngineError> {
        let join = Join::new(&plan, region)?;
        let of = &plan.regions[region];
        let mut literals = Vec::with_capacity(of.steps.len());
        let mut aggregates = Vec::with_capacity(of.steps.len());
        for step in &of.steps {
            let (mut literal, mut aggregate) = (None, None);
            match &step.op {
                StepOp::Literal(scalar) => literal = Some(eval::literal(scalar, &step.data_type)?),
                StepOp::Aggregate { function, value, .. } => {
                    let FunctionKind::Aggregate(make) = function.kind else {
                        return Err(EngineError::mismatch("aggregate", "an aggregation", function.name));
                    };
                    let made = make(&of.steps[*value].data_type)?;
                    if made.data_type() != step.data_type {
                        return Err(EngineError::mismatch(function.name, &step.data_type, made.data_type()));
                    }
                    aggregate = Some(made);
                }
                _ => {}
            }
            literals.push(literal);
            aggregates.push(aggregate);
        }
        let keys = match (&of.key_type, aggregates.iter().any(Option::is_some)) {
            (Some(key_type), true) => Some(KeyIndex::new(key_type)?),
            (None, true) => return Err(EngineError::mismatch("aggregate", "keys", "none")),
            (_, false) => None,
        };
        Ok(Self { region, join, literals, aggregates, keys, numbers: Vec::new(), plan })
    }

    /// Computes an epoch: for each input of the region its batches, each in order. Rows of later epochs come after them.
    ///
    /// # Errors
    /// The batches are not what the plan says. The state is then undefined.
    pub fn process(&mut self, inputs: Vec<Vec<Rows>>) -> Result<Emitted, EngineError> {
        let joined = self.join.rows(inputs)?;
        let warnings = Warnings::default();
        let registers = self.compute(&joined, &warnings)?;
        let region = &self.plan.regions[self.region];
        let feeds = region.feeds.iter().map(|feed| feed_rows(&joined, &registers, region, feed));
        let feeds = feeds.collect::<Result<_, _>>()?;
        let answer = if self.region + 1 == self.plan.regions.len() {
            let output = &self.plan.output;
            let columns: Vec<Reg> = output.columns.iter().map(|(_, reg)| *reg).collect();
            let chosen = Chosen::new(&joined, &registers, output.present)?;
            Some(Rows { places: chosen.places()?, key: chosen.key()?, columns: chosen.columns(&columns)? })
        } else {
            None
        };
        Ok(Emitted { feeds, answer, overflows: warnings.overflows.get(), misfits: warnings.casts.get() })
    }

    /// The state, by virtual shard of the keys; shards without keys are left out, and so is all of a region without state.
    ///
    /// # Errors
    /// A shard's state does not fit Arrow's arrays (2 GiB of text in one).
    pub fn snapshot(&self) -> Result<Vec<(u8, Vec<u8>)>, EngineError> {
        let Some(keys) = &self.keys else { return Ok(Vec::new()) };
        let shards = snapshot::by_shard(&keys.hashes()?).into_iter();
        let saved = shards.map(|(shard, numbers)| {
            let mut columns = vec![("key".to_owned(), keys.keys(&numbers)?)];
            for (step, aggregate) in self.aggregates.iter().flatten().enumerate() {
                for (part, array) in aggregate.save(&numbers)?.into_iter().enumerate() {
                    columns.push((format!("{step}.{part}"), array));
                }
            }
            Ok((shard, snapshot::to_bytes(&columns).map_err(EngineError::kernel("snapshot"))?))
        });
        saved.collect()
    }

    /// Takes up a shard's state, beside what is there. Each shard is restored once, before the first epoch.
    ///
    /// # Errors
    /// See [`SnapshotError`].
    pub fn restore(&mut self, shard: u8, bytes: &[u8]) -> Result<(), SnapshotError> {
        let columns = snapshot::from_bytes(bytes)?;
        let foreign =
            |expected: &str, found: String| SnapshotError::Foreign { expected: expected.into(), found };
        let Some(index) = &mut self.keys else { return Err(foreign("no state", "state".into())) };
        let names = columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
        let keys = columns.first().filter(|(name, _)| name == "key").map(|(_, values)| Arc::clone(values));
        let values = keys.ok_or_else(|| foreign("keys first", names.clone()))?;
        let hashes = super::hash(&values);
        if let Some(hash) = hashes.iter().find(|hash| super::shard(**hash) != shard) {
            return Err(foreign(&format!("shard {shard}"), format!("shard {}", super::shard(*hash))));
        }
        let known = index.len();
        let mut numbers = Vec::with_capacity(values.len());
        index.number(&Keys { values, hashes }, &mut numbers)?;
        if numbers.iter().any(|number| (*number as usize) < known) || index.len() != known + numbers.len() {
            return Err(foreign("keys not seen before", format!("keys of shard {shard} again")));
        }
        let mut parts = columns.into_iter().skip(1).peekable();
        for (step, aggregate) in self.aggregates.iter_mut().flatten().enumerate() {
            let prefix = format!("{step}.");
            let mut state = Vec::new();
            while let Some((_, part)) = parts.next_if(|(name, _)| name.starts_with(&prefix)) {
                state.push(part);
            }
            aggregate.load(&numbers, index.len(), &state).map_err(|error| match error {
                EngineError::Mismatch { expected, found, .. } => SnapshotError::Foreign { expected, found },
                other => other.into(),
            })?;
        }
        match parts.next() {
            None => Ok(()),
            Some((name, _)) => Err(foreign("no further state", name)),
        }
    }

    /// Bytes of state held: keys and aggregations.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        let aggregates: usize = self.aggregates.iter().flatten().map(|aggregate| aggregate.memory()).sum();
        aggregates + self.keys.as_ref().map_or(0, KeyIndex::memory)
    }

    /// Number of keys that state is held for.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.as_ref().map_or(0, KeyIndex::len)
    }

    /// The union of the inputs' points: the same point of two inputs (equal place and key) is one row, as are paired events of
    /// The value of each step at each row.
    fn compute(&mut self, joined: &Joined, warnings: &Warnings) -> Result<Vec<Column>, EngineError> {
        let len = joined.places.len();
        let known = match (&mut self.keys, &joined.key) {
            (Some(index), Some(keys)) => {
                self.numbers.clear();
                index.number(keys, &mut self.numbers)?;
                index.len()
            }
            (Some(_), None) => return Err(EngineError::mismatch("rows", "keys", "none")),
            (None, _) => 0,
        };
        let steps = &self.plan.regions[self.region].steps;
        let mut registers: Vec<Column> = Vec::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let value = match &step.op {
                StepOp::Column { input, column } => {
                    Column::Array(joined.column(*input, *column, &step.data_type)?)
                }
                StepOp::Present(input) => joined.present(*input)?.into_column(),
                StepOp::Key => match &joined.key {
                    Some(key) => Column::Array(Arc::clone(&key.values)),
                    None => return Err(EngineError::mismatch("key", "keys", "none")),
                },
                StepOp::Time => {
                    let times = Int64Array::new(joined.places.time.clone(), None);
                    Column::Array(retyped(times, &step.data_type).map_err(EngineError::kernel("time"))?)
                }
                StepOp::Literal(_) => match &self.literals[at] {
                    Some(literal) => Column::Constant(Arc::clone(literal)),
                    None => return Err(EngineError::mismatch("literal", "a constant", "none")),
                },
                StepOp::Call { function, args } => {
                    let FunctionKind::Scalar(evaluate) = function.kind else {
                        return Err(EngineError::mismatch("call", "a scalar function", function.name));
                    };
                    let args: Vec<Column> = args.iter().map(|arg| registers[*arg].clone()).collect();
                    call(&args, len, |args, len| {
                        evaluate(&Call { args, data_type: &step.data_type, len, warnings })
                    })?
                }
                StepOp::User { function, args, present } => {
                    let args: Vec<Column> = args.iter().map(|arg| registers[*arg].clone()).collect();
                    let present = present.map(|present| &registers[present]);
                    user::call(function, &args, present, len, &step.data_type)?
                }
                StepOp::Cast(value) => call(&[registers[*value].clone()], len, |args, len| {
                    eval::cast(&Call { args, data_type: &step.data_type, len, warnings })
                })?,
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
                StepOp::Aggregate { value, present, .. } => {
                    let Some(aggregate) = &mut self.aggregates[at] else {
                        return Err(EngineError::mismatch("aggregate", "a state", "none"));
                    };
                    let present = match present {
                        None => Mask::All,
                        Some(present) => mask(&registers[*present])?,
                    };
                    let present = match present {
                        Mask::All => None,
                        Mask::Nothing => Some(BooleanBuffer::new_unset(len)),
                        Mask::Some(present) => Some(present),
                    };
                    let present = present.as_ref();
                    let batch =
                        Batch { keys: &self.numbers, known, values: &registers[*value], present, warnings };
                    Column::Array(aggregate.fold(&batch)?)
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

impl std::fmt::Debug for RegionOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (keys, bytes) = (self.keys(), self.state_bytes());
        f.debug_struct("RegionOperator")
            .field("region", &self.region)
            .field("keys", &keys)
            .field("bytes", &bytes)
            .finish()
    }
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
