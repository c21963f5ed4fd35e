//! Any bytes as a CAR: what is read whole is what is hopped over, with each hash checked.

#![no_main]

use skytide_atproto::car::{self, Blocks, Car};
use skytide_atproto::repo::Commit;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(car) = Car::parse(bytes) else { return };
    let roots: Vec<_> = car.roots().collect();
    let blocks: Result<Vec<_>, _> = car.blocks().collect();
    for (_, block) in blocks.iter().flatten() {
        if let Ok(commit) = Commit::parse(block) {
            assert_eq!(Commit::parse(&commit.to_bytes()), Ok(commit));
        }
    }
    if let Ok(read) = Blocks::read(bytes) {
        let blocks = blocks.unwrap();
        assert!(blocks.iter().all(|(cid, block)| cid.matches(block) && read.get(cid) == Some(block)));
        assert_eq!(car::write(&roots, blocks), bytes);
    }
});
