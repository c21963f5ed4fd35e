//! Parquet: units are row groups, whose statistics tell between which times they stand; only wanted columns
//! are decoded.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, Int64Array};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ParquetMetaDataOptions, ParquetMetaDataReader};
use skytide_timestream::types;

use super::caught::caught;
use super::known::Known;
use super::projection::Projection;
use super::sizes::Size;
use super::unit::{Batches, Range, Read, Unit, guarded};
use super::{FileError, footer};
use crate::columns::{plain, times};

/// Bytes of the rows that are decoded at once, about.
const BATCH_BYTES: u64 = 16 << 20;
/// Just below what glibc's allocator takes for a sign of how much is let go and asked for again, at most.
const TURNOVER_BYTES: usize = (32 << 20) - (64 << 10);

/// A Parquet file, its end read.
pub(super) struct ParquetFile {
    known: Known,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Reads what stands at its end: columns, row groups, statistics.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let (known, file) = Known::open(path)?;
        let damaged = |reason: &dyn ToString| {
            let reason = format!("it is no whole Parquet file: {}", reason.to_string());
            FileError::damaged(path, "", reason)
        };
        // Pages of a megabyte come and go all the time. An allocator that gives such memory back to the
        // system each time, and clears what it gets, learns from this one, which is never touched, to keep
        // it.
        drop(std::hint::black_box(Vec::<u8>::with_capacity(TURNOVER_BYTES)));
        let footer = footer::read(&file).map_err(FileError::io(path))?;
        let footer = footer.and_then(|footer| footer::look(&footer).map(|()| footer));
        let footer = footer.map_err(|reason| damaged(&reason))?;
        // The library may be given anything here.
        let loaded = caught(|| {
            // Of the schema it reads what was looked at, and no other that may follow.
            let schema = ParquetMetaDataReader::decode_schema(&footer)?;
            let options = ParquetMetaDataOptions::new().with_schema(schema);
            let metadata = ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options))?;
            let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new())?;
            let simple: Vec<FieldRef> = metadata.schema().fields().iter().map(simple).collect();
            let hints = Schema::new_with_metadata(simple, metadata.schema().metadata().clone());
            let options = ArrowReaderOptions::new().with_schema(Arc::new(hints));
            // Where the library does not take them, values are cast after they are read.
            let hinted = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options);
            Ok::<_, parquet::errors::ParquetError>(hinted.unwrap_or(metadata))
        });
        let metadata = match loaded {
            Some(loaded) => loaded.map_err(|error| damaged(&error))?,
            None => return Err(damaged(&"its end cannot be read")),
        };
        Ok(Self { known, metadata })
    }

    /// Its columns, as they are.
    pub(super) fn fields(&self) -> &Fields {
        self.metadata.schema().fields()
    }

    /// Its row groups, as units of this file.
    pub(super) fn units(&self, file: usize, time: &str, unit: TimeUnit) -> Vec<Unit> {
        let ranges = self.ranges(time, unit);
        let groups = self.metadata.metadata().row_groups().iter().enumerate();
        groups
            .map(|(at, group)| Unit {
                file,
                at,
                range: ranges.as_ref().and_then(|ranges| ranges.get(at).copied()).unwrap_or(Range::Unknown),
                bytes: u64::try_from(group.compressed_size()).unwrap_or(0),
            })
            .collect()
    }

    /// Between which times each row group stands; none where the statistics do not tell.
    fn ranges(&self, time: &str, unit: TimeUnit) -> Option<Vec<Range>> {
        let (schema, parquet) = (self.metadata.schema(), self.metadata.parquet_schema());
        let field = schema.field_with_name(time).ok()?;
        if types::is_text(&plain_type(field)) {
            // Texts do not stand in the order of the times that they tell.
            return None;
        }
        let groups = self.metadata.metadata().row_groups();
        let of = StatisticsConverter::try_new(time, schema, parquet).ok()?;
        let nanos = |values| -> Option<Int64Array> { times::nanos(&values, unit).ok() };
        let least = nanos(of.row_group_mins(groups).ok()?)?;
        let most = nanos(of.row_group_maxes(groups).ok()?)?;
        let nulls = of.row_group_null_counts(groups).ok()?;
        let range = |at: usize| {
            let rows = u64::try_from(groups[at].num_rows()).unwrap_or(0);
            if rows == 0 || (nulls.is_valid(at) && nulls.value(at) == rows) {
                Range::Empty
            } else if least.is_valid(at) && most.is_valid(at) {
                Range::Within(least.value(at), most.value(at))
            } else {
                Range::Unknown
            }
        };
        Some((0..groups.len().min(least.len()).min(most.len()).min(nulls.len())).map(range).collect())
    }

    /// Reads what is wanted of a row group.
    pub(super) fn read(&self, group: usize, wanted: &Projection, rows: usize) -> Result<Batches, FileError> {
        let (path, place) = (self.known.path().to_owned(), place(group));
        // Copies of a handle share their place in the file, and two readers may be at it at once.
        let file = self.known.again()?;
        let leaves = self.leaves(wanted);
        let metadata = self.viewing(&wanted.viewed);
        let rows = rows.min(self.rows_at_once(group, &leaves));
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves);
        let reader: ParquetRecordBatchReader =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(rows)
                .build()
                .map_err(|error| FileError::damaged(&path, &place, error))?;
        let (path_too, place_too) = (path.clone(), place.clone());
        let batches = reader.map(move |batch| match batch {
            Ok(batch) => Ok(Read::whole(batch)),
            Err(error) => Err(FileError::damaged(&path, &place, error)),
        });
        Ok(guarded(batches, move || FileError::damaged(&path_too, &place_too, "it cannot be decoded")))
    }

    /// What the library is to read by, with these columns of text as views.
    fn viewing(&self, viewed: &[String]) -> ArrowReaderMetadata {
        if viewed.is_empty() {
            return self.metadata.clone();
        }
        let field = |field: &Arc<Field>| match viewed.contains(field.name()) {
            true => Arc::new(Field::clone(field).with_data_type(DataType::Utf8View)),
            false => Arc::clone(field),
        };
        let fields: Vec<Arc<Field>> = self.fields().iter().map(field).collect();
        let schema = Schema::new_with_metadata(fields, self.metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let viewing = ArrowReaderMetadata::try_new(Arc::clone(self.metadata.metadata()), options);
        viewing.unwrap_or_else(|_| self.metadata.clone())
    }

    /// How many rows of a group are a batch of bounded size, as far as the file says how large they are.
    fn rows_at_once(&self, group: usize, leaves: &[usize]) -> usize {
        let group = self.metadata.metadata().row_group(group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let sizes = leaves.iter().map(|leaf| Size::of(group.column(*leaf), || self.known.again().ok()));
        let (bytes, most) = sizes.fold((0_u64, BATCH_BYTES), |(bytes, most), size| {
            (bytes.saturating_add(size.bytes), size.most.map_or(most, |least| most.min(least)))
        });
        let at_once = (BATCH_BYTES / (bytes / rows).max(1)).min(most).max(1);
        usize::try_from(at_once).unwrap_or(usize::MAX)
    }

    /// The leaves of the file's schema that are wanted.
    fn leaves(&self, wanted: &Projection) -> Vec<usize> {
        let leaves = self.metadata.parquet_schema().columns().iter().enumerate();
        leaves.filter(|(_, leaf)| wanted.wants(leaf.path().parts())).map(|(at, _)| at).collect()
    }
}

/// How a row group is told of.
pub(super) fn place(group: usize) -> String {
    format!(", row group {group}")
}

fn plain_type(field: &Field) -> DataType {
    plain(field).data_type().clone()
}

/// A column as it is best decoded: text and bytes in the engine's form at once, and for a dictionary what it
/// stands for, which the library has not for every type.
fn simple(field: &FieldRef) -> FieldRef {
    let to = match field.data_type() {
        DataType::Dictionary(..) => plain_type(field),
        DataType::List(item) => DataType::List(simple(item)),
        DataType::LargeList(item) => DataType::LargeList(simple(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(simple(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(simple).collect()),
        DataType::Map(entries, is_sorted) => DataType::Map(simple(entries), *is_sorted),
        other => match plain_type(field) {
            to @ (DataType::Utf8 | DataType::Binary) => to,
            _ => other.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(to))
}
