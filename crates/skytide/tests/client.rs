//! Operations of a network in which a record is not what its CID names, and a commit is none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::num::NonZeroUsize;

use futures_util::StreamExt as _;
use skytide::atproto::message::Message;
use skytide::firehose::{Builder, Error, OnClose, Operation, Overflow, Subscription};
use skytide::sim::{Config, Ending, Network, Pacing, Relay};

const FRAMES: usize = 200;
/// The commits that are changed.
const LYING: usize = 20;
const BROKEN: usize = 40;

/// The frames of a network, and the numbers of the two that were changed.
fn frames() -> (Vec<bytes::Bytes>, [u64; 2]) {
    let mut commits = 0;
    let mut changed = [0; 2];
    let network = Network::new(Config::default()).take(FRAMES).map(|frame| {
        let mut bytes = frame.bytes.to_vec();
        let Ok(Message::Commit(commit)) = Message::from_bytes(&frame.bytes) else { return bytes.into() };
        let place = |part: &[u8]| part.as_ptr() as usize - frame.bytes.as_ptr() as usize;
        commits += 1;
        if commits >= LYING && changed[0] == 0 {
            let ops = commit.ops().unwrap();
            if let Some(record) = ops.iter().find_map(|op| op.record) {
                let name = record.windows(8).position(|part| part == b"app.bsky").unwrap();
                bytes[place(record) + name] = b'b';
                changed[0] = commit.seq;
            }
        } else if commits >= BROKEN && changed[1] == 0 && !commit.blocks.is_empty() {
            bytes[place(commit.blocks) + 3] ^= 0xff;
            changed[1] = commit.seq;
        }
        bytes.into()
    });
    (network.collect(), changed)
}

#[tokio::test]
async fn operations_tell_what_they_are_of_and_go_on_behind_a_commit_that_is_none() {
    let (frames, [lying, broken]) = frames();
    let subscribe = || -> (_, Builder) {
        let relay = Relay::from_frames(frames.clone(), Pacing::AsRead).ending(Ending::Close);
        let relay = relay.start("127.0.0.1:0").unwrap();
        let builder = Subscription::repos(&relay.url()).on_close(OnClose::End);
        (relay, builder)
    };
    let (_relay, builder) = subscribe();
    let all: Vec<_> = builder.stream().unwrap().operations().collect().await;
    let (good, bad): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let [Err(Error::Message(error))] = &bad[..] else { panic!("{bad:?}") };
    assert_eq!(error.seq, Some(broken));
    assert!(bad.iter().filter_map(|item| item.as_ref().err()).all(|error| !error.is_end()));

    let good: Vec<Operation> = good.into_iter().map(Result::unwrap).collect();
    assert!(good.last().unwrap().seq > broken);
    let lies: Vec<_> = good.iter().filter(|operation| operation.is_of_its_cid() == Some(false)).collect();
    assert!(matches!(lies[..], [operation] if operation.seq == lying), "{lies:?}");
    for operation in &good {
        assert_eq!(operation.is_of_its_cid().is_some(), operation.record.is_some());
    }

    // The same read ahead, in both forms.
    let capacity = NonZeroUsize::new(16).unwrap();
    let (_relay, builder) = subscribe();
    let ahead = builder.buffered(capacity, Overflow::Wait).unwrap().into_stream().operations();
    assert!(ahead.handle().cursor().is_none());
    let ahead: Vec<_> = ahead.filter_map(|item| async { item.ok() }).collect().await;
    assert!(ahead == good);
    let (_relay, builder) = subscribe();
    let ahead = builder.buffered(capacity, Overflow::Wait).unwrap().operations();
    let ahead: Vec<_> = tokio::task::spawn_blocking(|| ahead.filter_map(Result::ok).collect()).await.unwrap();
    assert!(ahead == good);
}
