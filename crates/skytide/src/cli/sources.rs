//! The sources of a query as the command line names them: each `--from` with what is said of it.
//!
//! What is said of a source follows its `--from`; several in a row share what follows them, so `--from a.csv
//! --from b.csv --time ts --key id` is of both, and with one `--from` any order will do. What is said of late
//! points before any `--from` is of all that say nothing of them themselves.

use std::path::Path;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use skytide_atproto::columns::Clock;

use skytide_connect::files::{Format, MEMORY};

use super::location::Location;
use super::values::{LateArg, duration, size};

/// Every source, with what is said of it.
#[derive(Debug, Clone)]
pub(crate) struct SourcesArgs {
    pub(crate) sources: Vec<SourceArgs>,
    /// Bytes of memory for files that must be sorted.
    pub(crate) memory: usize,
    /// Threads that read files ahead of the query.
    pub(crate) readers: usize,
}

/// A source, and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SourceArgs {
    pub(crate) location: Location,
    pub(crate) settings: Settings,
}

/// What is said of sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) subsort: Option<String>,
    pub(crate) time_unit: Option<UnitArg>,
    pub(crate) grouping: Option<String>,
    pub(crate) lateness: Option<Duration>,
    pub(crate) late: Option<LateArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitArg {
    Ns,
    Us,
    Ms,
    S,
}

#[derive(Debug, Args)]
struct Given {
    /// What is read: sim[:…], wss://HOST, ws://HOST:PORT, a recording, exported repositories (FILE.car, a
    /// folder of them), a file of rows, or - for rows that come through standard input; may be given several
    /// times. What is said of a source (--as, --time, --key, --late, …) follows its --from [default: sim]
    #[arg(long, value_name = "SOURCE")]
    from: Vec<Location>,
    /// What the query calls the stream of a file [default: the file's name without its ending; of standard
    /// input `stdin`]
    #[arg(long = "as", value_name = "NAME")]
    name: Vec<String>,
    /// Of a file the column of times; of a network the clock that places points: time (the relay's frame),
    /// rev (the author's server), created_at (the author's claim), arrival
    #[arg(long, value_name = "COLUMN|CLOCK")]
    time: Vec<String>,
    /// Of a file the column of keys
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Of a file the column that orders rows of one time [default: as they stand in the file]
    #[arg(long, value_name = "COLUMN")]
    subsort: Vec<String>,
    /// The unit of a column of times that holds numbers [default: ns]
    #[arg(long, value_enum, value_name = "UNIT")]
    time_unit: Vec<UnitArg>,
    /// What the keys of a file are: streams of one grouping can be joined [default: the name of the key column]
    #[arg(long, value_name = "NAME")]
    grouping: Vec<String>,
    /// How long a live answer waits for points that are out of order (with --time rev or created_at); before
    /// the first --from of all sources that say nothing themselves [default: 0s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    lateness: Vec<Duration>,
    /// What becomes of points that come later still: drop (they are counted), side=FILE (they are written
    /// there whole, as JSON lines), or error (the source stops at the first, once the rows before it are
    /// out); before the first --from of all sources that say nothing themselves [default: drop]
    #[arg(long, value_name = "drop|side=FILE|error")]
    late: Vec<LateArg>,
    /// Memory for files that must be sorted: 64MiB, 1GiB; what is more is kept on disk meanwhile [default: 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Threads that read files ahead of the query, which then takes several processors; 0 reads on the
    /// query's own [default: 0]
    #[arg(long, value_name = "N", value_parser = readers)]
    readers: Option<usize>,
}

/// Something on the command line.
enum Word {
    From(Location),
    Name(String),
    Time(String),
    Key(String),
    Subsort(String),
    Unit(UnitArg),
    Grouping(String),
    Lateness(Duration),
    Late(LateArg),
}

impl Default for SourcesArgs {
    /// The simulated network.
    fn default() -> Self {
        let source = SourceArgs { location: Location::default(), settings: Settings::default() };
        Self { sources: vec![source], memory: MEMORY, readers: 0 }
    }
}

impl SourcesArgs {
    /// Whether all of them end by themselves.
    pub(crate) fn are_bounded(&self) -> bool {
        self.sources.iter().all(|source| source.location.is_bounded())
    }

    /// Whether rows come through standard input.
    pub(crate) fn has_pipe(&self) -> bool {
        self.sources.iter().any(|source| source.location == Location::Piped)
    }

    /// The file that late points are kept in.
    ///
    /// # Errors
    /// There are two.
    pub(crate) fn side(&self) -> Result<Option<&Path>, String> {
        let mut files = self.sources.iter().filter_map(|source| source.settings.late.as_ref()?.side());
        let first = files.next();
        match files.find(|file| Some(*file) != first) {
            Some(other) => {
                Err(format!("--late side={}: late points of all sources go to one file", other.display()))
            }
            None => Ok(first),
        }
    }

    /// Gives each source what is said of it.
    fn of(
        words: impl IntoIterator<Item = Word>,
        memory: Option<u64>,
        readers: Option<usize>,
    ) -> Result<Self, String> {
        let mut sources: Vec<SourceArgs> = Vec::new();
        let (mut open, mut settings) = (Vec::new(), Settings::default());
        let words: Vec<Word> = words.into_iter().collect();
        let is_one = words.iter().filter(|word| matches!(word, Word::From(_))).count() < 2;
        // What is said of rows before several sources.
        let mut first = Settings::default();
        // What is said of late points before any source.
        let (mut lateness, mut late) = (None, None);
        for word in words {
            match word {
                Word::From(location) => {
                    if !is_one && sources.is_empty() && open.is_empty() {
                        first = std::mem::take(&mut settings);
                    }
                    if !open.is_empty() && settings != Settings::default() {
                        sources.extend(close(&mut open, &mut settings)?);
                    }
                    open.push(location);
                }
                Word::Name(name) => set(&mut settings.name, name, "--as")?,
                Word::Time(time) => set(&mut settings.time, time, "--time")?,
                Word::Key(key) => set(&mut settings.key, key, "--key")?,
                Word::Subsort(subsort) => set(&mut settings.subsort, subsort, "--subsort")?,
                Word::Unit(unit) => set(&mut settings.time_unit, unit, "--time-unit")?,
                Word::Grouping(grouping) => set(&mut settings.grouping, grouping, "--grouping")?,
                Word::Lateness(time) => {
                    let is_first = sources.is_empty() && open.is_empty();
                    set(if is_first { &mut lateness } else { &mut settings.lateness }, time, "--lateness")?;
                }
                Word::Late(policy) => {
                    let is_first = sources.is_empty() && open.is_empty();
                    set(if is_first { &mut late } else { &mut settings.late }, policy, "--late")?;
                }
            }
        }
        if open.is_empty() {
            open.push(Location::default());
        }
        sources.extend(close(&mut open, &mut settings)?);
        // Who has forgotten that it follows a --from would have it of nothing.
        let is_of_rows = |source: &&SourceArgs| {
            !source.location.may_be_late()
                && (source.settings.lateness.is_some() || source.settings.late.is_some())
        };
        let is_of_none = (lateness.is_some() || late.is_some())
            && !sources.iter().any(|source| source.location.may_be_late());
        let rows = if is_of_none { sources.first() } else { sources.iter().find(is_of_rows) };
        if let Some(rows) = rows {
            return Err(format!(
                "--lateness and --late follow the --from of a network or of a pipe: rows of files, as {}, are sorted and never late",
                rows.location
            ));
        }
        let has_files = sources.iter().any(|source| matches!(source.location, Location::Rows(_)));
        let of_files = [("--memory", memory.is_some()), ("--readers", readers.is_some())];
        if let Some((flag, _)) = of_files.iter().find(|(_, is_given)| *is_given && !has_files) {
            return Err(format!("{flag} is for files of rows, and no --from names one"));
        }
        if first.name.is_some() {
            return Err("--as names one source; it follows its --from".to_owned());
        }
        let has_rows = sources.iter().any(|source| source.location.is_rows());
        for SourceArgs { settings, location } in &mut sources {
            // Beside a network, what is said is of the files.
            if location.is_rows() || !has_rows {
                settings.default_to(&first);
            }
            settings.lateness = settings.lateness.or(lateness);
            settings.late = settings.late.take().or_else(|| late.clone());
        }
        let memory = memory.map_or(MEMORY, |memory| usize::try_from(memory).unwrap_or(usize::MAX));
        Ok(Self { sources, memory, readers: readers.unwrap_or_default() })
    }
}

/// A number of reading threads: no more than anything has processors.
fn readers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(readers @ 0..=64) => Ok(readers),
        _ => Err(format!("{text:?} is no number of reading threads from 0 to 64")),
    }
}

fn set<T>(place: &mut Option<T>, value: T, flag: &str) -> Result<(), String> {
    if place.replace(value).is_some() {
        return Err(format!(
            "{flag} is given twice for one --from; what is said of a source follows its --from"
        ));
    }
    Ok(())
}

/// Sources that share what is said of them.
fn close(open: &mut Vec<Location>, settings: &mut Settings) -> Result<Vec<SourceArgs>, String> {
    let settings = std::mem::take(settings);
    // Beside a network, what is said is of the files.
    let files = open.iter().filter(|location| location.is_rows()).count();
    let of_files = files > 0;
    if settings.name.is_some() && (if of_files { files } else { open.len() }) > 1 {
        return Err("--as names one source; it follows its --from".to_owned());
    }
    let may_be_late = open.iter().any(Location::may_be_late);
    let each = |location: Location| {
        let is_meant = location.is_rows() || !of_files;
        let mut own = if is_meant { settings.clone() } else { Settings::default() };
        // But for what is late.
        let is_meant = may_be_late == location.may_be_late();
        own.lateness = settings.lateness.filter(|_| is_meant);
        own.late = settings.late.clone().filter(|_| is_meant);
        SourceArgs { settings: own, location }
    };
    Ok(open.drain(..).map(each).collect())
}

impl Settings {
    /// Takes what it does not say from others, but for the name and what is late.
    fn default_to(&mut self, others: &Self) {
        let of =
            |own: &mut Option<String>, other: &Option<String>| *own = own.take().or_else(|| other.clone());
        of(&mut self.time, &others.time);
        of(&mut self.key, &others.key);
        of(&mut self.subsort, &others.subsort);
        of(&mut self.grouping, &others.grouping);
        self.time_unit = self.time_unit.or(others.time_unit);
    }

    /// The clock of the network at this location.
    pub(crate) fn clock(&self, location: &Location) -> Result<Clock, String> {
        let columns = [
            ("--as", self.name.is_some()),
            ("--key", self.key.is_some()),
            ("--subsort", self.subsort.is_some()),
            ("--time-unit", self.time_unit.is_some()),
            ("--grouping", self.grouping.is_some()),
        ];
        if let Some((flag, _)) = columns.iter().find(|(_, is_given)| *is_given) {
            if let Location::File(path) = location
                && let Err(unknown) = Format::of_file(path)
            {
                return Err(unknown.to_string());
            }
            if let Location::Repos(path) = location
                && path.is_dir()
            {
                let files = path.join("*");
                return Err(format!(
                    "{flag} is for files of rows, and of a folder the exported repositories are read (.car); files of rows are {}",
                    files.display()
                ));
            }
            return Err(format!(
                "{flag} is for files of rows; streams of a network have names, keys and times"
            ));
        }
        match self.time.as_deref() {
            None | Some("time") => Ok(Clock::FrameTime),
            Some("rev") => Ok(Clock::Rev),
            Some("created_at") => Ok(Clock::CreatedAt),
            Some("arrival") => Ok(Clock::Arrival),
            Some(other) => Err(format!(
                "--time {other}: a network has no such clock; time, rev, created_at and arrival are"
            )),
        }
    }
}

impl FromArgMatches for SourcesArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let places = |name: &str| -> Vec<usize> {
            matches.indices_of(name).map(Iterator::collect).unwrap_or_default()
        };
        let of = ["from", "name", "time", "key", "subsort", "time_unit", "grouping", "lateness", "late"];
        let given = Given::from_arg_matches(matches)?;
        let [from, name, time, key, subsort, unit, grouping, lateness, late] = of.map(places);
        let mut words: Vec<(usize, Word)> = Vec::new();
        words.extend(from.into_iter().zip(given.from.into_iter().map(Word::From)));
        words.extend(name.into_iter().zip(given.name.into_iter().map(Word::Name)));
        words.extend(time.into_iter().zip(given.time.into_iter().map(Word::Time)));
        words.extend(key.into_iter().zip(given.key.into_iter().map(Word::Key)));
        words.extend(subsort.into_iter().zip(given.subsort.into_iter().map(Word::Subsort)));
        words.extend(unit.into_iter().zip(given.time_unit.into_iter().map(Word::Unit)));
        words.extend(grouping.into_iter().zip(given.grouping.into_iter().map(Word::Grouping)));
        words.extend(lateness.into_iter().zip(given.lateness.into_iter().map(Word::Lateness)));
        words.extend(late.into_iter().zip(given.late.into_iter().map(Word::Late)));
        words.sort_by_key(|(place, _)| *place);
        Self::of(words.into_iter().map(|(_, word)| word), given.memory, given.readers)
            .map_err(|message| clap::Error::raw(ErrorKind::ArgumentConflict, message))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SourcesArgs {
    fn augment_args(command: Command) -> Command {
        Given::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args_for_update(command)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn sources(words: &str) -> Result<SourcesArgs, String> {
        let words = ["skytide", "run", "posts.count()"].into_iter().chain(words.split_whitespace());
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Run(run) => Ok(run.sources),
            _ => unreachable!("it is `run`"),
        }
    }

    /// Seconds of lateness and policy of each source.
    fn late(words: &str) -> Vec<(Option<u64>, Option<LateArg>)> {
        let sources = sources(words).unwrap().sources.into_iter();
        sources
            .map(|SourceArgs { settings, .. }| (settings.lateness.map(|time| time.as_secs()), settings.late))
            .collect()
    }

    #[test]
    fn what_is_said_of_late_points_follows_its_source() {
        let (drops, error) = (Some(LateArg::Drop), Some(LateArg::Error));
        assert_eq!(late(""), [(None, None)]);
        for one in [
            "--late error --lateness 5s",
            "--from ws://a --late error --lateness 5s",
            "--lateness 5s --from ws://a --late error",
        ] {
            assert_eq!(late(one), [(Some(5), error.clone())], "{one}");
        }
        let own = "--from ws://a --late error --from ws://b --lateness 7s --late drop";
        assert_eq!(late(own), [(None, error.clone()), (Some(7), drops.clone())]);
        let all =
            "--lateness 5s --late drop --from ws://a --from ws://b --late error --from ws://c --lateness 1s";
        assert_eq!(late(all), [(Some(5), error.clone()), (Some(5), error.clone()), (Some(1), drops.clone())]);
        // Beside a network, --time and --key are of the files, and what is late is of the network.
        let both = "--from ws://a --from b.csv --time t --key k --late error";
        assert_eq!(late(both), [(None, error), (None, None)]);
    }

    #[test]
    fn what_is_said_before_several_sources_is_of_all_that_say_nothing_themselves() {
        let times = |words: &str| -> Vec<Option<String>> {
            sources(words).unwrap().sources.into_iter().map(|source| source.settings.time).collect()
        };
        let some = |time: &str| Some(time.to_owned());
        assert_eq!(times("--time t --from a.csv --from b.csv"), [some("t"), some("t")]);
        assert_eq!(
            times("--time t --from a.csv --from b.csv --time u --from c.csv --time v"),
            [some("u"), some("u"), some("v")]
        );
        assert_eq!(times("--time t --from a.csv --key k --from b.csv --key l"), [some("t"), some("t")]);
        assert_eq!(times("--time t --from ws://a --from b.csv"), [None, some("t")]);
        assert_eq!(times("--time rev --from ws://a --from ws://b"), [some("rev"), some("rev")]);
        assert!(sources("--time t --from a.csv --time u").unwrap_err().contains("--time is given twice"));
        assert!(sources("--as x --from a.csv --from b.csv").unwrap_err().contains("--as names one source"));
    }

    #[test]
    fn what_cannot_be_said_of_late_points_is_named() {
        let twice = sources("--from ws://a --late drop --late error").unwrap_err();
        assert!(twice.contains("--late is given twice for one --from"), "{twice}");
        let of_rows =
            sources("--from ws://a --time rev --from b.csv --time t --key k --lateness 5s").unwrap_err();
        assert!(
            of_rows
                .contains("follow the --from of a network or of a pipe: rows of files, as b.csv, are sorted"),
            "{of_rows}"
        );
        for alone in
            ["--lateness 5s --from b.csv --time t --key k", "--from b.csv --late drop --time t --key k"]
        {
            let of_files = sources(alone).unwrap_err();
            assert!(of_files.contains("rows of files, as b.csv, are sorted and never late"), "{of_files}");
        }
        let side = |words: &str| sources(words).unwrap().side().map(|file| file.map(Path::to_owned));
        assert_eq!(side("--from ws://a --late side=a --from ws://b --late side=a"), Ok(Some("a".into())));
        assert_eq!(side("--from ws://a --late drop"), Ok(None));
        let two = side("--from ws://a --late side=a --from ws://b --late side=b").unwrap_err();
        assert!(two.contains("late points of all sources go to one file"), "{two}");
    }

    #[test]
    fn what_is_of_files_is_refused_where_there_are_none() {
        for of_files in ["--memory 64MiB", "--readers 2"] {
            let refused = sources(&format!("--from ws://a {of_files}")).unwrap_err();
            assert!(refused.contains("is for files of rows, and no --from names one"), "{refused}");
            sources(&format!("--from ws://a --from b.csv --time t --key k {of_files}")).unwrap();
        }
    }
}
