//! Rows per CPU-second of the operators, on one thread, from memory:
//! `cargo run --release -p skytide-timestream --example engine_bench [MILLION ROWS [ROWS A BATCH [QUERY]]]`.
//!
//! 100,000 keys of 32 bytes, 50 languages, text of 3 to 24 words, 6 hours; the first pass over the rows
//! numbers the keys and is measured too. Beside each figure stand the rows of the answer and the bytes of
//! state a key.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_schema::{DataType, Field, Fields};
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::engine::{Clock, End, Mode, RegionOperator, ResultOperator, answer_batch, hash};
use skytide_timestream::plan::{Input, PathStep, Plan, Results};
use skytide_timestream::rows::{Keys, Lane, Places, Rows};
use skytide_timestream::{compile, plan};

type Outcome<T> = Result<T, Box<dyn Error>>;

const QUERIES: [&str; 16] = [
    "events.count()",
    "events.with_key(lang).count()",
    "events.text.len().sum()",
    "events.x.sum()",
    "events.x.max()",
    "events.text.len().sum(window=sliding.hourly(2))",
    "events.text.len().max(window=sliding.hourly(2))",
    "events.x.sum(window=sliding.hourly(2))",
    "events.with_key(lang).text.len().sum(window=sliding.minutely(5))",
    "events.text.len().sum(window=since.hourly())",
    "events.with_key(lang).count(window=since.minutely())",
    "events.with_key(lang).count().lookup(events.lang)",
    "events.filter(lang == \"l03\")",
    "events.text.collect(5)",
    "events.text.len().collect(5)",
    "events.filter(x > 0.5).select(\"x\")",
];

/// A query whose answer is a snapshot at the end.
const SNAPSHOT: &str = "events.count()";

/// Six hours.
const SPAN: i64 = 6 * 3600 * 1_000_000_000;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |none: usize| arguments.next().map_or(Ok(none), |text| text.parse());
    let (total, batch) = (number(10)? * 1_000_000, number(10_000)?);
    let asked = arguments.next();
    let events = Events::new(total, batch);
    let mut out = std::io::stdout();
    writeln!(out, "{:>12} {:>10} {:>8}  query", "M rows/CPU-s", "rows", "B/key")?;
    let queries = QUERIES.iter().copied().filter(|_| asked.is_none()).chain(asked.as_deref());
    for query in queries {
        report(&mut out, &events, query, Results::history())?;
    }
    if asked.as_deref().is_none_or(|query| query == SNAPSHOT) {
        report(&mut out, &events, SNAPSHOT, Results::snapshot())?;
    }
    Ok(())
}

/// Nanoseconds this thread has run, as the kernel counts them; else of the wall clock.
fn cpu_nanos(start: Instant) -> u128 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = schedstat.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.unwrap_or_else(|| start.elapsed().as_nanos())
}

/// The one stream there is.
struct Offer(Arc<StreamDef>);

impl Catalog for Offer {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        (name == self.0.name).then(|| Arc::clone(&self.0))
    }

    fn stream_function(&self, _: &str, _: &str) -> Result<Arc<StreamDef>, String> {
        Err("there is no such function".into())
    }

    fn stream_method(&self, _: &StreamDef, _: &str) -> Option<Arc<StreamDef>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec![self.0.name.clone()]
    }
}

/// A cheap generator: the same rows every time.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Made-up events: a million at most, which come again and again as later ones.
struct Events {
    total: usize,
    /// Columns `key`, `lang`, `text` and `x` of each batch, and the hashes of its keys.
    batches: Vec<([ArrayRef; 4], Keys)>,
}

impl Events {
    fn new(total: usize, batch: usize) -> Self {
        const WORDS: [&str; 8] = ["lorem", "dolor", "sit", "blue", "hello", "of", "and", "reply"];
        let state = &mut 0x9e37_79b9_7f4a_7c15;
        let keys: Vec<String> = (0..100_000).map(|_| format!("did:plc:{:024x}", next(state))).collect();
        let pool: Vec<String> = (0..20_000)
            .map(|_| {
                let words: Vec<&str> =
                    (0..next(state) % 22 + 3).map(|_| WORDS[(next(state) % 8) as usize]).collect();
                words.join(" ")
            })
            .collect();
        let count = (total.min(1_000_000) / batch).max(1);
        let batches = (0..count).map(|_| {
            let mut pick = |of: &[String]| -> ArrayRef {
                let of = |_| of[(next(state) % of.len() as u64) as usize].as_str();
                Arc::new((0..batch).map(of).map(Some).collect::<StringArray>())
            };
            let (key, text) = (pick(&keys), pick(&pool));
            let lang = |_| {
                let (a, b) = (next(state) % 50, next(state) % 50);
                Some(format!("l{:02}", a.min(b)))
            };
            let lang: ArrayRef = Arc::new((0..batch).map(lang).collect::<StringArray>());
            let x = (0..batch).map(|_| Some((next(state) % 1_000_000) as f64 / 1e6));
            let x: ArrayRef = Arc::new(x.collect::<Float64Array>());
            let keys = Keys { hashes: hash(&key), values: Arc::clone(&key) };
            ([key, lang, text, x], keys)
        });
        Self { total, batches: batches.collect() }
    }

    fn stream() -> StreamDef {
        let columns = ["key", "lang", "text"].map(|name| Field::new(name, DataType::Utf8, true));
        let fields: Fields = columns.into_iter().chain([Field::new("x", DataType::Float64, true)]).collect();
        StreamDef { name: "events".into(), source: 0, fields, key: "key".into(), time: None }
    }

    fn batch_rows(&self) -> usize {
        self.batches[0].1.hashes.len()
    }

    /// When an event is.
    fn time(&self, number: usize) -> i64 {
        (i128::from(SPAN) * number as i128 / self.total as i128) as i64
    }

    /// A batch as the plan's scans want it.
    fn rows(&self, plan: &Plan, epoch: usize) -> Outcome<Vec<Rows>> {
        let (columns, key) = &self.batches[epoch % self.batches.len()];
        let numbers = epoch * self.batch_rows()..(epoch + 1) * self.batch_rows();
        let places = Places::new(
            numbers.clone().map(|number| self.time(number)).collect(),
            Lane::One(1),
            numbers.map(|number| number as u64).collect(),
        );
        let mut scans = Vec::with_capacity(plan.scans.len());
        for scan in &plan.scans {
            let mut wanted = Vec::with_capacity(scan.columns.len());
            for column in &scan.columns {
                let [PathStep::Field(name)] = &column.path[..] else { return Err("a path".into()) };
                let at = scan.stream.fields.iter().position(|field| field.name() == name);
                wanted.push(Arc::clone(&columns[at.ok_or("no such column")?]));
            }
            let key = scan.keyed.then(|| key.clone());
            scans.push(Rows { places: places.clone(), key, columns: wanted });
        }
        Ok(scans)
    }
}

/// The operators of a plan, one after the other.
struct Operators {
    plan: Arc<Plan>,
    regions: Vec<RegionOperator>,
    results: ResultOperator,
    shown: usize,
}

impl Operators {
    fn process(&mut self, scans: &[Rows], clock: &Clock) -> Outcome<()> {
        let mut feeds: Vec<Vec<Vec<Rows>>> = Vec::with_capacity(self.regions.len());
        for (operator, region) in self.regions.iter_mut().zip(&self.plan.regions) {
            let inputs = region.inputs.iter().map(|input| match *input {
                Input::Scan(scan) => scans.get(scan).cloned().into_iter().collect(),
                Input::Feed { region, feed } => feeds[region][feed].clone(),
                Input::Ticks(_) => Vec::new(),
            });
            let emitted = operator.process(inputs.collect(), clock)?;
            for answer in emitted.answer {
                let shown = self.results.process(answer)?;
                self.shown += answer_batch(&self.plan, &shown)?.num_rows();
            }
            feeds.push(emitted.feeds);
        }
        Ok(())
    }
}

fn report(out: &mut impl Write, events: &Events, query: &str, results: Results) -> Outcome<()> {
    let compiled = compile(query, &Offer(Arc::new(Events::stream())))?;
    let plan = Arc::new(plan(Arc::new(compiled), results));
    let regions = (0..plan.regions.len()).map(|region| RegionOperator::new(Arc::clone(&plan), region));
    let mut operators = Operators {
        regions: regions.collect::<Result<_, _>>()?,
        results: ResultOperator::new(&plan, Mode::Once)?,
        plan: Arc::clone(&plan),
        shown: 0,
    };
    let clock = Instant::now();
    let (mut nanos, mut newest) = (0, 0);
    let epochs = (events.total / events.batch_rows()).max(1);
    for epoch in 0..epochs {
        let rows = events.rows(&plan, epoch)?;
        newest = events.time((epoch + 1) * events.batch_rows() - 1);
        let start = cpu_nanos(clock);
        operators.process(&rows, &Clock { watermark: newest, end: None })?;
        nanos += cpu_nanos(clock) - start;
    }
    let start = cpu_nanos(clock);
    let end = Some(End { ticks: newest, moved: i64::MAX });
    operators.process(&[], &Clock { watermark: newest, end })?;
    let held = operators.results.finish(newest)?.iter().map(Rows::len).sum::<usize>();
    nanos += cpu_nanos(clock) - start;
    let rate = (epochs * events.batch_rows()) as f64 * 1e3 / nanos as f64;
    let keys: usize = operators.regions.iter().map(RegionOperator::keys).sum();
    let bytes: usize = operators.regions.iter().map(RegionOperator::state_bytes).sum();
    let shown_last = operators.results.holds();
    let (keys, bytes) = (keys + shown_last.keys, (bytes + shown_last.bytes) as f64);
    let snapshot = if matches!(results, Results::Snapshot { .. }) { ", a snapshot" } else { "" };
    let (shown, per_key) = (operators.shown + held, bytes / keys.max(1) as f64);
    writeln!(out, "{rate:>12.1} {shown:>10} {per_key:>8.1}  {query}{snapshot}")?;
    Ok(())
}
