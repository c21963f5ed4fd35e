//! Counts the words of posts by language, live, by a function of its own in the query. Each post gives a row:
//! its time, its language, and how many words there have been in it.
//!
//! `cargo run --example words` is all of Bluesky's network until Ctrl-C,
//! `cargo run --example words -- wss://bsky.network 100` the next 100 rows of this relay.

use std::error::Error;
use std::io;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int64Array};
use arrow_schema::DataType;
use skytide::connect::network::Network;
use skytide::connect::run::{RunOptions, run};
use skytide::connect::sink::Ndjson;
use skytide::connect::sources::{Offer, Sources};
use skytide::timestream::engine::Mode;
use skytide::timestream::functions::user::{UserFunction, UserFunctions};
use skytide::timestream::plan;
use skytide::timestream::plan::Results;

/// The number of words of a text; null of null.
struct Words;

impl UserFunction for Words {
    fn signature(&self) -> &str {
        "words(text: utf8) -> i64"
    }

    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        _: &DataType,
    ) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        let texts = arguments[0].as_string::<i32>();
        let words = |text: &str| text.split_whitespace().count() as i64;
        Ok(Arc::new(texts.iter().map(|text| text.map(words)).collect::<Int64Array>()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let relay = arguments.next().unwrap_or("wss://bsky.network".into());
    let limit = arguments.next().map(|count| count.parse()).transpose()?;

    let mut functions = UserFunctions::default();
    functions.define(Words)?;
    let text = "posts.with_key(record.langs[0]).record.text.words().sum()";
    let sources = Sources::new(vec![Offer::Network(Arc::new(Network::at(relay)))]);
    let query = skytide::compile(text, &functions.over(&sources)).map_err(|error| error.render(text))?;
    let plan = Arc::new(plan(Arc::new(query), Results::history()));

    let mut source = sources.open(&plan, Mode::Live)?;
    let mut rows = Ndjson::new(io::stdout());
    let options = RunOptions { limit, ..RunOptions::live() };
    run(plan, &mut source, &mut rows, &options, |_, _| {})?;
    Ok(())
}
