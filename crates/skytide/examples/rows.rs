//! Sums what a program pushes, live: rows of a table go in from one thread, batches of the answer are awaited
//! by another. Each order gives a row: its time, who ordered, and what all orders of theirs in the last
//! minute come to.
//!
//! `cargo run --example rows` pushes 20 orders, `cargo run --example rows -- 1000` so many.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::thread;

use futures_util::StreamExt as _;
use skytide::arrow_schema::{DataType, Field, Fields, TimeUnit};
use skytide::connect::run::{AnswerStream, RunOptions};
use skytide::connect::sink::{Ndjson, Sink as _};
use skytide::connect::sources::{Offer, Sources};
use skytide::connect::tables::{Definition, Table, TableError, Value};
use skytide::timestream::engine::Mode;
use skytide::timestream::plan;
use skytide::timestream::plan::Results;

/// The table that queries call `orders`.
fn orders() -> Result<Table, TableError> {
    let fields = Fields::from(vec![
        Field::new("at", DataType::Int64, true),
        Field::new("who", DataType::Utf8, true),
        Field::new("cents", DataType::Int64, true),
    ]);
    // Numbers in the column of times are seconds since 1970; unless told otherwise they are nanoseconds.
    Table::new(Definition { unit: TimeUnit::Second, ..Definition::new("orders", fields, "at", "who") })
}

/// An order every ten seconds, of three people in turn.
fn order(number: i64) -> Value<'static> {
    let who = ["ann", "bob", "cyn"][number.rem_euclid(3) as usize];
    Value::Record(vec![
        ("at".into(), Value::Int(number * 10)),
        ("who".into(), Value::Text(who.into())),
        ("cents".into(), Value::Int(100 + number)),
    ])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1).map_or(Ok(20), |count| count.parse())?;
    let table = orders()?;

    let sources = Sources::new(vec![Offer::Table { table: table.clone(), idle: None }]);
    let text = "orders.cents.sum(window=trailing(\"1m\"))";
    let query = skytide::compile(text, &sources).map_err(|error| error.render(text))?;
    let plan = Arc::new(plan(Arc::new(query), Results::history()));
    let source = sources.open(&plan, Mode::Live)?;
    let mut answers = AnswerStream::start(plan, source, RunOptions::live())?;

    let pusher = thread::spawn(move || {
        // One by one or many at once, as they come; `push_batch` takes Arrow's columns.
        let pushed = (0..count).try_for_each(|number| table.push_rows(&[order(number)]));
        // The query is over what comes, which has an end here: else its `Stop` ends it.
        table.end();
        pushed
    });
    let mut lines = Ndjson::new(io::stdout());
    while let Some(batch) = answers.next().await {
        lines.write(&batch?)?;
    }
    pusher.join().map_err(|_| "the thread that pushes has panicked")??;
    Ok(())
}
