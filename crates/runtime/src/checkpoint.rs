//! The state of a job at a moment when all it was given is answered, as bytes that any number of workers can
//! go on from.

use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Plan;
use twox_hash::XxHash3_64;

/// What the bytes begin with.
const MAGIC: &[u8; 8] = b"skytide\0";
/// The format's version; another one is refused.
const VERSION: u32 = 1;

/// The state of a job: what every operator holds, by shard of its keys.
///
/// It belongs to one plan in one mode. It does not hold where the sources were: whoever drives the job saves
/// their cursors with it.
///
/// # Format
/// `skytide\0`, then little-endian: version `u32` = 1, plan `u64`, mode `u8` (0 once, 1 live), whether there
/// is a newest time `u8`, that time `i64` in UTC nanoseconds, number of pieces `u32`; for each piece the
/// operator `u32` (a region's place in the plan, `u32::MAX` for the results), shard `u8`, length `u64`, bytes
/// as the operator wrote them; last the XXH3 (64 bits, seed 0) of all before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Hash of the plan.
    pub(crate) plan: u64,
    /// How the job was run.
    pub(crate) mode: Mode,
    /// Time of the newest event so far.
    pub(crate) newest: Option<i64>,
    /// The state.
    pub(crate) pieces: Vec<StatePiece>,
}

/// The state of a shard of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatePiece {
    /// Whose it is.
    pub(crate) owner: Owner,
    /// The shard of its keys.
    pub(crate) shard: u8,
    /// As the operator wrote it.
    pub(crate) bytes: Vec<u8>,
}

/// An operator with state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// That of a region, by its place in the plan.
    Region(u32),
    /// That of the results.
    Results,
}

/// Bytes are not a checkpoint, or not one of this job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The bytes are something else.
    #[error("these bytes are not a checkpoint")]
    NotACheckpoint,
    /// A version that this one does not read.
    #[error("the checkpoint has version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It is cut off or changed.
    #[error("the checkpoint is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: &'static str,
    },
    /// It was made by another query, or by the same one over other columns.
    #[error("the checkpoint was made by another query (plan {found:016x}, this one is {expected:016x})")]
    OtherPlan {
        /// Hash of this job's plan.
        expected: u64,
        /// Hash of the plan it was made by.
        found: u64,
    },
    /// It was made in the other mode.
    #[error("the checkpoint was made in {found:?} mode, the job runs in {expected:?} mode")]
    OtherMode {
        /// This job's mode.
        expected: Mode,
        /// The mode it was made in.
        found: Mode,
    },
    /// It holds state of an operator that the plan does not have.
    #[error("the checkpoint holds state of region {0}, which the plan does not have")]
    NoSuchRegion(u32),
}

/// The number of the results' operator in the bytes.
const RESULTS: u32 = u32::MAX;

impl Checkpoint {
    /// Time of the newest event that its state knows, in UTC nanoseconds.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Whether a job of this plan in this mode can go on from it.
    ///
    /// # Errors
    /// It was made by another plan, or in the other mode.
    pub fn fits(&self, plan: &Plan, mode: Mode) -> Result<(), CheckpointError> {
        let expected = plan_hash(plan);
        if self.plan != expected {
            return Err(CheckpointError::OtherPlan { expected, found: self.plan });
        }
        if self.mode != mode {
            return Err(CheckpointError::OtherMode { expected: mode, found: self.mode });
        }
        Ok(())
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let state: usize = self.pieces.iter().map(|piece| piece.bytes.len() + 13).sum();
        let mut bytes = Vec::with_capacity(state + 42);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.plan.to_le_bytes());
        bytes.push(u8::from(self.mode == Mode::Live));
        bytes.push(u8::from(self.newest.is_some()));
        bytes.extend(self.newest.unwrap_or(0).to_le_bytes());
        // Pieces are at most 256 a region.
        bytes.extend((self.pieces.len() as u32).to_le_bytes());
        for piece in &self.pieces {
            let owner = match piece.owner {
                Owner::Region(region) => region,
                Owner::Results => RESULTS,
            };
            bytes.extend(owner.to_le_bytes());
            bytes.push(piece.shard);
            bytes.extend((piece.bytes.len() as u64).to_le_bytes());
            bytes.extend(&piece.bytes);
        }
        let sum = XxHash3_64::oneshot(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote. Nothing is allocated by a length that the bytes do not bear out.
    ///
    /// # Errors
    /// The bytes are not a checkpoint, of another version, or damaged. Whether it fits a job is seen when
    /// that starts.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut reader = Reader(bytes);
        if reader.chunk::<8>().ok().as_ref() != Some(MAGIC) {
            return Err(CheckpointError::NotACheckpoint);
        }
        let found = u32::from_le_bytes(reader.chunk()?);
        if found != VERSION {
            return Err(CheckpointError::Version { found });
        }
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or(CUT)?;
        if XxHash3_64::oneshot(body) != u64::from_le_bytes(*sum) {
            return Err(CheckpointError::Damaged { reason: "its checksum does not fit" });
        }
        let plan = u64::from_le_bytes(reader.chunk()?);
        let mode = if reader.flag()? { Mode::Live } else { Mode::Once };
        let known = reader.flag()?;
        let newest = i64::from_le_bytes(reader.chunk()?);
        let count = u32::from_le_bytes(reader.chunk()?);
        let mut pieces = Vec::new();
        for _ in 0..count {
            let owner = match u32::from_le_bytes(reader.chunk()?) {
                RESULTS => Owner::Results,
                region => Owner::Region(region),
            };
            let [shard] = reader.chunk()?;
            let len = usize::try_from(u64::from_le_bytes(reader.chunk()?)).map_err(|_| CUT)?;
            let (state, rest) = reader.0.split_at_checked(len).ok_or(CUT)?;
            reader.0 = rest;
            pieces.push(StatePiece { owner, shard, bytes: state.to_vec() });
        }
        if reader.0.len() != sum.len() {
            return Err(CheckpointError::Damaged { reason: "it is longer than its pieces" });
        }
        Ok(Self { plan, mode, newest: known.then_some(newest), pieces })
    }
}

const CUT: CheckpointError = CheckpointError::Damaged { reason: "it is cut off" };

/// What is left of a checkpoint's bytes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], CheckpointError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(CUT)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn flag(&mut self) -> Result<bool, CheckpointError> {
        match self.chunk()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(CheckpointError::Damaged { reason: "a flag is neither 0 nor 1" }),
        }
    }
}

/// The hash by which a checkpoint knows its plan: that of everything that is computed and of the types it is
/// computed on, but not of the query's wording.
#[must_use]
pub fn plan_hash(plan: &Plan) -> u64 {
    let Plan { query: _, scans, regions, output } = plan;
    XxHash3_64::oneshot(format!("{scans:?}{regions:?}{output:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let piece = |owner, shard, bytes: &[u8]| StatePiece { owner, shard, bytes: bytes.to_vec() };
        let pieces = vec![
            piece(Owner::Region(0), 0, b"state"),
            piece(Owner::Region(2), 255, b""),
            piece(Owner::Results, 7, &[0; 40]),
        ];
        Checkpoint { plan: 0x0123_4567_89ab_cdef, mode: Mode::Live, newest: Some(-5), pieces }
    }

    #[test]
    fn comes_back_from_its_bytes() {
        let checkpoint = checkpoint();
        assert_eq!(Checkpoint::from_bytes(&checkpoint.to_bytes()), Ok(checkpoint.clone()));
        let new = Checkpoint { newest: None, mode: Mode::Once, pieces: Vec::new(), ..checkpoint };
        assert_eq!(Checkpoint::from_bytes(&new.to_bytes()), Ok(new));
    }

    #[test]
    fn the_format_stands() {
        let small = Checkpoint { pieces: checkpoint().pieces[..1].to_vec(), ..checkpoint() };
        let hex: String = small.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let head = "736b7974696465000100000\
                    0efcdab89674523010101fbffffffffffffff01000000";
        let piece = "00000000000500000000000000".to_owned() + "7374617465";
        assert_eq!(hex[..hex.len() - 16], format!("{head}{piece}"));
    }

    #[test]
    fn refuses_what_is_cut_changed_or_of_another_version() {
        let bytes = checkpoint().to_bytes();
        for len in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..len]).is_err(), "cut to {len}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(Checkpoint::from_bytes(&changed).is_err(), "byte {at}");
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(Checkpoint::from_bytes(&newer), Err(CheckpointError::Version { found: 2 }));
        assert_eq!(Checkpoint::from_bytes(b"something else"), Err(CheckpointError::NotACheckpoint));
    }

    #[test]
    fn refuses_false_lengths_whose_checksum_fits() {
        let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = checkpoint().to_bytes();
            bytes.truncate(bytes.len() - 8);
            change(&mut bytes);
            let sum = XxHash3_64::oneshot(&bytes);
            bytes.extend(sum.to_le_bytes());
            Checkpoint::from_bytes(&bytes)
        };
        assert!(sealed(&|_| {}).is_ok());
        // The number of pieces, a piece's length, a flag, a byte too many.
        assert!(matches!(sealed(&|bytes| bytes[30..34].fill(0xff)), Err(CheckpointError::Damaged { .. })));
        assert!(matches!(sealed(&|bytes| bytes[39..47].fill(0xff)), Err(CheckpointError::Damaged { .. })));
        assert!(matches!(sealed(&|bytes| bytes[20] = 2), Err(CheckpointError::Damaged { .. })));
        assert!(matches!(sealed(&|bytes| bytes.push(0)), Err(CheckpointError::Damaged { .. })));
    }
}
