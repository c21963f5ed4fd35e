//! Where the rows of an answer go, by `-o` and `--format`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_schema::SchemaRef;
use console::Term;
use skytide_connect::files::Format;
use skytide_connect::recovery::Recovery;
use skytide_connect::run::RunError;
use skytide_connect::sink::{
    Arrow, Csv, FileFormat, FileSink, GrowingFile, Ndjson, Roll, Sink, SinkError, TextFile, text_form,
};
use skytide_timestream::engine::{EngineError, answer_schema};
use skytide_timestream::plan::Plan;

use super::args::RunArgs;
use super::failure::{DATA, Failure, USAGE};
use super::status::StatusLine;
use super::table::{HistoryTable, Live, SnapshotTable};
use super::tagged::Tagged;
use super::values::{FormatArg, ResultsArg};
use super::waiting::{Waits, waits};

/// Where rows go, and in what form.
pub(crate) enum Target<'a> {
    /// To stdout, or to a file that grows.
    Stream(Option<&'a Path>, Form),
    /// To stdout beside other queries, each row with the query's name.
    Tagged(String),
    /// To a file that has its name when it is whole.
    Whole(&'a Path, FileFormat),
    /// To files of a folder.
    Folder(&'a Path, FileFormat, Roll),
}

/// Forms that are written as rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Ndjson,
    Csv,
    Arrow,
}

impl<'a> Target<'a> {
    /// What the flags ask for, for the rows of a query: its file, or its name where it shares stdout with others.
    pub(crate) fn of(
        args: &'a RunArgs,
        output: Option<&'a Path>,
        name: Option<String>,
        is_terminal: bool,
    ) -> Result<Self, Failure> {
        // Of several answers only some may be rolled.
        let is_rolled = output.is_some_and(may_roll) || !args.output.iter().any(|output| may_roll(output));
        let asked = Roll {
            every: args.roll_every.map(|every| i64::try_from(every.as_nanos()).unwrap_or(i64::MAX)),
            bytes: args.roll_size,
        };
        let roll = if is_rolled { asked } else { Roll::default() };
        let usage = |message: &str, hint: &str| Err(Failure::new(USAGE, message).hint(hint));
        if roll.every == Some(0) {
            return usage("--roll-every 0s: a file has at least a nanosecond", "as in --roll-every 1h");
        }
        let Some(path) = output else {
            if roll != Roll::default() {
                return usage("--roll-every and --roll-size are of a folder", "give it with -o FOLDER/");
            }
            if let Some(name) = name {
                return match args.format {
                    None | Some(FormatArg::Ndjson) => Ok(Self::Tagged(name)),
                    Some(_) => usage(
                        "the rows of several queries are on stdout together as JSON lines alone",
                        "give each query a file with an -o of its own",
                    ),
                };
            }
            let form = match args.format {
                Some(FormatArg::Table) => Form::Table,
                Some(FormatArg::Ndjson) => Form::Ndjson,
                Some(FormatArg::Csv) => Form::Csv,
                Some(FormatArg::Arrow) if is_terminal => {
                    let hint = "send it to a file with -o FILE or into a pipe";
                    return usage("Arrow is not for a terminal's eyes", hint);
                }
                Some(FormatArg::Arrow) => Form::Arrow,
                Some(FormatArg::Parquet) => {
                    return usage("Parquet goes to a file, not to a pipe", "give it with -o FILE.parquet");
                }
                None if is_terminal => Form::Table,
                None => Form::Ndjson,
            };
            return Ok(Self::Stream(None, form));
        };
        let is_folder = is_folder(path);
        if !may_roll(path) && roll != Roll::default() {
            let path = path.display();
            let message =
                format!("{path} is the name of a file, and what is rolled are the files of a folder");
            return usage(&message, &format!("a folder that is called so is {path}/"));
        }
        if is_folder || roll != Roll::default() {
            return match args.format {
                None | Some(FormatArg::Parquet) => Ok(Self::Folder(path, FileFormat::Parquet, roll)),
                Some(FormatArg::Arrow) => Ok(Self::Folder(path, FileFormat::Arrow, roll)),
                Some(_) => usage("a folder takes files of Parquet or Arrow", "as in --format parquet"),
            };
        }
        if args.format.is_none() && tells_other(path) {
            let message = format!("{}: nothing is written as the name tells", path.display());
            let hint = "names in .parquet, .arrow, .arrows, .csv or .ndjson tell the form, for all others --format does";
            return usage(&message, hint);
        }
        let is_stream = path.extension().is_some_and(|ending| ending == "arrows");
        Ok(match (args.format, Format::of_name(path)) {
            (Some(FormatArg::Parquet), _) | (None, Some(Format::Parquet)) => {
                Self::Whole(path, FileFormat::Parquet)
            }
            (Some(FormatArg::Arrow), _) | (None, Some(Format::Arrow)) if !is_stream => {
                Self::Whole(path, FileFormat::Arrow)
            }
            (Some(FormatArg::Arrow), _) | (None, Some(Format::Arrow)) => {
                Self::Stream(Some(path), Form::Arrow)
            }
            (Some(FormatArg::Csv), _) | (None, Some(Format::Csv)) => Self::Stream(Some(path), Form::Csv),
            (Some(FormatArg::Table), _) => Self::Stream(Some(path), Form::Table),
            (Some(FormatArg::Ndjson) | None, _) => Self::Stream(Some(path), Form::Ndjson),
        })
    }

    /// Whether rows can be written on after those of an earlier run.
    pub(crate) fn can_resume(&self) -> bool {
        !matches!(self, Self::Stream(_, Form::Table | Form::Arrow))
    }

    /// Whether a person reads it.
    pub(crate) fn is_table(&self) -> bool {
        matches!(self, Self::Stream(_, Form::Table))
    }

    /// Opens it for the rows of a plan. Where it is saved, whoever runs it takes away what an earlier run
    /// wrote after it was.
    pub(crate) fn open(
        &self,
        results: ResultsArg,
        is_terminal: bool,
        recovery: Option<&Recovery>,
        plan: &Plan,
        status: &Arc<Mutex<StatusLine>>,
    ) -> Result<Box<dyn Sink + Send>, Failure> {
        let refused = |error: EngineError| Failure::new(DATA, error.to_string());
        let schema = answer_schema(plan).map_err(refused)?;
        if matches!(self, Self::Tagged(_) | Self::Stream(_, Form::Ndjson | Form::Csv)) {
            text_form(&schema).map_err(RunError::from)?;
        }
        let (path, form) = match self {
            Self::Tagged(name) => return Ok(Box::new(Tagged::new(name, &schema).map_err(refused)?)),
            Self::Whole(path, format) => {
                // A named pipe waits for its reader.
                let through = |target| Box::new(Waits(target)) as Box<dyn Write + Send>;
                let sink = waits(|| FileSink::file_through(path, *format, &schema, through));
                return kept(sink, recovery);
            }
            Self::Folder(path, format, roll) => {
                return kept(FileSink::folder(path, *format, &schema, *roll), recovery);
            }
            Self::Stream(Some(path), Form::Csv) if recovery.is_some() => {
                return Ok(Box::new(TextFile::csv(path, &schema).map_err(RunError::from)?));
            }
            Self::Stream(Some(path), _) if recovery.is_some() => {
                return Ok(Box::new(TextFile::ndjson(path).map_err(RunError::from)?));
            }
            Self::Stream(path, form) => (path, form),
        };
        // Whoever has the rows before has their header.
        let is_headed = recovery.and_then(Recovery::standing).is_some_and(|standing| standing.rows() > 0);
        let is_live = results == ResultsArg::Snapshot && is_terminal && !console::is_dumb();
        let rows = Rows { form: *form, schema, is_headed, results };
        Ok(match path {
            None => {
                let live = is_live.then(|| Live::new(Term::stdout(), Arc::clone(status)));
                rows.to(Box::new(BufWriter::new(Waits(io::stdout()))), live).map_err(RunError::from)?
            }
            Some(path) => Box::new(growing(path, |target| rows.to(target, None)).map_err(RunError::from)?),
        })
    }
}

/// Whether a path is, or is to be, that of a folder whatever else is asked for.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Whether the answer there may be the files of a folder.
fn may_roll(path: &Path) -> bool {
    path != Path::new("-") && (is_folder(path) || Format::of_name(path).is_none())
}

/// A file that grows, or a named pipe, which waits for its reader.
pub(crate) fn growing<S: Sink + Send + 'static>(
    path: &Path,
    make: impl FnOnce(Box<dyn Write + Send>) -> Result<S, SinkError> + Send + 'static,
) -> Result<GrowingFile, SinkError> {
    let is_file = path.metadata().map_or(true, |found| found.is_file());
    waits(|| {
        GrowingFile::new(path, move |target| make(if is_file { target } else { Box::new(Waits(target)) }))
    })
}

/// Whether a name tells of a form that is only read, or of one that is packed or not done, as `x.csv.gz` and
/// `x.parquet.tmp`.
fn tells_other(path: &Path) -> bool {
    match Format::of_name(path) {
        Some(format) => format == Format::Tsv,
        None => path
            .extension()
            .and(path.file_stem())
            .is_some_and(|stem| Format::of_name(Path::new(stem)).is_some()),
    }
}

/// How rows are written as they come.
struct Rows {
    form: Form,
    schema: SchemaRef,
    is_headed: bool,
    results: ResultsArg,
}

impl Rows {
    /// What writes them there; a table that is redrawn in place, to the terminal.
    fn to(
        self,
        target: Box<dyn Write + Send>,
        live: Option<Live>,
    ) -> Result<Box<dyn Sink + Send>, SinkError> {
        Ok(match self.form {
            Form::Ndjson => Box::new(Ndjson::new(target)),
            Form::Csv => {
                let csv = Csv::new(target, self.schema);
                Box::new(if self.is_headed { csv.headed() } else { csv })
            }
            Form::Arrow => Box::new(Arrow::new(target, &self.schema)?),
            Form::Table => match self.results {
                ResultsArg::Snapshot => Box::new(SnapshotTable::new(target, live)),
                ResultsArg::History => Box::new(HistoryTable::new(target)),
            },
        })
    }
}

/// Files that are written whole, of a run that may be saved.
fn kept(
    sink: Result<FileSink, SinkError>,
    recovery: Option<&Recovery>,
) -> Result<Box<dyn Sink + Send>, Failure> {
    let sink = sink.and_then(|sink| match recovery {
        Some(recovery) => sink.kept_in(&recovery.rows()),
        None => Ok(sink),
    });
    Ok(Box::new(sink.map_err(RunError::from)?))
}
