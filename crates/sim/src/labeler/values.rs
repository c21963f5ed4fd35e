//! What labels say, and how often: the values that clients know, in proportions like those of a large labeler.

use crate::rng::Chance;

/// Of records: mostly what pictures show.
const OF_RECORDS: [(&str, u64); 11] = [
    ("porn", 420),
    ("sexual", 210),
    ("nudity", 90),
    ("graphic-media", 70),
    ("spam", 60),
    ("!warn", 40),
    ("!hide", 40),
    ("rude", 30),
    ("intolerant", 15),
    ("threat", 15),
    ("sexual-figurative", 10),
];

/// Of accounts: mostly what they do.
const OF_ACCOUNTS: [(&str, u64); 8] = [
    ("spam", 450),
    ("!hide", 180),
    ("porn", 110),
    ("!takedown", 100),
    ("impersonation", 60),
    ("misleading", 40),
    ("!warn", 40),
    ("!no-unauthenticated", 20),
];

pub(super) fn of_record(chance: &mut Chance) -> &'static str {
    one_of(&OF_RECORDS, chance)
}

pub(super) fn of_account(chance: &mut Chance) -> &'static str {
    one_of(&OF_ACCOUNTS, chance)
}

fn one_of(weighted: &[(&'static str, u64)], chance: &mut Chance) -> &'static str {
    weighted[chance.weighted(weighted.iter().map(|(_, weight)| *weight))].0
}
