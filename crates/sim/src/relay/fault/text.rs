//! The text form of faults: what programs take as a flag or from a file. What is written reads back as the same.

use std::fmt;
use std::str::{FromStr, SplitWhitespace};
use std::time::Duration;

use super::{ConnectFault, Fault, FaultKind, FaultRates, FaultScript, FrameFault, Line, Which};
use crate::relay::CursorRule;

/// A text is no fault, or none that may stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}found {found}, expected {expected}", Where(*line))]
pub struct FaultSyntaxError {
    /// The line of the script, from one; none for [`FaultRates`], which are one line.
    pub line: Option<usize>,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub expected: String,
}

struct Where(Option<usize>);

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, "line {line}: "))
    }
}

impl FaultSyntaxError {
    fn new(found: Option<&str>, expected: impl Into<String>) -> Self {
        let found = found.map_or_else(|| "the end".to_owned(), |word| format!("`{word}`"));
        Self { line: None, found, expected: expected.into() }
    }
}

type Parsed<T> = Result<T, FaultSyntaxError>;

/// The words of a line that are left.
struct Words<'a>(std::iter::Peekable<SplitWhitespace<'a>>);

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self(text.split_whitespace().peekable())
    }

    /// Takes this word if it is next.
    fn take(&mut self, word: &str) -> bool {
        self.0.next_if(|next| *next == word).is_some()
    }

    /// Takes this word, which must be next.
    fn must(&mut self, word: &str) -> Parsed<()> {
        match self.0.next() {
            Some(next) if next == word => Ok(()),
            other => Err(FaultSyntaxError::new(other, format!("`{word}`"))),
        }
    }

    /// Takes a word that can be read as something.
    fn read<T>(&mut self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<T> {
        let word = self.0.next();
        word.and_then(read).ok_or_else(|| FaultSyntaxError::new(word, expected))
    }

    /// The same, where nothing may stand instead.
    fn read_if_any<T>(&mut self, expected: &str, read: impl FnOnce(&str) -> Option<T>) -> Parsed<Option<T>> {
        match self.0.peek() {
            Some(_) => self.read(expected, read).map(Some),
            None => Ok(None),
        }
    }

    fn end(&mut self) -> Parsed<()> {
        self.0.next().map_or(Ok(()), |word| Err(FaultSyntaxError::new(Some(word), "the end of the fault")))
    }

    /// `N bytes`, or nothing.
    fn bytes<T: FromStr>(&mut self) -> Parsed<Option<T>> {
        let bytes = self.read_if_any("a number of bytes", |word| word.parse().ok())?;
        if bytes.is_some() {
            self.must("bytes")?;
        }
        Ok(bytes)
    }

    /// `after N bytes`, or nothing.
    fn after(&mut self) -> Parsed<Option<u64>> {
        if !self.take("after") {
            return Ok(None);
        }
        let bytes = self.read("a number of bytes", |word| word.parse().ok())?;
        self.must("bytes")?;
        Ok(Some(bytes))
    }

    /// `for TIME`, or nothing.
    fn lasting(&mut self) -> Parsed<Option<Duration>> {
        if self.take("for") { self.read("a time as `250ms` or `2s`", time).map(Some) } else { Ok(None) }
    }

    /// A number from one, of a frame or a connection.
    fn number(&mut self, of: &str) -> Parsed<u64> {
        self.read(&format!("the number of a {of}, from 1"), positive)
    }

    fn which(&mut self) -> Parsed<Which> {
        if self.take("every") {
            return Ok(Which::Every);
        }
        self.read("the number of a connection, from 1, or `every`", positive).map(Which::Nth)
    }
}

fn positive(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number| *number > 0)
}

fn time(word: &str) -> Option<Duration> {
    if let Some(millis) = word.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    word.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

/// A time as it is read back, to the millisecond.
struct Time(Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_millis() == 0 {
            write!(f, "{}s", self.0.as_secs())
        } else {
            write!(f, "{}ms", self.0.as_millis())
        }
    }
}

/// Reads a fault: its name, then what it says of itself, to the end.
fn fault(words: &mut Words<'_>) -> Parsed<Fault> {
    let name = words.0.next();
    let kind = name.and_then(FaultKind::of_name).ok_or_else(|| {
        let names: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        FaultSyntaxError::new(name, format!("one of {}", names.join(", ")))
    })?;
    let mut fault = kind.fault();
    match &mut fault {
        Fault::Frame(fault) => frame_fault(fault, words)?,
        Fault::Connect(fault) => connect_fault(fault, words)?,
        Fault::Renumber => {}
    }
    words.end()?;
    Ok(fault)
}

/// Reads what a fault of a frame says of itself.
fn frame_fault(fault: &mut FrameFault, words: &mut Words<'_>) -> Parsed<()> {
    const NAME: &str = "a name of 1 to 64 letters, digits, `-`, `_` and `.`";
    match fault {
        FrameFault::Disconnect { after } | FrameFault::Reset { after } | FrameFault::Truncated { after } => {
            *after = words.after()?;
        }
        FrameFault::Close { code } => {
            let read = |word: &str| word.parse().ok().filter(|code| (1000..=4999).contains(code));
            *code = words.read_if_any("a close code from 1000 to 4999", read)?;
        }
        FrameFault::Slow { bytes_per_second, lasting } => {
            if let Some(word) = words.0.next_if(|word| *word != "for") {
                *bytes_per_second = positive(word)
                    .ok_or_else(|| FaultSyntaxError::new(Some(word), "a number from 1, or `for`"))?;
                words.must("bytes/s")?;
            }
            *lasting = words.lasting()?.unwrap_or(*lasting);
        }
        FrameFault::Stall { lasting } => {
            if words.take("for") {
                let read = |word: &str| if word == "ever" { Some(None) } else { time(word).map(Some) };
                *lasting = words.read("a time as `250ms` or `2s`, or `ever`", read)?;
            }
        }
        FrameFault::Garbage { bytes } => *bytes = words.bytes()?,
        FrameFault::Oversized { bytes } => *bytes = words.bytes()?.unwrap_or(*bytes),
        FrameFault::Fragmented { parts } => {
            if words.take("into") {
                let read = |word: &str| word.parse().ok().filter(|parts| *parts > 0);
                *parts = Some(words.read("a number from 1 to 65535", read)?);
                words.must("parts")?;
            }
        }
        FrameFault::UnknownOp { op } => {
            let read = |word: &str| word.parse().ok().filter(|op| !matches!(op, 1 | -1));
            *op = words.read_if_any("a number, but not 1 or -1", read)?.unwrap_or(*op);
        }
        FrameFault::UnknownType { t: name } | FrameFault::Error { name } | FrameFault::Info { name } => {
            if let Some(given) = words.read_if_any(NAME, |word| word.parse().ok())? {
                *name = given;
            }
        }
        FrameFault::ThreeItems | FrameFault::Text | FrameFault::Ping => {}
    }
    Ok(())
}

/// Reads what a fault of a connect says of itself.
fn connect_fault(fault: &mut ConnectFault, words: &mut Words<'_>) -> Parsed<()> {
    match fault {
        ConnectFault::Answer { status, retry_after, html } => {
            let read = |word: &str| word.parse().ok().filter(|status| (300..=599).contains(status));
            if let Some(given) = words.read_if_any("an HTTP status from 300 to 599", read)? {
                *status = given;
            }
            if words.take("retry-after") {
                *retry_after = Some(words.read("a number of seconds", |word| word.parse().ok())?);
            }
            *html = words.take("html");
        }
        ConnectFault::Duplicates { frames } | ConnectFault::Gap { frames } => {
            *frames = words.read_if_any("a number of frames, from 1", positive)?;
        }
        ConnectFault::Seam { events } => {
            *events = words.read_if_any("a number of events, from 1", positive)?;
        }
        ConnectFault::Cursor { rule } => {
            let read = |word: &str| match word {
                "inclusive" => Some(Some(CursorRule::Inclusive)),
                "exclusive" => Some(Some(CursorRule::Exclusive)),
                "swapped" => Some(None),
                _ => None,
            };
            *rule = words.read_if_any("`inclusive`, `exclusive` or `swapped`", read)?.flatten();
        }
        ConnectFault::Mute | ConnectFault::Refuse => {}
    }
    Ok(())
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self {
            Self::Disconnect { after: Some(bytes) }
            | Self::Reset { after: Some(bytes) }
            | Self::Truncated { after: Some(bytes) } => write!(f, " after {bytes} bytes"),
            Self::Close { code: Some(code) } => write!(f, " {code}"),
            Self::Slow { bytes_per_second, lasting } => {
                write!(f, " {bytes_per_second} bytes/s for {}", Time(*lasting))
            }
            Self::Stall { lasting: Some(lasting) } => write!(f, " for {}", Time(*lasting)),
            Self::Stall { lasting: None } => f.write_str(" for ever"),
            Self::Garbage { bytes: Some(bytes) } => write!(f, " {bytes} bytes"),
            Self::Oversized { bytes } => write!(f, " {bytes} bytes"),
            Self::Fragmented { parts: Some(parts) } => write!(f, " into {parts} parts"),
            Self::UnknownOp { op } => write!(f, " {op}"),
            Self::UnknownType { t: name } | Self::Error { name } | Self::Info { name } => {
                write!(f, " {name}")
            }
            Self::Disconnect { after: None }
            | Self::Reset { after: None }
            | Self::Truncated { after: None }
            | Self::Close { code: None }
            | Self::Garbage { bytes: None }
            | Self::Fragmented { parts: None }
            | Self::ThreeItems
            | Self::Text
            | Self::Ping => Ok(()),
        }
    }
}

impl fmt::Display for ConnectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        match self {
            Self::Answer { status, retry_after, html } => {
                write!(f, " {status}")?;
                if let Some(seconds) = retry_after {
                    write!(f, " retry-after {seconds}")?;
                }
                if *html { f.write_str(" html") } else { Ok(()) }
            }
            Self::Duplicates { frames: Some(number) }
            | Self::Gap { frames: Some(number) }
            | Self::Seam { events: Some(number) } => write!(f, " {number}"),
            Self::Cursor { rule } => f.write_str(match rule {
                Some(CursorRule::Inclusive) => " inclusive",
                Some(CursorRule::Exclusive) => " exclusive",
                None => " swapped",
            }),
            Self::Mute
            | Self::Refuse
            | Self::Duplicates { frames: None }
            | Self::Gap { frames: None }
            | Self::Seam { events: None } => Ok(()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame(fault) => fault.fmt(f),
            Self::Connect(fault) => fault.fmt(f),
            Self::Renumber => FaultKind::Renumber.fmt(f),
        }
    }
}

impl FromStr for FaultRates {
    type Err = FaultSyntaxError;

    fn from_str(text: &str) -> Parsed<Self> {
        const MILLION: u32 = 1_000_000;
        let mut rates = Self::default();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let parts = entry.rsplit_once('=');
            let (name, rate) =
                parts.ok_or_else(|| FaultSyntaxError::new(Some(entry), "`FAULT=N`, so many in a million"))?;
            let per_million = rate.trim().parse().ok().filter(|rate| *rate <= MILLION).ok_or_else(|| {
                FaultSyntaxError::new(Some(rate.trim()), "a number up to 1000000, so many in a million")
            })?;
            if name.trim() == "all" {
                rates = rates.all(per_million);
                continue;
            }
            rates = match fault(&mut Words::new(name))? {
                Fault::Frame(fault) => rates.frame(fault, per_million),
                Fault::Connect(fault) => rates.connect(fault, per_million),
                Fault::Renumber => {
                    let expected = "it in a script, `at N renumber`: it has no rate";
                    return Err(FaultSyntaxError::new(Some(name.trim()), expected));
                }
            };
        }
        let sum = |rates: &mut dyn Iterator<Item = u32>| rates.map(u64::from).sum::<u64>();
        for (of, sum) in [
            ("frames", sum(&mut rates.frames.iter().map(|(_, rate)| *rate))),
            ("connects", sum(&mut rates.connects.iter().map(|(_, rate)| *rate))),
        ] {
            if sum > u64::from(MILLION) {
                let expected = format!("faults of {of} that are 1000000 in a million or less together");
                return Err(FaultSyntaxError::new(Some(&sum.to_string()), expected));
            }
        }
        Ok(rates)
    }
}

impl fmt::Display for FaultRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frames = self.frames.iter().map(|(fault, rate)| (fault as &dyn fmt::Display, rate));
        let connects = self.connects.iter().map(|(fault, rate)| (fault as &dyn fmt::Display, rate));
        for (place, (fault, rate)) in frames.chain(connects).enumerate() {
            let before = if place == 0 { "" } else { ", " };
            write!(f, "{before}{fault}={rate}")?;
        }
        Ok(())
    }
}

impl FromStr for FaultScript {
    type Err = FaultSyntaxError;

    fn from_str(text: &str) -> Parsed<Self> {
        let mut lines = Vec::new();
        for (place, text) in text.lines().enumerate() {
            let text = text.split('#').next().unwrap_or_default().trim();
            if !text.is_empty() {
                let line = text.parse();
                lines.push(line.map_err(|error| FaultSyntaxError { line: Some(place + 1), ..error })?);
            }
        }
        Ok(Self { lines })
    }
}

impl FromStr for Line {
    type Err = FaultSyntaxError;

    fn from_str(text: &str) -> Parsed<Self> {
        let words = &mut Words::new(text);
        match words.0.next() {
            Some("at") => {
                let frame = words.number("frame")?;
                match fault(words)? {
                    Fault::Frame(fault) => Ok(Self::At { frame, fault }),
                    Fault::Renumber => Ok(Self::Renumber { frame }),
                    Fault::Connect(fault) => {
                        Err(misplaced(&fault, "a fault of a frame: this is one of a connect"))
                    }
                }
            }
            Some("on") => {
                let connection = words.which()?;
                words.must("at")?;
                let frame = words.number("frame")?;
                match fault(words)? {
                    Fault::Frame(fault) => Ok(Self::On { connection, frame, fault }),
                    Fault::Connect(fault) => {
                        Err(misplaced(&fault, "a fault of a frame: this is one of a connect"))
                    }
                    Fault::Renumber => {
                        Err(misplaced(&FaultKind::Renumber, "it after `at N`: it concerns the whole stream"))
                    }
                }
            }
            Some("connect") => {
                let connection = words.which()?;
                match fault(words)? {
                    Fault::Connect(fault) => Ok(Self::Connect { connection, fault }),
                    fault => Err(misplaced(&fault, "a fault of a connect: this is one of a frame")),
                }
            }
            other => Err(FaultSyntaxError::new(other, "`at`, `on` or `connect`")),
        }
    }
}

fn misplaced(fault: &dyn fmt::Display, expected: &str) -> FaultSyntaxError {
    FaultSyntaxError::new(Some(&fault.to_string()), expected)
}

impl fmt::Display for FaultScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { frame, fault } => write!(f, "at {frame} {fault}"),
            Self::On { connection, frame, fault } => write!(f, "on {connection} at {frame} {fault}"),
            Self::Connect { connection, fault } => write!(f, "connect {connection} {fault}"),
            Self::Renumber { frame } => write!(f, "at {frame} {}", FaultKind::Renumber),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(number) => number.fmt(f),
            Self::Every => f.write_str("every"),
        }
    }
}
