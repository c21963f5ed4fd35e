//! `cargo xtask bench`: our figures beside the peers', in turn, as ratios per CPU-second.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{cargo, say, target};

/// How often each is measured; they take turns, and medians are quoted.
pub(crate) const ROUNDS: usize = 5;
/// The profile that is shipped.
pub(crate) const PROFILE: &str = "dist";

const POSTS: &str = "posts.with_key(record.langs[0]).count()";
const LIKES: &str = "likes.with_key(record.subject.uri).count()";

/// Measures decoding and queries over a recording, beside a full decode and, where `SKYTIDE_PEERS` names the
/// folder of peer scripts and `SKYTIDE_PYTHON` an interpreter that has what they need, beside the Python
/// ways.
pub(crate) fn bench(recording: Option<&str>) -> Result<(), String> {
    let recording = recording.ok_or("which recording? cargo xtask bench FRAMES.zst")?;
    if !Path::new(recording).is_file() {
        return Err(format!("{recording}: no such file"));
    }
    build(&["--package", "skytide", "--bins"])?;
    build(&["--package", "skytide-atproto", "--example", "full_decode"])?;
    let bin = target().join(PROFILE);
    let program = bin.join("skytide");
    let mut ways: Vec<Way<'_>> = vec![
        Way::new("full decode into Ipld", &bin.join("examples/full_decode"), &[recording]),
        Way::new(
            "skytide, posts by language",
            &program,
            &["bench", "query", recording, "--runs", "1", "--query", POSTS],
        ),
        Way::new(
            "skytide, likes by subject",
            &program,
            &["bench", "query", recording, "--runs", "1", "--query", LIKES],
        ),
        Way::new(
            "skytide, posts, decoding alone",
            &program,
            &["bench", "decode", recording, "--runs", "1", "--query", POSTS],
        ),
        Way::new(
            "skytide, likes, decoding alone",
            &program,
            &["bench", "decode", recording, "--runs", "1", "--query", LIKES],
        ),
    ];
    let peers = env::var_os("SKYTIDE_PEERS").map(PathBuf::from);
    let python = env::var_os("SKYTIDE_PYTHON").unwrap_or_else(|| "python3".into());
    let mut python_ways = Rates::default();
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}\n"));
        for way in &mut ways {
            way.measure()?;
        }
        if let Some(peers) = &peers {
            let mut command = Command::new(&python);
            command.arg(peers.join("python_decode.py")).arg(recording);
            python_ways.extend(python_rates(&output(&mut command)?));
        }
    }
    let mut table: Vec<(String, f64)> =
        ways.iter().map(|way| (way.name.to_owned(), median(&way.rates))).collect();
    table.extend(python_ways.medians().map(|(name, rate)| (name.to_owned(), rate)));
    report(&table);
    Ok(())
}

/// Builds in the profile that is shipped.
pub(crate) fn build(what: &[&str]) -> Result<(), String> {
    let mut command = cargo(&["build", "--profile", PROFILE]);
    command.args(what);
    let status = command.status().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed")) }
}

/// Frames per CPU-second by the name of the way, once a round.
#[derive(Default)]
pub(crate) struct Rates(Vec<(String, Vec<f64>)>);

impl Rates {
    pub(crate) fn extend(&mut self, measured: impl IntoIterator<Item = (String, f64)>) {
        for (name, rate) in measured {
            match self.0.iter_mut().find(|(known, _)| *known == name) {
                Some((_, rates)) => rates.push(rate),
                None => self.0.push((name, vec![rate])),
            }
        }
    }

    /// The medians, in the order in which the ways were first measured.
    pub(crate) fn medians(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, rates)| (name.as_str(), median(rates)))
    }

    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.medians().find(|(known, _)| *known == name).map(|(_, rate)| rate)
    }
}

/// Names and rates from lines of JSON with `way` and `frames_per_cpu_s`.
pub(crate) fn json_rates(printed: &str) -> Result<Vec<(String, f64)>, String> {
    let rate = |line: &str| {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("{error} in {line:?}"))?;
        let rate = line["way"].as_str().zip(line["frames_per_cpu_s"].as_f64());
        rate.map(|(way, rate)| (way.to_owned(), rate)).ok_or_else(|| format!("no rate in {line}"))
    };
    printed.lines().map(rate).collect()
}

/// A program that prints one JSON line with its frames per CPU-second.
struct Way<'a> {
    name: &'static str,
    program: PathBuf,
    args: Vec<&'a str>,
    rates: Vec<f64>,
}

impl<'a> Way<'a> {
    fn new(name: &'static str, program: &Path, args: &[&'a str]) -> Self {
        Self { name, program: program.to_owned(), args: args.to_vec(), rates: Vec::new() }
    }

    fn measure(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        let printed = output(&mut command)?;
        let line: Value = serde_json::from_str(printed.trim())
            .map_err(|error| format!("{}: {error} in {printed:?}", self.name))?;
        let rate =
            line["frames_per_cpu_s"].as_f64().ok_or_else(|| format!("{}: no rate in {line}", self.name))?;
        self.rates.push(rate);
        Ok(())
    }
}

pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let ran = command.output().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if !ran.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&ran.stderr)));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// Names and rates from lines as `P1 sdk, posts typed   12400 frames/cpu-s …`.
pub(crate) fn python_rates(printed: &str) -> Vec<(String, f64)> {
    let rate = |line: &str| {
        let (before, _) = line.split_once(" frames/cpu-s")?;
        let (name, rate) = before.trim_end().rsplit_once(' ')?;
        Some((format!("Python {}", name.trim()), rate.parse().ok()?))
    };
    printed.lines().filter_map(rate).collect()
}

fn median(rates: &[f64]) -> f64 {
    let mut rates = rates.to_vec();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A Markdown table: each way, and how many times it our two queries are.
fn report(table: &[(String, f64)]) {
    let rate = |name: &str| table.iter().find(|(known, _)| known == name).map_or(f64::NAN, |(_, rate)| *rate);
    let (posts, likes) = (rate("skytide, posts by language"), rate("skytide, likes by subject"));
    say(
        "\n| way | frames per CPU-second | posts by language is | likes by subject is |\n|---|---|---|---|\n",
    );
    for (name, rate) in table {
        say(&format!("| {name} | {rate:.0} | {:.1} times | {:.1} times |\n", posts / rate, likes / rate));
    }
}
