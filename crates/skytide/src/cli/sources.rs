//! The sources of a query as the command line names them: each `--from` with what is said of it.
//!
//! What is said of a source follows its `--from`; several in a row share what follows them, so `--from a.csv --from b.csv --time ts --key id`
//! is of both, and with one `--from` any order will do.

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use skytide_atproto::columns::Clock;

use skytide_connect::files::{Format, MEMORY};

use super::args::size;
use super::location::Location;

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
    /// What is read: sim[:…], wss://HOST, ws://HOST:PORT, a recording, exported repositories (FILE.car, a folder of them), or a file of rows; may be given several times. What is
    /// said of a source (--as, --time, --key, …) follows its --from [default: sim]
    #[arg(long, value_name = "SOURCE")]
    from: Vec<Location>,
    /// What the query calls the stream of a file [default: the file's name without its ending]
    #[arg(long = "as", value_name = "NAME")]
    name: Vec<String>,
    /// Of a file the column of times; of a network the clock that places points: time (the relay's frame), rev (the author's
    /// server), created_at (the author's claim), arrival
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
    /// Memory for files that must be sorted: 64MiB, 1GiB; what is more is kept on disk meanwhile
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "256MiB")]
    memory: u64,
    /// Threads that read files ahead of the query, which then takes several processors; 0 reads on the query's own
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = readers)]
    readers: usize,
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

    /// Gives each source what is said of it.
    fn of(words: impl IntoIterator<Item = Word>, memory: u64, readers: usize) -> Result<Self, String> {
        let mut sources: Vec<SourceArgs> = Vec::new();
        let (mut open, mut settings) = (Vec::new(), Settings::default());
        for word in words {
            match word {
                Word::From(location) => {
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
            }
        }
        if open.is_empty() {
            open.push(Location::default());
        }
        sources.extend(close(&mut open, &mut settings)?);
        Ok(Self { sources, memory: usize::try_from(memory).unwrap_or(usize::MAX), readers })
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
    if settings.name.is_some() && open.len() > 1 {
        return Err("--as names one source; it follows its --from".to_owned());
    }
    // Beside a network, what is said is of the files.
    let of_files = open.iter().any(Location::is_rows);
    let each = |location: Location| {
        let is_meant = location.is_rows() || !of_files;
        SourceArgs { settings: if is_meant { settings.clone() } else { Settings::default() }, location }
    };
    Ok(open.drain(..).map(each).collect())
}

impl Settings {
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
        let of = ["from", "name", "time", "key", "subsort", "time_unit", "grouping"].map(places);
        let given = Given::from_arg_matches(matches)?;
        let [from, name, time, key, subsort, unit, grouping] = of;
        let mut words: Vec<(usize, Word)> = Vec::new();
        words.extend(from.into_iter().zip(given.from.into_iter().map(Word::From)));
        words.extend(name.into_iter().zip(given.name.into_iter().map(Word::Name)));
        words.extend(time.into_iter().zip(given.time.into_iter().map(Word::Time)));
        words.extend(key.into_iter().zip(given.key.into_iter().map(Word::Key)));
        words.extend(subsort.into_iter().zip(given.subsort.into_iter().map(Word::Subsort)));
        words.extend(unit.into_iter().zip(given.time_unit.into_iter().map(Word::Unit)));
        words.extend(grouping.into_iter().zip(given.grouping.into_iter().map(Word::Grouping)));
        words.sort_by_key(|(place, _)| *place);
        Self::of(words.into_iter().map(|(_, word)| word), given.memory, given.readers)
            .map_err(|message| clap::Error::raw(ErrorKind::ArgumentConflict, format!("{message}\n")))
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
