//! What happens when: each cause of trouble and what the rules make of it, for the async and the blocking client.

use std::time::{Duration, Instant};

use skytide_firehose::{
    Backoff, Cause, ConnectionError, Cursor, Error, Finish, Kind, OnClose, Subscription, Timeout,
};

use super::support::*;

async fn frames_come_in_order_with_their_numbers_and_times(way: Way) {
    let server = Server::start(vec![Connection::Open(frames([1, 2, 5]))]).await;
    let mut client = way.open(server.subscribe());
    let handle = client.handle();
    assert_eq!(handle.cursor(), None);
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!((frame.kind, frame.seq, &*frame.bytes), (Kind::Identity, Some(1), &*identity(1)));
    assert_eq!(frame.time, Some(1_783_123_201_000_000_000));
    assert!(frame.arrival > 1_780_000_000_000_000_000);
    // A frame is finished when the next one is asked for.
    assert_eq!(handle.cursor(), None);
    assert_eq!(seqs(&mut client, 2).await, [2, 5]);
    assert_eq!(handle.cursor(), Some(2));
    let counters = handle.counters();
    assert_eq!((counters.frames, counters.connections, counters.disconnects), (3, 1, 0));
    assert_eq!(counters.bytes, 3 * identity(1).len() as u64);
    assert_eq!(server.requests(), ["/xrpc/com.atproto.sync.subscribeRepos"]);
}

async fn cursor_is_asked_for(way: Way) {
    for (cursor, asked) in [
        (Cursor::Live, None),
        (Cursor::Oldest, Some(0)),
        (Cursor::Seq(7), Some(7)),
        (Cursor::After { seq: 7, time: 0 }, Some(7)),
    ] {
        let server = Server::start(vec![Connection::Open(frames([8]))]).await;
        let mut client = way.open(server.subscribe().cursor(cursor));
        assert_eq!(seqs(&mut client, 1).await, [8]);
        assert_eq!(server.cursors(), [asked]);
    }
}

async fn every_end_of_a_connection_is_followed_by_the_next(way: Way) {
    let ends = [1000, 1001, 1008, 1011, 1012, 1013, 4000]
        .map(Step::Close)
        .into_iter()
        .chain([Step::Drop, Step::Reset]);
    let mut script: Vec<_> = ends.zip(1..).map(|(end, seq)| then([seq], end)).collect();
    let ends = script.len() as u64;
    script.push(Connection::Open(frames([ends + 1])));
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    let expected: Vec<_> = (1..=ends + 1).collect();
    assert_eq!(seqs(&mut client, expected.len()).await, expected);
    let asked: Vec<_> = (0..=ends).map(|seq| (seq > 0).then_some(seq)).collect();
    assert_eq!(server.cursors(), asked);
    let counters = client.handle().counters();
    assert_eq!((counters.connections, counters.disconnects, counters.repeated), (ends + 1, ends, 0));
}

async fn a_normal_close_can_be_the_end(way: Way) {
    let server = Server::start(vec![then([1], Step::Drop), then([2], Step::Close(1000))]).await;
    let mut client = way.open(server.subscribe().on_close(OnClose::End));
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    assert!(client.next().await.is_none());
    assert!(client.next().await.is_none());
    assert_eq!(client.handle().counters().disconnects, 2);
}

async fn an_inclusive_server_repeats_and_is_told_apart(way: Way) {
    let script = vec![then([1, 2, 3], Step::Drop), Connection::Open(frames([3, 4, 4, 2, 5]))];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 5).await, [1, 2, 3, 4, 5]);
    assert_eq!(server.cursors(), [None, Some(3)]);
    assert_eq!(client.handle().counters().repeated, 3);

    let server = Server::start(vec![Connection::Open(frames([7, 8]))]).await;
    let mut client = way.open(server.subscribe().cursor(Cursor::Seq(7)));
    assert_eq!(seqs(&mut client, 1).await, [8]);
}

async fn a_new_numbering_is_accepted_and_told(way: Way) {
    let later = |seq| Step::Frame(identity_at(seq, "2026-07-05T12:00:00.000Z"));
    let script = vec![then([500], Step::Drop), Connection::Open(vec![later(1), later(2)])];
    let server = Server::start(script).await;
    let (mut told, observer) = notes();
    let mut client = way.open(server.subscribe().observe(observer));
    assert_eq!(seqs(&mut client, 3).await, [500, 1, 2]);
    assert_eq!(client.handle().counters().restarts, 1);
    let restarted = Told::Other("Restarted { last: 500, first: 1 }".into());
    assert!(std::iter::from_fn(|| told.try_recv().ok()).any(|note| note == restarted));

    // Across a restart of the program it is the time of the cursor that tells.
    let cursor = Cursor::After { seq: 500, time: 1_783_123_200_000_000_000 };
    let server = Server::start(vec![Connection::Open(vec![later(1)])]).await;
    let mut client = way.open(server.subscribe().cursor(cursor));
    assert_eq!(seqs(&mut client, 1).await, [1]);
}

async fn what_does_not_decode_is_quarantined_on_the_same_connection(way: Way) {
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
    let mut client = way.open(server.subscribe().observe(observer));
    assert_eq!(seqs(&mut client, 4).await, [1, 2, 3, 4]);
    let counters = client.handle().counters();
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

async fn thirty_two_bad_frames_in_a_row_end_the_connection(way: Way) {
    let garbage = |count| std::iter::repeat_with(|| Step::Frame(b"garbage".to_vec())).take(count);
    let mut steps: Vec<_> = garbage(31).collect();
    steps.push(Step::Frame(identity(1)));
    steps.extend(garbage(40));
    let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([1, 2]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    let counters = client.handle().counters();
    assert_eq!((counters.undecodable, counters.disconnects, counters.repeated), (63, 1, 1));
}

async fn an_oversized_message_is_drained_on_the_same_connection(way: Way) {
    let whole = identity_of(2, 6_000_000);
    let parts = identity_of(4, 7_000_000).chunks(1_000_000).map(<[u8]>::to_vec).collect();
    let steps = vec![
        Step::Frame(identity(1)),
        Step::Frame(whole.clone()),
        Step::Frame(identity(3)),
        Step::Parts(parts),
        Step::Frame(identity(5)),
        Step::Frame(identity_of(6, 5_000_000)),
        Step::Drop,
    ];
    let server = Server::start(vec![Connection::Open(steps), Connection::Open(frames([7]))]).await;
    let (mut told, observer) = notes();
    let mut client = way.open(server.subscribe().observe(observer));
    assert_eq!(seqs(&mut client, 4).await, [1, 3, 5, 7]);
    let counters = client.handle().counters();
    assert_eq!((counters.oversized, counters.connections), (3, 2));
    // The next connection is asked for what follows the oversized message.
    assert_eq!(server.cursors(), [None, Some(6)]);
    let quarantined: Vec<_> = std::iter::from_fn(|| told.try_recv().ok())
        .filter_map(|note| match note {
            Told::Quarantined(why, head, seq) => Some((why, head, seq)),
            _ => None,
        })
        .collect();
    let why = format!("Oversized {{ size: {} }}", whole.len());
    assert_eq!(quarantined[0], (why, whole[..4096].to_vec().into(), Some(2)));
    assert_eq!(quarantined.iter().map(|(_, _, seq)| *seq).collect::<Vec<_>>(), [Some(2), Some(4), Some(6)]);
}

async fn frames_of_the_largest_size_and_in_fragments_are_handed_on(way: Way) {
    let largest = identity_of(1, 4_999_000);
    let parts = identity_of(2, 100_000).chunks(30_000).map(<[u8]>::to_vec).collect();
    let steps = vec![Step::Frame(largest.clone()), Step::Parts(parts)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe());
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!(frame.bytes, largest);
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!(frame.bytes, identity_of(2, 100_000));
}

async fn a_size_beyond_reason_ends_the_connection_at_its_head(way: Way) {
    for (size, reason) in [(1 << 31, "a message of 2147483648 bytes"), (u64::MAX, "")] {
        let mut head = vec![0x82, 127];
        head.extend(u64::to_be_bytes(size));
        let script = vec![then([1], Step::Raw(head)), Connection::Open(frames([2]))];
        let server = Server::start(script).await;
        let (mut told, observer) = notes();
        let mut client = way.open(server.subscribe().observe(observer));
        assert_eq!(seqs(&mut client, 2).await, [1, 2]);
        assert_eq!(client.handle().counters().disconnects, 1);
        let told = std::iter::from_fn(|| told.try_recv().ok())
            .any(|note| matches!(note, Told::Disconnected(why, _) if why.starts_with(reason)));
        assert!(told);
    }
}

async fn a_broken_websocket_ends_the_connection(way: Way) {
    // A masked frame, a reserved bit, an unknown opcode.
    for raw in [vec![0x82, 0x81, 0, 0, 0, 0, 1], vec![0xc2, 0x01, 1], vec![0x83, 0x01, 1]] {
        let server = Server::start(vec![then([1], Step::Raw(raw)), Connection::Open(frames([2]))]).await;
        let (mut told, observer) = notes();
        let mut client = way.open(server.subscribe().observe(observer));
        assert_eq!(seqs(&mut client, 2).await, [1, 2]);
        let told = std::iter::from_fn(|| told.try_recv().ok()).any(
            |note| matches!(note, Told::Disconnected(why, _) if why.starts_with("the server broke the WebSocket")),
        );
        assert!(told);
    }
}

async fn error_frames_end_the_stream_or_reconnect(way: Way) {
    let slow = || Step::Frame(error("ConsumerTooSlow", "read faster"));
    let server = Server::start(vec![then([1], slow()), Connection::Open(frames([2]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    assert_eq!(client.handle().counters().too_slow, 1);

    for code in ["FutureCursor", "SomethingElse"] {
        let server = Server::start(vec![then([1], Step::Frame(error(code, "no\u{1b}[31m way")))]).await;
        let mut client = way.open(server.subscribe());
        assert_eq!(seqs(&mut client, 1).await, [1]);
        let error = client.next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("the server ended the stream with {code}: no [31m way"));
        assert!(matches!(error, Error::Stream(_)));
        assert!(client.next().await.is_none());
    }
}

async fn an_outdated_cursor_is_told(way: Way) {
    let steps = vec![Step::Frame(info("OutdatedCursor", "too old")), Step::Frame(identity(9))];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let (mut told, observer) = notes();
    let mut client = way.open(server.subscribe().cursor(Cursor::Seq(1)).observe(observer));
    let frame = client.next().await.unwrap().unwrap();
    assert_eq!((frame.kind, frame.seq), (Kind::Info, None));
    assert_eq!(client.handle().cursor(), Some(1));
    assert_eq!(seqs(&mut client, 1).await, [9]);
    assert_eq!(client.handle().counters().outdated_cursors, 1);
    let outdated = Told::Other("OutdatedCursor { message: Some(\"too old\") }".into());
    assert!(std::iter::from_fn(|| told.try_recv().ok()).any(|note| note == outdated));
}

async fn statuses_are_waited_out_or_end_it(way: Way) {
    for status in ["408 Request Timeout", "425 Too Early", "429 Too Many", "500 Oops", "503 Later", "520 Odd"]
    {
        let script = vec![answer(status, "", "<html>"), Connection::Open(frames([1]))];
        let server = Server::start(script).await;
        let mut client = way.open(server.subscribe());
        assert_eq!(seqs(&mut client, 1).await, [1], "{status}");
        assert_eq!(client.handle().counters().failed_attempts, 1);
    }
    for status in ["400 Bad", "401 Who", "404 Not Found", "501 Not Implemented", "302 Found", "200 OK"] {
        let server = Server::start(vec![answer(status, "", "<h1>no\n such</h1>")]).await;
        let mut client = way.open(server.subscribe());
        let error = client.next().await.unwrap().unwrap_err();
        let code = &status[..3];
        assert!(error.to_string().starts_with(&format!("the server answered {code}")), "{error}");
        assert!(matches!(error, Error::Connection(ConnectionError::Status { .. })));
        assert!(client.next().await.is_none());
    }
    let moved = answer("301 Moved", "Location: https://other.test/xrpc\r\n", "");
    let server = Server::start(vec![moved]).await;
    let error = way.open(server.subscribe()).next().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the server answered 301 (moved to https://other.test/xrpc)");
}

async fn retry_after_is_honoured(way: Way) {
    let script =
        vec![answer("429 Too Many", "retry-after: 1\r\n", "slow down"), Connection::Open(frames([1]))];
    let server = Server::start(script).await;
    let (mut told, observer) = notes();
    let mut client = way.open(server.subscribe().observe(observer));
    let begun = Instant::now();
    assert_eq!(seqs(&mut client, 1).await, [1]);
    assert!(begun.elapsed() >= SECOND);
    assert!(matches!(told.try_recv().unwrap(), Told::Disconnected(_, wait) if wait == SECOND));
}

async fn backoff_grows_until_the_server_proves_healthy(way: Way) {
    let waits = async |script: Vec<Connection>, wanted: &[u64], healthy_after| {
        let server = Server::start(script).await;
        let (mut told, observer) = notes();
        let backoff =
            Backoff::default().first(Duration::from_millis(2)).jitter(0.0).healthy_after(healthy_after);
        let mut client = way.open(server.subscribe().backoff(backoff).observe(observer));
        assert_eq!(seqs(&mut client, wanted.len()).await, wanted);
        std::iter::from_fn(|| told.try_recv().ok())
            .filter_map(|note| match note {
                Told::Disconnected(_, wait) => Some(wait.as_millis()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let last = |seq| [Connection::Open(frames([seq]))];
    // Dropped before anything came.
    let barren = || (0..4).map(|_| then([], Step::Drop)).chain(last(1)).collect();
    assert_eq!(waits(barren(), &[1], 60 * SECOND).await, [2, 4, 8, 16]);
    assert_eq!(waits(barren(), &[1], Duration::ZERO).await, [2, 2, 2, 2]);
    // Frames that were seen before are no progress; one that was not is.
    let repeated = (0..3).map(|_| then([1], Step::Drop)).chain([then([1, 2], Step::Drop)]).chain(last(3));
    assert_eq!(waits(repeated.collect(), &[1, 2, 3], 60 * SECOND).await, [2, 4, 8, 2]);
    let moving = (1..=4).map(|seq| then([seq], Step::Drop)).chain(last(5)).collect();
    assert_eq!(waits(moving, &[1, 2, 3, 4, 5], 60 * SECOND).await, [2, 2, 2, 2]);
}

async fn gives_up_after_as_many_attempts_as_allowed(way: Way) {
    // A port that nothing listens on.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let backoff = at_once().limit(3);
    let mut client = way.open(Subscription::repos(&url(address)).backoff(backoff).first_attempts(None));
    let error = client.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 3, last: ConnectionError::Dial { .. } }), "{error:?}");
    assert!(
        error.to_string().starts_with("gave up after 3 attempts to connect: cannot connect to 127.0.0.1:")
    );
    assert!(client.next().await.is_none());
    assert_eq!(client.handle().counters().failed_attempts, 3);

    // Before any connection the limit may be another; after one it counts no more.
    let builder = Subscription::repos(&url(address)).backoff(at_once().limit(9)).first_attempts(1);
    let error = way.open(builder).next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: 1, .. }), "{error:?}");
    let server = Server::start(vec![then([1], Step::Drop)]).await;
    let builder = server.subscribe().backoff(at_once().limit(4)).first_attempts(1);
    let mut client = way.open(builder);
    assert_eq!(seqs(&mut client, 1).await, [1]);
    assert!(matches!(client.next().await, Some(Err(Error::GaveUp { attempts: 4, .. }))));

    // Connections that were made do not count: here are more of them than attempts allowed.
    let script = (1..=6).map(|seq| then([seq], Step::Drop)).collect();
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().backoff(at_once().limit(2)));
    assert_eq!(seqs(&mut client, 6).await, [1, 2, 3, 4, 5, 6]);
    assert!(matches!(client.next().await, Some(Err(Error::GaveUp { attempts: 2, .. }))));
}

async fn an_unknown_host_and_a_server_without_tls_are_transient(way: Way) {
    let (mut told, observer) = notes();
    let backoff = at_once().limit(2);
    let builder = Subscription::repos("ws://host.invalid").backoff(backoff.clone()).observe(observer);
    let error = way.open(builder).next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::GaveUp { last: ConnectionError::Name { .. }, .. }), "{error:?}");
    assert!(matches!(told.try_recv().unwrap(), Told::Disconnected(..)));

    let server = Server::start(vec![Connection::Mute, Connection::Mute]).await;
    let secure = server.url.replace("ws://", "wss://");
    let builder = Subscription::repos(&secure).backoff(backoff).dial_timeout(Duration::from_millis(200));
    let error = way.open(builder).next().await.unwrap().unwrap_err();
    let timeout = Timeout::Dial { within: Duration::from_millis(200) };
    assert!(
        matches!(&error, Error::GaveUp { last: ConnectionError::Timeout(met), .. } if *met == timeout),
        "{error:?}"
    );
}

async fn silence_ends_a_connection_though_pings_are_answered(way: Way) {
    let script = vec![then([1], Step::Pings(usize::MAX)), Connection::Open(frames([2]))];
    let server = Server::start(script).await;
    let mut client = way
        .open(server.subscribe().ping(Duration::from_millis(20)).receive_timeout(Duration::from_millis(100)));
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    let counters = client.handle().counters();
    assert_eq!((counters.silences, counters.dead_peers), (1, 0));
}

async fn pings_keep_a_silent_connection(way: Way) {
    let mut steps = frames([1]);
    steps.push(Step::Pings(3));
    steps.extend(frames([2]));
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let builder = server.subscribe().ping(Duration::from_millis(50)).receive_timeout(None);
    let mut client = way.open(builder);
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    assert_eq!(client.handle().counters().connections, 1);
}

async fn a_dead_peer_is_found(way: Way) {
    let script = vec![then([1], Step::Deaf), Connection::Open(frames([2]))];
    let server = Server::start(script).await;
    let builder = server.subscribe().ping(Duration::from_millis(50)).receive_timeout(None);
    let mut client = way.open(builder);
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    let counters = client.handle().counters();
    assert_eq!((counters.silences, counters.dead_peers), (0, 1));
}

async fn parameters_are_sent_again_and_can_be_changed(way: Way) {
    let script = vec![then([1], Step::Drop), then([2], Step::Gate), Connection::Open(frames([3]))];
    let server = Server::start(script).await;
    let builder = server.subscribe().parameters([("wanted", "a b"), ("wanted", "c")]);
    let mut client = way.open(builder);
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    let handle = client.handle();
    handle.set_parameters([("wanted", "ü")]).unwrap();
    assert!(handle.set_parameters([("cursor", "7")]).is_err());
    server.open_gate();
    assert_eq!(seqs(&mut client, 1).await, [3]);
    let method = "/xrpc/com.atproto.sync.subscribeRepos";
    let expected = ["?wanted=a%20b&wanted=c", "?wanted=a%20b&wanted=c&cursor=1", "?wanted=%C3%BC&cursor=2"];
    assert_eq!(server.requests(), expected.map(|query| format!("{method}{query}")));
    let refused = server.subscribe().parameters([("cursor", "1")]).stream().unwrap_err();
    assert!(matches!(refused, Error::Endpoint(_)), "{refused}");
}

async fn a_stopped_subscription_can_start_again(way: Way) {
    let script = vec![Connection::Open(frames([1, 2, 3])), Connection::Open(frames([2, 3, 4]))];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 2).await, [1, 2]);
    let handle = client.handle();
    handle.stop();
    assert!(client.next().await.is_none());
    assert!(client.next().await.is_none());
    assert_eq!(handle.cursor(), Some(2));
    client.start_again();
    assert_eq!(seqs(&mut client, 2).await, [3, 4]);
    assert_eq!(server.cursors(), [None, Some(2)]);
    // What came in between may be missed.
    let cause = Cause::Reconnected { asked: Some(2), first: Some(2), why: "started again".into() };
    assert_eq!(handle.ledger().since(0).into_iter().map(|gap| gap.cause).collect::<Vec<_>>(), [cause]);
}

async fn it_starts_again_after_an_error_too(way: Way) {
    let fatal = || answer("400 Bad", "", "");
    let server = Server::start(vec![fatal(), Connection::Open(frames([1])), fatal()]).await;
    let mut client = way.open(server.subscribe());
    assert!(client.next().await.unwrap().is_err());
    assert!(client.next().await.is_none());
    client.start_again();
    assert_eq!(seqs(&mut client, 1).await, [1]);
}

async fn frames_that_are_told_finished_move_the_mark(way: Way) {
    let script = vec![Connection::Open(frames([1, 2, 3])), Connection::Open(frames([2, 3, 4]))];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().finish(Finish::Told));
    assert_eq!(seqs(&mut client, 3).await, [1, 2, 3]);
    let handle = client.handle();
    handle.finish(1);
    handle.finish(3);
    assert_eq!(handle.cursor(), Some(1));
    assert_eq!(handle.place(), Some(Cursor::After { seq: 1, time: 1_783_123_201_000_000_000 }));
    // What is not finished comes again.
    handle.stop();
    assert!(client.next().await.is_none());
    client.start_again();
    assert_eq!(seqs(&mut client, 3).await, [2, 3, 4]);
    assert_eq!(server.cursors(), [None, Some(1)]);
}

async fn stop_ends_a_wait_a_dial_and_a_backoff(way: Way) {
    let limit = Duration::from_millis(100);
    let idle = Server::start(vec![Connection::Open(Vec::new())]).await;
    let mute = Server::start(vec![Connection::Mute]).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, what) in
        [(idle.url.clone(), "connected"), (mute.url.clone(), "dialling"), (url(gone), "waiting")]
    {
        let (mut told, observer) = notes();
        let backoff = Backoff::default().first(600 * SECOND).cap(600 * SECOND);
        let mut client = way.open(Subscription::repos(&address).backoff(backoff).observe(observer));
        let handle = client.handle();
        let stopping = async {
            if what == "dialling" {
                // It tells nothing; the server has the connection.
                mute.wait_for_connection().await;
            } else {
                told.recv().await.unwrap();
            }
            let stopped = Instant::now();
            handle.stop();
            stopped
        };
        let (item, stopped) = tokio::join!(async { (client.next().await, Instant::now()) }, stopping);
        assert!(item.0.is_none());
        let took = item.1.duration_since(stopped);
        assert!(took < limit, "{took:?} to stop while {what}");
    }
}

both_ways! {
    parameters_are_sent_again_and_can_be_changed,
    a_stopped_subscription_can_start_again,
    it_starts_again_after_an_error_too,
    frames_that_are_told_finished_move_the_mark,
    stop_ends_a_wait_a_dial_and_a_backoff,
    frames_come_in_order_with_their_numbers_and_times,
    cursor_is_asked_for,
    every_end_of_a_connection_is_followed_by_the_next,
    a_normal_close_can_be_the_end,
    an_inclusive_server_repeats_and_is_told_apart,
    a_new_numbering_is_accepted_and_told,
    what_does_not_decode_is_quarantined_on_the_same_connection,
    thirty_two_bad_frames_in_a_row_end_the_connection,
    an_oversized_message_is_drained_on_the_same_connection,
    frames_of_the_largest_size_and_in_fragments_are_handed_on,
    a_size_beyond_reason_ends_the_connection_at_its_head,
    a_broken_websocket_ends_the_connection,
    error_frames_end_the_stream_or_reconnect,
    an_outdated_cursor_is_told,
    statuses_are_waited_out_or_end_it,
    retry_after_is_honoured,
    backoff_grows_until_the_server_proves_healthy,
    gives_up_after_as_many_attempts_as_allowed,
    an_unknown_host_and_a_server_without_tls_are_transient,
    silence_ends_a_connection_though_pings_are_answered,
    pings_keep_a_silent_connection,
    a_dead_peer_is_found,
}
