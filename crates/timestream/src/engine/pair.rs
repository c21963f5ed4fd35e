//! Events of several sources that are one point: the k-th of a source at a time and key with the k-th of
//! another (SEMANTICS 1.5).
//!
//! They are counted where they enter, before any operator: the later source's event takes the place of the
//! earlier one's, and keeps beside it where it stands apart. So from here on "the same place and key" is all
//! that says whether two points are one. All events of a time must be here together, as they are where
//! sources are merged by their watermarks, and a source must not leave out points that pair.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::EngineError;
use super::keys::KeyIndex;
use super::merge::in_order;
use crate::plan::Plan;
use crate::rows::{Apart, Place, Rows};

/// An event: where it stands, and in which scan and row.
type Event = (Place, usize, usize);

/// Gives the events of an epoch that pair one place, by scan of the plan.
///
/// # Errors
/// Rows that pair have no keys, or keys of another type than those they pair with.
pub fn pair(plan: &Plan, scans: &mut [Option<Rows>]) -> Result<(), EngineError> {
    let mut groups: Vec<usize> = plan.scans.iter().filter_map(|scan| scan.pairs).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let of_group = plan.scans.iter().zip(scans.iter_mut()).filter(|(scan, _)| scan.pairs == Some(group));
        let filled = of_group.filter_map(|(_, rows)| rows.as_mut().filter(|rows| !rows.is_empty()));
        pair_group(&mut filled.collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The same of scans that all pair.
fn pair_group(scans: &mut [&mut Rows]) -> Result<(), EngineError> {
    let lane = |rows: &Rows| rows.places.lane.at(0);
    if scans.windows(2).all(|two| lane(two[0]) == lane(two[1])) {
        return Ok(());
    }
    let mut events: Vec<Event> = Vec::new();
    for (scan, rows) in scans.iter().enumerate() {
        events.extend((0..rows.len()).map(|row| (rows.places.at(row), scan, row)));
    }
    // Scans are in order already, which this sort makes use of.
    events.sort();
    let of_several = |group: &&[Event]| group.iter().any(|event| event.0.lane != group[0].0.lane);
    let groups: Vec<&[Event]> = events.chunk_by(|a, b| a.0.time == b.0.time).filter(of_several).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let mut index: Option<KeyIndex> = None;
    let mut numbers = vec![Vec::new(); scans.len()];
    for (rows, numbers) in scans.iter().zip(&mut numbers) {
        let key = rows.key.as_ref().ok_or_else(|| EngineError::mismatch("pairs", "keys", "none"))?;
        let index = match &mut index {
            Some(index) => index,
            none => none.insert(KeyIndex::new(key.values.data_type())?),
        };
        index.number(key, numbers)?;
    }
    let mut moved: Vec<Vec<(usize, Place)>> = vec![Vec::new(); scans.len()];
    for group in groups {
        // By source and key the place of the last event and how many there were; by key and turn the pair's place.
        let mut turns: HashMap<(u16, u32), (Place, u64)> = HashMap::new();
        let mut pairs = HashMap::new();
        for &(place, scan, row) in group {
            let Some(&key) = numbers[scan].get(row) else { continue };
            let (last, turn) = turns.entry((place.lane, key)).or_insert((place, 0));
            if *last != place {
                (*last, *turn) = (place, *turn + 1);
            }
            let pair = *pairs.entry((key, *turn)).or_insert(place);
            if pair != place {
                moved[scan].push((row, pair));
            }
        }
    }
    for (rows, moved) in scans.iter_mut().zip(moved) {
        if moved.is_empty() {
            continue;
        }
        let mut places: Vec<Place> = (0..rows.len()).map(|row| rows.places.at(row)).collect();
        let lane = places.iter().map(|place| place.lane).collect();
        rows.places.apart = Some(Arc::new(Apart { lane, ordinal: rows.places.ordinal.clone() }));
        for (row, place) in moved {
            places[row] = place;
        }
        rows.places = rows.places.standing_at(&places);
        **rows = in_order(rows)?;
    }
    Ok(())
}
