//! Counts posts by language, live: a query made with the builder, run over a relay. Each post gives a row:
//! its time, its language, and how many there have been in it.
//!
//! `cargo run --example language_counts` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example language_counts -- wss://bsky.network 100` the next 100 rows of this relay.

use std::error::Error;
use std::io;
use std::sync::Arc;

use skytide::connect::network::Network;
use skytide::connect::run::{RunOptions, run};
use skytide::connect::sink::Ndjson;
use skytide::connect::sources::{Offer, Sources};
use skytide::timestream::builder::{field, source};
use skytide::timestream::engine::Mode;
use skytide::timestream::plan;
use skytide::timestream::plan::Results;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let limit = arguments.next().map(|count| count.parse()).transpose()?;

    // posts.with_key(record.langs[0]).count()
    let counts = source("posts").with_key(field("record").field("langs").index(0)).count();
    // A recording, files of rows or a table of the program's own may stand beside it, or in its place.
    let sources = Sources::new(vec![Offer::Network(Arc::new(Network::at(relay)))]);
    let query = counts.compile(&sources)?;
    let plan = Arc::new(plan(Arc::new(query), Results::history()));

    let mut source = sources.open(&plan, Mode::Live)?;
    let mut rows = Ndjson::new(io::stdout());
    let options = RunOptions { limit, ..RunOptions::live() };
    run(plan, &mut source, &mut rows, &options, |_, _| {})?;
    Ok(())
}
