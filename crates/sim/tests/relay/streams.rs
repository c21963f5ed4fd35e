//! More than one stream at an address, and streams of labels.

use skytide_atproto::frame::Kind;
use skytide_sim::{Ending, Pacing, Relay, Replay, SUBSCRIBE_LABELS};
use tokio_tungstenite::tungstenite::Error;

use crate::client::{frames, kinds, seqs, subscribe, subscribe_at, to_the_end};

#[tokio::test]
async fn streams_of_one_address_know_nothing_of_each_other() {
    let relay = Relay::from_frames(frames(11..=16), Pacing::AsRead)
        .also(SUBSCRIBE_LABELS, Replay::once(frames(1..=20)))
        .total(9)
        .window(3)
        .ending(Ending::Close)
        .start("127.0.0.1:0")
        .unwrap();
    let mut repos = subscribe(&relay, "").await.unwrap();
    let mut labels = subscribe_at(&relay, SUBSCRIBE_LABELS).await.unwrap();
    assert_eq!(seqs(&mut repos, 6).await, [11, 12, 13, 14, 15, 16]);
    assert_eq!(seqs(&mut labels, 9).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);

    // Each has its own window: a cursor of one means nothing in the other.
    let mut labels = subscribe_at(&relay, &format!("{SUBSCRIBE_LABELS}?cursor=8")).await.unwrap();
    assert_eq!(seqs(&mut labels, 2).await, [8, 9]);
    let mut repos = subscribe(&relay, "?cursor=8").await.unwrap();
    let (frames, ..) = to_the_end(&mut repos).await;
    let numbered = |seq| (Kind::Account, Some(seq));
    assert_eq!(kinds(&frames), [(Kind::Info, None), numbered(14), numbered(15), numbered(16)]);

    let counters = relay.counters();
    assert_eq!((counters.connections, counters.made, counters.sent, counters.newest_seq), (4, 15, 20, 16));
    let labels = relay.counters_of(SUBSCRIBE_LABELS).unwrap();
    assert_eq!((labels.connections, labels.made, labels.sent, labels.newest_seq), (2, 9, 11, 9));
    assert_eq!(relay.counters_of("/subscribe"), None);
}

#[tokio::test]
async fn the_only_stream_may_be_one_of_labels() {
    let relay = Relay::serving(SUBSCRIBE_LABELS, Replay::once(frames(1..=2))).start("127.0.0.1:0").unwrap();
    let mut labels = subscribe_at(&relay, SUBSCRIBE_LABELS).await.unwrap();
    assert_eq!(seqs(&mut labels, 2).await, [1, 2]);
    match subscribe(&relay, "").await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 404),
        other => panic!("{other:?}"),
    }
    assert_eq!(relay.counters().refused, 1);
}
