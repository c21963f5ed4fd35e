//! Where the rows of an answer go, by `-o` and `--format`.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::rc::Rc;

use console::Term;
use skytide_connect::files::Format;
use skytide_connect::run::RunError;
use skytide_connect::sink::{Arrow, Csv, FileFormat, FileSink, Ndjson, Roll, Sink};
use skytide_timestream::engine::answer_schema;
use skytide_timestream::plan::Plan;

use super::args::{FormatArg, ResultsArg, RunArgs};
use super::failure::{DATA, Failure, USAGE};
use super::status::StatusLine;
use super::table::{HistoryTable, Live, SnapshotTable};

/// Where rows go, and in what form.
pub(crate) struct Target<'a> {
    pub(crate) format: FormatArg,
    place: Place<'a>,
}

enum Place<'a> {
    Stdout,
    /// A file that grows.
    Text(&'a Path),
    /// A file that has its name when it is whole.
    Whole(&'a Path, FileFormat),
    Folder(&'a Path, FileFormat, Roll),
}

impl<'a> Target<'a> {
    /// What the flags ask for.
    pub(crate) fn of(args: &'a RunArgs, is_terminal: bool) -> Result<Self, Failure> {
        let roll = Roll {
            every: args.roll_every.map(|every| i64::try_from(every.as_nanos()).unwrap_or(i64::MAX)),
            bytes: args.roll_size,
        };
        let usage = |message: &str, hint: &str| Err(Failure::new(USAGE, message).hint(hint));
        if roll.every == Some(0) {
            return usage("--roll-every 0s: a file has at least a nanosecond", "as in --roll-every 1h");
        }
        let Some(path) = args.output.as_deref() else {
            if roll != Roll::default() {
                return usage("--roll-every and --roll-size are of a folder", "give it with -o FOLDER/");
            }
            if args.format == Some(FormatArg::Parquet) {
                return usage("Parquet goes to a file, not to a pipe", "give it with -o FILE.parquet");
            }
            if is_terminal && args.format == Some(FormatArg::Arrow) {
                let hint = "send it to a file with -o FILE or into a pipe";
                return usage("Arrow is not for a terminal's eyes", hint);
            }
            let format = args.format.unwrap_or(if is_terminal { FormatArg::Table } else { FormatArg::Ndjson });
            return Ok(Self { format, place: Place::Stdout });
        };
        let is_folder = path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if is_folder || roll != Roll::default() {
            let (format, of) = match args.format {
                None | Some(FormatArg::Parquet) => (FormatArg::Parquet, FileFormat::Parquet),
                Some(FormatArg::Arrow) => (FormatArg::Arrow, FileFormat::Arrow),
                Some(_) => return usage("a folder takes files of Parquet or Arrow", "--format parquet"),
            };
            return Ok(Self { format, place: Place::Folder(path, of, roll) });
        }
        let is_stream = path.extension().is_some_and(|ending| ending == "arrows");
        let format = args.format.unwrap_or(match Format::of_name(path) {
            Some(Format::Parquet) => FormatArg::Parquet,
            Some(Format::Arrow) => FormatArg::Arrow,
            Some(Format::Csv) => FormatArg::Csv,
            _ => FormatArg::Ndjson,
        });
        let place = match format {
            FormatArg::Parquet => Place::Whole(path, FileFormat::Parquet),
            FormatArg::Arrow if !is_stream => Place::Whole(path, FileFormat::Arrow),
            _ => Place::Text(path),
        };
        Ok(Self { format, place })
    }

    /// Opens it for the rows of a plan.
    pub(crate) fn open(
        &self,
        results: ResultsArg,
        is_terminal: bool,
        plan: &Plan,
        status: &Rc<RefCell<StatusLine>>,
    ) -> Result<Box<dyn Sink>, Failure> {
        let schema = answer_schema(plan).map_err(|error| Failure::new(DATA, error.to_string()))?;
        let target: Box<dyn Write> = match &self.place {
            Place::Whole(path, format) => {
                return Ok(Box::new(FileSink::file(path, *format, &schema).map_err(RunError::from)?));
            }
            Place::Folder(path, format, roll) => {
                return Ok(Box::new(
                    FileSink::folder(path, *format, &schema, *roll).map_err(RunError::from)?,
                ));
            }
            Place::Stdout => Box::new(BufWriter::new(io::stdout())),
            Place::Text(path) => {
                let failed = |error| Failure::new(DATA, format!("{}: {error}", path.display()));
                Box::new(BufWriter::new(File::create(path).map_err(failed)?))
            }
        };
        Ok(match self.format {
            FormatArg::Ndjson | FormatArg::Parquet => Box::new(Ndjson::new(target)),
            FormatArg::Csv => Box::new(Csv::new(target, schema)),
            FormatArg::Arrow => Box::new(Arrow::new(target, &schema).map_err(RunError::from)?),
            FormatArg::Table => match results {
                ResultsArg::Snapshot => {
                    let live = is_terminal.then(|| Live::new(Term::stdout(), Rc::clone(status)));
                    Box::new(SnapshotTable::new(target, live))
                }
                ResultsArg::History => Box::new(HistoryTable::new(target)),
            },
        })
    }
}
