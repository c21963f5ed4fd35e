//! The query-driven decode against a slow and obvious one, on real, made-up and damaged frames.
#![cfg(feature = "arrow")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod labels;
mod make;
mod oracle;
#[path = "../vectors/mod.rs"]
mod vectors;

use std::sync::Arc;

use proptest::prelude::*;
use skytide_atproto::cbor::Cursor;
use skytide_atproto::columns::{
    Clock, Decoder, EqTest, Literal, PathStep, Position, StreamKind, Wanted, WantedStream,
};
use skytide_atproto::frame::FrameError;
use skytide_atproto::message::Action;
use skytide_atproto::records::{RecordType, Shape};

use oracle::{Row, Val};

/// The way to a value, written `record.langs.0`, to the length of a text `record.text.#`; nothing is the whole point.
fn path(text: &str) -> Vec<PathStep> {
    let steps = text.split('.').filter(|step| !step.is_empty());
    steps
        .map(|step| match step.parse() {
            Ok(index) => PathStep::Index(index),
            Err(_) if step == "#" => PathStep::Length,
            Err(_) => PathStep::Field(step.to_owned()),
        })
        .collect()
}

fn stream(of: StreamKind, keyed: bool, columns: &[&str]) -> WantedStream {
    WantedStream { of, keyed, columns: columns.iter().map(|text| path(text)).collect(), tests: vec![] }
}

fn records(collection: &str, action: Action, shape: Arc<Shape>) -> StreamKind {
    StreamKind::Records { collection: collection.to_owned(), action, shape }
}

fn known(nsid: &str, action: Action) -> StreamKind {
    records(nsid, action, Arc::clone(&RecordType::by_nsid(nsid).unwrap().shape))
}

/// Queries that read different parts.
fn queries() -> Vec<Wanted> {
    let post = "app.bsky.feed.post";
    let like = "app.bsky.feed.like";
    let own = ["uri", "cid", "did", "rkey", "action", "rev", "seq", "time", "source_time"];
    let english = WantedStream {
        tests: vec![EqTest { column: 0, literal: Literal::Text("en".into()) }],
        ..stream(known(post, Action::Create), false, &["record.langs.0", "record.text"])
    };
    let short = WantedStream {
        tests: vec![EqTest { column: 0, literal: Literal::Int(8) }],
        ..stream(known(post, Action::Create), true, &["record.text.#", "record.langs.0"])
    };
    let wide = Arc::new(make::shape());
    let streams = vec![
        vec![stream(known(post, Action::Create), false, &["record.langs.0"])],
        vec![stream(known(like, Action::Create), true, &["record.subject.uri", "record.createdAt"])],
        vec![stream(known(like, Action::Create), false, &[])],
        vec![stream(
            known(post, Action::Create),
            false,
            &["", "record", "record.embed.external", "record.text", "record.text.#"],
        )],
        vec![english, short],
        vec![
            stream(known("app.bsky.graph.follow", Action::Delete), true, &own),
            stream(known("app.bsky.graph.follow", Action::Delete), false, &["record", "record.subject"]),
            stream(known(like, Action::Create), false, &own),
            stream(known(like, Action::Create), false, &["uri.#", "cid.#", "rkey.#", "record.subject.uri.#"]),
            stream(known("app.bsky.actor.profile", Action::Update), true, &["record", "rkey"]),
            stream(
                records("fm.teal.alpha.actor.status", Action::Update, Arc::new(Shape::Json)),
                true,
                &["record"],
            ),
            stream(StreamKind::Identities, true, &[]),
            stream(StreamKind::Accounts, true, &["active", "status", "seq"]),
            stream(StreamKind::Syncs, true, &["", "rev"]),
        ],
        vec![
            stream(records(make::COLLECTION, Action::Create, Arc::clone(&wide)), true, &["record", "rkey"]),
            stream(
                records(make::COLLECTION, Action::Create, Arc::clone(&wide)),
                false,
                &[
                    "record.int",
                    "record.list.0",
                    "record.list.2",
                    "record.list",
                    "record.inner.text",
                    "record.inner",
                ],
            ),
            stream(
                records(make::COLLECTION, Action::Update, wide),
                false,
                &[
                    "record.json",
                    "record.link",
                    "record.bytes",
                    "record.float",
                    "record.bool",
                    "record.structs.1.text",
                    "record.json.#",
                    "record.link.#",
                    "record.structs.1.text.#",
                ],
            ),
        ],
    ];
    streams.into_iter().map(|streams| Wanted { streams, clock: Clock::FrameTime }).collect()
}

/// The points in a decoder, stream by stream.
fn rows(decoder: &mut Decoder) -> Vec<Vec<Row>> {
    let streams = decoder.take();
    let row = |stream: &skytide_atproto::columns::StreamColumns, at: usize| Row {
        time: stream.time[at],
        ordinal: stream.ordinal[at],
        key: stream.key.as_ref().map(|key| oracle::value(key, at)),
        columns: stream.columns.iter().map(|column| oracle::value(column, at)).collect(),
    };
    streams
        .iter()
        .map(|stream| {
            assert!(stream.columns.iter().all(|column| column.len() == stream.time.len()));
            (0..stream.time.len()).map(|at| row(stream, at)).collect()
        })
        .collect()
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn real_frames_give_the_oracles_rows() {
    let frames = vectors::frames();
    let mut counts = Vec::new();
    for wanted in queries() {
        let mut decoder = Decoder::new(&wanted).unwrap();
        let mut oracle = oracle::Oracle::default();
        let mut expected = vec![Vec::new(); wanted.streams.len()];
        for frame in &frames {
            decoder.push(frame, 0).unwrap();
            let read = oracle.push(frame, &wanted).unwrap();
            expected.iter_mut().zip(read).for_each(|(rows, new)| rows.extend(new));
        }
        counts.push(expected.iter().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(rows(&mut decoder), expected);
        assert_eq!((decoder.counters().frames, decoder.counters().ops), (150, 150));
        assert_eq!(decoder.counters().misfits, 0);
    }
    let own = vec![3, 3, counts[1][0], counts[1][0], counts[5][4], 1, 1, 1, 0];
    assert_eq!(
        counts,
        [
            vec![17],
            vec![counts[1][0]],
            vec![counts[1][0]],
            vec![17],
            vec![7, counts[4][1]],
            own,
            vec![0, 0, 0]
        ]
    );
    assert!(counts[1][0] > 80);
}

/// What came of frames that both the decoder and the oracle were given.
#[derive(Debug, Default)]
struct Differences {
    /// The damage is in a part that is hopped over: the oracle reads it, the decoder does not.
    hopped: usize,
    /// Refused by both.
    refused: usize,
    /// The same rows.
    equal: usize,
}

/// Pushes a frame into both; neither may have anything left of a frame that it refuses.
fn compare(frame: &[u8], wanted: &Wanted, differences: &mut Differences) {
    let mut decoder = Decoder::new(wanted).unwrap();
    let ours = decoder.push(frame, 0);
    let expected = oracle::Oracle::default().push(frame, wanted);
    match (ours, expected) {
        (Ok(_), Some(expected)) => {
            assert_eq!(rows(&mut decoder), expected);
            differences.equal += 1;
        }
        (Ok(_), None) => {
            let mut cursor = Cursor::new(frame);
            cursor.skip().unwrap();
            cursor.check().expect_err("the oracle refuses what the strict reader accepts");
            differences.hopped += 1;
        }
        (Err(error), None) => {
            assert_ne!(error, FrameError::Full);
            differences.refused += 1;
        }
        (Err(error), Some(_)) => panic!("refused by {error}, not by the oracle"),
    }
    if ours_refused(&decoder) {
        assert_eq!((decoder.rows(), decoder.position()), (0, Position::default()));
    }
}

fn ours_refused(decoder: &Decoder) -> bool {
    decoder.counters().refused > 0
}

#[test]
fn what_is_hopped_over_is_not_looked_at() {
    let mut differences = Differences::default();
    let wanted = queries();
    let wide = wanted.last().unwrap();
    // A frame that is hopped over but for its envelope.
    let mut frame = make::commit_of(&make::nested(2));
    let since = frame.windows(5).position(|window| window == b"since").unwrap();
    frame[since + 7] = 0xff;
    compare(&frame, wide, &mut differences);
    assert_eq!(differences.hopped, 1);
}

#[test]
fn a_bad_record_is_null_and_takes_no_other_point_away() {
    let like = |columns: &[&str]| stream(known("app.bsky.feed.like", Action::Create), true, columns);
    let wide = |columns: &[&str]| {
        let of = records(make::COLLECTION, Action::Create, Arc::new(make::shape()));
        stream(of, true, columns)
    };
    let streams = vec![
        like(&["record.subject.uri", "rkey"]),
        wide(&["record", "rkey"]),
        wide(&["record.int", "record.inner.text"]),
        wide(&["rkey"]),
    ];
    let wanted = Wanted { streams, clock: Clock::FrameTime };
    for bad in make::bad_records() {
        let frame = make::beside_a_like(&bad);
        let mut decoder = Decoder::new(&wanted).unwrap();
        assert_eq!(decoder.push(&frame, 0).unwrap().rows, 4, "{bad:?}");
        let counters = decoder.counters();
        assert_eq!((counters.bad_record, counters.misfits, counters.refused), (2, 0, 0));
        let read = rows(&mut decoder);
        assert_ne!(read[0][0].columns[0], Val::Null);
        assert_eq!(read[1][0].columns, [Val::Null, Val::Text("bad".into())]);
        assert_eq!(oracle::Oracle::default().push(&frame, &wanted).unwrap(), read);
    }
    // Where only its key is read nobody looks at it.
    let mut decoder =
        Decoder::new(&Wanted { streams: vec![wide(&["rkey"])], clock: Clock::FrameTime }).unwrap();
    decoder.push(&make::beside_a_like(b"\xff"), 0).unwrap();
    assert_eq!(decoder.counters().bad_record, 0);
}

#[test]
fn depth_is_counted_from_the_record_where_a_field_inside_is_wanted() {
    let wanted = |columns: &[&str]| {
        let of = records(make::COLLECTION, Action::Create, Arc::new(make::shape()));
        Wanted { streams: vec![stream(of, false, columns)], clock: Clock::FrameTime }
    };
    for columns in [&["record.inner.text"][..], &["record.int"], &["record.inner"], &["record"]] {
        let mut decoder = Decoder::new(&wanted(columns)).unwrap();
        for (depth, bad) in [(62, 0), (63, 1)] {
            assert_eq!(decoder.push(&make::commit_of(&make::nested_in_inner(depth)), 0).unwrap().rows, 1);
            assert_eq!(decoder.counters().bad_record, bad, "{columns:?}");
        }
    }
}

#[test]
fn of_blocks_with_one_cid_the_first_is_read() {
    let of = records(make::COLLECTION, Action::Create, Arc::new(make::shape()));
    let wanted = Wanted { streams: vec![stream(of, false, &["record.int"])], clock: Clock::FrameTime };
    let frame = make::two_blocks_of_one_cid();
    let mut decoder = Decoder::new(&wanted).unwrap();
    decoder.push(&frame, 0).unwrap();
    let read = rows(&mut decoder);
    assert_eq!(read[0][0].columns, [Val::Int(1)]);
    assert_eq!(oracle::Oracle::default().push(&frame, &wanted).unwrap(), read);
}

/// Damages bytes: flips, cuts, copies of parts over others, lengths made larger or smaller.
fn damage(frame: &mut Vec<u8>, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    for _ in 0..=next(2) {
        let at = next(frame.len());
        match next(6) {
            0 => frame.truncate(at),
            1 => {
                let from = next(frame.len());
                let part: Vec<u8> = frame[from..].iter().take(next(12)).copied().collect();
                let end = (at + part.len()).min(frame.len());
                frame.splice(at..end, part);
            }
            2 => {
                frame.remove(at);
            }
            3 if !frame.is_empty() => frame[at] = frame[at].wrapping_add(1),
            _ if !frame.is_empty() => frame[at] ^= 1 << next(8),
            _ => {}
        }
        if frame.is_empty() {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn made_frames_give_the_oracles_rows(frame in make::frame()) {
        for wanted in queries() {
            let mut differences = Differences::default();
            compare(&frame, &wanted, &mut differences);
            prop_assert_eq!(differences.hopped, 0);
        }
    }

    #[test]
    fn damaged_frames_are_refused_or_give_the_oracles_rows(frame in make::frame(), seeds in any::<[u64; 16]>()) {
        let wanted = queries();
        for seed in seeds {
            let mut frame = frame.clone();
            damage(&mut frame, seed);
            let mut differences = Differences::default();
            compare(&frame, &wanted[wanted.len() - 1 - (seed % 2) as usize], &mut differences);
        }
    }

    #[test]
    fn a_refused_frame_leaves_nothing(
        frames in proptest::collection::vec((make::frame(), any::<Option<u64>>()), 1..12),
    ) {
        for wanted in queries() {
            let mut all = Decoder::new(&wanted).unwrap();
            let mut good = Decoder::new(&wanted).unwrap();
            let mut refused = 0;
            for (frame, seed) in &frames {
                let mut frame = frame.clone();
                seed.map(|seed| damage(&mut frame, seed));
                match all.push(&frame, 0) {
                    Ok(pushed) => prop_assert_eq!(good.push(&frame, 0), Ok(pushed)),
                    Err(_) => refused += 1,
                }
            }
            prop_assert_eq!(all.counters().refused, refused);
            prop_assert_eq!(all.position(), good.position());
            prop_assert_eq!(rows(&mut all), rows(&mut good));
        }
    }
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn damaged_real_frames_are_refused_or_give_the_oracles_rows() {
    let mut differences = Differences::default();
    let wanted = queries();
    let frames = vectors::frames();
    for (at, frame) in frames.iter().enumerate() {
        for seed in 0..40 {
            let mut frame = frame.clone();
            damage(&mut frame, (at * 1000 + seed) as u64);
            compare(&frame, &wanted[seed % wanted.len()], &mut differences);
        }
    }
    assert!(
        differences.refused > 1000 && differences.equal > 1000 && differences.hopped > 10,
        "{differences:?}"
    );
}

#[test]
fn what_is_wanted_does_not_change_ordinals_and_times() {
    let frames: Vec<Vec<u8>> = (0..20_u64).map(|at| make::likes(at, (at % 4) as usize)).collect();
    let like = |columns: &[&str]| stream(known("app.bsky.feed.like", Action::Create), false, columns);
    let read = |streams: Vec<WantedStream>, restart: Option<usize>| {
        let wanted = Wanted { streams, clock: Clock::FrameTime };
        let mut decoder = Decoder::new(&wanted).unwrap();
        let mut places = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            if restart == Some(at) {
                let taken = decoder.take().remove(0);
                places.extend(taken.time.into_iter().zip(taken.ordinal));
                let position = decoder.position();
                decoder = Decoder::new(&wanted).unwrap();
                decoder.set_position(position);
            }
            decoder.push(frame, 0).unwrap();
        }
        let taken = decoder.take().remove(0);
        places.extend(taken.time.into_iter().zip(taken.ordinal));
        places
    };
    let plain = read(vec![like(&[])], None);
    assert_eq!(plain.len(), 30);
    assert!(plain.is_sorted() && plain.windows(2).all(|pair| pair[0].1 < pair[1].1));
    assert_eq!(plain, read(vec![like(&["record.subject"]), stream(StreamKind::Syncs, true, &[])], None));
    assert_eq!(plain, read(vec![like(&["rkey"])], Some(7)));
}

#[test]
fn the_clock_can_be_the_revision_the_author_or_the_arrival() {
    let frame = make::likes(3, 1);
    let read = |clock: Clock, of: StreamKind, frame: &[u8]| {
        let mut decoder =
            Decoder::new(&Wanted { streams: vec![stream(of, false, &["time"])], clock }).unwrap();
        decoder.push(frame, 99).unwrap();
        let columns = decoder.take().remove(0);
        assert_eq!(oracle::value(&columns.columns[0], 0), Val::Int(columns.time[0]));
        (columns.time[0], decoder.counters().untimed)
    };
    let like = || known("app.bsky.feed.like", Action::Create);
    assert_eq!(read(Clock::FrameTime, like(), &frame), (make::frame_time(3), 0));
    assert_eq!(read(Clock::Rev, like(), &frame), (make::REV_TIME, 0));
    assert_eq!(read(Clock::CreatedAt, like(), &frame), (make::CREATED_TIME, 0));
    assert_eq!(read(Clock::Arrival, like(), &frame), (99, 0));
    // An identity has neither revision nor author's time.
    let identity = make::identity(4);
    assert_eq!(read(Clock::Rev, StreamKind::Identities, &identity), (make::frame_time(4), 1));
    assert_eq!(read(Clock::CreatedAt, StreamKind::Identities, &identity), (make::frame_time(4), 1));
}

#[test]
fn a_frame_of_a_time_that_cannot_be_held_has_the_newest_before_it() {
    let wanted = Wanted {
        streams: vec![
            stream(known("app.bsky.feed.like", Action::Create), false, &["source_time"]),
            stream(StreamKind::Identities, false, &["source_time"]),
        ],
        clock: Clock::FrameTime,
    };
    for time in ["9999-12-31T23:59:59.9Z", "0001-01-01T00:00:00.0Z", "yesterday, or so it is"] {
        let of_time = |mut frame: Vec<u8>| {
            let at = frame.windows(22).position(|part| part == b"2026-07-04T14:38:07.5Z").unwrap();
            frame[at..at + 22].copy_from_slice(time.as_bytes());
            frame
        };
        let (like, identity) = (of_time(make::likes(7, 1)), of_time(make::identity(7)));
        let mut decoder = Decoder::new(&wanted).unwrap();
        assert_eq!(decoder.push(&like, 0), Err(FrameError::Time), "there is none before it");
        decoder.push(&make::likes(5, 1), 0).unwrap();
        assert_eq!(decoder.push(&like, 0).unwrap().source_time, None);
        assert_eq!(decoder.push(&identity, 0).unwrap().rows, 1);
        decoder.push(&make::likes(6, 1), 0).unwrap();
        let [likes, identities] = &decoder.take()[..] else { panic!("two streams") };
        assert_eq!(likes.time, [5, 5, 6].map(make::frame_time));
        assert_eq!(identities.time, [make::frame_time(5)]);
        assert_eq!(oracle::value(&likes.columns[0], 1), Val::Null);
        assert_eq!(oracle::value(&identities.columns[0], 0), Val::Null);
        let counters = decoder.counters();
        assert_eq!((counters.refused, counters.untimed, counters.ahead), (1, 2, 0));
    }
}

#[test]
fn a_record_named_often_does_not_make_a_frame_grow() {
    let frame = make::one_record_often(200, 100_000);
    let wanted = &queries()[6];
    let mut decoder = Decoder::new(wanted).unwrap();
    assert!(matches!(decoder.push(&frame, 0), Err(FrameError::RecordBytes(40_000_000..))));
    assert_eq!(decoder.rows(), 0);
    let frame = make::one_record_often(200, 100);
    assert_eq!(decoder.push(&frame, 0).unwrap().rows, 400);
    assert!(matches!(decoder.push(&make::one_record_often(201, 10), 0), Err(FrameError::TooManyOps(201))));
}

#[test]
fn wanting_what_a_stream_does_not_have_is_an_error() {
    let post = || known("app.bsky.feed.post", Action::Create);
    for bad in [
        "nothing",
        "record.nothing",
        "record.text.0",
        "record.langs.first",
        "did.0",
        "0",
        "#",
        "seq.#",
        "record.langs.#",
        "record.text.#.0",
    ] {
        let wanted = Wanted { streams: vec![stream(post(), false, &[bad])], clock: Clock::FrameTime };
        Decoder::new(&wanted).unwrap_err();
    }
    let error = Decoder::new(&Wanted {
        streams: vec![stream(post(), false, &["record.langs.0.x"])],
        clock: Clock::FrameTime,
    });
    assert_eq!(error.unwrap_err().to_string(), "no value at record.langs[0].x in a point of stream 0");
}

#[test]
fn a_value_that_does_not_fit_is_counted_once_however_often_it_is_wanted() {
    let number_for_text = make::number_for_text(false);
    let inside = make::number_for_text(true);
    let both = ["record.text", "record.text.#", "record.inner.text", "record.inner.text.#"];
    for columns in [&both[..], &["record", "record.text", "record.inner"], &["record.inner", "record.text.#"]]
    {
        for frame in [&number_for_text, &inside] {
            let of = records(make::COLLECTION, Action::Create, Arc::new(make::shape()));
            let streams = vec![stream(of, false, columns)];
            let mut decoder = Decoder::new(&Wanted { streams, clock: Clock::FrameTime }).unwrap();
            decoder.push(frame, 0).unwrap();
            assert_eq!(decoder.counters().misfits, 1, "{columns:?}");
        }
    }
}

#[test]
fn a_path_in_the_wanted_collection_that_names_no_record_refuses_its_frame() {
    let of = records(make::COLLECTION, Action::Create, Arc::new(make::shape()));
    let wanted = Wanted { streams: vec![stream(of, false, &["rkey"])], clock: Clock::FrameTime };
    let collection = make::COLLECTION;
    for (path, refused, rows, unwanted) in [
        (format!("{collection}/record-key-of-one"), 0, 1, 0),
        (format!("{collection}/"), 1, 0, 0),
        (format!("{collection}/a/b"), 1, 0, 0),
        (collection.to_owned(), 1, 0, 0),
        (format!("{collection}s/record-key"), 0, 0, 1),
        (collection[..collection.len() - 1].to_owned(), 0, 0, 1),
    ] {
        let mut decoder = Decoder::new(&wanted).unwrap();
        assert_eq!(decoder.push(&make::at_path(&path), 0).is_err(), refused == 1, "{path}");
        let counters = decoder.counters();
        assert_eq!((counters.refused, counters.rows, counters.unwanted), (refused, rows, unwanted), "{path}");
    }
}

#[test]
fn counters_say_what_became_of_everything() {
    let wanted = &queries()[6];
    let mut decoder = Decoder::new(wanted).unwrap();
    decoder.push(&make::likes(1, 3), 0).unwrap();
    decoder.push(&make::identity(2), 0).unwrap();
    decoder.push(&make::without_its_block(), 0).unwrap();
    decoder.push(&make::misfit(), 0).unwrap();
    decoder.push(b"no frame", 0).unwrap_err();
    let counters = decoder.counters();
    assert_eq!((counters.frames, counters.refused, counters.ops, counters.unwanted), (4, 1, 5, 3));
    assert_eq!((counters.rows, counters.no_record, counters.misfits), (4, 2, 2));
}
