//! How frames are received: cancelled, in batches, stopped from another thread, started again.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, StreamExt};
use skytide_firehose::{Backoff, Batch, Cause, OnClose, Overflow, Subscription};

use super::support::*;

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
    let waiting = Subscription::repos(&url(address)).backoff(backoff).observe(observer).blocking().unwrap();
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
        // What is received ahead is not handed on yet, and what is handed on is not finished before more is
        // asked for.
        assert_eq!(handle.cursor(), seqs.last().copied());
        seqs.push(frame.unwrap().seq.unwrap());
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
        assert_eq!(frames.handle().cursor(), Some(seqs[before - 1]));
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

#[test]
fn a_full_buffer_leaves_the_socket_unread_and_nothing_is_lost() {
    let server = Server::on_a_thread(vec![then(1..=5000, Step::Close(1000))]);
    let capacity = NonZeroUsize::new(64).unwrap();
    let builder = server.subscribe().on_close(OnClose::End);
    let mut frames = builder.buffered(capacity, Overflow::Wait).unwrap();
    let handle = frames.handle();
    let mut seqs = vec![frames.next().unwrap().unwrap().seq.unwrap()];
    // It reads ahead until the buffer is full, and no further.
    while frames.waiting() < 64 {
        std::thread::yield_now();
    }
    assert_eq!(handle.cursor(), None);
    for frame in frames {
        assert!(handle.counters().frames <= seqs.len() as u64 + 64 + 1);
        assert_eq!(handle.cursor(), seqs.last().copied());
        seqs.push(frame.unwrap().seq.unwrap());
    }
    assert_eq!(seqs, (1..=5000).collect::<Vec<_>>());
    assert!(handle.ledger().is_empty());
}

#[test]
fn a_buffer_that_may_drop_keeps_the_newest_and_says_what_is_gone() {
    let server = Server::on_a_thread(vec![then(1..=1000, Step::Close(1000))]);
    let capacity = NonZeroUsize::new(10).unwrap();
    let frames = server.subscribe().on_close(OnClose::End).buffered(capacity, Overflow::DropOldest).unwrap();
    let handle = frames.handle();
    while handle.counters().disconnects == 0 {
        std::thread::yield_now();
    }
    let seqs: Vec<_> = frames.map(|frame| frame.unwrap().seq.unwrap()).collect();
    assert_eq!(seqs, (991..=1000).collect::<Vec<_>>());
    assert_eq!(handle.counters().overflowed, 990);
    let gaps: Vec<_> = handle.ledger().since(0).into_iter().map(|gap| gap.cause).collect();
    assert_eq!(gaps, [Cause::Overflowed { frames: 990, first: Some(1), last: Some(990) }]);
}

#[test]
fn a_buffer_is_full_by_bytes_too() {
    let large = |seq| Step::Frame(identity_of(seq, 100_000));
    let server = || {
        let mut steps: Vec<_> = (1..=200).map(large).collect();
        steps.push(Step::Close(1000));
        Server::on_a_thread(vec![Connection::Open(steps)])
    };
    let capacity = NonZeroUsize::new(1024).unwrap();
    let builder = |server: &Server| server.subscribe().on_close(OnClose::End).buffer_bytes(1_000_000);
    let waits = server();
    let mut buffered = builder(&waits).buffered(capacity, Overflow::Wait).unwrap();
    let handle = buffered.handle();
    for read in 1..=200 {
        assert_eq!(buffered.next().unwrap().unwrap().seq, Some(read));
        assert!(handle.counters().frames <= read + 11, "{} at {read}", handle.counters().frames);
    }
    assert!(buffered.next().is_none());

    let drops = server();
    let buffered = builder(&drops).buffered(capacity, Overflow::DropOldest).unwrap();
    let handle = buffered.handle();
    while handle.counters().disconnects == 0 {
        std::thread::yield_now();
    }
    let seqs: Vec<_> = buffered.map(|frame| frame.unwrap().seq.unwrap()).collect();
    assert_eq!(seqs, (200 - seqs.len() as u64 + 1..=200).collect::<Vec<_>>());
    assert!((8..=10).contains(&seqs.len()), "{}", seqs.len());
    assert_eq!(handle.counters().overflowed, 200 - seqs.len() as u64);
}

#[test]
fn a_buffer_ends_when_told_whoever_waits() {
    // A reader that waits, and a thread that waits for room.
    for (count, capacity) in [(1, 10), (100, 10)] {
        let server = Server::on_a_thread(vec![Connection::Open(frames(1..=count))]);
        let capacity = NonZeroUsize::new(capacity).unwrap();
        let mut frames = server.subscribe().buffered(capacity, Overflow::Wait).unwrap();
        assert!(frames.next().unwrap().is_ok());
        let handle = frames.handle();
        let stopper = std::thread::spawn(move || {
            handle.stop();
            Instant::now()
        });
        while frames.next().is_some() {}
        let ended = Instant::now();
        assert!(ended.duration_since(stopper.join().unwrap()) < Duration::from_millis(100));
    }
}

#[test]
fn a_full_buffer_that_nobody_reads_ends_when_told() {
    let server = Server::on_a_thread(vec![Connection::Open(frames(1..=100))]);
    let capacity = NonZeroUsize::new(10).unwrap();
    let mut frames = server.subscribe().buffered(capacity, Overflow::Wait).unwrap();
    assert!(frames.next().unwrap().is_ok());
    let wait_for = |waiting: usize| {
        let begun = Instant::now();
        while frames.waiting() != waiting {
            assert!(begun.elapsed() < Duration::from_secs(30), "{} wait", frames.waiting());
            std::thread::yield_now();
        }
    };
    wait_for(10);
    frames.handle().stop();
    wait_for(0);
}

#[tokio::test]
async fn a_buffer_is_a_stream_too() {
    let server = Server::on_a_thread(vec![then(1..=500, Step::Close(1000))]);
    let capacity = NonZeroUsize::new(10).unwrap();
    let frames = server.subscribe().on_close(OnClose::End).buffered(capacity, Overflow::Wait).unwrap();
    let seqs = soon(frames.into_stream().map(|frame| frame.unwrap().seq.unwrap()).collect::<Vec<_>>()).await;
    assert_eq!(seqs, (1..=500).collect::<Vec<_>>());

    let refused = Server::on_a_thread(vec![answer("400 Bad", "", "")]);
    let mut frames = refused.subscribe().buffered(capacity, Overflow::Wait).unwrap().into_stream();
    assert!(soon(frames.next()).await.unwrap().is_err());
    assert!(soon(frames.next()).await.is_none());
}
