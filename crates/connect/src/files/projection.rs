//! What a plan asks of files: which columns, and of records which fields; nothing else is decoded.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use skytide_timestream::plan::{PathStep, Scan};

/// The way to a value through named fields; lists on the way are taken whole.
type Way = Vec<String>;

/// The columns that are read, by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Projection {
    /// The columns, with the fields that are read of them, in the engine's types.
    pub(super) fields: Fields,
    /// The ways to all that is wanted.
    ways: Vec<Way>,
    /// Columns of text that are best given as views of what is read: little of them is kept.
    pub(super) viewed: Vec<String>,
}

impl Projection {
    /// What scans want of these columns; `key` is the name of their key.
    pub(super) fn of(scans: &[Scan], columns: &Fields, key: &str) -> Self {
        let mut ways: Vec<Way> = Vec::new();
        for scan in scans {
            if scan.keyed {
                ways.push(vec![key.to_owned()]);
            }
            ways.extend(scan.columns.iter().map(|column| named(&column.path)));
        }
        Self::new(ways, columns)
    }

    /// These columns whole.
    pub(super) fn whole<'a>(names: impl IntoIterator<Item = &'a str>, columns: &Fields) -> Self {
        Self::new(names.into_iter().map(|name| vec![name.to_owned()]).collect(), columns)
    }

    fn new(mut ways: Vec<Way>, columns: &Fields) -> Self {
        ways.sort();
        ways.dedup();
        let starts: Vec<&[String]> = ways.iter().map(Vec::as_slice).collect();
        Self { fields: pruned(columns, &starts), ways, viewed: Vec::new() }
    }

    /// With those of its columns of text as views of which this holds.
    pub(super) fn viewing(mut self, is_viewed: impl Fn(&str) -> bool) -> Self {
        let texts = self.fields.iter().filter(|field| field.data_type() == &DataType::Utf8);
        self.viewed = texts.map(|field| field.name().clone()).filter(|name| is_viewed(name)).collect();
        self
    }

    /// With one more column, whole.
    pub(super) fn and(&self, name: &str, columns: &Fields) -> Self {
        let mut ways = self.ways.clone();
        ways.push(vec![name.to_owned()]);
        Self { viewed: self.viewed.clone(), ..Self::new(ways, columns) }
    }

    /// What is wanted of a batch that has its columns whole.
    pub(super) fn of_whole(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let schema = batch.schema_ref();
        let wanted = schema.fields().iter().zip(batch.columns()).filter_map(|(field, column)| {
            let (_, of) = self.fields.find(field.name())?;
            let column = within(column, of.data_type());
            Some((Field::clone(field).with_data_type(column.data_type().clone()), column))
        });
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = wanted.unzip();
        let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(schema), columns, &rows)
    }

    /// Whether what stands at the end of this way is wanted, or a part of it.
    pub(super) fn wants(&self, way: &[String]) -> bool {
        // They are sorted: those that go on from this way stand right behind it.
        let at = self.ways.partition_point(|wanted| wanted.as_slice() < way);
        let is_start = self.ways.get(at).is_some_and(|wanted| wanted.starts_with(way));
        let ends = |at: usize| self.ways.binary_search_by(|wanted| wanted.as_slice().cmp(&way[..at]));
        is_start || (0..way.len()).any(|at| ends(at).is_ok())
    }

    /// The places of those of these columns that are wanted, or a part of them.
    pub(super) fn places(&self, columns: &Fields) -> Vec<usize> {
        let names: HashSet<&str> = self.fields.iter().map(|field| field.name().as_str()).collect();
        let places = columns.iter().enumerate().filter(|(_, field)| names.contains(field.name().as_str()));
        places.map(|(at, _)| at).collect()
    }
}

/// The fields at the start of a path.
fn named(path: &[PathStep]) -> Way {
    let name = |step: &PathStep| match step {
        PathStep::Field(name) => Some(name.clone()),
        PathStep::Index(_) | PathStep::Length => None,
    };
    path.iter().map_while(name).collect()
}

/// Of records the fields that `wanted` names, as they are.
fn within(values: &ArrayRef, wanted: &DataType) -> ArrayRef {
    let (Some(records), DataType::Struct(wanted)) = (values.as_struct_opt(), wanted) else {
        return Arc::clone(values);
    };
    let kept = records.fields().iter().zip(records.columns()).filter_map(|(field, column)| {
        let (_, of) = wanted.find(field.name())?;
        let column = within(column, of.data_type());
        Some((Arc::new(Field::clone(field).with_data_type(column.data_type().clone())), column))
    });
    let (fields, columns): (Vec<Arc<Field>>, Vec<ArrayRef>) = kept.unzip();
    match StructArray::try_new_with_length(fields.into(), columns, records.nulls().cloned(), records.len()) {
        Ok(records) => Arc::new(records),
        Err(_) => Arc::clone(values),
    }
}

/// The fields that one of the ways, which are sorted, goes through; at the end of a way all of them.
fn pruned(fields: &Fields, ways: &[&[String]]) -> Fields {
    let wanted = |field: &Arc<Field>| {
        let from = ways.partition_point(|way| way.first() < Some(field.name()));
        let mine = ways[from..].iter().take_while(|way| way.first() == Some(field.name()));
        let rest: Vec<&[String]> = mine.map(|way| &way[1..]).collect();
        if rest.is_empty() {
            return None;
        }
        Some(match field.data_type() {
            DataType::Struct(inner) if rest.iter().all(|way| !way.is_empty()) => {
                let inner = DataType::Struct(pruned(inner, &rest));
                Arc::new(Field::clone(field).with_data_type(inner))
            }
            _ => Arc::clone(field),
        })
    };
    fields.iter().filter_map(wanted).collect()
}

#[cfg(test)]
mod tests {
    use skytide_timestream::types;

    use super::*;

    #[test]
    fn of_records_only_what_is_asked_for() {
        let record = DataType::Struct(Fields::from(vec![
            Field::new("text", DataType::Utf8, true),
            Field::new("langs", types::list(DataType::Utf8), true),
        ]));
        let columns = Fields::from(vec![
            Field::new("did", DataType::Utf8, true),
            Field::new("record", record, true),
            Field::new("seq", DataType::Int64, true),
        ]);
        let way = |steps: &[&str]| steps.iter().map(|step| (*step).to_owned()).collect::<Way>();
        let of = Projection::new(vec![way(&["record", "langs"]), way(&["did"])], &columns);
        let names: Vec<_> = of
            .fields
            .iter()
            .map(|field| format!("{} {}", field.name(), types::name(field.data_type())))
            .collect();
        assert_eq!(names, ["did utf8", "record struct<langs: list<utf8>>"]);
        // As Parquet has it: lists are in the way.
        assert!(of.wants(&way(&["record", "langs", "list", "element"])));
        assert!(!of.wants(&way(&["record", "text"])) && !of.wants(&way(&["seq"])));
        let whole = of.and("record", &columns);
        assert!(whole.wants(&way(&["record", "text"])));
        assert_eq!(whole.fields.len(), 2);
    }
}
