//! How a parcel is split among the workers.

use arrow_array::UInt32Array;
use skytide_timestream::engine::shard;
use skytide_timestream::rows::Rows;
use timely::communication::Push;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{Message, Stamp};

use crate::layout::Route;
use crate::parcel::{Contents, Parcel, Piece};

/// Splits the parcels of an edge among its receivers.
#[derive(Debug)]
pub(crate) struct Splitter {
    /// How rows cross the edge.
    route: Route,
    /// The worker it is at.
    worker: usize,
}

impl Splitter {
    /// A splitter at a worker.
    pub(crate) fn new(route: Route, worker: usize) -> Self {
        Self { route, worker }
    }
}

impl Distributor<Parcel> for Splitter {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        parcel: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let mut send = |worker: usize, parcel: &mut Parcel| {
            if let Some(pusher) = pushers.get_mut(worker) {
                Message::push_at(parcel, stamp.clone(), pusher);
            }
        };
        match self.route {
            Route::Stay => send(self.worker, parcel),
            Route::First => send(0, parcel),
            Route::ByKey => {
                let workers = usize::try_from(parcel.weight).unwrap_or(0);
                let shares = match std::mem::take(&mut parcel.contents) {
                    Contents::Pieces(pieces) => split(pieces, workers),
                    Contents::Broken(reason) => Err(reason),
                };
                match shares {
                    Ok(shares) => {
                        for (worker, pieces) in shares.into_iter().enumerate() {
                            send(worker, &mut Parcel::new(1, parcel.sender, parcel.clock, pieces));
                        }
                    }
                    // Every receiver learns of it; the first to do so ends the job.
                    Err(reason) => {
                        for worker in 0..workers {
                            let mut broken = Parcel::new(1, parcel.sender, parcel.clock, Vec::new());
                            broken.contents = Contents::Broken(reason.clone());
                            send(worker, &mut broken);
                        }
                    }
                }
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _stamp: &Stamp<T>, _pushers: &mut [P]) {
        // A parcel is split when it comes: nothing is held back.
    }
}

/// The pieces of each worker, in the order they had.
fn split(pieces: Vec<Piece>, workers: usize) -> Result<Vec<Vec<Piece>>, String> {
    let mut shares: Vec<Vec<Piece>> = (0..workers).map(|_| Vec::new()).collect();
    let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); workers];
    for Piece { input, rows } in pieces {
        choose(&rows, &mut chosen)?;
        let mut rows = Some(rows);
        for (share, chosen) in shares.iter_mut().zip(&mut chosen) {
            let count = chosen.len();
            if count == 0 {
                continue;
            }
            let all = rows.as_ref().is_some_and(|rows| rows.len() == count);
            let part = match (&rows, all) {
                (Some(rows), false) => {
                    let chosen = UInt32Array::from(std::mem::take(chosen));
                    Some(rows.select(&chosen).map_err(|error| error.to_string())?)
                }
                _ => rows.take(),
            };
            share.extend(part.map(|rows| Piece { input, rows }));
            chosen.clear();
        }
    }
    Ok(shares)
}

/// Puts each row's index to the worker that holds its key.
fn choose(rows: &Rows, chosen: &mut [Vec<u32>]) -> Result<(), String> {
    let workers = chosen.len();
    let keys = rows.key.as_ref().ok_or("rows without keys on their way to the holders of their keys")?;
    if u32::try_from(rows.len()).is_err() {
        return Err(format!("{} rows in one batch", rows.len()));
    }
    for (row, hash) in (0u32..).zip(keys.hashes.iter()) {
        if let Some(rows) = chosen.get_mut(usize::from(shard(*hash)) % workers) {
            rows.push(row);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use skytide_timestream::engine::merge;

    use super::*;
    use crate::testing::{events, rows, scan};

    fn pieces() -> Vec<Piece> {
        let events = events(400);
        let numbered: Vec<_> = (0..).zip(&events).collect();
        let of = |source| rows(&scan(source, true), &numbered).unwrap();
        vec![Piece { input: 0, rows: of(0) }, Piece { input: 2, rows: of(1) }]
    }

    #[test]
    fn each_row_goes_to_the_holder_of_its_key_and_none_is_lost() {
        for workers in [2, 3, 7, 256] {
            let shares = split(pieces(), workers).unwrap();
            assert_eq!(shares.len(), workers);
            for (worker, share) in shares.iter().enumerate() {
                for Piece { rows, .. } in share {
                    assert!(!rows.is_empty());
                    for hash in &rows.key.as_ref().unwrap().hashes {
                        assert_eq!((hash % 256) as usize % workers, worker);
                    }
                }
            }
            for Piece { input, rows } in pieces() {
                let parts = shares.iter().flatten().filter(|piece| piece.input == input);
                let whole = merge(parts.map(|piece| piece.rows.clone()).collect()).unwrap();
                assert_eq!(format!("{whole:?}"), format!("{rows:?}"));
            }
        }
    }

    #[test]
    fn rows_of_one_worker_are_not_copied() {
        let Piece { input, rows } = pieces().remove(0);
        let rows = rows.slice(10, 1);
        let worker = (rows.key.as_ref().unwrap().hashes[0] % 256 % 3) as usize;
        let mut shares = split(vec![Piece { input, rows: rows.clone() }], 3).unwrap();
        let [piece] = shares[worker].as_slice() else { panic!("{shares:?}") };
        assert!(piece.rows.columns[0].to_data().ptr_eq(&rows.columns[0].to_data()));
        shares.swap_remove(worker);
        assert!(shares.iter().all(Vec::is_empty));
    }

    #[test]
    fn rows_without_keys_have_no_holder() {
        let mut pieces = pieces();
        pieces[1].rows.key = None;
        assert!(split(pieces, 2).is_err());
    }
}
