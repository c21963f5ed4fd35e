//! Looks into commits: their blocks, the signed commit object, what was done in which collection, and the
//! blobs referred to.
//!
//! `cargo run --example commits` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example commits -- wss://bsky.network 10` the next 10 commits of this relay.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use skytide::atproto::car::Blocks;
use skytide::atproto::message::{Action, Commit, Message};
use skytide::atproto::records;
use skytide::atproto::repo;
use skytide::firehose::Subscription;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let count = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut commits = 0;
    let mut frames = Subscription::repos(&relay).first_attempts(3).blocking()?;
    while commits < count
        && let Some(frame) = frames.next()
    {
        let frame = frame?;
        let described = match frame.message() {
            Ok(Message::Commit(commit)) => describe(&commit),
            // What happens to accounts, and remarks of the server.
            Ok(_) => continue,
            Err(error) => Err(error.into()),
        };
        match described {
            Ok(text) => {
                out.write_all(text.as_bytes())?;
                commits += 1;
            }
            Err(error) => writeln!(err, "skipped: {error}")?,
        }
    }
    Ok(())
}

/// A commit as a few lines.
fn describe(commit: &Commit<'_>) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    writeln!(text, "commit {} of {}, rev {}", commit.seq, commit.repo, commit.rev)?;

    // A CAR of blocks, each by the CID of its bytes, which is checked here: the commit object, the records,
    // and the nodes of the tree that lead to them.
    let blocks = Blocks::read(commit.blocks)?;
    writeln!(text, "  {} blocks in a CAR of {} bytes", blocks.len(), commit.blocks.len())?;
    let block = blocks.get(&commit.commit).ok_or("the commit object is not among the blocks")?;
    // What the account signs: the root of the tree of its records, and the revision.
    let signed = repo::Commit::parse(block)?;
    writeln!(text, "  signed by {}: rev {}, tree {}", signed.did, signed.rev, signed.data)?;

    let mut done: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for operation in commit.ops()? {
        *done.entry((operation.collection, operation.action.as_str())).or_default() += 1;
        if operation.action == Action::Delete {
            writeln!(text, "  gone: at://{}/{}/{}", commit.repo, operation.collection, operation.rkey)?;
        }
        let Some(record) = operation.value()? else { continue };
        // Files stand beside the repository; a record only names them.
        for blob in records::blobs(&record) {
            let size = blob.size.map_or("?".into(), |size| size.to_string());
            writeln!(text, "  blob: {} {} {size} bytes", blob.cid, blob.mime_type)?;
        }
    }
    for ((collection, action), count) in done {
        writeln!(text, "  {count} {action} {collection}")?;
    }
    Ok(text)
}
