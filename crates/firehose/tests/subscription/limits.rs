//! What is given up, and what is handed on though it is refused: for each way of receiving.

use std::{
    num::NonZeroUsize,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use skytide_firehose::{Backoff, ConnectionError, Error, Kind, Overflow, Timeout};

use super::support::*;

async fn reconnects_without_a_frame_are_limited(way: Way) {
    for limit in [0, 1, 3] {
        let mut script = vec![then([1], Step::Drop)];
        script.extend((0..=limit).map(|_| then([], Step::Close(1012))));
        let server = Server::start(script).await;
        let mut client = way.open(server.subscribe().reconnects(limit));
        assert_eq!(seqs(&mut client, 1).await, [1]);
        let error = client.next().await.unwrap().unwrap_err();
        let lost = matches!(&error, Error::GaveUp { attempts, last: ConnectionError::Closed { .. } } if *attempts == limit);
        assert!(lost, "{limit}: {error:?}");
        assert!(client.next().await.is_none());
        let asked: Vec<_> = (0..=limit).map(|at| (at > 0).then_some(1)).collect();
        assert_eq!(server.cursors(), asked);
    }
}

async fn a_frame_begins_the_count_of_reconnects_anew(way: Way) {
    let mut script: Vec<_> = (1..=6).map(|seq| then([seq], Step::Drop)).collect();
    script.extend([then([6], Step::Drop), then([6], Step::Drop)]);
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().reconnects(1));
    assert_eq!(seqs(&mut client, 6).await, [1, 2, 3, 4, 5, 6]);
    // What was seen before is no frame.
    assert!(matches!(client.next().await, Some(Err(Error::GaveUp { attempts: 1, .. }))));
    assert_eq!(server.cursors().len(), 7);
}

async fn silence_after_the_last_reconnect_is_the_error(way: Way) {
    let server = Server::start(vec![Connection::Open(vec![]), Connection::Open(vec![])]).await;
    let builder = server.subscribe().reconnects(1).receive_timeout(Duration::from_millis(50));
    let error = way.open(builder).next().await.unwrap().unwrap_err();
    let silent = ConnectionError::Timeout(Timeout::Silent { silent: Duration::from_millis(50) });
    assert_eq!(error.to_string(), format!("gave up after 1 attempt to connect: {silent}"));
}

async fn a_subscription_may_begin_with_the_wait_after_failures(way: Way) {
    let backoff = Backoff::default().first(Duration::from_millis(40)).jitter(0.0);
    let server = Server::start((1..=4).map(|seq| Connection::Open(frames([seq]))).collect()).await;
    for (failures, least) in [(0, 0), (1, 40), (3, 160)] {
        let begun = Instant::now();
        let mut client = way.open(server.subscribe().backoff(backoff.clone()).after_failures(failures));
        seqs(&mut client, 1).await;
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(least) && took < Duration::from_millis(least + 2000),
            "{took:?}"
        );
        assert_eq!(client.handle().failures(), 0);
    }
    // A failure that ends it is one more.
    let server = Server::start(vec![answer("404 Not Found", "", "")]).await;
    let mut client = way.open(server.subscribe().after_failures(2));
    assert!(client.next().await.unwrap().is_err());
    assert!(client.next().await.is_none());
    assert_eq!(client.handle().failures(), 3);
}

async fn error_frames_are_handed_on_before_their_rule_applies(way: Way) {
    let steps = |code| vec![Step::Frame(identity(1)), Step::Frame(error(code, "text"))];
    let script = vec![
        Connection::Open(steps("ConsumerTooSlow")),
        Connection::Open(vec![Step::Frame(identity(2)), Step::Frame(error("FutureCursor", "text"))]),
    ];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().hand_on_refused(true));
    for kind in [Kind::Identity, Kind::Error, Kind::Identity, Kind::Error] {
        assert_eq!(client.next().await.unwrap().unwrap().kind, kind);
    }
    assert!(matches!(client.next().await, Some(Err(Error::Stream(error))) if error.code == "FutureCursor"));
    assert!(client.next().await.is_none());
    let counters = client.handle().counters();
    assert_eq!((counters.frames, counters.too_slow, counters.disconnects), (2, 1, 2));
}

async fn complaints_alone_are_no_frames(way: Way) {
    let complaint = || Connection::Open(vec![Step::Frame(error("ConsumerTooSlow", ""))]);
    let server = Server::start((0..3).map(|_| complaint()).collect()).await;
    let mut client = way.open(server.subscribe().hand_on_refused(true).reconnects(2));
    for _ in 0..3 {
        assert_eq!(client.next().await.unwrap().unwrap().kind, Kind::Error);
    }
    let error = client.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::GaveUp { attempts: 2, last: ConnectionError::TooSlow { .. } }),
        "{error:?}"
    );
}

async fn frames_with_bad_bodies_are_handed_on_and_quarantined(way: Way) {
    // A commit's header, and a body with no more than a number.
    let bad = |seq: u8| [b"\xa2\x61t\x67#commit\x62op\x01\xa1\x63seq".as_slice(), &[seq]].concat();
    let script = vec![
        Connection::Open(vec![
            Step::Frame(identity(1)),
            Step::Frame(bad(2)),
            Step::Frame(b"\xff".to_vec()),
            Step::Frame(identity(3)),
            Step::Drop,
        ]),
        Connection::Open(vec![Step::Frame(bad(2)), Step::Frame(identity(4))]),
    ];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe().hand_on_refused(true));
    for (kind, seq) in [(Kind::Identity, 1), (Kind::Commit, 2), (Kind::Identity, 3), (Kind::Identity, 4)] {
        let frame = client.next().await.unwrap().unwrap();
        assert_eq!((frame.kind, frame.seq), (kind, Some(seq)));
        assert_eq!(frame.message().is_err(), seq == 2);
    }
    let counters = client.handle().counters();
    assert_eq!((counters.frames, counters.undecodable), (3, 3));
    assert_eq!(client.handle().ledger().counts().get("quarantined"), Some(&3));
    assert_eq!(server.cursors(), [None, Some(3)]);
}

struct Bell(std::sync::mpsc::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _unheard = self.0.send(());
    }
}

#[tokio::test]
async fn a_buffer_is_polled_for_batches() {
    let mut steps = frames(1..=5);
    steps.push(Step::Gate);
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let capacity = NonZeroUsize::new(8).unwrap();
    let buffered = server.subscribe().reconnects(0).buffered(capacity, Overflow::Wait).unwrap();
    let (ring, rung) = std::sync::mpsc::channel();
    let waker = Waker::from(Arc::new(Bell(ring)));
    let mut found = Vec::new();
    let polled = tokio::task::spawn_blocking(move || {
        loop {
            match buffered.poll_batch(&mut Context::from_waker(&waker), &mut found, 2) {
                Poll::Ready(Ok(0)) => panic!("it has ended without an error"),
                Poll::Ready(Ok(frames)) => assert!(frames <= 2),
                Poll::Ready(Err(error)) => {
                    assert!(matches!(error, Error::GaveUp { attempts: 0, .. }), "{error:?}");
                    break;
                }
                Poll::Pending => {
                    if found.len() == 5 {
                        server.open_gate();
                    }
                    rung.recv_timeout(Duration::from_secs(10)).unwrap();
                }
            }
        }
        assert!(matches!(
            buffered.poll_batch(&mut Context::from_waker(&waker), &mut found, 2),
            Poll::Ready(Ok(0))
        ));
        // Frames of the last poll count as finished when the next one is made.
        assert_eq!(buffered.handle().cursor(), Some(5));
        found
    });
    let found = polled.await.unwrap();
    assert_eq!(found.iter().filter_map(|frame| frame.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

both_ways! {
    reconnects_without_a_frame_are_limited,
    a_frame_begins_the_count_of_reconnects_anew,
    silence_after_the_last_reconnect_is_the_error,
    a_subscription_may_begin_with_the_wait_after_failures,
    error_frames_are_handed_on_before_their_rule_applies,
    complaints_alone_are_no_frames,
    frames_with_bad_bodies_are_handed_on_and_quarantined,
}
