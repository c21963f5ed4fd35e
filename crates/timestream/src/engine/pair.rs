//! Events of several sources that are one point: the k-th of a source at a time and key with the k-th of another (SEMANTICS 1.5).
//!
//! The later source's event takes the place of the earlier one's, so that from here on "the same place and key" is all that
//! says whether two points are one. All events of a time must be here together, as they are where sources are
//! merged by their watermarks. They are counted among the rows at hand, so a source must not leave out points of such a region.

use std::collections::HashMap;

use super::error::EngineError;
use super::keys::KeyIndex;
use super::merge::in_order;
use crate::rows::{Place, Places, Rows};

/// An event: where it stands, and in which batch and row.
type Event = (Place, usize, usize);

/// Gives paired events one place. `sources` names the source of each batch that comes from one.
pub(super) fn pair(sources: &[Option<u16>], batches: &mut [Rows]) -> Result<(), EngineError> {
    let mut named = sources.iter().flatten();
    let first = named.next();
    if named.all(|source| Some(source) == first) {
        return Ok(());
    }
    let mut events: Vec<Event> = Vec::new();
    for (batch, rows) in batches.iter().enumerate().filter(|(batch, _)| sources[*batch].is_some()) {
        events.extend((0..rows.len()).map(|row| (rows.places.at(row), batch, row)));
    }
    // Batches are in order already, which this sort makes use of.
    events.sort();
    let of_several = |group: &&[Event]| group.iter().any(|event| event.0.lane != group[0].0.lane);
    let groups: Vec<&[Event]> = events.chunk_by(|a, b| a.0.time == b.0.time).filter(of_several).collect();
    let Some(key) = batches.iter().filter_map(|rows| rows.key.as_ref()).next().filter(|_| !groups.is_empty())
    else {
        return Ok(());
    };
    let mut index = KeyIndex::new(key.values.data_type())?;
    let mut numbers = vec![Vec::new(); batches.len()];
    for (rows, numbers) in batches.iter().zip(&mut numbers) {
        if let Some(key) = &rows.key {
            index.number(key, numbers)?;
        }
    }
    let mut moved: Vec<Vec<(usize, Place)>> = vec![Vec::new(); batches.len()];
    for group in groups {
        // By source and key the place of the last event and how many there were; by key and turn the pair's place.
        let mut turns: HashMap<(u16, u32), (Place, u64)> = HashMap::new();
        let mut pairs = HashMap::new();
        for &(place, batch, row) in group {
            let Some(&key) = numbers[batch].get(row) else { continue };
            let (last, turn) = turns.entry((place.lane, key)).or_insert((place, 0));
            if *last != place {
                (*last, *turn) = (place, *turn + 1);
            }
            let pair = *pairs.entry((key, *turn)).or_insert(place);
            if pair != place {
                moved[batch].push((row, pair));
            }
        }
    }
    for (rows, moved) in batches.iter_mut().zip(moved) {
        if moved.is_empty() {
            continue;
        }
        let mut places: Vec<Place> = (0..rows.len()).map(|row| rows.places.at(row)).collect();
        for (row, place) in moved {
            places[row] = place;
        }
        rows.places = Places::of(&places);
        *rows = in_order(rows)?;
    }
    Ok(())
}
