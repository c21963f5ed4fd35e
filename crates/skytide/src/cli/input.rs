//! Opens what `--from` names: frames for the commands that read them, sources for queries.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{Fields, TimeUnit};
use skytide_atproto::columns::Clock;
use skytide_connect::catalog::{Feed, FirehoseCatalog};
use skytide_connect::files::{Definition, FileError, Files, matching, may_wait};
use skytide_connect::frames::Frames;
use skytide_connect::network::{self, Connection, Wish};
use skytide_connect::repo;
use skytide_connect::shared::Shared;
use skytide_connect::source::SourceError;
use skytide_connect::sources::Offer;
use skytide_firehose::recording::Last;
use skytide_firehose::{Cursor, Service};
use skytide_sim::{Config, Labeler, LabelerConfig, Network, Pacing, Relay, RelayHandle, SUBSCRIBE_LABELS};
use skytide_timestream::plan::Plan;
use skytide_timestream::times::timestamp_text;
use skytide_timestream::types;

use super::args::{FromArgs, SocketArgs};
use super::failure::{Failure, SOURCE, USAGE};
use super::location::{Location, SimLocation};
use super::pipe::Pipe;
use super::sources::{Settings, SourceArgs, SourcesArgs, UnitArg};
use super::values::LateArg;

/// What stands for the address of a simulated network until it is started.
const NOT_STARTED: &str = "sim://";

/// An opened source of frames. The simulated network lives as long as this does.
pub(crate) struct Input {
    pub(crate) frames: Frames,
    /// Whether it is a network whose clock is the world's.
    pub(crate) is_real_time: bool,
    _relay: Option<RelayHandle>,
}

impl Input {
    /// Opens it: starts the simulated network, or makes ready to dial, or opens the file.
    pub(crate) fn open(from: &FromArgs, wish: &Wish) -> Result<Self, Failure> {
        Self::of(connection(&from.location, &from.socket)?, from, wish)
    }

    /// The same, where a recording ends, unless a socket is said to begin elsewhere.
    pub(crate) fn open_after(from: &FromArgs, wish: &Wish, path: &Path, last: Last) -> Result<Self, Failure> {
        let connection = connection(&from.location, &from.socket)?;
        let is_said = connection.cursor != Cursor::Live;
        Self::of(if is_said { connection } else { connection.after(path, last, wish)? }, from, wish)
    }

    fn of(mut connection: Connection, from: &FromArgs, wish: &Wish) -> Result<Self, Failure> {
        let mut relay = None;
        if let Location::Sim(sim) = &from.location {
            let feed = if wish.service == Some(Service::Labels) { Feed::Labels } else { Feed::Repos };
            let started = start(sim, &BTreeSet::from([feed]))?;
            connection.location = started.url().into();
            relay = Some(started);
        }
        let frames = connection.frames(wish)?;
        Ok(Self { frames, is_real_time: is_real_time(&from.location), _relay: relay })
    }
}

/// Whether it is a network whose clock is the world's.
pub(crate) fn is_real_time(location: &Location) -> bool {
    matches!(location, Location::Socket(_))
}

/// The sources that queries can name, the first network with what the queries share of it, and the pipe among
/// them, for whose first rows it waits so long; nothing is dialled or started.
pub(crate) fn offers(
    sources: &SourcesArgs,
    socket: &SocketArgs,
    catalog: &FirehoseCatalog,
    shared: Option<&Shared>,
    within: Option<Duration>,
) -> Result<(Vec<Offer>, Option<Pipe>), Failure> {
    // Recordings before a network, or before another recording, are its history.
    let is_network = |source: &&SourceArgs| !source.location.is_rows();
    let networks: Vec<&SourceArgs> = sources.sources.iter().filter(is_network).collect();
    let history: Vec<PathBuf> =
        networks.iter().rev().skip(1).rev().map_while(|source| recording(source)).collect();
    refuse_place(sources, socket)?;
    let mut offers = Vec::new();
    let mut piped = None;
    let (mut passed, mut has_network) = (0, false);
    for source in &sources.sources {
        refuse_pipe(&source.location)?;
        if source.location == Location::Piped {
            if piped.is_some() {
                return Err(Failure::new(USAGE, "--from -: standard input is given twice"));
            }
            piped = Some((offers.len(), &source.settings));
            continue;
        }
        if let Location::Rows(pattern) = &source.location {
            let definition = definition(pattern, &source.settings, sources)?;
            let files = Files::open(definition);
            offers.push(Offer::Files(Arc::new(files.map_err(SourceError::from)?)));
            continue;
        }
        let clock =
            source.settings.clock(&source.location).map_err(|message| Failure::new(USAGE, message))?;
        passed += 1;
        if passed <= history.len() {
            // They are one source, of which one thing is said.
            let whole = networks.get(history.len()).map(|source| &source.settings);
            if source.settings != Settings::default() && whole != Some(&source.settings) {
                let message = format!(
                    "{}: what is said of a recording is said of what goes on after it",
                    source.location
                );
                return Err(Failure::new(USAGE, message).hint("say it after the last --from of them"));
            }
            continue;
        }
        let mut connection = connection(&source.location, socket)?;
        if passed == history.len() + 1 {
            if let (Location::Sim(_), [recording, ..]) = (&source.location, history.as_slice()) {
                let message = format!(
                    "{}: a simulated network of this process goes on from no recording",
                    recording.display()
                );
                return Err(Failure::new(USAGE, message)
                    .hint("its numbers begin anew each time; `skytide sim` serves one that stays"));
            }
            connection.history.clone_from(&history);
        }
        // Several repositories are one source.
        if let (network::Location::Repos(more), Some(paths)) =
            (&connection.location, repos(&mut offers, clock))
        {
            paths.extend_from_slice(more);
            continue;
        }
        let catalog = catalog.clone();
        let network = network::Network {
            connection,
            collections: Vec::new(),
            clock,
            lateness: source.settings.lateness.unwrap_or_default(),
            late: source.settings.late.as_ref().map_or_else(Default::default, LateArg::policy),
            catalog,
            shared: shared.filter(|_| !has_network).cloned(),
        };
        has_network = true;
        offers.push(Offer::Network(Arc::new(network)));
    }
    // It may have no rows for long: what is wrong with the others is known by now.
    let Some((at, settings)) = piped else { return Ok((offers, None)) };
    let pipe = Pipe::open(settings, within)?;
    offers.insert(at, Offer::Table { table: pipe.table.clone(), idle: None });
    Ok((offers, Some(pipe)))
}

/// Refuses what is said of frames where none are read.
fn refuse_place(sources: &SourcesArgs, socket: &SocketArgs) -> Result<(), Failure> {
    let has_frames = |location: &Location| match location {
        Location::Sim(_) | Location::Socket(_) | Location::File(_) => true,
        Location::Repos(_) | Location::Rows(_) | Location::Piped => false,
    };
    if sources.sources.iter().any(|source| has_frames(&source.location)) {
        return Ok(());
    }
    let said = [
        ("--cursor", socket.cursor != Cursor::Live),
        ("--chains", socket.chains),
        ("--dictionary", socket.dictionary.is_some()),
    ];
    match said.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => {
            Err(Failure::new(USAGE, format!("{flag} is for networks and recordings; none is read")))
        }
        None => Ok(()),
    }
}

/// Refuses a pipe or a device by its name: who opens it waits for whoever writes, and files are read more than once.
fn refuse_pipe(location: &Location) -> Result<(), Failure> {
    let Some(path) = location.path().filter(|path| may_wait(path)) else { return Ok(()) };
    let message = format!("--from {}", FileError::Waits(path.to_owned()));
    Err(Failure::new(USAGE, message)
        .hint("rows of a pipe come through standard input: --from -; recordings and repositories are read from files"))
}

/// The files of the repositories among these offers that have this clock.
fn repos(offers: &mut [Offer], clock: Clock) -> Option<&mut Vec<PathBuf>> {
    offers.iter_mut().find_map(|offer| {
        let Offer::Network(network) = offer else { return None };
        let network = Arc::get_mut(network).filter(|network| network.clock == clock)?;
        match &mut network.connection.location {
            network::Location::Repos(paths) => Some(paths),
            _ => None,
        }
    })
}

/// The file of a recording.
fn recording(source: &SourceArgs) -> Option<PathBuf> {
    match &source.location {
        Location::File(path) => Some(path.clone()),
        Location::Sim(_) | Location::Socket(_) | Location::Repos(_) | Location::Rows(_) | Location::Piped => {
            None
        }
    }
}

/// Starts the simulated networks among the offers of these sources, each for what plans read of it.
pub(crate) fn started(
    sources: &SourcesArgs,
    offers: &[Offer],
    plans: &[Arc<Plan>],
) -> Result<(Vec<Offer>, Vec<RelayHandle>), Failure> {
    let mut sims = sources.sources.iter().filter_map(|source| match &source.location {
        Location::Sim(sim) => Some(sim),
        Location::Socket(_)
        | Location::File(_)
        | Location::Repos(_)
        | Location::Rows(_)
        | Location::Piped => None,
    });
    let mut relays = Vec::new();
    let mut all = Vec::with_capacity(offers.len());
    for offer in offers {
        let started = match offer {
            Offer::Network(network) if network.connection.location == NOT_STARTED.into() => {
                sims.next().zip(Some(network))
            }
            _ => None,
        };
        let Some((sim, network)) = started else {
            all.push(offer.clone());
            continue;
        };
        let is_its = |stream| network.catalog.kind(stream).is_some();
        let mut feeds = BTreeSet::new();
        for plan in plans {
            let scans: Vec<_> = plan.scans.iter().filter(|scan| is_its(&scan.stream)).cloned().collect();
            if !scans.is_empty() {
                feeds.insert(network.catalog.feed(&Plan { scans, ..Plan::clone(plan) })?);
            }
        }
        let relay = start(sim, &feeds)?;
        let mut network = network::Network::clone(network);
        network.connection.location = relay.url().into();
        relays.push(relay);
        all.push(Offer::Network(Arc::new(network)));
    }
    Ok((all, relays))
}

/// What files are read as.
fn definition(pattern: &Path, settings: &Settings, sources: &SourcesArgs) -> Result<Definition, Failure> {
    let paths = matching(pattern).map_err(SourceError::from)?;
    let columns = || Ok(Files::columns(&paths[0]).map_err(SourceError::from)?);
    let (time, key) = settings.roles(pattern.display(), columns)?;
    // Of a pattern, the folder says what is in it.
    let named =
        if paths[0] == pattern { pattern.file_stem() } else { pattern.parent().and_then(Path::file_name) };
    let name = settings.name.clone().or_else(|| Some(named?.to_string_lossy().into_owned()));
    let definition = Definition::new(&paths[0], time, key);
    Ok(Definition {
        name: name.unwrap_or_else(|| definition.name.clone()),
        paths,
        subsort: settings.subsort.clone(),
        grouping: settings.grouping.clone(),
        unit: settings.unit(),
        memory: sources.memory,
        readers: sources.readers,
        spill: std::env::temp_dir(),
        ..definition
    })
}

/// What is said where times that are numbers seem to count something else than nanoseconds, which they do as
/// nobody says otherwise: the newest of them would be of our days.
pub(crate) fn doubt(source: &SourceArgs, offer: &Offer, newest: i64) -> Option<String> {
    let stream = match offer {
        Offer::Files(files) => files.stream(0),
        Offer::Table { table, .. } => table.stream(0),
        Offer::Network(_) => return None,
    };
    let (_, time) = stream.fields.find(stream.time.as_deref()?)?;
    if source.settings.time_unit.is_some() || !types::is_number(time.data_type()) {
        return None;
    }
    // Years 2001 to 5138.
    let (unit, _) = [("s", 1), ("ms", 1_000), ("us", 1_000_000)]
        .into_iter()
        .find(|(_, per)| (1_000_000_000 * per..100_000_000_000 * per).contains(&newest))?;
    Some(format!(
        "the newest time is {}, since numbers are nanoseconds unless --time-unit says otherwise: is it --time-unit {unit}?\n",
        timestamp_text(newest)
    ))
}

impl Settings {
    /// The columns of times and of keys; `columns` are those to choose from.
    pub(crate) fn roles(
        &self,
        of: impl Display,
        columns: impl FnOnce() -> Result<Fields, Failure>,
    ) -> Result<(&str, &str), Failure> {
        if let (Some(time), Some(key)) = (&self.time, &self.key) {
            return Ok((time, key));
        }
        let columns = columns()?;
        let columns =
            columns.iter().map(|field| format!("{} {}", field.name(), types::name(field.data_type())));
        let columns = columns.collect::<Vec<_>>().join(", ");
        let missing = if self.time.is_none() { "--time COLUMN" } else { "--key COLUMN" };
        Err(Failure::new(USAGE, format!("--from {of}: {missing} is missing"))
            .hint(format!("--time names the column of times, --key that of keys; there are {columns}")))
    }

    /// The unit of times that are numbers.
    pub(crate) fn unit(&self) -> TimeUnit {
        match self.time_unit {
            None | Some(UnitArg::Ns) => TimeUnit::Nanosecond,
            Some(UnitArg::Us) => TimeUnit::Microsecond,
            Some(UnitArg::Ms) => TimeUnit::Millisecond,
            Some(UnitArg::S) => TimeUnit::Second,
        }
    }
}

/// Where frames come from.
fn connection(location: &Location, socket: &SocketArgs) -> Result<Connection, Failure> {
    refuse_pipe(location)?;
    let mut connection = Connection { cursor: socket.cursor, chains: socket.chains, ..Connection::default() };
    match location {
        Location::Sim(sim) => {
            connection.location = NOT_STARTED.into();
            // It begins with its first client: nothing is missed without a cursor.
            connection.limit = sim.events;
        }
        Location::Socket(url) => connection.location = url.as_str().into(),
        Location::File(path) => connection.location = path.to_string_lossy().into(),
        Location::Repos(path) => {
            connection.location = network::Location::Repos(repo::named(path).map_err(SourceError::from)?);
        }
        Location::Rows(path) => {
            let message = format!("{} holds rows; this command reads frames", path.display());
            return Err(Failure::new(USAGE, message).hint("`skytide run` asks questions of files of rows"));
        }
        Location::Piped => {
            let message = "--from -: rows come through standard input; this command reads frames";
            return Err(Failure::new(USAGE, message).hint("give a recording by its name"));
        }
    }
    if let Some(path) = &socket.dictionary {
        let is_jetstream =
            matches!(location, Location::Socket(url) if Service::named_by(url) == Some(Service::Jetstream));
        if !is_jetstream {
            return Err(Failure::new(USAGE, format!("--dictionary: {location} is no Jetstream"))
                .hint("a Jetstream's address ends in /subscribe"));
        }
        connection.dictionary = Some(dictionary(path)?);
    }
    Ok(connection)
}

/// A zstd dictionary for a Jetstream's events.
pub(crate) fn dictionary(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path)
        .map_err(|error| Failure::new(USAGE, format!("--dictionary {}: {error}", path.display())))
}

/// A simulated network, or its labeler, or both, on a port of its own.
fn start(sim: &SimLocation, feeds: &BTreeSet<Feed>) -> Result<RelayHandle, Failure> {
    let network = Config { seed: sim.seed, accounts: sim.accounts, ..Config::default() };
    let relay = match (feeds.contains(&Feed::Repos), feeds.contains(&Feed::Labels)) {
        (false, true) => Relay::serving(SUBSCRIBE_LABELS, labeler(network)),
        (_, false) => Relay::new(Network::new(network)),
        (true, true) => Relay::new(Network::new(network)).also(SUBSCRIBE_LABELS, labeler(network)),
    };
    let mut relay = relay.pacing(pacing(sim.rate));
    if let Some(events) = sim.events {
        relay = relay.total(events);
    }
    relay
        .start("127.0.0.1:0")
        .map_err(|error| Failure::new(SOURCE, format!("the simulated network does not start: {error}")))
}

/// The labeler of a simulated network.
pub(crate) fn labeler(network: Config) -> Labeler {
    Labeler::new(LabelerConfig { network, ..LabelerConfig::default() })
}

/// So many events a second; 0: as fast as they are read.
pub(crate) fn pacing(rate: f64) -> Pacing {
    if rate > 0.0 { Pacing::Rate(rate) } else { Pacing::AsRead }
}
