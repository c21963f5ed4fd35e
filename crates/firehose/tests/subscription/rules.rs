//! Subscriptions against scripted servers: each cause of trouble, and what the rules make of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use skytide_firehose::{Backoff, Batch, ConnectionError, Cursor, Error, Kind, OnClose, Subscription};
use support::*;

const SECOND: Duration = Duration::from_secs(1);

/// Nothing here takes long unless it hangs.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(20 * SECOND, work).await.expect("not within 20 s")
}

#[tokio::test]
async fn frames_come_in_order_with_their_numbers_and_times() {
    let server = Server::start(vec![Connection::Open(frames([1, 2, 5]))]).await;
    let mut subscription = server.subscribe().stream().unwrap();
    let handle = subscription.handle();
    assert_eq!(handle.cursor(), None);
    let frame = soon(subscription.next()).await.unwrap().unwrap();
    assert_eq!((frame.kind, frame.seq, &*frame.bytes), (Kind::Identity, Some(1), &*identity(1)));
    assert_eq!(frame.time, Some(1_783_123_201_000_000_000));
    assert!(frame.arrival > 1_780_000_000_000_000_000);
    assert_eq!(handle.cursor(), Some(1));
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [2, 5]);
    assert_eq!(handle.cursor(), Some(5));
    let counters = handle.counters();
    assert_eq!((counters.frames, counters.connections, counters.disconnects), (3, 1, 0));
    assert_eq!(counters.bytes, 3 * identity(1).len() as u64);
    assert_eq!(server.requests(), ["/xrpc/com.atproto.sync.subscribeRepos"]);
}

#[tokio::test]
async fn cursor_is_asked_for() {
    for (cursor, asked) in [
        (Cursor::Live, None),
        (Cursor::Oldest, Some(0)),
        (Cursor::Seq(7), Some(7)),
        (Cursor::After { seq: 7, time: 0 }, Some(7)),
    ] {
        let server = Server::start(vec![Connection::Open(frames([8]))]).await;
        let mut subscription = server.subscribe().cursor(cursor).stream().unwrap();
        assert_eq!(soon(seqs(&mut subscription, 1)).await, [8]);
        assert_eq!(server.cursors(), [asked]);
    }
}

#[tokio::test]
async fn every_end_of_a_connection_is_followed_by_the_next() {
    let ends = [1000, 1001, 1008, 1011, 1012, 1013, 4000]
        .map(Step::Close)
        .into_iter()
        .chain([Step::Drop, Step::Reset]);
    let mut script: Vec<_> = ends.zip(1..).map(|(end, seq)| then([seq], end)).collect();
    let ends = script.len() as u64;
    script.push(Connection::Open(frames([ends + 1])));
    let server = Server::start(script).await;
    let mut subscription = server.subscribe().stream().unwrap();
    let expected: Vec<_> = (1..=ends + 1).collect();
    assert_eq!(soon(seqs(&mut subscription, expected.len())).await, expected);
    let asked: Vec<_> = (0..=ends).map(|seq| (seq > 0).then_some(seq)).collect();
    assert_eq!(server.cursors(), asked);
    let counters = subscription.handle().counters();
    assert_eq!((counters.connections, counters.disconnects, counters.repeated), (ends + 1, ends, 0));
}

#[tokio::test]
async fn a_normal_close_can_be_the_end() {
    let server = Server::start(vec![then([1], Step::Drop), then([2], Step::Close(1000))]).await;
    let mut subscription = server.subscribe().on_close(OnClose::End).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    assert!(soon(subscription.next()).await.is_none());
    assert!(soon(subscription.next()).await.is_none());
    assert_eq!(subscription.handle().counters().disconnects, 2);
}

#[tokio::test]
async fn an_inclusive_server_repeats_and_is_told_apart() {
    let script = vec![then([1, 2, 3], Step::Drop), Connection::Open(frames([3, 4, 4, 2, 5]))];
    let server = Server::start(script).await;
    let mut subscription = server.subscribe().stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 5)).await, [1, 2, 3, 4, 5]);
    assert_eq!(server.cursors(), [None, Some(3)]);
    assert_eq!(subscription.handle().counters().repeated, 3);

    let server = Server::start(vec![Connection::Open(frames([7, 8]))]).await;
    let mut subscription = server.subscribe().cursor(Cursor::Seq(7)).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 1)).await, [8]);
}

#[tokio::test]
async fn a_new_numbering_is_accepted_and_told() {
    let later = |seq| Step::Frame(identity_at(seq, "2026-07-05T12:00:00.000Z"));
    let script = vec![then([500], Step::Drop), Connection::Open(vec![later(1), later(2)])];
    let server = Server::start(script).await;
    let (mut told, observer) = notes();
    let mut subscription = server.subscribe().observe(observer).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 3)).await, [500, 1, 2]);
    assert_eq!(subscription.handle().counters().restarts, 1);
    let restarted = Told::Other("Restarted { last: 500, first: 1 }".into());
    assert!(std::iter::from_fn(|| told.try_recv().ok()).any(|note| note == restarted));

    // Across a restart of the program it is the time of the cursor that tells.
    let cursor = Cursor::After { seq: 500, time: 1_783_123_200_000_000_000 };
    let server = Server::start(vec![Connection::Open(vec![later(1)])]).await;
    let mut subscription = server.subscribe().cursor(cursor).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 1)).await, [1]);
}

#[tokio::test]
async fn what_does_not_decode_is_quarantined_on_the_same_connection() {
    let mut three_items = identity(2);
    three_items.push(0xa0);
    let mut cut = identity(2);
    cut.truncate(cut.len() - 3);
    let unknown_op = b"\xa1\x62op\x18\x2a\xa1\x63seq\x02".to_vec();
    let unknown_t = b"\xa2\x61t\x65#what\x62op\x01\xa1\x63seq\x03".to_vec();
    let steps = vec![
        Step::Frame(identity(1)),
        Step::Frame(b"garbage".to_vec()),
        Step::Frame(Vec::new()),
        Step::Frame(three_items.clone()),
        Step::Frame(cut),
        Step::Text("{}"),
        Step::Frame(unknown_op),
        Step::Frame(unknown_t),
        Step::Frame(identity(4)),
    ];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let (mut told, observer) = notes();
    let mut subscription = server.subscribe().observe(observer).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 4)).await, [1, 2, 3, 4]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.undecodable, counters.texts, counters.unknown), (4, 1, 2));
    assert_eq!((counters.frames, counters.connections, counters.disconnects), (4, 1, 0));
    let quarantined: Vec<_> = std::iter::from_fn(|| told.try_recv().ok())
        .filter_map(|note| match note {
            Told::Quarantined(_, bytes, _) => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(quarantined.len(), 4);
    assert_eq!((&*quarantined[0], &*quarantined[2]), (&b"garbage"[..], &*three_items));
}

#[tokio::test]
async fn thirty_two_bad_frames_in_a_row_end_the_connection() {
    let garbage = |count| std::iter::repeat_with(|| Step::Frame(b"garbage".to_vec())).take(count);
    let mut steps: Vec<_> = garbage(31).collect();
    steps.push(Step::Frame(identity(1)));
    steps.extend(garbage(40));
    let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([1, 2]))]).await;
    let mut subscription = server.subscribe().stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.undecodable, counters.disconnects, counters.repeated), (63, 1, 1));
}

#[tokio::test]
async fn an_oversized_message_is_passed_over_on_the_same_connection() {
    let steps = vec![
        Step::Frame(identity(1)),
        Step::Frame(identity_of(2, 9000)),
        Step::Frame(identity_of(3, 500)),
        Step::Frame(identity_of(4, 9000)),
        Step::Drop,
    ];
    let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([5]))]).await;
    let (mut told, observer) = notes();
    let mut subscription = server.subscribe().max_frame_size(1000).observe(observer).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 3)).await, [1, 3, 5]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.oversized, counters.connections), (2, 2));
    // The next connection is asked for what follows the oversized message.
    assert_eq!(server.cursors(), [None, Some(4)]);
    let quarantined = std::iter::from_fn(|| told.try_recv().ok()).find_map(|note| match note {
        Told::Quarantined(why, head, seq) => Some((why, head, seq)),
        _ => None,
    });
    let whole = identity_of(2, 9000);
    let why = format!("Oversized {{ size: {} }}", whole.len());
    assert_eq!(quarantined, Some((why, whole[..4096].to_vec().into(), Some(2))));
}

#[tokio::test]
async fn the_largest_frames_are_handed_on() {
    let largest = identity_of(1, 4_999_000);
    let parts = identity_of(2, 100_000).chunks(30_000).map(<[u8]>::to_vec).collect();
    let steps = vec![Step::Frame(largest.clone()), Step::Parts(parts)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut subscription = server.subscribe().stream().unwrap();
    let frame = soon(subscription.next()).await.unwrap().unwrap();
    assert_eq!(frame.bytes, largest);
    let frame = soon(subscription.next()).await.unwrap().unwrap();
    assert_eq!(frame.bytes, identity_of(2, 100_000));
}

#[tokio::test]
async fn a_size_beyond_reason_ends_the_connection_at_its_head() {
    let mut head = vec![0x82, 127];
    head.extend(u64::MAX.to_be_bytes());
    let script = vec![then([1], Step::Raw(head)), Connection::Open(frames([2]))];
    let server = Server::start(script).await;
    let mut subscription = server.subscribe().stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.oversized, counters.disconnects), (1, 1));
}

#[tokio::test]
async fn a_broken_websocket_ends_the_connection() {
    // A masked frame, a reserved bit, an unknown opcode.
    for raw in [vec![0x82, 0x81, 0, 0, 0, 0, 1], vec![0xc2, 0x01, 1], vec![0x83, 0x01, 1]] {
        let server = Server::start(vec![then([1], Step::Raw(raw)), Connection::Open(frames([2]))]).await;
        let (mut told, observer) = notes();
        let mut subscription = server.subscribe().observe(observer).stream().unwrap();
        assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
        let told = std::iter::from_fn(|| told.try_recv().ok()).any(
            |note| matches!(note, Told::Disconnected(why, _) if why.starts_with("the server broke the WebSocket")),
        );
        assert!(told);
    }
}

#[tokio::test]
async fn error_frames_end_the_stream_or_reconnect() {
    let slow = || Step::Frame(error("ConsumerTooSlow", "read faster"));
    let server = Server::start(vec![then([1], slow()), Connection::Open(frames([2]))]).await;
    let mut subscription = server.subscribe().stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    assert_eq!(subscription.handle().counters().too_slow, 1);

    for code in ["FutureCursor", "SomethingElse"] {
        let server = Server::start(vec![then([1], Step::Frame(error(code, "no\u{1b}[31m way")))]).await;
        let mut subscription = server.subscribe().stream().unwrap();
        assert_eq!(soon(seqs(&mut subscription, 1)).await, [1]);
        let error = soon(subscription.next()).await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("the server ended the stream with {code}: no [31m way"));
        assert!(matches!(error, Error::Stream(_)));
        assert!(soon(subscription.next()).await.is_none());
    }
}

#[tokio::test]
async fn an_outdated_cursor_is_told() {
    let steps = vec![Step::Frame(info("OutdatedCursor", "too old")), Step::Frame(identity(9))];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let (mut told, observer) = notes();
    let mut subscription = server.subscribe().cursor(Cursor::Seq(1)).observe(observer).stream().unwrap();
    let frame = soon(subscription.next()).await.unwrap().unwrap();
    assert_eq!((frame.kind, frame.seq), (Kind::Info, None));
    assert_eq!(subscription.handle().cursor(), Some(1));
    assert_eq!(soon(seqs(&mut subscription, 1)).await, [9]);
    assert_eq!(subscription.handle().counters().outdated_cursors, 1);
    let outdated = Told::Other("OutdatedCursor { message: Some(\"too old\") }".into());
    assert!(std::iter::from_fn(|| told.try_recv().ok()).any(|note| note == outdated));
}

#[tokio::test]
async fn statuses_are_waited_out_or_end_it() {
    for status in ["408 Request Timeout", "425 Too Early", "429 Too Many", "500 Oops", "503 Later", "520 Odd"]
    {
        let script = vec![answer(status, "", "<html>"), Connection::Open(frames([1]))];
        let server = Server::start(script).await;
        let mut subscription = server.subscribe().stream().unwrap();
        assert_eq!(soon(seqs(&mut subscription, 1)).await, [1], "{status}");
        assert_eq!(subscription.handle().counters().failed_attempts, 1);
    }
    for status in ["400 Bad", "401 Who", "404 Not Found", "501 Not Implemented", "302 Found", "200 OK"] {
        let server = Server::start(vec![answer(status, "", "<h1>no\n such</h1>")]).await;
        let mut subscription = server.subscribe().stream().unwrap();
        let error = soon(subscription.next()).await.unwrap().unwrap_err();
        let code = &status[..3];
        assert!(error.to_string().starts_with(&format!("the server answered {code}")), "{error}");
        assert!(matches!(error, Error::Connection(ConnectionError::Status { .. })));
        assert!(soon(subscription.next()).await.is_none());
    }
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let script =
        vec![answer("429 Too Many", "retry-after: 1\r\n", "slow down"), Connection::Open(frames([1]))];
    let server = Server::start(script).await;
    let (mut told, observer) = notes();
    let mut subscription = server.subscribe().observe(observer).stream().unwrap();
    let begun = Instant::now();
    assert_eq!(soon(seqs(&mut subscription, 1)).await, [1]);
    assert!(begun.elapsed() >= SECOND);
    assert!(matches!(told.try_recv().unwrap(), Told::Disconnected(_, wait) if wait == SECOND));
}

#[tokio::test]
async fn backoff_grows_until_the_server_proves_healthy() {
    let waits = async |healthy_after| {
        let script =
            (1..=4).map(|seq| then([seq], Step::Drop)).chain([Connection::Open(frames([5]))]).collect();
        let server = Server::start(script).await;
        let (mut told, observer) = notes();
        let backoff =
            Backoff::default().first(Duration::from_millis(2)).jitter(0.0).healthy_after(healthy_after);
        let mut subscription = server.subscribe().backoff(backoff).observe(observer).stream().unwrap();
        assert_eq!(soon(seqs(&mut subscription, 5)).await, [1, 2, 3, 4, 5]);
        std::iter::from_fn(|| told.try_recv().ok())
            .filter_map(|note| match note {
                Told::Disconnected(_, wait) => Some(wait.as_millis()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(waits(60 * SECOND).await, [2, 4, 8, 16]);
    assert_eq!(waits(Duration::ZERO).await, [2, 2, 2, 2]);
}

#[tokio::test]
async fn gives_up_after_as_many_attempts_as_allowed() {
    // A port that nothing listens on.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backoff = at_once().limit(3);
    let mut subscription = Subscription::builder(&url(address)).backoff(backoff).stream().unwrap();
    let error = soon(subscription.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 3, last: ConnectionError::Dial { .. } }), "{error:?}");
    assert!(
        error.to_string().starts_with("gave up after 3 attempts to connect: cannot connect to 127.0.0.1:")
    );
    assert!(soon(subscription.next()).await.is_none());
    assert_eq!(subscription.handle().counters().failed_attempts, 3);

    // Before any connection the limit may be another; after one it counts no more.
    let builder = Subscription::builder(&url(address)).backoff(at_once().limit(9)).first_attempts(1);
    let error = soon(builder.stream().unwrap().next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 1, .. }), "{error:?}");
    let server = Server::start(vec![then([1], Step::Drop)]).await;
    let builder = server.subscribe().backoff(at_once().limit(4)).first_attempts(1);
    let mut subscription = builder.stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 1)).await, [1]);
    assert!(matches!(soon(subscription.next()).await, Some(Err(Error::GaveUp { attempts: 4, .. }))));

    // Connections that were made do not count: here are more of them than attempts allowed.
    let script = (1..=6).map(|seq| then([seq], Step::Drop)).collect();
    let server = Server::start(script).await;
    let mut subscription = server.subscribe().backoff(at_once().limit(2)).stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 6)).await, [1, 2, 3, 4, 5, 6]);
    assert!(matches!(soon(subscription.next()).await, Some(Err(Error::GaveUp { attempts: 2, .. }))));
}

#[tokio::test]
async fn an_unknown_host_and_a_server_without_tls_are_transient() {
    let (mut told, observer) = notes();
    let backoff = at_once().limit(2);
    let builder = Subscription::builder("ws://host.invalid").backoff(backoff.clone()).observe(observer);
    let error = soon(builder.stream().unwrap().next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { last: ConnectionError::Name { .. }, .. }), "{error:?}");
    assert!(matches!(told.try_recv().unwrap(), Told::Disconnected(..)));

    let server = Server::start(vec![answer("400 No TLS", "", ""), Connection::Mute]).await;
    let secure = server.url.replace("ws://", "wss://");
    let builder = Subscription::builder(&secure).backoff(backoff).dial_timeout(Duration::from_millis(200));
    let error = soon(builder.stream().unwrap().next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error:?}");
}

#[tokio::test]
async fn silence_ends_a_connection_though_pings_are_answered() {
    let script = vec![then([1], Step::Pings(usize::MAX)), Connection::Open(frames([2]))];
    let server = Server::start(script).await;
    let mut subscription = server
        .subscribe()
        .ping(Duration::from_millis(20))
        .receive_timeout(Duration::from_millis(100))
        .stream()
        .unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.silences, counters.dead_peers), (1, 0));
}

#[tokio::test]
async fn pings_keep_a_silent_connection() {
    let mut steps = frames([1]);
    steps.push(Step::Pings(3));
    steps.extend(frames([2]));
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let builder = server.subscribe().ping(Duration::from_millis(50)).receive_timeout(None);
    let mut subscription = builder.stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    assert_eq!(subscription.handle().counters().connections, 1);
}

#[tokio::test]
async fn a_dead_peer_is_found() {
    let script = vec![then([1], Step::Deaf), Connection::Open(frames([2]))];
    let server = Server::start(script).await;
    let builder = server.subscribe().ping(Duration::from_millis(50)).receive_timeout(None);
    let mut subscription = builder.stream().unwrap();
    assert_eq!(soon(seqs(&mut subscription, 2)).await, [1, 2]);
    let counters = subscription.handle().counters();
    assert_eq!((counters.silences, counters.dead_peers), (0, 1));
}

#[tokio::test]
async fn a_cancelled_receive_loses_nothing() {
    let expected: Vec<_> = (1..=300).collect();
    let script = expected.chunks(50).map(|seqs| then(seqs.iter().copied(), Step::Drop)).collect();
    let server = Server::start(script).await;
    let mut subscription = server.subscribe().stream().unwrap();
    let (mut frames, mut cancelled) = (Vec::new(), 0);
    soon(async {
        while frames.len() < expected.len() {
            // Each receive is polled once and dropped.
            match subscription.next_batch(&mut frames, 7).now_or_never() {
                Some(received) => assert!((1..=7).contains(&received.unwrap())),
                None => {
                    cancelled += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    assert_eq!(frames.iter().map(|frame| frame.seq.unwrap()).collect::<Vec<_>>(), expected);
    assert!(cancelled > 0);
}

/// Stops the subscription from another thread once `ready` says so, and gives the time until the iterator ended.
fn time_to_stop(mut frames: skytide_firehose::Blocking, ready: impl FnOnce() + Send + 'static) -> Duration {
    let handle = frames.handle();
    let stopper = std::thread::spawn(move || {
        ready();
        let stopped = Instant::now();
        handle.stop();
        stopped
    });
    let ended = loop {
        match frames.next() {
            Some(frame) => drop(frame.unwrap()),
            None => break Instant::now(),
        }
    };
    drop(frames);
    // The drop is a part of it: a dial may leave something behind.
    let dropped = Instant::now();
    let stopped = stopper.join().unwrap();
    assert!(dropped.duration_since(stopped) < 2 * SECOND);
    ended.duration_since(stopped)
}

#[test]
fn stop_ends_a_wait_a_dial_and_a_backoff_within_100_ms() {
    let limit = Duration::from_millis(100);

    let server = Server::on_a_thread(vec![Connection::Open(frames([1]))]);
    let frames_of = server.subscribe().blocking().unwrap();
    let handle = frames_of.handle();
    let took = time_to_stop(frames_of, move || {
        while handle.cursor() != Some(1) {
            std::thread::yield_now();
        }
    });
    assert!(took < limit, "{took:?} to stop a wait");

    let mut server = Server::on_a_thread(vec![Connection::Mute]);
    let dialling = server.subscribe().blocking().unwrap();
    let took = time_to_stop(dialling, move || server.accepted.blocking_recv().unwrap());
    assert!(took < limit, "{took:?} to stop a dial");

    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut told, observer) = notes();
    let backoff = Backoff::default().first(600 * SECOND).cap(600 * SECOND);
    let waiting = Subscription::builder(&url(address)).backoff(backoff).observe(observer).blocking().unwrap();
    let took = time_to_stop(waiting, move || {
        assert!(matches!(told.blocking_recv().unwrap(), Told::Disconnected(..)));
    });
    assert!(took < limit, "{took:?} to stop a back-off");
}

#[test]
fn stop_ends_a_flood() {
    let server = Server::on_a_thread(vec![Connection::Open(frames(1..200_000))]);
    let flood = server.subscribe().blocking().unwrap();
    let handle = flood.handle();
    let took = time_to_stop(flood, move || {
        while handle.cursor() < Some(1000) {
            std::thread::yield_now();
        }
    });
    assert!(took < Duration::from_millis(100), "{took:?} to stop a flood");
}

#[test]
fn the_blocking_iterator_and_batches_give_the_same_frames() {
    let script = || vec![then(1..=1000, Step::Drop), then(900..=2000, Step::Close(1000))];
    let expected: Vec<u64> = (1..=2000).collect();

    let server = Server::on_a_thread(script());
    let frames = server.subscribe().on_close(OnClose::End).blocking().unwrap();
    let handle = frames.handle();
    let mut seqs = Vec::new();
    for frame in frames {
        seqs.push(frame.unwrap().seq.unwrap());
        // What is received ahead is not handed on yet.
        assert_eq!(handle.cursor(), seqs.last().copied());
    }
    assert_eq!(seqs, expected);
    assert_eq!(handle.counters().repeated, 101);

    let server = Server::on_a_thread(script());
    let mut frames = server.subscribe().on_close(OnClose::End).blocking().unwrap();
    let mut batch = Vec::new();
    // The iterator and batches can be mixed.
    batch.push(frames.next().unwrap().unwrap());
    let mut sizes = Vec::new();
    loop {
        match frames.next_batch(&mut batch, 64).unwrap() {
            0 => break,
            size => sizes.push(size),
        }
    }
    assert_eq!(batch.iter().map(|frame| frame.seq.unwrap()).collect::<Vec<_>>(), expected);
    assert!(sizes.iter().all(|size| *size <= 64));
    assert!(sizes.contains(&64), "what is ready comes together: {sizes:?}");
    assert_eq!(frames.handle().cursor(), Some(2000));

    let server = Server::on_a_thread(script());
    let mut frames = server.subscribe().on_close(OnClose::End).blocking().unwrap();
    // The iterator and visits can be mixed: what the first received ahead is shown by the next.
    let mut seqs = vec![frames.next().unwrap().unwrap().seq.unwrap()];
    loop {
        let (before, mut bytes) = (seqs.len(), 0);
        let batch = frames.visit_within(64, 20 * SECOND, |frame| {
            seqs.push(frame.seq.unwrap());
            bytes += frame.bytes.len();
        });
        match batch.unwrap() {
            Batch::Received(shown) => assert!(shown == seqs.len() - before && shown <= 64 && bytes > 0),
            Batch::Idle => panic!("frames come at once"),
            Batch::Ended => break,
        }
        assert_eq!(frames.handle().cursor(), seqs.last().copied());
    }
    assert_eq!(seqs, expected);
}

#[test]
fn a_batch_waits_no_longer_than_told() {
    let server = Server::on_a_thread(vec![Connection::Open(frames([1, 2]))]);
    let mut frames = server.subscribe().blocking().unwrap();
    let mut batch = Vec::new();
    let begun = Instant::now();
    while batch.len() < 2 {
        // With no wait at all the connection still gets made.
        match frames.next_batch_within(&mut batch, 10, Duration::ZERO).unwrap() {
            Batch::Received(size) => assert!(size > 0),
            Batch::Idle => assert!(begun.elapsed() < 20 * SECOND),
            Batch::Ended => panic!("ended"),
        }
    }
    let begun = Instant::now();
    let waited = frames.next_batch_within(&mut batch, 10, Duration::from_millis(30)).unwrap();
    assert_eq!(waited, Batch::Idle);
    assert!(begun.elapsed() >= Duration::from_millis(30));
    frames.handle().stop();
    assert_eq!(frames.next_batch_within(&mut batch, 10, 20 * SECOND).unwrap(), Batch::Ended);
    assert_eq!(frames.next_batch(&mut batch, 10).unwrap(), 0);
}
