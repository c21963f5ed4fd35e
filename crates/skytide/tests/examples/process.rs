//! Programs run as processes, each for a minute at the most.

use std::env::consts::EXE_SUFFIX;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// More than any of them takes, by far.
const LIMIT: Duration = Duration::from_secs(60);

/// Where cargo puts the examples: beside the program. It builds them before it runs tests, but not where it
/// is told which tests to run.
pub(crate) fn example(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_skytide"));
    let path = program.with_file_name("examples").join(format!("{name}{EXE_SUFFIX}"));
    assert!(
        path.exists(),
        "the example {name} is not built, there is no {}: before single tests run `cargo build -p skytide --examples`",
        path.display()
    );
    path
}

/// The program itself.
pub(crate) fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_skytide").into()
}

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    name: String,
    lines: Receiver<String>,
    stderr: Receiver<String>,
    ends: Instant,
}

/// What a program did.
pub(crate) struct Done {
    pub(crate) status: ExitStatus,
    /// The lines that were not read while it ran.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let (line, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().try_for_each(|text| line.send(text.unwrap())));
        let (text, stderr) = channel();
        let mut said = child.stderr.take().unwrap();
        thread::spawn(move || {
            let mut all = String::new();
            said.read_to_string(&mut all).unwrap();
            text.send(all)
        });
        Self { child, name: program.display().to_string(), lines, stderr, ends: Instant::now() + LIMIT }
    }

    fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// The next line of its stdout; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(self.left()) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.too_long(),
        }
    }

    /// Interrupts it, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// Closes the pipe that it prints to, as `head` does.
    pub(crate) fn close(mut self) -> Done {
        let (_, closed) = channel();
        // The reader of the pipe ends with the next line, which it has nobody to give to.
        self.lines = closed;
        self.finish()
    }

    /// Waits until it ends.
    pub(crate) fn finish(mut self) -> Done {
        let lines = std::iter::from_fn(|| self.line()).collect();
        let Ok(stderr) = self.stderr.recv_timeout(self.left()) else { self.too_long() };
        // Both pipes are closed: it ends.
        let status = self.child.wait().unwrap();
        Done { status, lines, stderr }
    }

    fn too_long(&mut self) -> ! {
        self.child.kill().unwrap();
        let stderr = self.stderr.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
        panic!("{} did not end within {LIMIT:?}; it says: {stderr}", self.name);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
