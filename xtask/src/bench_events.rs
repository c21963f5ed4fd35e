//! `cargo xtask bench-events`: queries over a Parquet file of events, beside Kaskada, DuckDB and polars, in
//! turn, per CPU-second.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::{PROFILE, Rates, build, output};
use crate::{say, target};

/// How often each is measured; they take turns, and medians are quoted. Each runs itself once more, to warm up.
const ROUNDS: usize = 3;

/// The queries of the peer's script by its names, and what they are in ours; the file has `ts`, `key`, `lang`
/// and `text`.
const QUERIES: [(&str, &str); 10] = [
    ("count", "events.count()"),
    ("langcount", "events.with_key(lang).count()"),
    ("sumcum", "events.text.len().sum()"),
    ("slide_key_h", "events.text.len().sum(window=sliding.hourly(2))"),
    ("slide_lang_min", "events.with_key(lang).text.len().sum(window=sliding.minutely(5))"),
    ("since_key_h", "events.text.len().sum(window=since.hourly())"),
    ("since_lang_min", "events.with_key(lang).count(window=since.minutely())"),
    ("lookup", "events.with_key(lang).count().lookup(events.lang)"),
    ("filter", "events.filter(lang == \"l03\")"),
    ("collect5", "events.text.collect(5)"),
];

/// `GROUP BY key`, as the other engines are asked for it: CPU seconds and rows as a line of JSON.
const GROUP_BY: &str = "
import json, resource, sys
path, engine = sys.argv[1:]
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
if engine == 'duckdb':
    import duckdb
    run = lambda: duckdb.sql(f\"SELECT key, count(*) FROM '{path}' GROUP BY key\").arrow()
else:
    import polars
    run = lambda: polars.scan_parquet(path).group_by('key').len().collect()
run()
start = cpu()
run()
print(json.dumps({'cpu_s': cpu() - start}))
";

/// Measures queries over a file; beside the peers where `SKYTIDE_PEERS` names the folder of their scripts and
/// `SKYTIDE_PYTHON` an interpreter that has what they need.
pub(crate) fn bench(file: Option<&str>) -> Result<(), String> {
    let file = file.ok_or("which file? cargo xtask bench-events EVENTS.parquet")?;
    if !Path::new(file).is_file() {
        return Err(format!("{file}: no such file"));
    }
    build(&["--package", "skytide", "--bins"])?;
    let program = target().join(PROFILE).join("skytide");
    let peers = env::var_os("SKYTIDE_PEERS").map(PathBuf::from);
    let python = env::var_os("SKYTIDE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut rates = Rates::default();
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}\n"));
        for (name, query) in QUERIES {
            for snapshot in [false, true] {
                if snapshot && name != "count" {
                    continue;
                }
                let name = if snapshot { format!("{name}:snap") } else { name.to_owned() };
                let mut ours = Command::new(&program);
                ours.args([
                    "bench", "files", query, "--from", file, "--as", "events", "--time", "ts", "--key", "key",
                ]);
                ours.args(["--runs", "1", "--results", if snapshot { "snapshot" } else { "history" }]);
                let ours = figures(&mut ours)?;
                rates.extend(take(
                    &ours,
                    &name,
                    &["events_per_cpu_s", "memory_events_per_cpu_s", "peak_rss_mib", "rows"],
                ));
                if let Some(peers) = &peers {
                    let mut theirs = Command::new(&python);
                    theirs.arg(peers.join("kaskada_batch.py")).args([file, &name, "1"]);
                    let theirs = figures(&mut theirs)?;
                    let asked =
                        ["events_per_cpu_s", "events_per_cpu_s_with_prepare", "rows_out", "peak_rss_mib"];
                    rates.extend(take(&theirs, &format!("{name} kaskada"), &asked));
                }
            }
        }
        if peers.is_some() {
            for engine in ["duckdb", "polars"] {
                let mut theirs = Command::new(&python);
                theirs.args(["-c", GROUP_BY, file, engine]);
                rates.extend(take(&figures(&mut theirs)?, engine, &["cpu_s"]));
            }
        }
    }
    report(&rates);
    Ok(())
}

/// The line of JSON that a program prints.
fn figures(command: &mut Command) -> Result<Value, String> {
    let printed = output(command)?;
    let line = printed.trim().lines().last().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{error} in {printed:?}"))
}

fn take(figures: &Value, name: &str, fields: &[&str]) -> Vec<(String, f64)> {
    let of = |field: &&str| Some((format!("{name} {field}"), figures[*field].as_f64()?));
    fields.iter().filter_map(of).collect()
}

/// The medians as a table of Markdown: millions of events per CPU-second, and how many times the peer's.
fn report(rates: &Rates) {
    say(
        "\n| query | M events/CPU-s | from memory | MiB | rows | Kaskada | times | with preparation, times | from memory, times |\n",
    );
    say("|---|---|---|---|---|---|---|---|---|\n");
    let names = QUERIES.iter().map(|(name, _)| (*name).to_owned());
    for name in names.chain(["count:snap".to_owned()]) {
        let of = |field: &str| rates.median(&format!("{name} {field}"));
        let peer = |field: &str| rates.median(&format!("{name} kaskada {field}"));
        let millions = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{:.2}", rate / 1e6));
        let whole = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
        let times = |ours: Option<f64>, theirs: Option<f64>| {
            ours.zip(theirs).map_or("-".to_owned(), |(ours, theirs)| format!("{:.1}", ours / theirs))
        };
        let (read, memory) = (of("events_per_cpu_s"), of("memory_events_per_cpu_s"));
        let (alone, prepared) = (peer("events_per_cpu_s"), peer("events_per_cpu_s_with_prepare"));
        say(&format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            millions(read),
            millions(memory),
            whole(of("peak_rss_mib")),
            whole(of("rows")),
            millions(alone),
            times(read, alone),
            times(read, prepared),
            times(memory, alone),
        ));
    }
    for engine in ["duckdb", "polars"] {
        if let Some(seconds) = rates.median(&format!("{engine} cpu_s")) {
            say(&format!("\n{engine}, GROUP BY key: {seconds:.2} CPU-s\n"));
        }
    }
}
