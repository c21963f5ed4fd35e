//! Faults by chance: as often as asked, the same for the same seed, and nothing is lost by them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use skytide_atproto::frame::Frame;
use skytide_atproto::message::Message;
use skytide_sim::{
    Ending, FaultKind, Faults, Fired, FiredAt, Pacing, Relay, RelayHandle, Replay, SUBSCRIBE_LABELS,
};
use tokio_tungstenite::tungstenite::Message as WsMessage;

use crate::client::{LIMIT, Socket, frames, subscribe, subscribe_at};

/// Frames without end and faults by chance.
fn relay(seed: u64, rates: &str, total: u64) -> RelayHandle {
    let faults = Faults::new(seed).rates(rates.parse().unwrap());
    // The window holds what a reset may lose on the way, which is what the system buffers.
    let relay = Relay::repeating(frames(1..=50), Pacing::AsRead).faults(faults).total(total).window(100_000);
    relay.ending(Ending::Close).start("127.0.0.1:0").unwrap()
}

/// Reads to the close; gives how many messages there were.
async fn read(socket: &mut Socket) -> u64 {
    let mut messages = 0;
    let read = async {
        while let Some(Ok(message)) = socket.next().await {
            messages += u64::from(!message.is_close());
        }
    };
    tokio::time::timeout(LIMIT, read).await.expect("an end in time");
    messages
}

async fn fired(seed: u64) -> (Vec<Fired>, BTreeMap<FaultKind, u64>) {
    let relay = relay(seed, "garbage=10000, text=1000, fragmented=5000, unknown-op=20000", 40_000);
    let messages = read(&mut subscribe(&relay, "").await.unwrap()).await;
    let counts = relay.fault_counts();
    let beside: u64 = counts.iter().filter(|(kind, _)| **kind != FaultKind::Fragmented).map(|it| it.1).sum();
    assert_eq!(messages, 40_000 + beside);
    (relay.fired(), counts)
}

#[tokio::test]
async fn rates_are_kept_and_repeat_with_the_seed() {
    let (one, counts) = fired(1).await;
    // Five standard deviations around what is expected of 40,000 frames.
    for (kind, expected) in [
        (FaultKind::Garbage, 400u64),
        (FaultKind::Text, 40),
        (FaultKind::Fragmented, 200),
        (FaultKind::UnknownOp, 800),
    ] {
        let within = 5 * (expected.isqrt() + 1);
        let count = counts[&kind];
        assert!((expected.saturating_sub(within)..=expected + within).contains(&count), "{kind}: {count}");
    }
    assert_eq!(counts.len(), 4);
    assert_eq!(one.len() as u64, counts.values().sum::<u64>());
    assert!(one.is_sorted_by_key(|fired| fired.frame.map(|frame| frame.of_stream)));
    assert!(one == fired(1).await.0, "the same seed draws the same");
    assert!(one != fired(2).await.0, "another seed draws otherwise");
}

#[tokio::test]
async fn what_a_connection_meets_is_its_own() {
    // What ends connections ends each in the same place in every run, whatever the client has read of it.
    let ends = async || {
        let relay = relay(5, "disconnect=2000, reset=2000, refuse=300000", 1_000_000);
        for _ in 0..20 {
            if let Ok(mut socket) = subscribe(&relay, "?cursor=0").await {
                read(&mut socket).await;
            }
        }
        let of_connection = |frame: FiredAt| frame.of_connection;
        let end = |fired: Fired| (fired.connection, fired.fault, fired.frame.map(of_connection));
        relay.fired().into_iter().map(end).collect::<Vec<_>>()
    };
    let one = ends().await;
    assert_eq!(one.len(), 20);
    assert!(one == ends().await);
}

#[tokio::test]
async fn only_the_latest_are_kept_but_all_are_counted() {
    let relay = relay(1, "ping=1000000", 12_000);
    // Pings are answered by the library without being asked.
    assert_eq!(read(&mut subscribe(&relay, "").await.unwrap()).await, 24_000);
    let fired = relay.fired();
    assert_eq!((fired.len(), relay.fault_counts()[&FaultKind::Ping]), (10_000, 12_000));
    assert!(fired.iter().map(|fired| fired.frame.unwrap().of_stream).eq(2_001..=12_000));
}

#[tokio::test]
async fn rates_hold_for_every_stream() {
    let faults = Faults::new(1).rates("text=500000".parse().unwrap());
    let relay = Relay::from_frames(frames(1..=50), Pacing::AsRead)
        .also(SUBSCRIBE_LABELS, Replay::once(frames(1..=50)))
        .faults(faults)
        .ending(Ending::Close)
        .start("127.0.0.1:0")
        .unwrap();
    assert!(read(&mut subscribe(&relay, "").await.unwrap()).await > 60);
    assert!(read(&mut subscribe_at(&relay, SUBSCRIBE_LABELS).await.unwrap()).await > 60);
    let labels = relay.fired().iter().filter(|fired| fired.stream == Some(SUBSCRIBE_LABELS)).count();
    assert!(labels > 10, "{labels}");
}

/// What a correct client does with a message.
enum Heard {
    Frame(u64),
    /// It has no place in the stream.
    Nothing,
    /// The connection is over.
    End,
}

fn heard(message: &WsMessage) -> Heard {
    let bytes = match message {
        WsMessage::Binary(bytes) => bytes,
        WsMessage::Close(_) => return Heard::End,
        _ => return Heard::Nothing,
    };
    let Ok(frame) = Frame::parse(bytes) else { return Heard::Nothing };
    match Message::parse(&frame) {
        Ok(Message::Error(_)) => Heard::End,
        Ok(message) => message.seq().map_or(Heard::Nothing, Heard::Frame),
        Err(_) => Heard::Nothing,
    }
}

#[tokio::test]
async fn a_client_that_comes_back_loses_nothing() {
    const FRAMES: u64 = 20_000;
    let rates = "disconnect=2000, reset=2000, close=2000, error=2000, slow 5000000 bytes/s for 10ms=2000, \
                 stall for 5ms=2000, garbage=2000, truncated=2000, three-items=2000, oversized=200, fragmented=2000, \
                 text=2000, unknown-op=2000, unknown-type=2000, info=2000, ping=2000, \
                 answer=100000, refuse=100000, mute=20000, duplicates=300000, cursor=200000";
    let relay = relay(3, rates, FRAMES);
    let (mut last, mut again, mut connections) = (0, 0u64, 0u64);
    let client = async {
        while last < FRAMES {
            connections += 1;
            // Who is not answered gives up soon.
            let query = format!("?cursor={last}");
            let connect = tokio::time::timeout(Duration::from_millis(200), subscribe(&relay, &query)).await;
            let Ok(Ok(mut socket)) = connect else { continue };
            while let Some(Ok(message)) = socket.next().await {
                match heard(&message) {
                    Heard::Frame(seq) if seq <= last => again += 1,
                    Heard::Frame(seq) => {
                        assert_eq!(seq, last + 1, "on connection {connections}");
                        last = seq;
                    }
                    Heard::Nothing => {}
                    Heard::End => break,
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, client).await.expect("all of them in time");
    assert_eq!(last, FRAMES);
    let counts = relay.fault_counts();
    let missing: Vec<_> = FaultKind::ALL.iter().filter(|kind| !counts.contains_key(kind)).collect();
    assert_eq!(
        missing,
        [&FaultKind::Gap, &FaultKind::Seam, &FaultKind::Renumber],
        "every other has fired: {counts:?}"
    );
    assert!(again > 0 && connections > 50, "{again} again, {connections} connections");
}

#[tokio::test]
async fn what_is_missing_is_what_the_gaps_say() {
    let relay = relay(4, "disconnect=5000, gap=500000", 10_000);
    let (mut last, mut lost) = (0, Vec::new());
    let client = async {
        while last < 10_000 - 32 {
            let mut socket = subscribe(&relay, &format!("?cursor={last}")).await.unwrap();
            while let Some(Ok(message)) = socket.next().await {
                if let Heard::Frame(seq) = heard(&message)
                    && seq > last
                {
                    if seq > last + 1 {
                        lost.push(last + 1..=seq - 1);
                    }
                    last = seq;
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, client).await.expect("all of them in time");
    let told: Vec<_> = relay.fired().into_iter().filter_map(|fired| fired.seqs).collect();
    assert!(told.len() > 5, "{told:?}");
    // A gap whose next frame was cut off is told of but was not lost: the client asked for it again.
    assert!(lost.iter().all(|gap| told.contains(gap)), "{lost:?} are not all in {told:?}");
    assert!(lost.len() + 3 >= told.len(), "{lost:?} of {told:?}");
    assert!(!relay.fault_counts().contains_key(&FaultKind::Duplicates));
}
