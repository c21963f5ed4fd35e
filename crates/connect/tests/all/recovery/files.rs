//! Files that are written whole: those of a run that is killed are those of one that is not.

use std::fs;
use std::path::Path;

use skytide_connect::recovery::Recovery;
use skytide_connect::sink::{FileFormat, FileSink, Roll, Sink};
use skytide_timestream::engine::{Mode, answer_schema};
use skytide_timestream::plan::Results;

use super::case::*;

/// Of rows that are of a hundred seconds.
const TEN_SECONDS: Roll = Roll { every: Some(10_000_000_000), bytes: None };

fn rolled(format: FileFormat, roll: Roll) -> Case {
    Case { output: Output::Folder(format, roll), ..Case::new(COUNT, network(few(&frames(2000)))) }
}

/// The names of files, without what is of their run, and how many rows they have.
fn shape(folder: &Path) -> Vec<(String, usize)> {
    let shape = |(name, bytes): (String, Vec<u8>)| {
        let of_run = name.rsplit('-').next().unwrap().to_owned();
        (of_run, lines_of(&name, bytes).lines().count())
    };
    files(folder).into_iter().map(shape).collect()
}

#[test]
fn killed_anywhere_the_files_of_a_folder_are_those_of_one_run() {
    for (seed, format) in (100..).zip([FileFormat::Parquet, FileFormat::Arrow]) {
        let small = Roll { every: None, bytes: Some(6000) };
        for roll in [TEN_SECONDS, small, Roll { bytes: Some(3000), ..TEN_SECONDS }, Roll::default()] {
            // `hold` compares with lines in a file.
            let told = hold(&rolled(format, roll), seed, 3, 20);
            assert!(told.counted > 150);
        }
    }
    // What comes only at the end.
    let case = rolled(FileFormat::Parquet, TEN_SECONDS);
    hold(&Case { mode: Mode::Once, results: Results::snapshot(), query: WINDOWS, ..case }, 103, 2, 20);
}

#[test]
fn killed_anywhere_one_file_is_that_of_one_run() {
    for (seed, format) in (110..).zip([FileFormat::Parquet, FileFormat::Arrow]) {
        let case = Case::new(COUNT, network(few(&frames(1500))));
        hold(&Case { output: Output::File(format), ..case }, seed, 3, 15);
    }
}

#[test]
fn files_are_rolled_where_they_would_be_and_nothing_is_left_behind() {
    let case = rolled(FileFormat::Parquet, TEN_SECONDS);
    let whole = tempfile::tempdir().unwrap();
    assert!(case.life(whole.path(), 1, None).is_ok());
    let whole = shape(&whole.path().join("rows"));
    let tens = whole.len();
    assert!(tens >= 9 && whole[0].0 == "00000000.parquet", "{whole:?}");

    let folder = tempfile::tempdir().unwrap();
    let (rows, saved) = (folder.path().join("rows"), folder.path().join("saved"));
    // Somebody else's, which nobody touches.
    fs::create_dir(&rows).unwrap();
    let others =
        ["part-00000004.parquet", ".part-00000004.parquet.abc.part", "part-0123456789ab-00000004.parquet"];
    others.iter().for_each(|name| fs::write(rows.join(name), "theirs").unwrap());
    let mut before = 0;
    for life in 0.. {
        if case.life(folder.path(), life % 3 + 1, (life < 9).then_some(3)).is_ok() {
            break;
        }
        // Whole files are there to be read, and stay.
        let names = files(&rows).into_keys().collect::<Vec<_>>();
        assert!(
            names.len() >= before
                && names.iter().all(|name| !name.ends_with(".part") || others.contains(&name.as_str()))
        );
        before = names.len();
        // As a process leaves it that is killed in the midst of a file.
        let ours = names.iter().find(|name| name.len() > 30 && !others.contains(&name.as_str()));
        if let Some(ours) = ours {
            let run = ours.rsplit_once('-').unwrap().0;
            fs::write(rows.join(format!(".{run}-00000077.parquet.x1.part")), "half").unwrap();
            fs::write(rows.join(format!("{run}-00000088.parquet")), "made after it was saved").unwrap();
        }
        // No more than the file that is being written and those of the save before.
        let kept = files(&saved).into_keys().filter(|name| name.starts_with("q.rows-")).count();
        assert!(kept <= 1 + 2, "{:?}", files(&saved).into_keys());
    }
    assert!(before > others.len());
    others.iter().for_each(|name| {
        assert_eq!(fs::read(rows.join(name)).unwrap(), b"theirs");
        fs::remove_file(rows.join(name)).unwrap();
    });
    assert_eq!(shape(&rows), whole);

    // One more finds nothing to do: the file that the end made is made again.
    let ended = files(&rows);
    assert!(case.life(folder.path(), 2, None).is_ok());
    assert_eq!(files(&rows), ended);
    let kept: Vec<_> = files(&saved).into_keys().filter(|name| name.starts_with("q.rows-")).collect();
    assert_eq!(kept, [format!("q.rows-{:08}", tens - 1)]);
}

#[test]
fn what_is_gone_or_changed_between_two_lives_is_named() {
    let case = rolled(FileFormat::Parquet, TEN_SECONDS);
    let folder = tempfile::tempdir().unwrap();
    let (rows, saved) = (folder.path().join("rows"), folder.path().join("saved"));
    while files_or_none(&rows) < 3 {
        assert!(case.life(folder.path(), 1, Some(7)).is_err());
    }
    let refused = || {
        let lived = case.try_life(folder.path(), 1, None, &mut |_| panic!("it runs"));
        lived.unwrap_or_else(|_| panic!()).unwrap_err().to_string()
    };
    let names: Vec<String> = files(&rows).into_keys().collect();
    let last = rows.join(names.last().unwrap());
    let bytes = fs::read(&last).unwrap();
    fs::remove_file(&last).unwrap();
    let told = refused();
    assert!(told.contains(names.last().unwrap()), "{told}");
    fs::write(&last, &bytes[1..]).unwrap();
    let told = refused();
    assert!(told.contains(names.last().unwrap()) && told.contains("bytes, and had"), "{told}");
    fs::write(&last, &bytes).unwrap();

    let kept = files(&saved).into_keys().rfind(|name| name.starts_with("q.rows-")).unwrap();
    let bytes = fs::read(saved.join(&kept)).unwrap();
    for (changed, why) in
        [(vec![], "it has 0 bytes, and had"), (bytes.iter().map(|byte| !byte).collect(), "not what it was")]
    {
        fs::write(saved.join(&kept), changed).unwrap();
        let told = refused();
        assert!(told.contains(&kept) && told.contains(why), "{told}");
    }
    fs::remove_file(saved.join(&kept)).unwrap();
    assert!(refused().contains(&kept));
    fs::write(saved.join(&kept), &bytes).unwrap();

    // In another folder, or as lines, it would begin in the midst of its rows.
    let elsewhere = Case { output: Output::File(FileFormat::Parquet), ..case.clone() };
    let told =
        elsewhere.try_life(folder.path(), 1, None, &mut |_| panic!("it runs")).unwrap_or_else(|_| panic!());
    assert!(told.unwrap_err().to_string().contains("and this run writes elsewhere"));

    // Whoever keeps them elsewhere may take away those before the last.
    let mut away = Vec::new();
    for name in &names[..names.len() - 1] {
        away.push((name.clone(), fs::read(rows.join(name)).unwrap()));
        fs::remove_file(rows.join(name)).unwrap();
    }
    assert!(case.life(folder.path(), 3, None).is_ok());
    away.iter().for_each(|(name, bytes)| assert!(!rows.join(name).exists() && !bytes.is_empty()));
    let mut all: String = away.into_iter().map(|(name, bytes)| lines_of(&name, bytes)).collect();
    all.extend(files(&rows).into_iter().map(|(name, bytes)| lines_of(&name, bytes)));
    assert_eq!(all, case.whole().rows);
}

fn files_or_none(folder: &Path) -> usize {
    if folder.exists() { files(folder).len() } else { 0 }
}

#[test]
fn rows_are_written_again_in_one_file_however_it_is_rolled_now() {
    let folder = tempfile::tempdir().unwrap();
    let case = rolled(FileFormat::Parquet, Roll::default());
    assert!(case.life(folder.path(), 1, Some(15)).is_err());
    let hourly = rolled(FileFormat::Arrow, TEN_SECONDS);
    assert!(hourly.life(folder.path(), 1, None).is_ok());
    let files = shape(&folder.path().join("rows"));
    assert!(files.len() > 3 && files[0].0 == "00000000.arrow", "{files:?}");
    let all: usize = files.iter().map(|(_, rows)| rows).sum();
    assert_eq!(all, case.whole().counted);
}

#[test]
fn a_device_has_no_rows_that_could_be_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::new(COUNT, network(few(&frames(300))));
    let plan = case.plan();
    let recovery = Recovery::open(&folder.path().join("saved"), "q", &plan, Mode::Live).unwrap();
    let sink = FileSink::file(Path::new("/dev/null"), FileFormat::Arrow, &answer_schema(&plan).unwrap());
    let error = sink.unwrap().kept_in(&recovery.rows()).map(drop).unwrap_err().to_string();
    assert!(error.contains("/dev/null: it is no file, whose rows could be written again"), "{error}");
    // One that is not kept is as a pipe: it has no place.
    let sink =
        FileSink::file(&folder.path().join("a.arrow"), FileFormat::Arrow, &answer_schema(&plan).unwrap());
    assert_eq!(sink.unwrap().place().unwrap(), None);
}

#[test]
fn a_place_that_somebody_made_takes_nothing_away_that_is_not_ours() {
    let case = Case { query: "likes.count()", ..rolled(FileFormat::Arrow, TEN_SECONDS) };
    let folder = tempfile::tempdir().unwrap();
    let (rows, saved) = (folder.path().join("rows"), folder.path().join("saved"));
    assert!(case.life(folder.path(), 1, Some(25)).is_err());
    let others = ["part-00000000.arrow", "part-ffffffffffff-00000000.arrow", "notes.txt"];
    others.iter().for_each(|name| fs::write(rows.join(name), "theirs").unwrap());
    let before = [&rows, &saved].map(|folder| files(folder));
    let place = before[1]["q.saved"].windows(4).position(|bytes| bytes == b"rows").unwrap();
    let (mut refused, mut answered) = (0, 0);
    for at in (place - 16..place + 120).step_by(3) {
        let mut bytes = before[1]["q.saved"][..before[1]["q.saved"].len() - 8].to_vec();
        bytes[at] ^= 1 << (at % 8);
        let sum = twox_hash::XxHash3_64::oneshot(&bytes);
        bytes.extend(sum.to_le_bytes());
        fs::write(saved.join("q.saved"), bytes).unwrap();
        match case.try_life(folder.path(), 1, Some(3), &mut |_| {}) {
            Ok(Err(_)) => refused += 1,
            Ok(Ok(_)) | Err(Killed) => answered += 1,
        }
        assert!(others.iter().all(|name| fs::read(rows.join(name)).unwrap() == b"theirs"), "at {at}");
        for (folder, before) in [&rows, &saved].into_iter().zip(&before) {
            files(folder).keys().for_each(|name| fs::remove_file(folder.join(name)).unwrap());
            before.iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
    }
    assert!(refused > 10 && refused + answered == 46, "{refused} refused, {answered} answered");
}
