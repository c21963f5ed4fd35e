//! What is not gone on with, and why.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skytide_atproto::columns::Clock;
use skytide_connect::late::{Late, Side};
use skytide_connect::network::{Location, Network};
use skytide_connect::recovery::{Recovery, RecoveryError};
use skytide_connect::run::{End, RunError, RunOptions};
use skytide_connect::sink::{Ndjson, TextFile};
use skytide_connect::source::SourceState;
use skytide_connect::sources::{Offer, Sources};
use skytide_connect::tables;
use skytide_firehose::Cursor;
use skytide_timestream::engine::Mode;
use skytide_timestream::plan::Results;

use super::case::*;

/// What a life is refused for.
fn refused(case: &Case, folder: &Path) -> String {
    let lived = case.try_life(folder, 1, None, &mut |_| panic!("it runs")).unwrap_or_else(|_| panic!());
    lived.unwrap_err().to_string()
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_saved_run_and_is_not_waited_for() {
    let case = Case::new(COUNT, network(few(&frames(10))));
    for name in ["q.saved", "q.lock"] {
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("saved");
        fs::create_dir(&saved).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(saved.join(name)).status().unwrap().success());
        let said = refused(&case, folder.path());
        assert!(said.contains(name) && said.contains("it is no file"), "{said}");
    }
}

#[test]
fn what_was_saved_of_something_else_is_refused() {
    let frames = frames(600);
    let read = Network { clock: Clock::CreatedAt, ..network(few(&frames)) };
    let case = Case::new(COUNT, read.clone());
    let folder = tempfile::tempdir().unwrap();
    assert!(case.life(folder.path(), 1, Some(5)).is_err());
    let saved = folder.path().join("saved/q.saved");
    let before = fs::read(&saved).unwrap();
    let with = |change: &dyn Fn(&mut Network)| {
        let mut other = read.clone();
        change(&mut other);
        refused(&Case::new(COUNT, other), folder.path())
    };

    let other = refused(&Case::new("likes.count()", read.clone()), folder.path());
    assert!(other.contains(&format!("is of the query `{COUNT}`; this one is `likes.count()`")), "{other}");
    let snapshot = refused(&Case { results: Results::snapshot(), ..case.clone() }, folder.path());
    assert!(snapshot.contains("of this query run in another way"), "{snapshot}");
    let once = refused(&Case { mode: Mode::Once, ..case.clone() }, folder.path());
    assert!(once.contains("made in Live mode, the job runs in Once mode"), "{once}");
    let address = with(&|network| network.connection.location = "ws://127.0.0.1:1".into());
    assert!(
        address.contains("reads the program's frames by createdAt")
            && address.contains("reads ws://127.0.0.1:1 by"),
        "{address}"
    );
    assert!(with(&|network| network.clock = Clock::FrameTime).contains("reads the program's frames"));
    assert!(with(&|network| network.lateness = Duration::from_secs(9)).contains("lateness 9s"));
    assert!(with(&|network| network.late = Late::Error).contains("late points: Error"));

    let cursor = with(&|network| network.connection.cursor = Cursor::Seq(5));
    assert!(cursor.contains("reads the program's frames from frame 5 by createdAt"), "{cursor}");

    // Bytes that are none of it.
    let named = |bytes: &[u8]| {
        fs::write(&saved, bytes).unwrap();
        refused(&case, folder.path())
    };
    assert!(named(b"something else").ends_with("q.saved is not a saved run"));
    assert!(named(&before[..before.len() - 1]).contains("is damaged"));
    let mut newer = before.clone();
    newer[8] = 4;
    assert!(named(&newer).contains("has version 4, this program reads version 3"));
    let mut changed = before.clone();
    changed[before.len() / 2] ^= 1;
    assert!(named(&changed).contains("is damaged: its checksum does not fit"));
    fs::write(&saved, &before).unwrap();

    // Rows that are not where they were.
    let rows = folder.path().join("rows.ndjson");
    let text = fs::read(&rows).unwrap();
    fs::write(&rows, b"").unwrap();
    assert!(refused(&case, folder.path()).contains("rows.ndjson: it has 0 bytes, and had"));
    fs::write(&rows, text).unwrap();
    let plan = case.plan();
    let recovery = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live).unwrap();
    let mut elsewhere = TextFile::ndjson(&folder.path().join("other.ndjson")).unwrap();
    let mut source = case.sources(folder.path(), true).reopen(&plan, Mode::Live, recovery.source()).unwrap();
    let busy = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live);
    assert!(matches!(busy, Err(RecoveryError::Busy { .. })));
    let options = case.options(1);
    let error =
        recovery.run(plan, &mut source, &mut elsewhere, &options, |_, _| panic!("it runs")).unwrap_err();
    assert!(error.to_string().contains("rows.ndjson"), "{error}");

    let file = Recovery::open(&saved, "q", &case.plan(), Mode::Live).unwrap_err().to_string();
    assert!(file.ends_with("q.saved: it is no folder, in which runs are saved"), "{file}");

    // What a run left that was killed as it saved is swept away; then it goes on.
    let left = folder.path().join("saved/.q.saved.abc.part");
    // Another query's is not: it may be writing it.
    let others = folder.path().join("saved/.q.saved.saved.abc.part");
    fs::write(&left, b"half").unwrap();
    fs::write(&others, b"half").unwrap();
    assert!(case.life(folder.path(), 1, None).is_ok());
    assert!(!left.exists() && others.exists());
    assert_eq!(fs::read_to_string(&rows).unwrap(), case.whole().rows);
}

#[test]
fn a_name_is_of_the_plan_and_the_mode_that_it_was_opened_for() {
    let frames = frames(50);
    let case = Case::new(COUNT, network(few(&frames)));
    let other = Case { query: "likes.count()", ..case.clone() };
    let folder = tempfile::tempdir().unwrap();
    for (ran, mode) in [(&other, Mode::Live), (&case, Mode::Once)] {
        let saved = folder.path().join("saved");
        let recovery = Recovery::open(&saved, "q", &case.plan(), Mode::Live).unwrap();
        let plan = ran.plan();
        let mut source = ran.sources(folder.path(), true).open(&plan, mode).unwrap();
        let options = RunOptions { mode, ..case.options(1) };
        let mut sink = Ndjson::new(Vec::new());
        let refused = recovery.run(plan, &mut source, &mut sink, &options, |_, _| panic!("it runs"));
        assert!(matches!(refused, Err(RunError::Recovery(RecoveryError::OtherPlan { .. }))), "{refused:?}");
        assert!(!saved.join("q.saved").exists());
    }
}

#[test]
fn a_name_does_not_lead_out_of_its_folder() {
    let plan = Case::new(COUNT, network(few(&frames(1)))).plan();
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved");
    for name in ["", ".", "..", "../q", "q/", "a/b", "./q", "/tmp/q"] {
        let refused = Recovery::open(&saved, name, &plan, Mode::Live);
        assert!(matches!(refused, Err(RecoveryError::Name { .. })), "{name}: {refused:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(Recovery::open(&saved, "posts by lang.2", &plan, Mode::Live).is_ok());
}

#[test]
fn a_file_is_not_emptied_for_rows_that_went_elsewhere_before() {
    let case = Case::new(COUNT, network(few(&frames(600))));
    let folder = tempfile::tempdir().unwrap();
    let plan = case.plan();
    let recovery = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live).unwrap();
    let mut source = case.sources(folder.path(), true).reopen(&plan, Mode::Live, None).unwrap();
    let mut out = Ndjson::new(Vec::new());
    let outcome = recovery.run(plan, &mut source, &mut out, &case.options(1), |_, _| {}).unwrap();
    assert!(outcome.rows > 0);
    let rows = folder.path().join("rows.ndjson");
    fs::write(&rows, b"somebody's\n").unwrap();
    let told = refused(&case, folder.path());
    assert!(told.contains("the rows before went to no file, and this run writes to"), "{told}");
    assert_eq!(fs::read(&rows).unwrap(), b"somebody's\n");
}

#[test]
fn sources_that_stand_elsewhere_than_the_run_are_refused() {
    let case = Case::new(COUNT, network(few(&frames(600))));
    let folder = tempfile::tempdir().unwrap();
    let (plan, saved) = (case.plan(), folder.path().join("saved"));
    let refused = |name: &str, from: Option<&SourceState>| {
        let recovery = Recovery::open(&saved, name, &plan, Mode::Live).unwrap();
        let sources = case.sources(folder.path(), true);
        let mut source = sources.reopen(&plan, Mode::Live, from).unwrap();
        let mut rows = TextFile::ndjson(&folder.path().join("rows.ndjson")).unwrap();
        let watch = |_: &_, _| panic!("it runs");
        let error = recovery.run(Arc::clone(&plan), &mut source, &mut rows, &case.options(1), watch);
        let error = error.unwrap_err();
        assert!(matches!(error, RunError::Recovery(RecoveryError::OtherPlace { .. })), "{error}");
    };
    assert!(case.life(folder.path(), 1, Some(5)).is_err());
    let rows = || fs::read(folder.path().join("rows.ndjson")).unwrap();
    let before = rows();
    // From the beginning its rows would come twice.
    refused("q", None);
    assert_eq!(rows(), before);
    // One that goes on, of which nothing is saved, would leave out what was before.
    let state = Recovery::open(&saved, "q", &plan, Mode::Live).unwrap().source().unwrap().clone();
    refused("another", Some(&state));
    assert!(case.life(folder.path(), 1, None).is_ok());
    assert_eq!(rows(), case.whole().rows.into_bytes());
}

#[test]
fn late_points_stay_where_they_were() {
    let late = Network { clock: Clock::CreatedAt, late: Late::Side, ..network(few(&frames(1500))) };
    let to_file = Case { keeps_late: true, ..Case::new(COUNT, late) };
    let plan = to_file.plan();
    let to_function = |folder: &Path| {
        let recovery = Recovery::open(&folder.join("saved"), "q", &plan, Mode::Live).unwrap();
        let sources = Sources::new(to_file.offers.clone()).late_to(Side::new(|_| Ok(())));
        let mut source = sources.reopen(&plan, Mode::Live, recovery.source())?;
        let mut rows = TextFile::ndjson(&folder.join("rows.ndjson"))?;
        recovery.run(Arc::clone(&plan), &mut source, &mut rows, &to_file.options(1), |_, _| {})
    };
    let folder = tempfile::tempdir().unwrap();
    assert!(to_function(folder.path()).is_ok());
    let file = folder.path().join("late.ndjson");
    fs::write(&file, b"somebody's\n").unwrap();
    let told = refused(&to_file, folder.path());
    assert!(told.contains("those before went to no file"), "{told}");
    assert_eq!(fs::read(&file).unwrap(), b"somebody's\n");

    let folder = tempfile::tempdir().unwrap();
    assert!(to_file.life(folder.path(), 1, Some(9)).is_err());
    let told = to_function(folder.path()).unwrap_err().to_string();
    assert!(told.contains("late.ndjson, and this run keeps them elsewhere"), "{told}");
}

#[test]
fn what_cannot_be_gone_on_with_is_told_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let repos = Case::new(COUNT, network(Location::Repos(vec!["no.car".into()])));
    let told = refused(&repos, folder.path());
    assert!(told.contains("exported repositories cannot be gone on with in another run"), "{told}");
    let fields = arrow_schema::Fields::from(vec![
        arrow_schema::Field::new("t", arrow_schema::DataType::Int64, true),
        arrow_schema::Field::new("k", arrow_schema::DataType::Utf8, true),
    ]);
    let table = tables::Table::new(tables::Definition::new("m", fields, "t", "k")).unwrap();
    let offer = Offer::Table { table, idle: None };
    let case = Case { offers: vec![offer], ..Case::new("m.count()", Network::default()) };
    let told = refused(&case, folder.path());
    assert!(
        told.contains("table `m` cannot be gone on with in another run: rows that a program pushed"),
        "{told}"
    );
}

#[test]
fn rows_that_are_compressed_are_none_of_ours() {
    let read = |codec| {
        let columns: [(&str, arrow_array::ArrayRef); 2] = [
            ("0", Arc::new(arrow_array::Int64Array::from(vec![7; 1000]))),
            ("1", Arc::new(arrow_array::UInt64Array::from(vec![7; 1000]))),
        ];
        let batch = arrow_array::RecordBatch::try_from_iter(columns).unwrap();
        let options = arrow_ipc::writer::IpcWriteOptions::default().try_with_compression(codec).unwrap();
        let mut stream =
            arrow_ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)
                .unwrap();
        stream.write(&batch).unwrap();
        let mut bytes = skytide_runtime::Writer::default();
        bytes.number(1);
        bytes.number(0);
        bytes.part(&stream.into_inner().unwrap());
        skytide_runtime::Reader::new(&bytes.into_bytes()).rows().map(|rows| rows.len())
    };
    assert_eq!(read(None).unwrap(), 1000);
    for codec in [arrow_ipc::CompressionType::LZ4_FRAME, arrow_ipc::CompressionType::ZSTD] {
        assert!(read(Some(codec)).is_err());
    }
}

#[test]
fn bytes_that_somebody_made_do_no_harm() {
    let read =
        Network { clock: Clock::CreatedAt, lateness: Duration::from_secs(20), ..network(few(&frames(300))) };
    let case = Case::new("{ posts: posts.record.langs, likes: likes.count() }", read);
    let folder = tempfile::tempdir().unwrap();
    assert!(case.life(folder.path(), 1, Some(6)).is_err());
    let (saved, rows) = (folder.path().join("saved/q.saved"), folder.path().join("rows.ndjson"));
    let (before, rows_before) = (fs::read(&saved).unwrap(), fs::read(&rows).unwrap());
    let plan = case.plan();
    let sources = case.sources(folder.path(), false);
    let mut dice = Dice(99);
    let (mut refused, mut read, mut answered) = (0, 0, 0);
    for _ in 0..600 {
        let mut bytes = before[..before.len() - 8].to_vec();
        // Lengths are at multiples of eight.
        let at = 24 + dice.roll(bytes.len() as u64 - 32) as usize;
        if dice.roll(2) == 0 {
            bytes[at] ^= 1 << dice.roll(8);
        } else {
            let at = at / 8 * 8;
            let length = [u64::MAX, i64::MAX as u64, 1 << 40, 0, dice.roll(5000)][dice.roll(5) as usize];
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
        }
        let sum = twox_hash::XxHash3_64::oneshot(&bytes);
        bytes.extend(sum.to_le_bytes());
        fs::write(&saved, bytes).unwrap();
        let opened = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live);
        let opened = opened.map_err(RunError::from).and_then(|recovery| {
            let source = sources.reopen(&plan, Mode::Live, recovery.source())?;
            Ok((recovery, source))
        });
        let Ok((recovery, mut source)) = opened else {
            refused += 1;
            continue;
        };
        read += 1;
        // What can be opened comes to an end: nothing is promised of numbers that somebody made but that.
        fs::write(&rows, &rows_before).unwrap();
        let mut sink = TextFile::ndjson(&rows).unwrap();
        let (options, begun) = (case.options(1 + read % 2), Instant::now());
        let watch = |_: &_, _| case.is_in_time(begun);
        match recovery.run(Arc::clone(&plan), &mut source, &mut sink, &options, watch) {
            Ok(outcome) => answered += usize::from(outcome.end == End::Source),
            Err(error) => assert!(!error.to_string().contains("panic"), "{error}"),
        }
    }
    assert!(
        refused > 90 && read > 20 && answered > 10,
        "{refused} refused, {read} read, {answered} answered"
    );
}
