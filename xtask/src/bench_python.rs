//! `cargo xtask bench-python`: the Python package's figures beside the peers', in turn, as ratios per CPU-second.
//!
//! The package is laid out in a folder as its wheel is, from the profile that is shipped, and run by the
//! peers' interpreter.

use std::env::{self, consts};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::bench::{PROFILE, ROUNDS, Rates, build, json_rates, output, python_rates};
use crate::{root, say, target};

/// Frames that are received over a socket in one round.
const RECEIVED: &str = "1000000";
/// Of those who are slower.
const RECEIVED_BY_PEERS: &str = "60000";
/// Ways of `bench/loopback.py`.
const OURS: &str = "skytide";
const PEERS: [&str; 2] = ["websockets-sync", "websockets-asyncio"];

const TYPED: &str = "P1 sdk, posts typed";
const EXPERT: &str = "P4 libipld, CAR if a post";

/// Measures the package over a recording. `SKYTIDE_PYTHON` names an interpreter; where `SKYTIDE_PEERS` names
/// the folder of peer scripts, it has to have what they need.
pub(crate) fn bench(recording: Option<&str>) -> Result<(), String> {
    let recording = recording.ok_or("which recording? cargo xtask bench-python FRAMES.zst")?;
    build(&["--package", "skytide", "--bins"])?;
    build(&["--package", "skytide-python"])?;
    let package = Package::lay_out()?;
    let peers = env::var_os("SKYTIDE_PEERS").map(PathBuf::from);
    let mut rates = Rates::default();
    for round in 1..=ROUNDS {
        say(&format!("round {round} of {ROUNDS}\n"));
        rates.extend(json_rates(&output(package.bench("frames.py").arg(recording))?)?);
        if let Some(peers) = &peers {
            let mut command = package.python();
            command.arg(peers.join("python_decode.py")).arg(recording);
            rates.extend(python_rates(&output(&mut command)?));
        }
        let server = Server::start(&package.program, recording)?;
        let ways = [(OURS, RECEIVED)];
        let theirs = PEERS.map(|way| (way, RECEIVED_BY_PEERS));
        for (way, frames) in ways.into_iter().chain(theirs.into_iter().filter(|_| peers.is_some())) {
            let mut command = package.bench("loopback.py");
            command.args([way, &server.url, frames]);
            let measured = json_rates(&output(&mut command)?)?;
            rates
                .extend(measured.into_iter().map(|(name, rate)| (format!("over a WebSocket: {name}"), rate)));
        }
    }
    report(&rates);
    say("\nDicts pushed one at a time, the example at a steady rate, imports:\n\n");
    for rows in ["0", "1000000"] {
        say(&output(package.bench("push.py").arg(rows))?);
    }
    // Counted again with a peer's decoder.
    if peers.is_some() {
        say(&output(package.bench("bluesky.py").arg(&package.program))?);
    }
    say(&output(&mut package.bench("import_time.py"))?);
    Ok(())
}

/// The package as its wheel has it, and who runs it.
struct Package {
    folder: PathBuf,
    python: std::ffi::OsString,
    program: PathBuf,
}

impl Package {
    fn lay_out() -> Result<Self, String> {
        let folder = target().join("python").join("bench");
        let to = folder.join("skytide");
        let failed = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
        if to.exists() {
            fs::remove_dir_all(&to).map_err(|error| failed(&to, error))?;
        }
        copy(&root().join("crates/python/python/skytide"), &to).map_err(|error| failed(&to, error))?;
        let built = format!("{}_skytide{}", consts::DLL_PREFIX, consts::DLL_SUFFIX);
        let library = target().join(PROFILE).join(built);
        let name = if cfg!(windows) { "_skytide.pyd" } else { "_skytide.abi3.so" };
        fs::copy(&library, to.join(name)).map_err(|error| failed(&library, error))?;
        let program = target().join(PROFILE).join(format!("skytide{}", consts::EXE_SUFFIX));
        let python = env::var_os("SKYTIDE_PYTHON").unwrap_or_else(|| "python3".into());
        Ok(Self { folder, python, program })
    }

    fn python(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.env("PYTHONPATH", &self.folder);
        command
    }

    fn bench(&self, script: &str) -> Command {
        let mut command = self.python();
        command.arg(root().join("crates/python/bench").join(script));
        command
    }
}

/// Copies a folder and all that is in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// A server that sends the recording as fast as it is read, over and over; ended when dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(program: &Path, recording: &str) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["sim", "--listen", "127.0.0.1:0", "--rate", "0", "--replay", recording]);
        command.stderr(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
        let mut line = String::new();
        if let Some(stderr) = process.stderr.take() {
            // What it goes on to say is not much, and nobody waits for it.
            BufReader::new(stderr).read_line(&mut line).map_err(|error| format!("{command:?}: {error}"))?;
        }
        let url = line.split_whitespace().find(|word| word.starts_with("ws://")).map(str::to_owned);
        let server = Self { process, url: url.clone().unwrap_or_default() };
        url.map(|_| server).ok_or_else(|| format!("{command:?} serves nothing: {line}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Markdown table: each way, and how many times the peers' it is.
fn report(rates: &Rates) {
    let times = |rate: f64, of: &str| match rates.median(of) {
        Some(peer) => format!("{:.1}", rate / peer),
        None => "–".to_owned(),
    };
    say(
        "\n| way | frames per CPU-second | times P1 | times P4 | times the faster of websockets |\n|---|---|---|---|---|\n",
    );
    let faster = PEERS.map(|way| format!("over a WebSocket: {way}"));
    let faster = faster.iter().max_by(|a, b| {
        let rate = |name: &str| rates.median(name).unwrap_or_default();
        rate(a).total_cmp(&rate(b))
    });
    for (name, rate) in rates.medians() {
        let wire = faster
            .filter(|_| name.starts_with("over"))
            .map_or_else(|| "–".to_owned(), |faster| times(rate, faster));
        let (p1, p4) = (times(rate, &format!("Python {TYPED}")), times(rate, &format!("Python {EXPERT}")));
        say(&format!("| {name} | {rate:.0} | {p1} | {p4} | {wire} |\n"));
    }
}
