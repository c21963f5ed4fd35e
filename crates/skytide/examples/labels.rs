//! Prints labels as a labeler gives them (`+`) and takes them back (`-`), and at the end those that hold now (`=`).
//!
//! `cargo run --example labels` reads 100 messages of Bluesky's own labeler, which come as moderators work,
//! `cargo run --example labels -- wss://mod.bsky.app 20` 20 messages of this labeler.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Write};

use jiff::Timestamp;
use skytide::atproto::message::{self, Message};
use skytide::firehose::Subscription;

/// What is kept of a label.
struct Label {
    made: Timestamp,
    is_retraction: bool,
    ends: Option<Timestamp>,
}

/// The newest label of each identity: who says it, about what, and what. Retractions stay in it: a label that
/// is older may yet come.
#[derive(Default)]
struct Labels(BTreeMap<(String, String, String), Label>);

impl Labels {
    /// Takes a label in. Of two with one identity the one made later counts.
    fn add(&mut self, label: &message::Label<'_>) -> Result<(), jiff::Error> {
        let made = label.cts.parse()?;
        let ends = label.exp.map(str::parse).transpose()?;
        let is_retraction = label.neg == Some(true);
        let identity = (label.src.to_owned(), label.uri.to_owned(), label.val.to_owned());
        if self.0.get(&identity).is_none_or(|known| known.made <= made) {
            self.0.insert(identity, Label { made, is_retraction, ends });
        }
        Ok(())
    }

    /// The labels that hold at a time. Nothing is sent when a label ends: one has to look.
    fn hold(&self, now: Timestamp) -> impl Iterator<Item = &(String, String, String)> {
        let holds = move |label: &Label| !label.is_retraction && label.ends.is_none_or(|end| end > now);
        self.0.iter().filter(move |(_, label)| holds(label)).map(|(identity, _)| identity)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let labeler = arguments.next().unwrap_or("wss://mod.bsky.app".into());
    let count = arguments.next().map_or(Ok(100), |count| count.parse())?;

    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut labels = Labels::default();
    for frame in Subscription::labels(&labeler).first_attempts(3).blocking()?.take(count) {
        let frame = frame?;
        let message = match frame.message() {
            Ok(Message::Labels(message)) => message,
            // A remark of the server.
            Ok(_) => continue,
            Err(error) => {
                writeln!(err, "skipped: {error}")?;
                continue;
            }
        };
        for label in &message.labels {
            if let Err(error) = labels.add(label) {
                writeln!(err, "skipped: a label of {}: {error}", label.uri)?;
                continue;
            }
            let sign = if label.neg == Some(true) { '-' } else { '+' };
            writeln!(out, "{sign} {} {} by {}", label.val, label.uri, label.src)?;
        }
    }
    for (src, uri, val) in labels.hold(Timestamp::now()) {
        writeln!(out, "= {val} {uri} by {src}")?;
    }
    Ok(())
}
