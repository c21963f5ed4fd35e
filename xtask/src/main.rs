//! The project's own commands, run as `cargo xtask COMMAND`: what a person runs is what is checked before a landing.

mod bench;
mod bench_events;
mod bench_python;
mod mutants;
mod python;

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Events of the soak that is one of the checks of a landing.
const SHORT_SOAK: &str = "40000";

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  test    everything a change must pass: format, lints, tests, doc tests, a short soak, the Python package, docs, hostile input,
          fuzz targets; with --complete, fails at once where vectors or Python are missing, rather than ignore their tests
  python  the checks of the Python package alone: cargo xtask python
  wheel   the Python package's wheel as it is shipped, into target/wheels
  soak    the client over a relay with every fault, killed again and again: cargo xtask soak [EVENTS]; 2,000,000 by default
  fuzz    run a fuzz target: cargo xtask fuzz TARGET [SECONDS]; needs a nightly toolchain and cargo-fuzz
  mutants breaks the engine on purpose, in each way that a file of `mutants/` says, and expects the tests to catch it:
          cargo xtask mutants [--list | --only NAME]; all of them take about a quarter of an hour
  bench   figures beside the peers': cargo xtask bench FRAMES.zst; SKYTIDE_PEERS names the folder of the peers' scripts,
          SKYTIDE_PYTHON an interpreter that has what they need
  bench-python  the same of the Python package: cargo xtask bench-python FRAMES.zst
  bench-events  queries over a file of events beside Kaskada's, DuckDB's and polars': cargo xtask bench-events EVENTS.parquet
  help    this text

Tests that read the published vectors run where SKYTIDE_VECTORS names their folder, and are reported as ignored elsewhere.
So are the Python package's where there is no Python of 3.11 or newer; SKYTIDE_PYTHON names one that is not on the path.
";

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("test") => test(args.next().as_deref()),
        Some("python") => python(),
        Some("wheel") => python::wheel(),
        Some("soak") => soak(args.next().as_deref()),
        Some("fuzz") => fuzz(args.next().as_deref(), args.next().as_deref()),
        Some("mutants") => mutants::mutants(args.next().as_deref(), args.next().as_deref()),
        Some("bench") => bench::bench(args.next().as_deref()),
        Some("bench-events") => bench_events::bench(args.next().as_deref()),
        Some("bench-python") => bench_python::bench(args.next().as_deref()),
        Some("help" | "--help" | "-h") | None => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        Some(other) => Err(format!("no command {other:?}\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

/// All checks of a landing, each timed; stops at the first that fails.
fn test(flag: Option<&str>) -> Result<(), String> {
    let vectors = env::var_os("SKYTIDE_VECTORS").is_some();
    let python = python::find()?;
    match flag {
        None => {}
        Some("--complete") if !vectors => return Err("SKYTIDE_VECTORS is not set".to_owned()),
        Some("--complete") if python.is_none() => return Err(python::NONE.to_owned()),
        Some("--complete") => {}
        Some(other) => return Err(format!("no flag {other:?}\n\n{HELP}")),
    }
    let mut tests = vec!["test", "--workspace", "--all-features", "--no-fail-fast"];
    if vectors {
        tests.extend(["--", "--include-ignored"]);
    }
    // Of the whole workspace with all features, as the tests before them: so they have been built.
    let hostile = ["test", "--workspace", "--all-features", "--test", "hostile"];
    let mut steps = Steps::default();
    steps.run("format", cargo(&["fmt", "--all", "--check"]))?;
    steps.run(
        "lints",
        cargo(&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
    )?;
    steps.run("tests and doc tests", cargo(&tests))?;
    // They keep one processor busy, and what follows mostly another one.
    let frames = "crates/atproto";
    let mut million = Command::new(steps.build("hostile frames: their program", &hostile, frames)?);
    if vectors {
        million.arg("--include-ignored");
    }
    million.env("SKYTIDE_HOSTILE", "1000000").current_dir(root().join(frames));
    let million = Beside::start("a million hostile frames", million)?;
    steps.run("a short soak", cargo(&["run", "--all-features", "--bin", "soak", "--", SHORT_SOAK]))?;
    if let Some(python) = &python {
        python::check(&mut steps, python)?;
    }
    let mut docs = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("docs", docs)?;
    steps.join(million)?;
    steps.run(
        "fuzz targets compile",
        cargo(&["check", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"]),
    )?;
    steps.report();
    if !vectors {
        say("SKYTIDE_VECTORS is not set: the tests over published vectors were reported as ignored.\n");
    }
    if python.is_none() {
        say(&format!("The Python package's tests were ignored: {}.\n", python::NONE));
    }
    Ok(())
}

/// The Python package's checks alone.
fn python() -> Result<(), String> {
    let python = python::find()?.ok_or(python::NONE)?;
    let mut steps = Steps::default();
    python::check(&mut steps, &python)?;
    steps.report();
    Ok(())
}

/// The long soak, of so many events.
fn soak(events: Option<&str>) -> Result<(), String> {
    let mut args = vec!["run", "--release", "--package", "skytide-soak", "--"];
    args.extend(events);
    Steps::default().run("soak", cargo(&args))
}

/// One fuzz target for a bounded time.
fn fuzz(target: Option<&str>, seconds: Option<&str>) -> Result<(), String> {
    let target = target.ok_or("which target? see fuzz/fuzz_targets; cargo xtask fuzz TARGET [SECONDS]")?;
    let seconds = seconds.unwrap_or("60");
    seconds.parse::<u32>().map_err(|_| format!("{seconds:?} is not a number of seconds"))?;
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz", "run", target, "--", &format!("-max_total_time={seconds}")]);
    Steps::default().run(target, command)
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    forget_ourselves(&mut command);
    command
}

/// What cargo says in JSON.
fn messages(said: &[u8]) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(said).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The program of a test that was built.
fn test_program(messages: &[serde_json::Value]) -> Option<PathBuf> {
    let mut programs = messages.iter().filter(|of| of["profile"]["test"] == true);
    programs.find_map(|of| Some(PathBuf::from(of["executable"].as_str()?)))
}

/// Takes away what cargo says about xtask to xtask: build scripts that look at it would run again, and what
/// hangs on them be built again, whenever a build by hand follows one from here.
fn forget_ourselves(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            command.env_remove(name);
        }
    }
}

/// The checkout.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo builds.
fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// What was run, and how long it took.
#[derive(Default)]
struct Steps(Vec<(String, Duration)>);

/// A step that runs while others do. Its output goes to a file and is shown when it is waited for; if it is
/// not, it is killed.
struct Beside {
    name: &'static str,
    command: Command,
    child: Child,
    output: PathBuf,
}

impl Beside {
    fn start(name: &'static str, mut command: Command) -> Result<Self, String> {
        let output = target().join(name.replace(' ', "-")).with_extension("log");
        let file = File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let copy = file.try_clone().map_err(|error| format!("{}: {error}", output.display()))?;
        let child = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn();
        let child = child.map_err(|error| format!("{name}: {command:?} does not start: {error}"))?;
        Ok(Self { name, command, child, output })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Steps {
    fn run(&mut self, name: &str, mut command: Command) -> Result<(), String> {
        say(&format!("== {name}\n"));
        let start = Instant::now();
        let status =
            command.status().map_err(|error| format!("{name}: {command:?} does not start: {error}"))?;
        self.ended(name, start.elapsed(), status, &command)
    }

    /// Builds tests, and gives the program of the one that is `of` this folder.
    fn build(&mut self, name: &str, test: &[&str], of: &str) -> Result<PathBuf, String> {
        say(&format!("== {name}\n"));
        let start = Instant::now();
        let mut command = cargo(test);
        command.args(["--no-run", "--message-format=json-render-diagnostics"]).stderr(Stdio::inherit());
        let output =
            command.output().map_err(|error| format!("{name}: {command:?} does not start: {error}"))?;
        self.ended(name, start.elapsed(), output.status, &command)?;
        let mut messages = messages(&output.stdout);
        let of = root().join(of);
        let is_of = |source: &str| Path::new(source).starts_with(&of);
        messages.retain(|message| message["target"]["src_path"].as_str().is_some_and(is_of));
        test_program(&messages).ok_or_else(|| format!("{name}: cargo names no program"))
    }

    /// Waits for a step; what it took is what it was waited for.
    fn join(&mut self, mut step: Beside) -> Result<(), String> {
        say(&format!("== {}\n", step.name));
        let start = Instant::now();
        let status = step.child.wait().map_err(|error| format!("{}: {error}", step.name))?;
        let output = fs::read(&step.output).map_err(|error| format!("{}: {error}", step.output.display()))?;
        say(&String::from_utf8_lossy(&output));
        self.ended(step.name, start.elapsed(), status, &step.command)
    }

    fn ended(
        &mut self,
        name: &str,
        took: Duration,
        status: ExitStatus,
        command: &Command,
    ) -> Result<(), String> {
        self.0.push((name.to_owned(), took));
        if status.success() {
            return Ok(());
        }
        self.report();
        // What is run, without the variables that are set and taken away.
        let words: Vec<_> = [command.get_program()]
            .into_iter()
            .chain(command.get_args())
            .map(|word| word.to_string_lossy())
            .collect();
        Err(format!("{name} failed ({status}): {}", words.join(" ")))
    }

    fn report(&self) {
        let total: Duration = self.0.iter().map(|(_, took)| *took).sum();
        for (name, took) in
            self.0.iter().map(|(name, took)| (name.as_str(), *took)).chain([("in all", total)])
        {
            say(&format!("{:>6.1} min  {name}\n", took.as_secs_f64() / 60.0));
        }
    }
}

#[allow(clippy::print_stdout, reason = "xtask talks to a person on a terminal")]
fn say(text: &str) {
    print!("{text}");
}

#[allow(clippy::print_stderr, reason = "xtask talks to a person on a terminal")]
fn complain(text: &str) {
    eprintln!("xtask: {text}");
}
