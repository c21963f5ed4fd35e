//! Prints what is done to the repositories of a network, one operation a line: what, where, and the record as JSON.
//!
//! `cargo run --example repos` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example repos -- wss://bsky.network 100` the next 100 operations of this relay.

use std::error::Error;
use std::io::{self, Write};

use skytide::firehose::Subscription;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let count = arguments.next().map_or(Ok(usize::MAX), |count| count.parse())?;

    let mut out = io::stdout();
    // An address that is wrong shows after three attempts; a connection that is lost is made anew for ever.
    let frames = Subscription::repos(&relay).first_attempts(3).blocking()?;
    for operation in frames.operations().take(count) {
        let operation = match operation {
            // A commit that cannot be read; the next ones follow.
            Err(error) if !error.is_end() => {
                writeln!(io::stderr(), "{error}")?;
                continue;
            }
            operation => operation?,
        };
        match operation.json() {
            Ok(record) => {
                let record = record.unwrap_or_default();
                writeln!(out, "{} {} {record}", operation.action, operation.uri())?;
            }
            Err(error) => writeln!(io::stderr(), "{}: {error}", operation.uri())?,
        }
    }
    Ok(())
}
