//! The labels' stream: its address, its patience, its times, and what is in its frames.

use skytide_atproto::message::{Label, Labels, Message};
use skytide_firehose::{Cause, Cursor, Kind, Subscription};

use super::support::*;

const METHOD: &str = "/xrpc/com.atproto.label.subscribeLabels";

fn labels(seq: u64, cts: &str, neg: Option<bool>) -> Step {
    let label = Label {
        cid: None,
        cts,
        exp: Some("2027-01-01T00:00:00Z"),
        neg,
        sig: None,
        src: "did:plc:labeler",
        uri: "at://did:plc:a/app.bsky.feed.post/3mptbypluud2a",
        val: "spam",
        ver: Some(1),
    };
    Step::Frame(Message::Labels(Labels { seq, labels: vec![label.clone(), label] }).to_frame_bytes())
}

async fn labels_come_in_order_with_their_newest_time(way: Way) {
    let script = vec![
        Connection::Open(vec![labels(1, "2026-07-04T00:00:01Z", None), Step::Drop]),
        Connection::Open(vec![
            labels(1, "2026-07-04T00:00:01Z", None),
            labels(2, "2026-07-04T00:00:02Z", Some(true)),
        ]),
    ];
    let server = Server::start(script).await;
    let mut client = way.open(Subscription::labels(&server.url).cursor(Cursor::Oldest).backoff(at_once()));
    let first = client.next().await.unwrap().unwrap();
    assert_eq!((first.kind, first.seq), (Kind::Labels, Some(1)));
    assert_eq!(first.time, Some(1_783_123_201_000_000_000));
    let second = client.next().await.unwrap().unwrap();
    let Message::Labels(message) = second.message().unwrap() else { panic!("{second:?}") };
    assert_eq!((message.seq, message.labels.len(), message.labels[0].neg), (2, 2, Some(true)));
    assert_eq!(second.operations().unwrap(), []);
    assert_eq!(server.requests(), [format!("{METHOD}?cursor=0"), format!("{METHOD}?cursor=1")]);
}

async fn a_labeler_may_begin_its_numbering_anew(way: Way) {
    let steps = vec![labels(500, "2026-07-04T00:00:00Z", None), labels(1, "2026-07-04T01:00:00Z", None)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(Subscription::labels(&server.url));
    assert_eq!(seqs(&mut client, 2).await, [500, 1]);
    let causes: Vec<_> = client.handle().ledger().since(0).into_iter().map(|gap| gap.cause).collect();
    assert_eq!(causes, [Cause::Restarted { last: 500, first: 1 }]);
}

#[test]
fn presets_name_the_known_servers() {
    let repos = format!("{:?}", Subscription::bluesky().stream().unwrap());
    assert!(repos.contains("bsky.network") && repos.contains("subscribeRepos"), "{repos}");
    let labels = format!("{:?}", Subscription::bluesky_labels().stream().unwrap());
    assert!(labels.contains("mod.bsky.app") && labels.contains("subscribeLabels"), "{labels}");
}

both_ways! {
    labels_come_in_order_with_their_newest_time,
    a_labeler_may_begin_its_numbering_anew,
}
