//! An independent decoder accepts everything that a simulated network says.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a decoder that panics is how a test refuses"
)]

mod acts;
mod decoder;
mod judge;
mod labels;

use std::collections::HashSet;

use decoder::{frame, text};
use judge::judged;
use skytide_sim::{Config, Curve, Network};

#[test]
fn everything_is_accepted() {
    let config = Config { seed: 3, accounts: 100, p256: 300, ..Config::default() };
    let network = Network::new(config);
    let (judge, frames) = judged(config, 2_500);
    assert_eq!(judge.breaks, [], "every commit follows the one before");

    // A part of the chance that none of these happens once is left to the seed; it is fixed.
    for (kind, least) in [
        ("#commit", 2_300),
        ("#identity", 5),
        ("#account", 5),
        ("inactive", 1),
        ("chained", 2_000),
        ("first", 3),
        ("rebuilt", 20),
        ("create", 2_200),
        ("update", 10),
        ("delete", 40),
    ] {
        assert!(judge.count(kind) >= least, "{kind}: {:?}", judge.seen);
    }
    let curves: HashSet<_> = frames
        .iter()
        .map(|sent| frame(&sent.bytes))
        .filter(|frame| frame.kind == "#commit")
        .filter_map(|frame| {
            let did = text(&frame.payload, "repo");
            network
                .accounts()
                .iter()
                .find(|account| account.did() == did)
                .map(|account| account.curve() == Curve::K256)
        })
        .collect();
    assert_eq!(curves.len(), 2, "both curves have signed");
}

#[test]
fn the_mix_is_that_of_the_real_network() {
    let (judge, frames) = judged(Config { seed: 11, ..Config::default() }, 4_000);

    let creates = judge.count("create");
    let share = |kind: &str| judge.count(kind) * 1000 / creates;
    for (kind, least, most) in [
        ("create app.bsky.feed.like", 660, 740),
        ("create app.bsky.feed.post", 105, 150),
        ("create app.bsky.feed.repost", 85, 120),
        ("create app.bsky.graph.follow", 45, 75),
        ("create app.bsky.graph.block", 3, 15),
        ("delete", 18, 40),
        ("update", 5, 22),
    ] {
        assert!(
            (least..=most).contains(&share(kind)),
            "{kind}: {} in 1000 creates: {:?}",
            share(kind),
            judge.seen
        );
    }
    let posts = judge.count("create app.bsky.feed.post");
    let of_posts = |kind: &str| judge.count(kind) * 100 / posts;
    for (kind, least, most) in [
        ("langs: en", 30, 60),
        ("langs: ja", 8, 30),
        ("langs: none", 2, 12),
        ("with reply", 25, 55),
        ("with embed", 25, 55),
        ("with facets", 15, 50),
    ] {
        assert!(
            (least..=most).contains(&of_posts(kind)),
            "{kind}: {}% of {posts}: {:?}",
            of_posts(kind),
            judge.seen
        );
    }
    assert!(judge.seen.keys().filter(|kind| kind.starts_with("langs: ")).count() >= 12, "{:?}", judge.seen);

    let mean = frames.iter().map(|frame| frame.bytes.len()).sum::<usize>() / frames.len();
    assert!((4_600..6_200).contains(&mean), "a frame has {mean} bytes");
    let steps: Vec<i64> = frames.array_windows().map(|[before, after]| after.time - before.time).collect();
    let falls = steps.iter().filter(|step| **step < 0).count() * 100 / steps.len();
    assert!((30..60).contains(&falls), "time falls at {falls} of 100 frames");
    assert!(steps.iter().all(|step| *step > -960_000_000 && *step < 960_000_000), "by under a second");
}

#[test]
fn any_configuration_gives_frames() {
    use skytide_sim::Mix;
    let nothing = Mix { likes: 0, posts: 0, reposts: 0, follows: 0, blocks: 0, others: 0, ..Mix::default() };
    for config in [
        Config { accounts: 0, ..Config::default() },
        Config { accounts: 1, mix: Mix { deletes: 1000, ..Mix::default() }, ..Config::default() },
        Config { accounts: 1, mix: Mix { accounts: 1000, ..Mix::default() }, ..Config::default() },
        Config { accounts: 20, mix: Mix { likes: 1, ..nothing }, ..Config::default() },
        Config { accounts: 20, mix: Mix { others: 1, ..nothing }, ..Config::default() },
        Config { accounts: 20, mix: nothing, rate: 0, ..Config::default() },
        Config { accounts: 20, start: i64::MIN, first_seq: u64::MAX - 1_000, ..Config::default() },
        Config { accounts: 20, start: i64::MAX, rate: u32::MAX, ..Config::default() },
    ] {
        let (judge, frames) = judged(config, 60);
        assert_eq!(frames.len(), 60);
        assert!(judge.count("#commit") > 20 || config.mix.accounts == 1000, "{config:?}: {:?}", judge.seen);
    }
}
