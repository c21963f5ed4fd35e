//! Of several exports of one account, as those of each day in one folder, the one whose revision is the
//! newest: it holds what stands now, and with the others each record would be there as many times.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Read};

use skytide_atproto::car::Car;
use skytide_atproto::repo::Commit;

use super::Export;

/// So many bytes of an export are looked at first: its commit is its first block, as it is nearly always written.
const HEAD: u64 = 16 << 10;

/// The exports but for those of an account of which another one is newer, or the same and before it; and how
/// many those are. What cannot be read stays: whoever reads it says why.
pub(super) fn newest(exports: Vec<Export>) -> (Vec<Export>, u64) {
    // One alone is not read twice.
    if exports.len() < 2 {
        return (exports, 0);
    }
    let mut newest = HashMap::new();
    let mut is_left_out = vec![false; exports.len()];
    for (at, export) in exports.iter().enumerate() {
        let Some(Commit { did, rev, .. }) = commit(export) else { continue };
        match newest.entry(did) {
            Entry::Vacant(first) => drop(first.insert((rev, at))),
            Entry::Occupied(known) if known.get().0 >= rev => is_left_out[at] = true,
            Entry::Occupied(mut known) => is_left_out[known.insert((rev, at)).1] = true,
        }
    }
    let left_out = is_left_out.iter().filter(|is_left_out| **is_left_out).count();
    let stays = exports.into_iter().zip(is_left_out).filter(|(_, is_left_out)| !is_left_out);
    (stays.map(|(export, _)| export).collect(), left_out as u64)
}

/// What an export is of. Nothing is held against its hash, which whoever reads the export does.
fn commit(export: &Export) -> Option<Commit> {
    match export {
        Export::Memory(bytes) => commit_in(bytes),
        Export::File(path) => {
            let read = |most: u64| -> io::Result<Vec<u8>> {
                let mut bytes = Vec::new();
                File::open(path)?.take(most).read_to_end(&mut bytes)?;
                Ok(bytes)
            };
            commit_in(&read(HEAD).ok()?).or_else(|| commit_in(&read(u64::MAX).ok()?))
        }
    }
}

fn commit_in(bytes: &[u8]) -> Option<Commit> {
    let car = Car::parse(bytes).ok()?;
    let root = car.root()?;
    let (_, block) = car.blocks().map_while(Result::ok).find(|(cid, _)| *cid == root)?;
    Commit::parse(block).ok()
}
