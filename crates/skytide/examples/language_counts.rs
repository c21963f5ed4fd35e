//! Counts posts by language, live: a query made with the builder, run over a relay. Each post gives a row:
//! its time, its language, and how many there have been in it.
//!
//! `cargo run --example language_counts` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example language_counts -- wss://bsky.network 100` the next 100 rows of this relay.

use std::error::Error;
use std::io;
use std::sync::Arc;

use skytide::atproto::columns::Clock;
use skytide::connect::catalog::FirehoseCatalog;
use skytide::connect::firehose::FirehoseSource;
use skytide::connect::frames::Frames;
use skytide::connect::run::{RunOptions, run};
use skytide::connect::sink::Ndjson;
use skytide::firehose::Subscription;
use skytide::timestream::builder::{field, source};
use skytide::timestream::plan;
use skytide::timestream::plan::Results;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let limit = arguments.next().map(|count| count.parse()).transpose()?;

    // posts.with_key(record.langs[0]).count()
    let counts = source("posts").with_key(field("record").field("langs").index(0)).count();
    let catalog = FirehoseCatalog::new();
    let query = counts.compile(&catalog)?;
    let plan = Arc::new(plan(Arc::new(query), Results::history()));

    let subscription = Subscription::repos(&relay).first_attempts(3).blocking()?;
    let frames = Frames::socket(subscription);
    let mut source = FirehoseSource::new(&plan, &catalog, frames, Clock::FrameTime)?;
    let mut rows = Ndjson::new(io::stdout());
    let options = RunOptions { limit, ..RunOptions::live() };
    run(plan, &mut source, &mut rows, &options, |_, _| {})?;
    Ok(())
}
