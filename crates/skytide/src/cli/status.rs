//! What the program says of its work, on stderr: a line that keeps itself up to date on a terminal, and a last line.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use skytide_connect::source::Status;

use super::visible::visible;
use super::waiting::waits;

/// How often the line is brought up to date.
const EVERY: Duration = Duration::from_millis(200);

/// The status of a run.
pub(crate) struct StatusLine {
    bar: ProgressBar,
    quiet: bool,
    /// Whether events carry the time of day, so that the lag means something.
    shows_lag: bool,
    started: Instant,
    drawn: Option<(Instant, u64)>,
    /// Events that were read by earlier runs.
    earlier: u64,
    rate: f64,
    /// What it was told last.
    last: (Status, usize),
}

impl StatusLine {
    pub(crate) fn new(quiet: bool, shows_lag: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::no_length() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self {
            bar,
            quiet,
            shows_lag,
            started: Instant::now(),
            drawn: None,
            earlier: 0,
            rate: 0.0,
            last: Default::default(),
        }
    }

    /// Says that so many events were read by runs before.
    pub(crate) fn resumed(&mut self, earlier: u64) {
        self.earlier = self.earlier.max(earlier);
    }

    /// Brings the line up to date, if it is time to.
    pub(crate) fn update(&mut self, status: &Status, rows: usize) {
        self.last = (status.clone(), rows);
        if self.bar.is_hidden() || self.drawn.is_some_and(|(at, _)| at.elapsed() < EVERY) {
            return;
        }
        if let Some(progress) = status.progress {
            if self.bar.length() != Some(progress.total) {
                self.bar.set_length(progress.total);
                if let Ok(style) = ProgressStyle::with_template("{bar:24} {percent:>3}% {msg}") {
                    self.bar.set_style(style);
                }
            }
            self.bar.set_position(progress.done);
        }
        let now = Instant::now();
        let (since, before) = self.drawn.unwrap_or((self.started, self.earlier));
        let seconds = now.duration_since(since).as_secs_f64().max(1e-3);
        self.rate = status.read.saturating_sub(before) as f64 / seconds;
        self.drawn = Some((now, status.read));
        let mut message = format!("{} events/s", HumanCount(self.rate as u64));
        if let Some(lag) = status.newest.filter(|_| self.shows_lag).and_then(lag) {
            message.push_str(&format!(", {lag:.1} s behind"));
        }
        message.push_str(&format!(", {}{}", counted(rows as u64, "row"), drops(status)));
        self.bar.set_message(message);
        self.bar.tick();
    }

    /// Prints to the terminal with the line out of the way.
    pub(crate) fn aside(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    /// The last line where the work failed, if anything was done before.
    pub(crate) fn broke_off(&self) {
        let (status, rows) = &self.last;
        if status.read > 0 {
            self.finish(status, *rows);
        }
    }

    /// The last line.
    pub(crate) fn finish(&self, status: &Status, rows: usize) {
        self.bar.finish_and_clear();
        if self.quiet {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let new = match self.earlier {
            0 => String::new(),
            earlier => format!(", {} of them", HumanCount(status.read.saturating_sub(earlier))),
        };
        say(&format!(
            "{}{new} in {seconds:.1} s, {}{}\n",
            counted(status.read, "event"),
            counted(rows as u64, "row"),
            drops(status)
        ));
    }
}

/// So many of something: `1 row`, `2,000 rows`.
fn counted(number: u64, of: &str) -> String {
    format!("{} {of}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}

/// Seconds from an event's time to now.
fn lag(newest: i64) -> Option<f64> {
    let newest = Timestamp::from_nanosecond(newest.into()).ok()?;
    Some(Timestamp::now().duration_since(newest).as_secs_f64())
}

/// What was not handed on, by reason.
fn drops(status: &Status) -> String {
    let mut text = String::new();
    for (reason, count) in status.dropped.iter().filter(|(_, count)| **count > 0) {
        text.push_str(&format!(", {} {}", HumanCount(*count), of_count(reason, *count)));
        if let Some(first) = status.unread.as_ref().filter(|_| *reason == "without a time") {
            text.push_str(&format!(" (the first: \"{}\")", visible(first)));
        }
    }
    if status.spilled > 0 {
        text.push_str(&format!(", {} kept on disk while sorting", HumanBytes(status.spilled)));
    }
    text
}

/// What is counted, of which there are so many.
fn of_count(reason: &str, count: u64) -> String {
    let (what, rest) = reason.split_once(" of ").unwrap_or((reason, ""));
    match what.strip_suffix('s').filter(|_| count == 1) {
        Some(one) if rest.is_empty() => one.to_owned(),
        Some(one) => format!("{one} of {rest}"),
        None => reason.to_owned(),
    }
}

/// The line, which the threads of several queries share.
pub(crate) fn lock(line: &Mutex<StatusLine>) -> MutexGuard<'_, StatusLine> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says something on stderr. A closed stderr is nobody's concern.
pub(crate) fn say(text: &str) {
    let _ = waits(|| {
        let mut stderr = std::io::stderr().lock();
        stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush())
    });
}
