//! Labels as points: their fields, keys, times and places.

use skytide_atproto::columns::{Clock, Counters, Decoder, EqTest, Literal, Pushed, StreamKind, Wanted};
use skytide_atproto::frame::{FrameError, Kind};
use skytide_atproto::message::{Label, Labels, Message};

use crate::oracle::{Row, Val};
use crate::{make, rows, stream};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
/// 2026-07-04T14:38:00Z
const START: i64 = 1_783_175_880 * SECOND;

fn label(uri: &'static str, cts: &'static str) -> Label<'static> {
    Label {
        cid: None,
        cts,
        exp: None,
        neg: None,
        sig: None,
        src: "did:plc:labeler",
        uri,
        val: "spam",
        ver: None,
    }
}

fn frame(seq: u64, labels: Vec<Label<'_>>) -> Vec<u8> {
    Message::Labels(Labels { seq, labels }).to_frame_bytes()
}

fn decoder(columns: &[&str], clock: Clock) -> Decoder {
    let streams = vec![stream(StreamKind::Labels, true, columns)];
    Decoder::new(&Wanted { streams, clock }).unwrap()
}

/// The points of one stream.
fn points(decoder: &mut Decoder) -> Vec<Row> {
    rows(decoder).remove(0)
}

fn times(decoder: &mut Decoder) -> Vec<i64> {
    points(decoder).iter().map(|row| row.time).collect()
}

fn text(text: &str) -> Val {
    Val::Text(text.to_owned())
}

#[test]
fn a_label_is_a_point_with_its_fields_and_null_for_what_it_does_not_have() {
    let whole = Label {
        cid: Some("bafy"),
        cts: "2026-07-04T14:38:00Z",
        exp: Some("never"),
        neg: Some(false),
        sig: Some(b"sig"),
        src: "did:plc:labeler",
        uri: "at://did:plc:a/app.bsky.feed.post/1",
        val: "porn",
        ver: Some(1),
    };
    let mut decoder = decoder(&[""], Clock::FrameTime);
    let pushed = decoder.push(&frame(7, vec![whole, label("did:plc:b", "2026-07-04T14:38:01.5+00:00")]), 0);
    assert_eq!(pushed, Ok(Pushed { kind: Kind::Labels, seq: Some(7), source_time: None, rows: 2 }));
    let point = |values: [Val; 12]| {
        let names =
            ["src", "uri", "cid", "val", "neg", "cts", "exp", "ver", "did", "seq", "time", "source_time"];
        vec![Val::Struct(names.map(str::to_owned).into_iter().zip(values).collect())]
    };
    let first = point([
        text("did:plc:labeler"),
        text("at://did:plc:a/app.bsky.feed.post/1"),
        text("bafy"),
        text("porn"),
        Val::Bool(false),
        text("2026-07-04T14:38:00Z"),
        text("never"),
        Val::Int(1),
        text("did:plc:a"),
        Val::Int(7),
        Val::Int(START),
        Val::Int(START),
    ]);
    let late = START + SECOND * 3 / 2;
    let second = point([
        text("did:plc:labeler"),
        text("did:plc:b"),
        Val::Null,
        text("spam"),
        Val::Null,
        text("2026-07-04T14:38:01.5+00:00"),
        Val::Null,
        Val::Null,
        text("did:plc:b"),
        Val::Int(7),
        Val::Int(late),
        Val::Int(late),
    ]);
    let expected = [
        Row { time: START, ordinal: 0, key: Some(text("did:plc:a")), columns: first },
        Row { time: late, ordinal: 1, key: Some(text("did:plc:b")), columns: second },
    ];
    assert_eq!(points(&mut decoder), expected);
    let counters = Counters { frames: 1, rows: 2, ..Counters::default() };
    assert_eq!(*decoder.counters(), counters);
}

#[test]
fn the_key_is_the_account_that_it_is_about_or_null() {
    let cases = [
        ("did:web:example.com", Some("did:web:example.com")),
        ("at://did:plc:a", Some("did:plc:a")),
        ("at://did:plc:a/app.bsky.feed.post/1", Some("did:plc:a")),
        ("at://did:plc:a/", Some("did:plc:a")),
        ("at://handle.test/app.bsky.feed.post/1", None),
        ("https://example.com", None),
        ("at://", None),
        ("", None),
        ("did:", None),
        ("did:plc:a/b", None),
    ];
    let mut decoder = decoder(&["did"], Clock::FrameTime);
    let labels = cases.map(|(uri, _)| label(uri, "2026-07-04T14:38:00Z"));
    decoder.push(&frame(1, labels.into()), 0).unwrap();
    for (row, (uri, account)) in points(&mut decoder).into_iter().zip(cases) {
        let account = account.map_or(Val::Null, text);
        assert_eq!((row.key, &row.columns[0]), (Some(account.clone()), &account), "{uri}");
    }
    assert_eq!(decoder.counters().no_subject, 6);
}

#[test]
fn the_time_is_that_of_the_label_made_to_rise() {
    let at = |cts| label("did:plc:a", cts);
    let mut decoder = decoder(&["source_time"], Clock::FrameTime);
    let first = vec![at("2026-07-04T14:38:10Z"), at("2026-07-04T14:38:05Z"), at("2199-01-01T00:00:00Z")];
    decoder.push(&frame(1, first), 0).unwrap();
    decoder
        .push(&frame(2, vec![at("2026-07-04T14:43:10Z"), at("soon"), at("2020-01-01T00:00:00Z")]), 0)
        .unwrap();
    let read = points(&mut decoder);
    let times: Vec<i64> = read.iter().map(|row| (row.time - START) / SECOND).collect();
    assert_eq!(times, [10, 10, 10, 310, 310, 310]);
    let own = |row: &Row| match row.columns[0] {
        Val::Int(time) => Some((time - START) / SECOND),
        _ => None,
    };
    let own: Vec<_> = read.iter().map(own).collect();
    assert_eq!((own[1], own[3], own[4]), (Some(5), Some(310), None));
    assert_eq!((decoder.counters().ahead, decoder.counters().untimed), (1, 1));
    assert_eq!(decoder.position().clock.newest, Some(START + 310 * SECOND));
}

#[test]
fn without_any_time_in_it_or_before_it_a_message_is_refused() {
    let at = |cts| label("did:plc:a", cts);
    let mut decoder = decoder(&["uri"], Clock::FrameTime);
    let untimed = frame(1, vec![at("soon"), at("9999-12-31T00:00:00Z")]);
    assert_eq!(decoder.push(&untimed, 0), Err(FrameError::Time));
    assert_eq!((decoder.counters().refused, decoder.counters().frames, decoder.rows()), (1, 0, 0));
    assert_eq!(decoder.position(), skytide_atproto::columns::Position::default());
    decoder.push(&frame(2, vec![at("2026-07-04T14:38:00Z")]), 0).unwrap();
    decoder.push(&untimed, 0).unwrap();
    assert_eq!(times(&mut decoder), [START; 3]);
}

#[test]
fn without_any_time_before_it_a_label_without_one_has_that_of_the_next() {
    let at = |cts| label("did:plc:a", cts);
    let mixed = |cts| frame(1, vec![at("soon"), at(cts), at("2026-07-04T14:38:01Z")]);
    let mut told = decoder(&["uri"], Clock::FrameTime);
    told.push(&mixed("2026-07-04T14:38:00Z"), 0).unwrap();
    assert_eq!(times(&mut told), [START, START, START + SECOND]);
    assert_eq!((told.counters().untimed, told.counters().ahead), (1, 0));
    // The first time of a connection is believed up to five minutes after its arrival.
    let mut live = decoder(&["uri"], Clock::FrameTime);
    live.connected();
    live.push(&mixed("2199-01-01T00:00:00Z"), START).unwrap();
    assert_eq!(times(&mut live), [START + 300 * SECOND; 3]);
    assert_eq!((live.counters().untimed, live.counters().ahead), (1, 1));
}

#[test]
fn other_clocks_tell_other_times() {
    let at = |cts| label("did:plc:a", cts);
    let read = |clock| {
        let mut decoder = decoder(&["uri"], clock);
        decoder.push(&frame(1, vec![at("2026-07-04T14:39:00Z"), at("2026-07-04T14:38:00Z")]), 99).unwrap();
        decoder.push(&frame(2, vec![at("2199-01-01T00:00:00Z")]), 98).unwrap();
        let counters = *decoder.counters();
        (times(&mut decoder), counters.untimed, counters.ahead)
    };
    assert_eq!(read(Clock::CreatedAt), (vec![START + MINUTE, START, START + MINUTE], 0, 1));
    assert_eq!(read(Clock::Rev), (vec![START + MINUTE; 3], 3, 1));
    assert_eq!(read(Clock::Arrival), (vec![99; 3], 0, 1));
}

#[test]
fn the_first_of_a_connection_is_believed_up_to_five_minutes_after_its_arrival() {
    let mut decoder = decoder(&["uri"], Clock::FrameTime);
    decoder.connected();
    decoder.push(&frame(1, vec![label("did:plc:a", "2199-01-01T00:00:00Z")]), START).unwrap();
    decoder.push(&frame(2, vec![label("did:plc:a", "2026-07-04T14:38:00Z")]), START).unwrap();
    assert_eq!(times(&mut decoder), [START + 5 * MINUTE; 2]);
    assert_eq!(decoder.counters().ahead, 1);
}

#[test]
fn labels_that_come_rarely_have_the_times_that_they_tell() {
    let told =
        ["2026-07-04T14:38:00Z", "2026-07-04T15:38:00Z", "2026-07-04T19:38:00Z", "2026-07-05T14:38:00Z"];
    let expected = [0, 1, 5, 24].map(|hour| START + 60 * MINUTE * hour);
    let read = |clock, is_connected: bool, arrivals: [i64; 4]| {
        let mut decoder = decoder(&["uri"], clock);
        if is_connected {
            decoder.connected();
        }
        for (seq, (cts, arrival)) in (0..).zip(told.into_iter().zip(arrivals)) {
            decoder.push(&frame(seq, vec![label("did:plc:a", cts)]), arrival).unwrap();
        }
        (times(&mut decoder), decoder.counters().ahead)
    };
    // As they are made, and where they are replayed.
    let later = [expected[3]; 4];
    assert_eq!(read(Clock::FrameTime, true, expected), (expected.to_vec(), 0));
    assert_eq!(read(Clock::FrameTime, true, later), (expected.to_vec(), 0));
    // Of a recording nothing tells when they came, but that it was before it is read.
    assert_eq!(read(Clock::FrameTime, false, later), (vec![START; 4], 3));
    assert_eq!(read(Clock::CreatedAt, false, later), (expected.to_vec(), 3));
}

#[test]
fn however_many_labels_there_are_each_has_an_ordinal_of_its_own() {
    let many = |count| vec![label("did:plc:a", "2026-07-04T14:38:00Z"); count];
    for (count, frames) in [(0, 1), (1, 1), (255, 1), (256, 1), (257, 2), (512, 2), (1000, 4)] {
        let mut decoder = decoder(&[], Clock::FrameTime);
        for seq in 0..3 {
            decoder.push(&frame(seq, many(count)), 0).unwrap();
        }
        assert_eq!(decoder.position().frames, 3 * frames, "{count}");
        assert_eq!(decoder.counters().frames, 3);
        let ordinals: Vec<u64> = points(&mut decoder).iter().map(|row| row.ordinal).collect();
        assert_eq!(ordinals.len(), 3 * count);
        assert!(ordinals.windows(2).all(|pair| pair[0] < pair[1]), "{count}");
        assert!(ordinals.iter().enumerate().all(|(at, ordinal)| {
            let (message, place) = ((at / count) as u64, (at % count) as u64);
            *ordinal == message * frames * 256 + place
        }));
    }
}

#[test]
fn points_that_fail_a_test_are_left_out_and_ordinals_stay() {
    let mut wanted = stream(StreamKind::Labels, false, &["neg"]);
    wanted.tests = vec![EqTest { column: 0, literal: Literal::Bool(true) }];
    let mut decoder = Decoder::new(&Wanted { streams: vec![wanted], clock: Clock::FrameTime }).unwrap();
    let of = |neg| Label { neg, ..label("did:plc:a", "2026-07-04T14:38:00Z") };
    let pushed =
        decoder.push(&frame(1, [None, Some(true), Some(false), Some(true)].map(of).into()), 0).unwrap();
    assert_eq!((pushed.rows, decoder.counters().filtered), (2, 2));
    let ordinals: Vec<u64> = points(&mut decoder).iter().map(|row| row.ordinal).collect();
    assert_eq!(ordinals, [1, 3]);
}

#[test]
fn who_does_not_want_labels_ignores_them() {
    let streams = vec![stream(StreamKind::Identities, true, &[])];
    let mut decoder = Decoder::new(&Wanted { streams, clock: Clock::FrameTime }).unwrap();
    let labels = frame(9, vec![label("did:plc:a", "2199-01-01T00:00:00Z")]);
    let pushed = decoder.push(&labels, 0).unwrap();
    assert_eq!((pushed.kind, pushed.seq, pushed.rows), (Kind::Labels, Some(9), 0));
    assert_eq!((decoder.counters().ignored, decoder.position().frames), (1, 0));
    decoder.push(&make::identity(4), 0).unwrap();
    assert_eq!(times(&mut decoder), [make::frame_time(4)]);
    // What is no labels is refused all the same.
    let end = labels.len() - 1;
    decoder.push(&labels[..end], 0).unwrap_err();
    let absurd = frame(u64::MAX, vec![]);
    let mut decoder = self::decoder(&[], Clock::FrameTime);
    assert_eq!(decoder.push(&absurd, 0), Err(FrameError::Seq));
}
