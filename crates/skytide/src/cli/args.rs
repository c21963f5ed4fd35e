//! The command line: every command, flag and default, defined once; help and errors are made from here. What
//! flags take is in `values`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use skytide_firehose::Cursor;

use super::location::{Location, accounts, rate};
use super::sources::SourcesArgs;
use super::values::{
    CandidatesArg, FormatArg, KindArg, LineShellArg, ModeArg, NamedQuery, ResultsArg, duration, moment, size,
    workers,
};

/// Live, time-aware queries over the AT Protocol firehose and its past.
#[derive(Debug, Parser)]
#[command(name = "skytide", version, about, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  skytide run 'posts.with_key(record.langs[0]).count()'
  skytide run 'likes.with_key(record.subject.uri).count()' --from wss://bsky.network --for 30s
  skytide run 'posts.count()' 'likes.count()' -o posts.ndjson -o likes.ndjson
  skytide run 'events.count()' --from events.parquet --time ts --key did
  skytide run 'posts.count()' --from wss://bsky.network --resume posts.state -o posts.ndjson
  skytide tail --from wss://bsky.network --collections app.bsky.feed.post --limit 10

A SOURCE is
  sim[:seed=1,accounts=1000,events=N,rate=1000]   a simulated network of its own (the default)
  wss://HOST, ws://HOST:PORT                      a relay, PDS or labeler
  wss://HOST/subscribe                            a Jetstream (version 1)
  FILE                                            a recording, as `skytide record` writes it
  FILE before a socket (of `run`)                 the recording, then the socket from where it ends
  FILE, 'FOLDER/*.parquet' (of `run`)             Parquet, CSV, JSON lines or Arrow, with --time and --key
  - (of `run`)                                    rows of standard input: CSV, JSON lines or an Arrow stream
  did.car, FOLDER/, 'FOLDER/*.car' (of `run`)     exported repositories

Exit codes: 0 done, 1 the query or the data, 2 usage, 3 the source cannot be reached, 130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer queries, once or live
    Run(RunArgs),
    /// Print events as JSON lines, in the shape of Jetstream v1
    Tail(TailArgs),
    /// Print a labeler's labels as JSON lines
    Labels(LabelsArgs),
    /// Write a source's frames to a file
    Record(RecordArgs),
    /// Check a query: its type and grouping, or what is wrong with it and where
    Check(CheckArgs),
    /// Show how a query would be computed: what is read, where keys change, what state is held
    Explain(ExplainArgs),
    /// List the functions of the language, or explain one
    Functions(FunctionsArgs),
    /// Say what may stand at a place of a query that is being written: for editors
    Complete(CompleteArgs),
    /// Print the script by which a shell completes commands, flags, and (bash, zsh, fish) queries
    Completions(CompletionsArgs),
    /// Serve a simulated network to any client
    Sim(SimArgs),
    /// Measure this machine: decoding, a query, the wire
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) queries: QueriesArgs,
    #[command(flatten)]
    pub(crate) sources: SourcesArgs,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    /// Answer over what is there, or on and on [default: live for sockets, once for files]
    #[arg(long, value_enum)]
    pub(crate) mode: Option<ModeArg>,
    /// Every point, or one row a key [default: snapshot for a table on a terminal, else history]
    #[arg(long, value_enum)]
    pub(crate) results: Option<ResultsArg>,
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
    /// [default: what the name of the file ends in, else table on a terminal, else ndjson]
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArg>,
    /// Write the rows to a file instead of stdout, or to a folder (FOLDER/) of Parquet or Arrow files. Those
    /// have their names when they are whole; text grows as it is written. Of several queries each has its
    /// own, in their order
    #[arg(short, long, visible_alias = "to", value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// Begin the folder's next file where time passes a multiple of this: 1h, 1d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) roll_every: Option<Duration>,
    /// Begin the folder's next file after so many bytes: 128MiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) roll_size: Option<u64>,
    /// End after N rows, each query after its own
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// End after a while: 30s, 5m, 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Threads that share the keys; one is fastest for most queries
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = workers)]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) resume: ResumeArgs,
    /// When it has ended, show the plan on stderr, as `skytide explain` does, with what each part has done and holds
    #[arg(long)]
    pub(crate) stats: bool,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}

/// How a run is saved, and gone on with.
#[derive(Debug, Default, Args)]
pub(crate) struct ResumeArgs {
    /// Save the run in this folder from time to time and when it is stopped; go on from what is saved there,
    /// if anything. A file of -o then has each row once, also after a crash; on stdout rows since the last
    /// save come again. Rows of a Parquet or Arrow file that is not whole yet are kept in this folder, too: a
    /// save ends no file, and FOLDER/ is rolled as ever
    #[arg(long, value_name = "FOLDER")]
    pub(crate) resume: Option<PathBuf>,
    /// How often it is saved
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", requires = "resume")]
    pub(crate) resume_every: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    #[command(flatten)]
    pub(crate) sources: SourcesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query: 'posts.with_key(record.langs[0]).count()'
    pub(crate) query: String,
    /// A lexicon file that describes records of your own; may be given several times
    #[arg(long = "lexicon", value_name = "FILE")]
    pub(crate) lexicons: Vec<PathBuf>,
}

/// Queries that share their sources.
#[derive(Debug, Args)]
pub(crate) struct QueriesArgs {
    /// The query: 'posts.with_key(record.langs[0]).count()'. Several share the connection and its decoding;
    /// each may have a name: 'langs=posts.with_key(record.langs[0]).count()'
    #[arg(required = true, value_name = "[NAME=]QUERY")]
    pub(crate) queries: Vec<NamedQuery>,
    /// A lexicon file that describes records of your own; may be given several times
    #[arg(long = "lexicon", value_name = "FILE")]
    pub(crate) lexicons: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) check: CheckArgs,
    /// Draw it, as SVG, into a file or on stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<Option<PathBuf>>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct FromArgs {
    /// What is read: sim[:…], wss://HOST, ws://HOST:PORT, or a recording
    #[arg(long = "from", value_name = "SOURCE", default_value = "sim")]
    pub(crate) location: Location,
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
}

/// How frames are asked for.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SocketArgs {
    /// Where a socket or a recording starts: a sequence number (of a Jetstream microseconds), `oldest`, or
    /// `live`, which of a recording is all
    #[arg(long, value_name = "CURSOR", default_value = "live")]
    pub(crate) cursor: Cursor,
    /// Check that each repository's commits follow each other; a broken chain counts as a possible gap
    #[arg(long)]
    pub(crate) chains: bool,
    /// The zstd dictionary that a Jetstream is to compress its events with
    #[arg(long, value_name = "FILE")]
    pub(crate) dictionary: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// No status on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) from: FromArgs,
    /// Only these kinds
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub(crate) kinds: Vec<KindArg>,
    /// Only commits to these collections; `app.bsky.feed.*` takes all that start so
    #[arg(long, value_delimiter = ',', value_name = "NSID")]
    pub(crate) collections: Vec<String>,
    #[command(flatten)]
    pub(crate) lines: LinesArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LabelsArgs {
    #[command(flatten)]
    pub(crate) from: FromArgs,
    /// Only labels of these values
    #[arg(long, value_delimiter = ',', value_name = "VALUE")]
    pub(crate) values: Vec<String>,
    #[command(flatten)]
    pub(crate) lines: LinesArgs,
}

/// Which lines are printed, and when they end.
#[derive(Debug, Args)]
pub(crate) struct LinesArgs {
    /// Only these accounts; of labels those about them and their records
    #[arg(long, value_delimiter = ',', value_name = "DID")]
    pub(crate) dids: Vec<String>,
    /// Also print what may have been missed, where it may have been: reconnects, damaged frames, broken chains, ...
    #[arg(long)]
    pub(crate) gaps: bool,
    /// End after N lines
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// End after a while: 30s, 5m, 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    pub(crate) from: FromArgs,
    /// The file; compressed if its name ends in .zst. One that has frames is left as it is, unless --append
    /// or --overwrite says what becomes of them. What was recorded is in the file within about a second,
    /// whatever ends the program
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Go on after the frames that the file has, if any: a socket from the last of them on, unless --cursor
    /// says otherwise
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) append: bool,
    /// Put the new frames in place of those that the file has, once the first is there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// End after N frames
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// End after a while: 30s, 5m, 1h30m
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}

#[derive(Debug, Args)]
pub(crate) struct FunctionsArgs {
    /// A function's name
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The query, as far as it is written
    #[arg(required_unless_present = "line")]
    pub(crate) query: Option<String>,
    /// The place, in bytes of the query [default: its end]
    #[arg(long, value_name = "N")]
    pub(crate) at: Option<usize>,
    /// How candidates are printed, each on a line: text, kind, signature and what it does between tabs; or as
    /// JSON, with the bytes of the query that it replaces
    #[arg(long, value_enum, default_value = "lines")]
    pub(crate) format: CandidatesArg,
    /// A lexicon file that describes records of your own; may be given several times
    #[arg(long = "lexicon", value_name = "FILE")]
    pub(crate) lexicons: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: SourcesArgs,
    /// For the script of a shell: a command line up to the cursor, of whose last word the candidates are, if
    /// it is a query
    #[arg(long, value_name = "LINE", requires = "shell", allow_hyphen_values = true)]
    #[arg(conflicts_with_all = ["query", "at", "format"])]
    pub(crate) line: Option<String>,
    /// What follows on that line
    #[arg(long, value_name = "LINE", requires = "line", default_value = "", allow_hyphen_values = true)]
    pub(crate) after: String,
    /// By whose rules the line is quoted
    #[arg(long, value_enum, value_name = "SHELL", requires = "line")]
    pub(crate) shell: Option<LineShellArg>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Whose script
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7777")]
    pub(crate) listen: String,
    /// Same seed, same bytes
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many accounts live there
    #[arg(long, default_value_t = 1000, value_parser = accounts)]
    pub(crate) accounts: usize,
    /// Stop making events after N
    #[arg(long, value_name = "N")]
    pub(crate) events: Option<u64>,
    /// Events a second; 0: as fast as clients read. Accounts keep their repositories, as real ones do: about
    /// 300 bytes of memory an event, a gigabyte in some 5 minutes at 10,000. --events ends it; --replay takes
    /// the recording's memory alone, however long
    #[arg(long, default_value_t = 1000.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// Serve this recording over and over, renumbered, instead of making events
    #[arg(long, value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,
    /// Start after the cursor asked for, as the reference PDS does, not at it, as the public relay does
    #[arg(long)]
    pub(crate) exclusive: bool,
    /// The zstd dictionary that events are compressed with for clients of the Jetstream that ask for it
    #[arg(long, value_name = "FILE")]
    pub(crate) dictionary: Option<PathBuf>,
    /// What goes wrong on the wire: chances per million frames (`reset=20,garbage=100`, `all=50`), or @FILE,
    /// a script of lines as `at 120 reset after 33 bytes`, `connect 2 answer 503`; may be given twice
    #[arg(long, value_name = "FAULTS")]
    pub(crate) faults: Vec<String>,
    /// What happens rarely: chances per million frames (`sync=100,lost=50`, `all=50`), or @FILE, a script of
    /// lines as `at 120 sync`; may be given twice
    #[arg(long, value_name = "ACTS")]
    pub(crate) acts: Vec<String>,
    #[command(flatten)]
    pub(crate) status: StatusArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(crate) what: Bench,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Frames to columns, from memory
    Decode(BenchInput),
    /// Frames to the answer, from memory
    Query(BenchInput),
    /// Files of rows to the answer: read and answered, and answered from memory
    Files(FilesInput),
    /// Files of rows to the engine's rows; beside it the parquet crate's own decoding of the same columns
    Read(ReadInput),
    /// Frames to the answer, over a loopback WebSocket; beside it a raw TCP read of the same bytes, and latencies
    Wire(WireInput),
    /// Rows pushed one at a time to the rows of their answer: latencies, beside a loopback echo
    Live(LiveInput),
}

#[derive(Debug, Args)]
pub(crate) struct BenchInput {
    /// A recording [default: 20,000 events of the simulated network]
    pub(crate) file: Option<PathBuf>,
    /// What is asked
    #[arg(long, default_value = "posts.with_key(record.langs[0]).count()")]
    pub(crate) query: String,
    /// How many frames go through in a run; the input is repeated
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) frames: u64,
    /// Runs, of which the median is quoted
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: usize,
    /// Every point, or one row a key
    #[arg(long, value_enum, default_value_t = ResultsArg::Snapshot)]
    pub(crate) results: ResultsArg,
}

#[derive(Debug, Args)]
pub(crate) struct ReadInput {
    /// What is asked, which tells the columns that are read
    pub(crate) query: String,
    #[command(flatten)]
    pub(crate) sources: SourcesArgs,
    /// Runs, of which the median is quoted
    #[arg(long, default_value_t = 5)]
    pub(crate) runs: usize,
}

#[derive(Debug, Args)]
pub(crate) struct FilesInput {
    #[command(flatten)]
    pub(crate) read: ReadInput,
    /// Every point, or one row a key
    #[arg(long, value_enum, default_value_t = ResultsArg::History)]
    pub(crate) results: ResultsArg,
    /// Threads that share the keys
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = workers)]
    pub(crate) workers: usize,
    /// Do not answer from memory, which holds what is read
    #[arg(long)]
    pub(crate) stream_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WireInput {
    #[command(flatten)]
    pub(crate) input: BenchInput,
    /// Frames a second for the latencies
    #[arg(long, default_value_t = 2000)]
    pub(crate) rate: u32,
    /// Seconds the latencies are measured for
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct LiveInput {
    /// Events a second
    #[arg(long, default_value_t = 10_000)]
    pub(crate) rate: u32,
    /// Seconds it is measured for
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
}

/// Which points of an answer are shown; in UTC nanoseconds.
#[derive(Debug, Args)]
pub(crate) struct ShownArgs {
    /// Of a history, points from this time on: 2026-07-04T12:00:00Z, 2026-07-04
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<i64>,
    /// Of a history, points up to and including this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<i64>,
    /// Of a snapshot, keys whose answer had a point at or after this time
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["since", "until"])]
    pub(crate) changed_since: Option<i64>,
    /// Of a snapshot, the answer as of this time [default: of the newest event]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with_all = ["since", "until"])]
    pub(crate) at: Option<i64>,
}

impl ShownArgs {
    /// The results that are meant, if any of them is given.
    pub(crate) fn meant(&self) -> Option<ResultsArg> {
        if self.since.is_some() || self.until.is_some() {
            Some(ResultsArg::History)
        } else if self.changed_since.is_some() || self.at.is_some() {
            Some(ResultsArg::Snapshot)
        } else {
            None
        }
    }
}
