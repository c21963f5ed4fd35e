//! Collects the parcels of an epoch until the last one is there.

use std::collections::VecDeque;

use skytide_timestream::engine::Clock;
use skytide_timestream::rows::Rows;

use crate::parcel::{Contents, Parcel};

/// The epochs that are not complete yet at one operator of one worker.
///
/// Each sender's parcels come in the order of the epochs, so epochs become complete in order.
#[derive(Debug)]
pub(crate) struct Assembly {
    /// Number of parcels an epoch.
    parcels: usize,
    /// Number of inputs.
    inputs: usize,
    /// The epoch that the first of `open` is.
    first: u64,
    /// Epochs of which parcels have come, in order.
    open: VecDeque<Open>,
}

/// An epoch that is complete: the rows of each input, by sender, and how far time has come.
pub(crate) type Complete = (Vec<Vec<Rows>>, Clock);

/// An epoch that is not complete yet.
#[derive(Debug, Default)]
struct Open {
    parcels: usize,
    /// Input, sender and rows.
    pieces: Vec<(usize, usize, Rows)>,
}

/// The parcels of an edge did not come as they must: a defect of ours, or of the way between two processes.
#[derive(Debug)]
pub(crate) struct Disorder(pub(crate) String);

impl Assembly {
    /// An operator that gets this many parcels an epoch for this many inputs.
    pub(crate) fn new(parcels: usize, inputs: usize) -> Self {
        Self { parcels, inputs, first: 0, open: VecDeque::new() }
    }

    /// Takes a parcel. With the last one of an epoch, gives the rows of each input, by sender, those of
    /// inputs without rows being empty, and how far time has come.
    pub(crate) fn add(&mut self, epoch: u64, parcel: Parcel) -> Result<Option<Complete>, Disorder> {
        let clock = parcel.clock;
        let pieces = match parcel.contents {
            Contents::Pieces(pieces) => pieces,
            Contents::Broken(reason) => return Err(Disorder(reason)),
        };
        let ahead = epoch.checked_sub(self.first).and_then(|ahead| usize::try_from(ahead).ok());
        let Some(place) = ahead.filter(|place| *place <= self.open.len()) else {
            return Err(Disorder(format!("a parcel of epoch {epoch} while epoch {} is due", self.first)));
        };
        if place == self.open.len() {
            self.open.push_back(Open::default());
        }
        let open = &mut self.open[place];
        open.parcels += 1;
        open.pieces.extend(pieces.into_iter().map(|piece| (piece.input, parcel.sender, piece.rows)));
        if open.parcels < self.parcels {
            return Ok(None);
        }
        if place > 0 || open.parcels > self.parcels {
            return Err(Disorder(format!("epoch {epoch} is complete while epoch {} is due", self.first)));
        }
        self.first += 1;
        self.open.pop_front().map(|open| Ok((self.by_input(open.pieces)?, clock))).transpose()
    }

    /// The rows of each input.
    fn by_input(&self, mut pieces: Vec<(usize, usize, Rows)>) -> Result<Vec<Vec<Rows>>, Disorder> {
        pieces.sort_by_key(|(input, sender, _)| (*input, *sender));
        let mut inputs: Vec<Vec<Rows>> = (0..self.inputs).map(|_| Vec::new()).collect();
        for (input, _, rows) in pieces {
            inputs.get_mut(input).ok_or_else(|| Disorder(format!("rows for input {input}")))?.push(rows);
        }
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::Piece;
    use crate::testing::{event, rows, scan};

    fn parcel(sender: usize, inputs: &[usize]) -> Parcel {
        let time = i64::try_from(sender).unwrap();
        let rows = rows(&scan(0, true), &[(0, &event(time, 0, "k", None, 0))]).unwrap();
        let pieces = inputs.iter().map(|input| Piece { input: *input, rows: rows.clone() }).collect();
        Parcel::new(1, sender, Clock::START, pieces)
    }

    /// The times of each input's batches.
    fn times(inputs: &[Vec<Rows>]) -> Vec<Vec<i64>> {
        inputs.iter().map(|batches| batches.iter().map(|rows| rows.places.time[0]).collect()).collect()
    }

    #[test]
    fn an_epoch_is_complete_with_its_last_parcel_and_by_sender() {
        let mut assembly = Assembly::new(3, 2);
        // Sender 2 is two epochs ahead of the others.
        assert!(assembly.add(0, parcel(2, &[0, 1])).unwrap().is_none());
        assert!(assembly.add(1, parcel(2, &[])).unwrap().is_none());
        assert!(assembly.add(2, parcel(2, &[1])).unwrap().is_none());
        assert!(assembly.add(0, parcel(1, &[])).unwrap().is_none());
        assert!(assembly.add(1, parcel(1, &[0])).unwrap().is_none());
        assert_eq!(times(&assembly.add(0, parcel(0, &[0])).unwrap().unwrap().0), [vec![0, 2], vec![2]]);
        assert_eq!(times(&assembly.add(1, parcel(0, &[])).unwrap().unwrap().0), [vec![1], vec![]]);
        assert!(assembly.add(2, parcel(0, &[])).unwrap().is_none());
        assert_eq!(times(&assembly.add(2, parcel(1, &[])).unwrap().unwrap().0), [vec![], vec![2]]);
    }

    #[test]
    fn disorder_is_told() {
        assert!(Assembly::new(1, 1).add(1, parcel(0, &[0])).is_err(), "an epoch was left out");
        assert!(Assembly::new(1, 1).add(0, parcel(0, &[1])).is_err(), "no such input");
        let mut assembly = Assembly::new(1, 1);
        assembly.add(0, parcel(0, &[])).unwrap();
        assert!(assembly.add(0, parcel(1, &[])).is_err(), "a parcel too many");
        let mut assembly = Assembly::new(2, 1);
        assembly.add(0, parcel(0, &[])).unwrap();
        assembly.add(1, parcel(0, &[])).unwrap();
        assert!(assembly.add(1, parcel(1, &[])).is_err(), "one sender left an epoch out");
        let mut broken = parcel(0, &[]);
        broken.contents = Contents::Broken("why".to_owned());
        assert_eq!(Assembly::new(1, 1).add(0, broken).unwrap_err().0, "why");
    }
}
