//! The ledger: each cause has its entry, in order, and a clean run has none.

use std::time::Duration;

use futures_util::StreamExt;
use skytide_atproto::{
    cid::Cid,
    message::{Commit, Message, Sync},
    syntax::Tid,
};
use skytide_firehose::{Cause, Cursor};

use super::support::*;

/// What the ledger of this client holds, as text.
fn entries(client: &Client) -> Vec<String> {
    client.handle().ledger().since(0).into_iter().map(|gap| gap.cause.to_string()).collect()
}

fn rev(number: u64) -> String {
    Tid::from_micros(1_783_000_000_000_000 + number, 1).unwrap().to_string()
}

fn commit(seq: u64, did: &str, rev_: u64, since: Option<u64>) -> Step {
    let (rev, since) = (rev(rev_), since.map(rev));
    let message = Commit {
        ops: Vec::new(),
        rev: &rev,
        seq,
        prev: None,
        repo: did,
        time: "2026-07-04T00:00:00.000Z",
        blobs: None,
        since: since.as_deref(),
        blocks: b"",
        commit: Cid::for_dag_cbor(b""),
        rebase: None,
        too_big: None,
        prev_data: None,
    };
    Step::Frame(Message::Commit(message).to_frame_bytes())
}

async fn a_clean_run_has_no_entry(way: Way) {
    // Holes in the numbering, what is not known and what is ignored are no gaps.
    let mut steps = frames([1, 2, 50]);
    steps.push(Step::Text("{}"));
    steps.push(Step::Frame(b"\xa2\x61t\x65#what\x62op\x01\xa1\x63seq\x18\x64".to_vec()));
    steps.push(Step::Frame(info("Hello", "world")));
    steps.extend([commit(101, "did:plc:a", 1, None), commit(102, "did:plc:a", 2, Some(1))]);
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().check_chains(true));
    while client.next().await.unwrap().unwrap().seq != Some(102) {}
    assert!(client.handle().ledger().is_empty(), "{:?}", entries(&client));
}

async fn a_reconnect_is_entered_with_what_was_asked_and_what_came(way: Way) {
    let script = vec![
        then([1, 2], Step::Drop),
        // Inclusive, exclusive, and one of which nothing comes.
        then([2, 3], Step::Close(1011)),
        then([4], Step::Drop),
        then([], Step::Drop),
        Connection::Open(frames([9])),
    ];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 5).await, [1, 2, 3, 4, 9]);
    let gone = "the server closed the connection: without saying so";
    assert_eq!(
        entries(&client),
        [
            format!("reconnected: asked for 2, got 2 first ({gone})"),
            "reconnected: asked for 3, got 4 first (the server closed the connection with 1011: bye)".into(),
            format!("reconnected: asked for 4, got nothing first ({gone})"),
            format!("reconnected: asked for 4, got 9 first ({gone})"),
        ]
    );
    let handle = client.handle();
    assert_eq!(handle.ledger().counts()["reconnected"], handle.counters().connections - 1);
}

async fn a_live_stream_that_reconnects_before_its_first_frame_asks_for_live(way: Way) {
    let server = Server::start(vec![then([], Step::Drop), Connection::Open(frames([7]))]).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 1).await, [7]);
    assert!(entries(&client)[0].starts_with("reconnected: asked for live, got 7"));
}

async fn an_outdated_cursor_is_entered(way: Way) {
    let steps = vec![Step::Frame(info("OutdatedCursor", "too old")), Step::Frame(identity(9))];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().cursor(Cursor::Seq(1)));
    while client.next().await.unwrap().unwrap().seq != Some(9) {}
    assert_eq!(entries(&client), ["the cursor 1 is older than what the server has: too old"]);
}

async fn a_numbering_that_begins_anew_is_entered(way: Way) {
    let later = |seq| Step::Frame(identity_at(seq, "2026-07-05T12:00:00.000Z"));
    let steps = vec![Step::Frame(identity(500)), later(1), later(2)];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().time_jump(None));
    assert_eq!(seqs(&mut client, 3).await, [500, 1, 2]);
    assert_eq!(entries(&client), ["the numbering began anew: 1 after 500"]);
}

async fn a_jump_of_the_time_is_entered(way: Way) {
    let at = |seq, time: &str| Step::Frame(identity_at(seq, time));
    let script = || {
        vec![Connection::Open(vec![
            at(1, "2026-07-04T00:00:00.000Z"),
            at(2, "2026-07-04T00:00:59.000Z"),
            // Back in time is none, and neither is a time that nobody believes.
            at(3, "2026-07-03T00:00:00.000Z"),
            at(4, "2200-07-04T00:00:00.000Z"),
        ])]
    };
    let server = Server::start(script()).await;
    let mut client = way.open(server.subscribe());
    assert_eq!(seqs(&mut client, 4).await, [1, 2, 3, 4]);
    assert_eq!(entries(&client), [""; 0]);

    let server = Server::start(script()).await;
    let mut client = way.open(server.subscribe().time_jump(Duration::from_secs(50)));
    assert_eq!(seqs(&mut client, 4).await, [1, 2, 3, 4]);
    assert_eq!(entries(&client), ["the time jumped by 59.0 s before 2"]);
}

async fn frames_in_quarantine_are_entered(way: Way) {
    let steps = vec![
        Step::Frame(identity(1)),
        Step::Frame(b"garbage".to_vec()),
        Step::Frame(identity_of(2, 9000)),
        Step::Frame(identity(3)),
    ];
    let server = Server::start(vec![Connection::Open(steps)]).await;
    let mut client = way.open(server.subscribe().max_frame_size(1000));
    assert_eq!(seqs(&mut client, 2).await, [1, 3]);
    let entries = entries(&client);
    assert!(entries[0].starts_with("frame without a number does not decode: "), "{entries:?}");
    assert_eq!(entries[1], format!("message 2 is too large: {} bytes", identity_of(2, 9000).len()));
    assert_eq!(entries.len(), 2);
}

async fn a_broken_chain_is_entered_where_chains_are_checked(way: Way) {
    let revision = rev(4);
    let sync =
        Sync { seq: 5, did: "did:plc:b", rev: &revision, blocks: b"", time: "2026-07-04T00:00:00.000Z" };
    let script = || {
        vec![Connection::Open(vec![
            commit(1, "did:plc:a", 1, None),
            commit(2, "did:plc:b", 2, Some(1)),
            commit(3, "did:plc:a", 5, Some(4)),
            commit(4, "did:plc:a", 6, Some(5)),
            Step::Frame(Message::Sync(sync.clone()).to_frame_bytes()),
            commit(6, "did:plc:b", 7, Some(4)),
        ])]
    };
    for checked in [true, false] {
        let server = Server::start(script()).await;
        let mut client = way.open(server.subscribe().check_chains(checked));
        assert_eq!(seqs(&mut client, 6).await, [1, 2, 3, 4, 5, 6]);
        let expected = [
            format!("did:plc:a: 3 follows {}, the last seen is {}", rev(4), rev(1)),
            format!("did:plc:b: 5 follows nothing, the last seen is {}", rev(2)),
        ];
        assert_eq!(entries(&client), if checked { &expected[..] } else { &[] });
    }
}

async fn entries_can_be_followed(way: Way) {
    let script = vec![then([1], Step::Drop), then([2], Step::Drop), Connection::Open(frames([3]))];
    let server = Server::start(script).await;
    let mut client = way.open(server.subscribe());
    let follower = tokio::spawn(client.handle().ledger().follow().collect::<Vec<_>>());
    assert_eq!(seqs(&mut client, 3).await, [1, 2, 3]);
    // A program enters what only it can find.
    client.handle().ledger().enter(7, Cause::Quarantined { seq: Some(3), reason: "by me".into() });
    drop(client);
    let followed = follower.await.unwrap();
    assert_eq!(followed.iter().map(|gap| gap.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(followed[2].at, 7);
    assert!(followed[0].at > 1_780_000_000_000_000_000);
}

both_ways! {
    a_clean_run_has_no_entry,
    a_reconnect_is_entered_with_what_was_asked_and_what_came,
    a_live_stream_that_reconnects_before_its_first_frame_asks_for_live,
    an_outdated_cursor_is_entered,
    a_numbering_that_begins_anew_is_entered,
    a_jump_of_the_time_is_entered,
    frames_in_quarantine_are_entered,
    a_broken_chain_is_entered_where_chains_are_checked,
    entries_can_be_followed,
}
