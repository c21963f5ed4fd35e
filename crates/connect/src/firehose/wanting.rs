//! What a plan reads of a firehose, as its decoder takes it.

use skytide_atproto::columns::{
    Clock, Decoder, EqTest, Literal, PathStep as ColumnStep, Wanted, WantedStream,
};
use skytide_timestream::plan::{Comparison, PathStep, Plan, Scan};
use skytide_timestream::scalar::Scalar;

use crate::catalog::FirehoseCatalog;
use crate::source::SourceError;

/// What a plan reads of a firehose, by scan.
pub(crate) struct Wanting {
    pub(crate) streams: Vec<WantedStream>,
    /// The lane of each scan's points.
    pub(crate) lanes: Vec<u16>,
}

impl Wanting {
    pub(crate) fn of(plan: &Plan, catalog: &FirehoseCatalog) -> Result<Self, SourceError> {
        catalog.feed(plan)?;
        Ok(Self {
            streams: plan.scans.iter().map(|scan| wanted(scan, catalog)).collect::<Result<_, _>>()?,
            lanes: plan.scans.iter().map(|scan| 1 + scan.stream.source).collect(),
        })
    }
}

/// A decoder of what is wanted.
pub(crate) fn decoder(streams: Vec<WantedStream>, clock: Clock) -> Result<Decoder, SourceError> {
    Decoder::new(&Wanted { streams, clock })
        .map_err(|error| SourceError::Unfit(format!("the firehose does not have it: {error}")))
}

/// What the decoder must read for a scan.
fn wanted(scan: &Scan, catalog: &FirehoseCatalog) -> Result<WantedStream, SourceError> {
    let of = catalog.scanned(&scan.stream)?;
    let step = |step: &PathStep| match step {
        PathStep::Field(name) => ColumnStep::Field(name.clone()),
        PathStep::Index(index) => ColumnStep::Index(*index),
        PathStep::Length => ColumnStep::Length,
    };
    let columns = scan.columns.iter().map(|column| column.path.iter().map(step).collect()).collect();
    // The decoder drops by equality, the region tests everything anyway.
    let tests = scan.tests.iter().filter(|test| test.comparison == Comparison::Eq).filter_map(|test| {
        let literal = match &test.literal {
            Scalar::Text(text) => Literal::Text(text.clone()),
            Scalar::Int(int) => Literal::Int(*int),
            Scalar::Bool(bool) => Literal::Bool(*bool),
            _ => return None,
        };
        Some(EqTest { column: test.column, literal })
    });
    Ok(WantedStream { of, keyed: scan.keyed, columns, tests: tests.collect() })
}
