//! What lies at the edges of the rules: readers that pause, servers that dribble, absurd numbers and times, the end.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use skytide_atproto::message::{Identity, Message};
use skytide_firehose::{Cause, Cursor, Error, Finish, OnClose, Overflow, Subscription};

use super::support::*;

/// A time in the past of any machine that runs this.
const MIDNIGHT: i64 = 1_783_123_200_000_000_000;

/// A commit's header, and a body with no more than a number.
fn bad(seq: u8) -> Step {
    Step::Frame([b"\xa2\x61t\x67#commit\x62op\x01\xa1\x63seq\x18".as_slice(), &[seq]].concat())
}

fn later(seq: u64) -> Step {
    Step::Frame(identity_at(seq, "2026-07-05T12:00:00.000Z"))
}

fn causes(client: &Client) -> Vec<Cause> {
    client.handle().ledger().since(0).into_iter().map(|gap| gap.cause).collect()
}

/// The header of a binary message of this size, unfragmented.
fn header(size: usize) -> Step {
    Step::Raw([&[0x82, 127][..], &u64::to_be_bytes(size as u64)].concat())
}

/// These bytes in pieces, each after a wait.
fn dribbled(bytes: &[u8], piece: usize, wait: Duration) -> impl Iterator<Item = Step> {
    bytes.chunks(piece).flat_map(move |piece| [Step::Wait(wait), Step::Raw(piece.to_vec())])
}

#[test]
fn a_reader_may_pause_for_longer_than_the_server_may_be_silent() {
    let mut steps = frames([1]);
    steps.push(Step::Wait(Duration::from_millis(100)));
    steps.extend(frames([2]));
    let server = Server::on_a_thread(vec![Connection::Open(steps), Connection::Open(frames([2]))]);
    let builder = server.subscribe().receive_timeout(Duration::from_millis(300)).ping(None);
    let mut frames = builder.blocking().unwrap();
    assert_eq!(frames.next().unwrap().unwrap().seq, Some(1));
    // The next frame comes while nobody looks.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(frames.next().unwrap().unwrap().seq, Some(2));
    assert_eq!(frames.handle().counters().connections, 1);
}

async fn a_message_that_comes_slowly_is_a_sign_of_life(way: Way) {
    let message = identity_of(1, 400_000);
    let mut steps = vec![header(message.len())];
    steps.extend(dribbled(&message, 20_000, Duration::from_millis(50)));
    let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([2]))]).await;
    let quick = Duration::from_millis(400);
    let mut client = way.open(server.subscribe().ping(quick / 2).receive_timeout(quick));
    assert_eq!(seqs(&mut client, 1).await, [1]);
    assert_eq!(client.handle().counters().connections, 1);
}

async fn a_server_that_dribbles_is_silent(way: Way) {
    for limit in [1 << 20, 1000] {
        // Well over what is kept of a message that is let go.
        let mut steps = vec![header(100_000), Step::Raw(vec![0; 60_000])];
        steps.extend(dribbled(&[0; 3000], 1, Duration::from_millis(10)));
        let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([2]))]).await;
        let builder = server.subscribe().receive_timeout(Duration::from_millis(300)).max_frame_size(limit);
        let begun = Instant::now();
        let mut client = way.open(builder);
        assert_eq!(seqs(&mut client, 1).await, [2]);
        assert!(begun.elapsed() < 10 * SECOND);
        assert_eq!(client.handle().counters().silences, 1);
    }
}

async fn what_was_never_finished_comes_again_though_it_began_live(way: Way) {
    let script = vec![Connection::Open(frames([5, 6])), Connection::Open(frames([5, 6, 7]))];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().finish(Finish::Told));
    assert_eq!(seqs(&mut client, 2).await, [5, 6]);
    client.handle().stop();
    assert!(client.next().await.is_none());
    client.start_again();
    assert_eq!(seqs(&mut client, 3).await, [5, 6, 7]);
    assert_eq!(server.cursors(), [None, Some(4)]);
}

async fn a_start_from_before_a_new_numbering_knows_it_again(way: Way) {
    let script = vec![
        Connection::Open(vec![Step::Frame(identity(500)), later(1), later(2)]),
        Connection::Open(vec![later(1), later(2), later(3)]),
    ];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().finish(Finish::Told));
    assert_eq!(seqs(&mut client, 3).await, [500, 1, 2]);
    client.handle().finish(500);
    client.handle().stop();
    assert!(client.next().await.is_none());
    client.start_again();
    assert_eq!(seqs(&mut client, 3).await, [1, 2, 3]);
}

async fn a_new_numbering_is_told_without_the_time_of_the_cursor(way: Way) {
    let at = |seq, time: &str| Step::Frame(identity_at(seq, time));
    let steps = vec![
        at(1, "2026-07-05T12:00:00.000Z"),
        at(2, "2026-07-05T12:00:30.000Z"),
        at(3, "2026-07-05T12:01:01.000Z"),
    ];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().cursor(Cursor::Seq(500)));
    assert_eq!(seqs(&mut client, 1).await, [3]);
    assert_eq!(causes(&client)[0], Cause::Restarted { last: 500, first: 3 });
}

async fn an_oversized_message_may_begin_a_new_numbering(way: Way) {
    let handle = "a".repeat(9000);
    let large =
        Identity { seq: 1, did: "did:plc:a", time: "2026-07-05T12:00:00.000Z", handle: Some(&handle) };
    let steps =
        vec![Step::Frame(identity(500)), Step::Frame(Message::Identity(large).to_frame_bytes()), later(2)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().max_frame_size(1000).time_jump(None));
    assert_eq!(seqs(&mut client, 2).await, [500, 2]);
    assert_eq!(causes(&client)[0], Cause::Restarted { last: 500, first: 1 });
    assert_eq!(client.handle().counters().restarts, 1);
}

async fn poison_that_comes_twice_is_passed(way: Way) {
    let poisoned = || {
        let mut steps = frames([29]);
        steps.extend((30..=61).map(bad));
        Connection::Open(steps)
    };
    let server = Server::start(vec![poisoned(), poisoned(), Connection::Open(frames([62]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 2).await, [29, 62]);
    // The first time it may be the connection's fault.
    assert_eq!(server.cursors(), [None, Some(29), Some(61)]);
    assert!(matches!(causes(&client)[0], Cause::Quarantined { seq: Some(30), .. }));
}

async fn poison_without_a_number_is_passed_the_second_time(way: Way) {
    let poisoned = || {
        let mut steps = frames([29]);
        steps.extend((0..100).map(|_| Step::Frame(b"garbage".to_vec())));
        steps.extend(frames([30]));
        steps.push(Step::Drop);
        Connection::Open(steps)
    };
    let server = Server::start(vec![poisoned(), poisoned(), Connection::Open(frames([31]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 3).await, [29, 30, 31]);
    assert_eq!(server.cursors(), [None, Some(29), Some(30)]);
    assert_eq!(client.handle().counters().undecodable, 132);
}

async fn poison_among_the_events_of_a_jetstream_is_passed_the_second_time(way: Way) {
    let event = |rkey: u64| {
        let time_us = MIDNIGHT as u64 / 1000 + rkey;
        Step::OwnText(format!(
            r#"{{"did":"did:plc:a","time_us":{time_us},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"delete","collection":"app.bsky.feed.like","rkey":"{rkey}"}}}}"#
        ))
    };
    let poisoned = || {
        let mut steps = vec![event(1)];
        steps.extend((0..40).map(|_| Step::Text("{")));
        steps.push(event(2));
        Connection::Open(steps)
    };
    let server = Server::start(vec![poisoned(), poisoned()]).await;
    let mut client = way.open(Subscription::jetstream(&server.url).backoff(at_once()));
    assert_eq!(seqs(&mut client, 2).await, [1, 2].map(|rkey| MIDNIGHT as u64 / 1000 + rkey));
    assert_eq!((client.handle().counters().connections, client.handle().counters().repeated), (2, 1));
}

async fn a_number_that_no_frame_may_have_is_no_place(way: Way) {
    let mut first = frames([1]);
    first.push(Step::Frame(identity(u64::MAX)));
    first.extend(frames([2]));
    first.push(Step::Drop);
    let server = Server::start(vec![Connection::Open(first), Connection::Open(frames([3]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 3).await, [1, 2, 3]);
    assert_eq!(server.cursors(), [None, Some(2)]);
    assert!(matches!(causes(&client)[0], Cause::Quarantined { seq: None, .. }));
}

async fn bad_events_between_good_ones_of_a_jetstream_are_not_in_a_row(way: Way) {
    let event = |time_us: u64, rkey: u64| {
        format!(
            r#"{{"did":"did:plc:a","time_us":{time_us},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"delete","collection":"app.bsky.feed.like","rkey":"{rkey}"}}}}"#
        )
    };
    let start = MIDNIGHT as u64 / 1000;
    let mut steps = vec![Step::OwnText(event(start, 1))];
    for _ in 0..20 {
        steps.extend([Step::Text("{"), Step::OwnText(event(start, 1))]);
        steps.extend([Step::Text("{"), Step::Text(r#"{"did":"did:plc:a","time_us":1,"kind":"dance"}"#)]);
    }
    // A time of which nobody knows yet is no place to go on from.
    let absurd = start * 2;
    steps.extend([Step::OwnText(event(absurd, 2)), Step::Drop]);
    let script = vec![Connection::Open(steps), Connection::Open(vec![Step::OwnText(event(start, 3))])];
    let server = Server::start(script).await;
    let mut client = way.open(Subscription::jetstream(&server.url).backoff(at_once()));
    assert_eq!(seqs(&mut client, 3).await, [start, absurd, start]);
    let counters = client.handle().counters();
    assert_eq!((counters.undecodable, counters.repeated, counters.connections), (40, 20, 2));
    assert!(server.cursors()[1] < Some(absurd / 10 * 9), "{:?}", server.cursors());
}

async fn an_absurd_time_is_not_saved(way: Way) {
    let steps = vec![
        Step::Frame(identity_at(1, "2026-07-04T00:00:00Z")),
        Step::Frame(identity_at(2, "2200-01-01T00:00:00Z")),
    ];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().finish(Finish::Told));
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    (1..=2).for_each(|seq| client.handle().finish(seq));
    assert_eq!(client.handle().place(), Some(Cursor::After { seq: 2, time: MIDNIGHT }));
}

async fn an_absurd_time_that_comes_again_is_a_repetition(way: Way) {
    let at = |seq| {
        let absurd = "2200-01-01T00:00:00.000Z".to_owned();
        let time = if seq == 5 { absurd } else { format!("2026-07-04T00:00:{seq:02}.000Z") };
        Step::Frame(identity_at(seq, &time))
    };
    let first = (1..=10).map(at).chain([Step::Drop]).collect();
    let script = vec![Connection::Open(first), Connection::Open((4..=12).map(at).collect())];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 12).await, (1..=12).collect::<Vec<_>>());
    let counters = client.handle().counters();
    assert_eq!((counters.repeated, counters.restarts), (7, 0));
}

async fn a_jump_after_the_saved_time_is_entered(way: Way) {
    for (time, jumps) in [(MIDNIGHT + 43_200_000_000_000, 0), (MIDNIGHT, 1)] {
        let noon = Step::Frame(identity_at(900, "2026-07-04T12:00:30.000Z"));
        let server = Server::start(vec![Connection::Open(vec![noon])]).await;
        let mut client = way.open(server.subscribe().cursor(Cursor::After { seq: 1, time }));
        assert_eq!(seqs(&mut client, 1).await, [900]);
        assert_eq!(client.handle().ledger().counts().get("time_jump").copied().unwrap_or(0), jumps);
    }
}

async fn a_frame_without_a_time_does_not_shorten_the_time_that_passed(way: Way) {
    let steps = vec![
        Step::Frame(identity_at(1, "2026-07-04T00:00:00.000Z")),
        Step::Wait(Duration::from_millis(400)),
        Step::Frame(info("Hello", "")),
        Step::Frame(identity_at(2, "2026-07-04T00:00:00.400Z")),
    ];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().time_jump(Duration::from_millis(100)));
    while client.next().await.unwrap().unwrap().seq != Some(2) {}
    assert_eq!(causes(&client), []);
}

async fn who_follows_the_ledger_is_told_the_end(way: Way) {
    let server = Server::start(vec![then([1], Step::Close(1000))]).await;
    let mut client = way.open(server.subscribe().on_close(OnClose::End));
    assert_eq!(seqs(&mut client, 1).await, [1]);
    assert!(client.next().await.is_none());
    assert_eq!(client.handle().ledger().follow().count().await, 0);

    let server = Server::start(vec![answer("400 Bad", "", "")]).await;
    let mut client = way.open(server.subscribe());
    assert!(client.next().await.unwrap().is_err());
    assert_eq!(client.handle().ledger().follow().count().await, 0);

    let server = Server::start(vec![Connection::Open(frames([1]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 1).await, [1]);
    client.handle().stop();
    assert!(client.next().await.is_none());
    assert_eq!(client.handle().ledger().follow().count().await, 0);
}

async fn the_body_of_a_refusal_is_told_as_it_is(way: Way) {
    let server = Server::start(vec![answer("403 Forbidden", "", "Access denied")]).await;
    let error = way.open(server.subscribe()).next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the server answered 403: Access denied");
}

#[test]
fn a_buffer_whose_thread_panics_says_so_and_has_ended() {
    let server = Server::on_a_thread(vec![Connection::Open(frames([1]))]);
    let builder = server.subscribe().observe(|_| panic!("an observer of the caller's"));
    let mut frames = builder.buffered(NonZeroUsize::new(8).unwrap(), Overflow::Wait).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || drop(tell.send((frames.next(), frames.next()))));
    let (last, after) = told.recv_timeout(20 * SECOND).unwrap();
    let error = last.unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::Panicked { message } if message == "an observer of the caller's"),
        "{error}"
    );
    assert!(error.is_end() && after.is_none());
}

#[tokio::test]
async fn a_blocking_read_within_async_code_is_refused() {
    let server = Server::start(vec![Connection::Open(frames([1, 2]))]).await;
    let blocking = || server.subscribe().blocking().unwrap();
    let mut client = blocking();
    assert!(matches!(client.next(), Some(Err(Error::WithinRuntime))));
    assert!(client.next().is_none());
    let refused = blocking().next_batch(&mut Vec::new(), 1);
    assert!(matches!(refused, Err(Error::WithinRuntime)), "{refused:?}");
    let refused = blocking().visit_within(1, Duration::ZERO, |_| panic!("a frame"));
    assert!(matches!(refused, Err(Error::WithinRuntime)), "{refused:?}");
    // Threads that may wait have a runtime, too.
    let mut client = blocking();
    let read = tokio::task::spawn_blocking(move || client.next().unwrap().unwrap().seq);
    assert_eq!(read.await.unwrap(), Some(1));
}

#[test]
fn cursors_are_read_as_they_are_shown() {
    for cursor in
        [Cursor::Live, Cursor::Oldest, Cursor::Seq(7), Cursor::After { seq: u64::MAX, time: MIDNIGHT }]
    {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
    for text in ["", "-1", "7@", "@7", "7@x", "Live", "18446744073709551616"] {
        assert!(text.parse::<Cursor>().unwrap_err().to_string().contains("is no cursor"), "{text}");
    }
}

#[test]
fn a_size_without_limit_is_no_room_without_limit() {
    let builder = Subscription::jetstream("localhost").dictionary(&b"dictionary"[..]);
    assert!(builder.max_frame_size(usize::MAX).stream().is_ok());
}

both_ways! {
    a_message_that_comes_slowly_is_a_sign_of_life,
    a_server_that_dribbles_is_silent,
    what_was_never_finished_comes_again_though_it_began_live,
    a_start_from_before_a_new_numbering_knows_it_again,
    a_new_numbering_is_told_without_the_time_of_the_cursor,
    an_oversized_message_may_begin_a_new_numbering,
    poison_that_comes_twice_is_passed,
    poison_without_a_number_is_passed_the_second_time,
    poison_among_the_events_of_a_jetstream_is_passed_the_second_time,
    a_number_that_no_frame_may_have_is_no_place,
    bad_events_between_good_ones_of_a_jetstream_are_not_in_a_row,
    an_absurd_time_is_not_saved,
    an_absurd_time_that_comes_again_is_a_repetition,
    a_jump_after_the_saved_time_is_entered,
    a_frame_without_a_time_does_not_shorten_the_time_that_passed,
    who_follows_the_ledger_is_told_the_end,
    the_body_of_a_refusal_is_told_as_it_is,
}
