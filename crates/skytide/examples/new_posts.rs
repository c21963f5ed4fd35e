//! Prints new posts as they are created: the author's DID, the languages and the text.
//!
//! `cargo run --example new_posts` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example new_posts -- wss://bsky.network 100` the next 100 posts of this relay.

use std::error::Error;
use std::io::{self, Write};

use futures_util::StreamExt;
use skytide::atproto::message::Action;
use skytide::firehose::Subscription;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let count = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;

    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut operations = Subscription::repos(&relay).first_attempts(3).stream()?.operations();
    let mut printed = 0;
    while printed < count
        && let Some(operation) = operations.next().await
    {
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) if error.is_end() => return Err(error.into()),
            // One message that cannot be read; the stream goes on.
            Err(error) => {
                writeln!(err, "skipped: {error}")?;
                continue;
            }
        };
        if operation.action != Action::Create || operation.collection != "app.bsky.feed.post" {
            continue;
        }
        match operation.json() {
            Ok(Some(json)) => {
                let post: serde_json::Value = serde_json::from_str(&json)?;
                // Printed as JSON, a text stays on its line.
                writeln!(out, "{} {} {}", operation.did, post["langs"], post["text"])?;
                printed += 1;
            }
            Ok(None) => writeln!(err, "skipped: {} came without its record", operation.uri())?,
            Err(error) => writeln!(err, "skipped: {}: {error}", operation.uri())?,
        }
    }
    Ok(())
}
