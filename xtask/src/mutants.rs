//! Mutants: small breaks of the engine, each kept as a file, each to be caught by the tests that it names.
//!
//! A test that passes says little until it has been seen to fail. A mutant is a text that stands once in a
//! source file and what takes its place (`mutants/NAME.toml`), which lasts longer than line numbers do. The
//! sources are copied beside the build, so the checkout is never touched; all mutants share one folder of
//! builds, in which each makes anew only what hangs on it. A mutant that does not build, or whose tests fail
//! without it, proves nothing, and fails the command as one that survives does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{cargo, messages, root, say, target, test_program};

/// The folder of the mutants, in the checkout.
const FOLDER: &str = "mutants";
/// The longest that tests may take: a mutant that makes them hang is caught.
const LIMIT: Duration = Duration::from_secs(600);
/// How often a running test is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// A break of the engine.
#[derive(Debug)]
struct Mutant {
    /// The name of its file.
    name: String,
    /// What it breaks, in a line.
    breaks: String,
    /// The file that it changes, from the checkout's root.
    file: PathBuf,
    /// The text that goes; it stands once in the file.
    find: String,
    /// What comes in its place.
    put: String,
    /// The tests that catch it.
    tests: Tests,
}

/// Tests of one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Tests {
    /// The package.
    package: String,
    /// `lib` for those in the sources, else the name of the file or folder under `tests`.
    target: String,
    /// A part of the names of the tests; empty for all.
    filter: String,
}

/// How tests ended.
enum Ended {
    Passed,
    /// The names of those that failed; none where the program ended otherwise.
    Failed(Vec<String>),
    Hung,
}

/// `cargo xtask mutants [--list | --only NAME]`.
pub(crate) fn mutants(flag: Option<&str>, name: Option<&str>) -> Result<(), String> {
    let mut mutants = read(root())?;
    match (flag, name) {
        (None, _) => {}
        (Some("--list"), None) => {
            let width = width(&mutants);
            mutants.iter().for_each(|mutant| say(&format!("{:width$}  {}\n", mutant.name, mutant.breaks)));
            return Ok(());
        }
        (Some("--only"), Some(name)) => {
            mutants.retain(|mutant| mutant.name == name);
            if mutants.is_empty() {
                return Err(format!("no mutant {name:?}; cargo xtask mutants --list names them"));
            }
        }
        (Some(other), _) => {
            return Err(format!("what is {other:?}? cargo xtask mutants [--list | --only NAME]"));
        }
    }
    // Those of one program and one file side by side, so that little is built twice.
    mutants.sort_by(|a, b| (&a.tests, &a.file, &a.name).cmp(&(&b.tests, &b.file, &b.name)));
    for mutant in &mutants {
        mutant.applied(root())?;
    }
    let bench = Bench::new()?;
    let programs: BTreeSet<&Tests> = mutants.iter().map(|mutant| &mutant.tests).collect();
    for tests in programs {
        say(&format!("== without a mutant: {tests}\n"));
        match bench.run(tests, "none")? {
            Ended::Passed => {}
            Ended::Failed(_) | Ended::Hung => {
                return Err(format!("{tests} fail without any mutant: {}", bench.log("none")));
            }
        }
    }
    let width = width(&mutants);
    let (mut table, mut survived) = (String::new(), Vec::new());
    for mutant in &mutants {
        let start = Instant::now();
        let caught = match bench.try_mutant(mutant)? {
            Ended::Passed => {
                survived.push(mutant.name.as_str());
                "NOBODY: it survives".to_owned()
            }
            Ended::Hung => format!("{}, which no longer end", mutant.tests),
            Ended::Failed(names) => match names.as_slice() {
                [] => format!("{}, which end otherwise", mutant.tests),
                [one] => one.clone(),
                [one, more @ ..] => format!("{one} and {} more", more.len()),
            },
        };
        let line = format!("{:width$}  {:>5.0} s  {caught}\n", mutant.name, start.elapsed().as_secs_f64());
        say(&line);
        table.push_str(&line);
    }
    say(&format!("\n{:width$}  {:>7}  caught by\n{table}", "mutant", "time"));
    if survived.is_empty() { Ok(()) } else { Err(format!("no test catches {}", survived.join(", "))) }
}

fn width(mutants: &[Mutant]) -> usize {
    mutants.iter().map(|mutant| mutant.name.len()).max().unwrap_or(0)
}

/// All mutants of a checkout, by name.
fn read(checkout: &Path) -> Result<Vec<Mutant>, String> {
    let folder = checkout.join(FOLDER);
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.iter().map(|path| Mutant::read(path)).collect()
}

impl Mutant {
    fn read(path: &Path) -> Result<Self, String> {
        let wrong = |what: &str| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(&error.to_string()))?;
        let known = ["breaks", "file", "find", "put", "package", "target", "filter"];
        if let Some(other) = table.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(wrong(&format!("what is `{other}`?")));
        }
        let optional = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
        let text = |key: &str| optional(key).ok_or_else(|| wrong(&format!("it has no `{key}`")));
        Ok(Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            breaks: text("breaks")?,
            file: text("file")?.into(),
            find: text("find")?,
            put: text("put")?,
            tests: Tests {
                package: text("package")?,
                target: text("target")?,
                filter: optional("filter").unwrap_or_default(),
            },
        })
    }

    /// The text of its file with the mutant in it.
    fn applied(&self, checkout: &Path) -> Result<String, String> {
        let path = checkout.join(&self.file);
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("mutant {}: {}: {error}", self.name, path.display()))?;
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.put, 1)),
            times => Err(format!(
                "mutant {} does not apply: its text stands {times} times in {}: {}",
                self.name,
                self.file.display(),
                self.find.trim()
            )),
        }
    }
}

impl std::fmt::Display for Tests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tests of {} ({}", self.package, self.target)?;
        if self.filter.is_empty() { write!(f, ")") } else { write!(f, " {})", self.filter) }
    }
}

/// Where mutants are built and tested.
struct Bench {
    /// A copy of the checkout.
    source: PathBuf,
    /// What is built of it.
    build: PathBuf,
    /// What building and testing said, a file a mutant.
    logs: PathBuf,
    /// Two at a time would test each other's mutants.
    _lock: File,
}

impl Bench {
    fn new() -> Result<Self, String> {
        let folder = target().join("mutants");
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        let (source, build, logs) = (folder.join("source"), folder.join("build"), folder.join("logs"));
        fs::create_dir_all(&logs).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        lock.try_lock()
            .map_err(|error| format!("{}: mutants are being tested: {error}", folder.display()))?;
        let bench = Self { source, build, logs, _lock: lock };
        bench.copy()?;
        Ok(bench)
    }

    /// Makes the copy what the checkout is. What is the same already stays untouched, so that it need not be
    /// built again.
    fn copy(&self) -> Result<(), String> {
        let mut git = Command::new("git");
        git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = git.output().map_err(|error| format!("git does not start: {error}"))?;
        if !listed.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&listed.stderr)));
        }
        let names = String::from_utf8_lossy(&listed.stdout);
        let mut wanted: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        for name in names.split('\0').filter(|name| !name.is_empty()) {
            // A file that was deleted is listed until that is committed.
            let from = root().join(name);
            if from.is_file() {
                wanted.insert(self.source.join(name), from);
            }
        }
        remove_others(&self.source, &wanted)?;
        for (to, from) in &wanted {
            let text = fs::read(from).map_err(|error| format!("{}: {error}", from.display()))?;
            if fs::read(to).ok().as_ref() == Some(&text) {
                continue;
            }
            let folder = to.parent().unwrap_or(&self.source);
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(to, text));
            written.map_err(|error| format!("{}: {error}", to.display()))?;
        }
        Ok(())
    }

    fn log(&self, name: &str) -> String {
        self.logs.join(name).display().to_string()
    }

    /// Tests a mutant, and takes it away again.
    fn try_mutant(&self, mutant: &Mutant) -> Result<Ended, String> {
        let path = self.source.join(&mutant.file);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let before = fs::read(&path).map_err(failed)?;
        fs::write(&path, mutant.applied(&self.source)?).map_err(failed)?;
        let ended = self.run(&mutant.tests, &mutant.name);
        fs::write(&path, before).map_err(failed)?;
        ended
    }

    /// Builds tests and runs them.
    fn run(&self, tests: &Tests, log: &str) -> Result<Ended, String> {
        let program = self.build(tests, log)?;
        let path = self.log(log);
        let failed = |error: std::io::Error| format!("{path}: {error}");
        let out = File::create(&path).map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args([tests.filter.as_str()].iter().filter(|filter| !filter.is_empty()))
            .current_dir(self.source.join("crates").join(tests.package.trim_start_matches("skytide-")))
            .env("INSTA_UPDATE", "no")
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .stdin(Stdio::null())
            .stderr(out.try_clone().map_err(failed)?)
            .stdout(out);
        let mut child = command.spawn().map_err(|error| format!("{tests}: {error}"))?;
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|error| format!("{tests}: {error}"))? {
                break status;
            }
            if start.elapsed() > LIMIT {
                let ended = child.kill().and_then(|()| child.wait());
                ended.map_err(|error| format!("{tests}: {error}"))?;
                return Ok(Ended::Hung);
            }
            thread::sleep(LOOK);
        };
        let said = fs::read(&path).map_err(failed)?;
        let said = String::from_utf8_lossy(&said);
        let name_of = |line: &str| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned);
        let names: Vec<String> = said.lines().filter_map(name_of).collect();
        if !status.success() {
            return Ok(Ended::Failed(names));
        }
        if said.contains("test result: ok. 0 passed") {
            return Err(format!("{tests}: there are none"));
        }
        Ok(Ended::Passed)
    }

    /// Builds tests; gives their program.
    fn build(&self, tests: &Tests, log: &str) -> Result<PathBuf, String> {
        let mut command = cargo(&["test", "--no-run", "--message-format=json", "--package", &tests.package]);
        match tests.target.as_str() {
            "lib" => command.arg("--lib"),
            name => command.args(["--test", name]),
        };
        command
            .current_dir(&self.source)
            .env("CARGO_TARGET_DIR", &self.build)
            // What a small change does not reach within a crate is not built again either; nobody debugs a mutant.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        let output = command.output().map_err(|error| format!("{command:?} does not start: {error}"))?;
        let messages = messages(&output.stdout);
        if !output.status.success() {
            let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
            messages
                .iter()
                .filter_map(|of| Some(of["message"]["rendered"].as_str()?.to_owned()))
                .for_each(|of| text.push_str(&of));
            let path = self.log(log);
            fs::write(&path, text).map_err(|error| format!("{path}: {error}"))?;
            return Err(format!("mutant {log}: {tests} do not build: {path}"));
        }
        test_program(&messages).ok_or_else(|| format!("{tests}: cargo names no program"))
    }
}

/// Takes away the files of a folder that are not wanted.
fn remove_others(folder: &Path, wanted: &BTreeMap<PathBuf, PathBuf>) -> Result<(), String> {
    // Nothing has been copied yet.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains_key(&path) {
            fs::remove_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_mutant_applies_and_names_tests_that_are_there() {
        let mutants = read(root()).unwrap_or_else(|error| panic!("{error}"));
        assert!(mutants.len() >= 20, "{} mutants", mutants.len());
        for mutant in &mutants {
            mutant.applied(root()).unwrap_or_else(|error| panic!("{error}"));
            assert!(mutant.find != mutant.put && !mutant.breaks.contains('\n'), "{mutant:?}");
            let package = root().join("crates").join(mutant.tests.package.trim_start_matches("skytide-"));
            let sources = match mutant.tests.target.as_str() {
                "lib" => vec![package.join("src/lib.rs")],
                name => ["tests/NAME.rs", "tests/NAME/main.rs"]
                    .map(|path| package.join(path.replace("NAME", name)))
                    .to_vec(),
            };
            let is_there = sources.iter().any(|source| source.is_file());
            assert!(is_there, "{}: no {}", mutant.name, sources[0].display());
        }
        // What must never go unseen.
        for name in [
            "merge-removed",
            "reset-before-row",
            "tick-before-event",
            "watermark-off-by-one",
            "null-counted",
            "window-end-exclusive",
            "key-hash-changed",
            "shard-not-restored",
        ] {
            assert!(mutants.iter().any(|mutant| mutant.name == name), "no mutant {name}");
        }
    }

    #[test]
    fn a_text_that_stands_twice_or_never_does_not_apply() {
        let mut mutant = read(root()).unwrap().remove(0);
        mutant.find = "use ".to_owned();
        assert!(mutant.applied(root()).unwrap_err().contains("does not apply"));
        mutant.find = "no such text anywhere".to_owned();
        assert!(mutant.applied(root()).unwrap_err().contains("0 times"));
    }
}
