//! Recordings: what is written is read back, whatever is cut off or damaged, and every place in them is found.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use proptest::prelude::*;
use skytide_atproto::{
    jetstream,
    message::{Identity, Message},
};
use skytide_firehose::{Compression, CutOff, JetstreamPast, Recorder, Recording, RecordingError};
use tempfile::TempDir;

const ZSTD: Compression = Compression::Zstd { level: 1 };

/// Nanoseconds of 2026-07-04T00:00:00Z.
const DAY: i64 = 1_783_123_200_000_000_000;

/// A frame of this number, of this second of a day, padded by so many bytes.
fn frame(seq: u64, second: u64, padding: usize) -> Vec<u8> {
    let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
    let time = format!("2026-07-04T{hours:02}:{minutes:02}:{seconds:02}.000Z");
    // The padding does not compress, so that compressed files have many blocks.
    let mut state = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut handle = String::new();
    while handle.len() < padding {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        handle += &format!("{state:016x}");
    }
    handle.truncate(padding);
    let handle = Some(handle.as_str());
    Message::Identity(Identity { seq, did: "did:plc:abc", time: &time, handle }).to_frame_bytes()
}

/// A frame of this number and time.
fn timed(seq: u64, time: &str) -> Vec<u8> {
    Message::Identity(Identity { seq, did: "did:plc:abc", time, handle: None }).to_frame_bytes()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    (folder, path)
}

fn write(path: &Path, compression: Compression, frames: &[Vec<u8>]) {
    let mut recorder = Recorder::create(path, compression).unwrap();
    for frame in frames {
        recorder.push(frame).unwrap();
    }
    let recorded = recorder.finish().unwrap();
    assert_eq!(recorded.frames, frames.len() as u64);
    assert_eq!(recorded.bytes, fs::metadata(path).unwrap().len());
}

fn plain(frames: &[Vec<u8>]) -> Vec<u8> {
    let length = |frame: &Vec<u8>| u32::try_from(frame.len()).unwrap().to_le_bytes();
    frames.iter().flat_map(|frame| [&length(frame)[..], frame].concat()).collect()
}

/// It, read from its file and from memory.
fn both(path: &Path) -> [Recording; 2] {
    [Recording::open(path).unwrap(), Recording::from_bytes(fs::read(path).unwrap()).unwrap()]
}

fn read(path: &Path) -> Result<Vec<Bytes>, RecordingError> {
    Recording::open(path)?.collect()
}

#[test]
fn what_is_written_is_read_back() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..5000).map(|seq| frame(seq, seq, usize::try_from(seq).unwrap())).collect();
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        for mut recording in both(&path) {
            let read: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
            assert_eq!(read, frames, "{compression:?}");
            assert_eq!(recording.cut_off(), None);
            let (done, all) = recording.progress();
            assert_eq!((done, all), (all, fs::metadata(&path).unwrap().len()));
        }
    }
    write(&path, Compression::None, &frames);
    assert_eq!(fs::read(&path).unwrap(), plain(&frames));
}

#[test]
fn batches_and_buffers_held_back_give_the_same() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..3000).map(|seq| frame(seq, seq, 500)).collect();
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        let mut recording = Recording::open(&path).unwrap();
        let (mut batch, mut read) = (Vec::new(), Vec::new());
        while recording.next_batch(&mut batch, 100).unwrap() > 0 {
            assert!(batch.len() <= 100);
            read.extend(batch.drain(..).map(|frame| frame.to_vec()));
        }
        assert_eq!(read, frames);
        let held = Recording::open(&path).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        assert_eq!(held, frames);
    }
}

#[test]
fn other_programs_and_this_one_read_each_others_zstd() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..9000).map(|seq| frame(seq, seq, 1000)).collect();
    write(&path, ZSTD, &frames);
    assert_eq!(zstd::decode_all(&*fs::read(&path).unwrap()).unwrap(), plain(&frames));

    fs::write(&path, zstd::encode_all(&*plain(&frames), 1).unwrap()).unwrap();
    assert_eq!(read(&path).unwrap(), frames);
    let mut recording = Recording::open(&path).unwrap();
    for seq in [8000, 10] {
        assert!(recording.seek_seq(seq).unwrap());
        assert_eq!(recording.next().unwrap().unwrap(), frames[usize::try_from(seq).unwrap()]);
    }
}

#[test]
fn a_file_cut_off_anywhere_is_read_up_to_its_last_whole_frame() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..5).map(|seq| frame(seq, seq, 3)).collect();
    let whole = plain(&frames);
    let ends: Vec<_> = (0..=frames.len()).map(|count| plain(&frames[..count]).len()).collect();
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        for mut recording in both(&path) {
            let read: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
            let count = ends.iter().rposition(|end| *end <= length).unwrap();
            assert_eq!(read, frames[..count], "{length}");
            let (whole, rest) = (ends[count] as u64, (length - ends[count]) as u64);
            let expected = (rest > 0).then_some(CutOff { frames: count as u64, whole, rest });
            assert_eq!(recording.cut_off(), expected, "{length}");
            assert!(recording.next().is_none());
        }
    }
}

#[test]
fn compressed_data_cut_off_anywhere_loses_no_block_before() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..6).map(|seq| frame(seq, seq, 3)).collect();
    let mut recorder = Recorder::create(&path, ZSTD).unwrap();
    let mut flushed = vec![0];
    for pair in frames.chunks(2) {
        pair.iter().for_each(|frame| recorder.push(frame).unwrap());
        recorder.flush().unwrap();
        flushed.push(fs::metadata(&path).unwrap().len());
    }
    recorder.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    // Below four bytes it cannot be told what the file is.
    for length in 4..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        for mut recording in both(&path) {
            let read: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
            let blocks = flushed.iter().rposition(|end| *end <= length as u64).unwrap();
            assert_eq!(read, frames[..blocks * 2], "{length}");
            let ends_well = length == whole.len() || flushed.contains(&(length as u64));
            assert_eq!(recording.cut_off().is_none(), ends_well, "{length}");
        }
    }
}

#[test]
fn what_was_flushed_is_there_and_what_was_dropped_too() {
    let (_folder, path) = folder();
    for compression in [Compression::None, ZSTD] {
        let mut recorder = Recorder::create(&path, compression).unwrap();
        recorder.push(b"one").unwrap();
        recorder.flush().unwrap();
        recorder.push(b"two").unwrap();
        assert_eq!(read(&path).unwrap(), ["one"], "{compression:?}");
        drop(recorder);
        assert_eq!(read(&path).unwrap(), ["one", "two"], "{compression:?}");
    }
}

#[test]
fn what_was_there_stays_until_a_frame_is_written() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (1..4).map(|seq| frame(seq, seq, 9)).collect();
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        let before = fs::read(&path).unwrap();
        drop(Recorder::create(&path, compression).unwrap());
        drop(Recorder::append(&path, compression).unwrap());
        assert_eq!(fs::read(&path).unwrap(), before, "{compression:?}");
        let mut recorder = Recorder::create(&path, compression).unwrap();
        recorder.push(b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), before, "{compression:?}");
        recorder.flush().unwrap();
        assert_eq!(read(&path).unwrap(), ["new"], "{compression:?}");
        recorder.finish().unwrap();
        Recorder::create(&path, compression).unwrap().finish().unwrap();
        assert_eq!(read(&path).unwrap(), Vec::<Bytes>::new(), "{compression:?}");
    }
}

#[test]
fn there_is_one_recorder_of_a_file() {
    let (_folder, path) = folder();
    let busy = |made: Result<(), RecordingError>| {
        let text = made.unwrap_err().to_string();
        assert!(text.contains("another recording is being made there"), "{text}");
        assert!(text.starts_with(&path.display().to_string()), "{text}");
    };
    for compression in [Compression::None, ZSTD] {
        fs::remove_file(&path).unwrap_or_default();
        let mut first = Recorder::create(&path, compression).unwrap();
        busy(Recorder::append(&path, compression).map(drop));
        first.push(b"one").unwrap();
        first.flush().unwrap();
        busy(Recorder::append(&path, compression).map(drop));
        busy(Recorder::create(&path, compression).map(drop));
        assert_eq!(read(&path).unwrap(), ["one"], "whoever reads may do so meanwhile");
        drop(first);
        let (mut next, last) = Recorder::append(&path, compression).unwrap();
        assert_eq!(last.frames, 1);
        next.push(b"two").unwrap();
        next.finish().unwrap();
        assert_eq!(read(&path).unwrap(), ["one", "two"]);
    }
    #[cfg(unix)]
    {
        let _first = Recorder::create("/dev/null", Compression::None).unwrap();
        Recorder::create("/dev/null", Compression::None).unwrap();
    }
}

#[test]
fn a_recording_goes_on_after_its_end() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (1..=900).map(|seq| frame(seq, seq, 20_000)).collect();
    for compression in [Compression::None, ZSTD] {
        fs::remove_file(&path).unwrap_or_default();
        for (part, frames) in frames.chunks(300).enumerate() {
            let (mut recorder, last) = Recorder::append(&path, compression).unwrap();
            let before = 300 * part as u64;
            let seq = Some(before).filter(|before| *before > 0);
            let time = seq.map(|seq| DAY + seq.cast_signed() * 1_000_000_000);
            assert_eq!((last.frames, last.seq, last.time), (before, seq, time), "{compression:?}");
            frames.iter().for_each(|frame| recorder.push(frame).unwrap());
            let recorded = recorder.finish().unwrap();
            assert_eq!(recorded.frames, before + 300);
            assert_eq!(recorded.bytes, fs::metadata(&path).unwrap().len());
        }
        assert_eq!(read(&path).unwrap(), frames);
        // The index is of the whole, and there is one.
        let mut recording = Recording::open(&path).unwrap();
        for seq in [1, 299, 301, 612, 900] {
            assert!(recording.seek_seq(seq).unwrap());
            assert_eq!(recording.passed(), seq - 1);
            assert_eq!(recording.next_frame().unwrap().unwrap(), frames[seq as usize - 1]);
        }
        let found = Recorder::append(&path, compression).unwrap().0.finish().unwrap();
        assert_eq!((found.frames, found.bytes), (900, fs::metadata(&path).unwrap().len()));
    }
}

#[test]
fn an_absurd_time_is_not_what_a_recording_ends_with() {
    let (_folder, path) = folder();
    let mut frames: Vec<_> = (1..=900).map(|seq| frame(seq, seq, 20_000)).collect();
    for absurd in [1, 450, 898, 899] {
        frames[absurd] = timed(absurd as u64 + 1, "2200-01-01T00:00:00Z");
    }
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        let (_, last) = Recorder::append(&path, compression).unwrap();
        assert_eq!((last.frames, last.seq, last.time), (900, Some(900), Some(DAY + 898_000_000_000)));
    }
    write(&path, ZSTD, &[timed(7, "2200-01-01T00:00:00Z")]);
    let (_, last) = Recorder::append(&path, ZSTD).unwrap();
    assert_eq!((last.seq, last.time), (Some(7), None));
}

/// Event number `event` of a Jetstream, of this time (microseconds), as a recording has it.
fn event(event: u64, time_us: u64) -> Vec<u8> {
    let account = format!(r#"{{"active":true,"did":"did:plc:{event}","seq":{event}}}"#);
    let line =
        format!(r#"{{"did":"did:plc:{event}","time_us":{time_us},"kind":"account","account":{account}}}"#);
    jetstream::frame_of(line.as_bytes()).unwrap().bytes
}

#[test]
fn a_recording_of_a_jetstream_ends_with_a_time_that_is_believed() {
    let (_folder, path) = folder();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let now = u64::try_from(now).unwrap();
    let start = now - 600_000_000;
    // An hour ahead, and so little that the clock alone would believe it.
    for ahead in [3_600_000_000, 240_000_000] {
        let mut frames: Vec<_> = (1..=50).map(|second| event(second, start + second * 1_000_000)).collect();
        frames.insert(10, event(998, now + ahead));
        frames.push(event(999, now + ahead));
        for compression in [Compression::None, ZSTD] {
            write(&path, compression, &frames);
            let (recorder, last) = Recorder::append(&path, compression).unwrap();
            assert_eq!((last.frames, last.seq), (52, Some(start + 50_000_000)));
            drop(recorder);
            let past = JetstreamPast::of_end(&mut Recording::open(&path).unwrap(), last.seq.unwrap());
            assert_eq!(past.unwrap().place().unwrap().rewound(), Some(start + 45_000_000));
        }
    }
}

#[test]
fn what_follows_is_known_by_its_number_or_by_its_time() {
    let (_folder, path) = folder();
    let minute = 60_000_000_000;
    let mut frames: Vec<_> = (101..=900).map(|seq| frame(seq, seq, 20_000)).collect();
    // The numbering begins anew a second later.
    frames.extend((1..=300).map(|seq| frame(seq, 900 + seq, 20_000)));
    frames.insert(5, timed(99, "2200-01-01T00:00:00Z"));
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        let mut recording = Recording::open(&path).unwrap();
        let mut passed =
            |seq: u64, newest: i64| recording.seek_after(seq, newest).unwrap().then(|| recording.passed());
        // Twice: what was found once is remembered.
        for _ in 0..2 {
            assert_eq!(passed(100, DAY), Some(0));
            assert_eq!(passed(500, DAY + 500_000_000_000), Some(401));
            assert_eq!(passed(900, DAY + 900_000_000_000), Some(801 + 60));
            assert_eq!(passed(2000, DAY + 840_000_000_000), Some(801));
            assert_eq!(passed(2000, DAY + 1_200_000_000_000 - minute), None);
            assert_eq!(passed(2000, i64::MAX), None);
        }
    }
}

#[test]
fn recordings_that_were_joined_are_one() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (1..=1000).map(|seq| frame(seq, seq, 20_000)).collect();
    let mut parts = Vec::new();
    for part in frames.chunks(500) {
        write(&path, ZSTD, part);
        parts.extend(fs::read(&path).unwrap());
    }
    fs::write(&path, &parts).unwrap();
    assert_eq!(read(&path).unwrap(), frames);
    for seq in [1, 400, 501, 900] {
        let mut recording = Recording::open(&path).unwrap();
        assert!(recording.seek_seq(seq).unwrap());
        assert_eq!(recording.passed(), seq - 1);
    }
    let (mut recorder, last) = Recorder::append(&path, ZSTD).unwrap();
    assert_eq!((last.frames, last.seq), (1000, Some(1000)));
    recorder.push(&frame(1001, 1001, 300)).unwrap();
    recorder.finish().unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert!(recording.seek_seq(1001).unwrap());
    assert_eq!(recording.passed(), 1000);
}

#[test]
fn a_recording_goes_on_wherever_it_was_cut_off() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (1..9).map(|seq| frame(seq, seq, 300)).collect();
    for compression in [Compression::None, ZSTD] {
        let mut recorder = Recorder::create(&path, compression).unwrap();
        let mut flushed = vec![0];
        for pair in frames.chunks(2) {
            pair.iter().for_each(|frame| recorder.push(frame).unwrap());
            recorder.flush().unwrap();
            flushed.push(fs::metadata(&path).unwrap().len());
        }
        recorder.finish().unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 4..=whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let before = read(&path).unwrap();
            let blocks = flushed.iter().rposition(|end| *end <= length as u64).unwrap();
            assert!(before.len() >= blocks * 2, "{length}");
            let (mut recorder, last) = Recorder::append(&path, compression).unwrap();
            assert_eq!(last.frames, before.len() as u64, "{length}");
            recorder.push(b"next").unwrap();
            recorder.finish().unwrap();
            let after = read(&path).unwrap();
            assert_eq!((&after[..before.len()], &after[before.len()..]), (&before[..], &["next".into()][..]));
            let mut recording = Recording::open(&path).unwrap();
            assert!(!recording.seek_seq(1000).unwrap());
            assert_eq!((recording.passed(), recording.cut_off()), (after.len() as u64, None), "{length}");
        }
    }
}

#[test]
fn frames_of_broken_data_are_written_again_and_others_refused() {
    let (_folder, path) = folder();
    // One zstd frame of all, as other programs make it: blocks of it are there when it breaks off.
    let frames: Vec<_> = (1..200).map(|seq| frame(seq, seq, 5000)).collect();
    let whole = zstd::encode_all(&plain(&frames)[..], 1).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let before = read(&path).unwrap();
    assert!(before.len() > 10 && before.len() < 199);
    let (mut recorder, last) = Recorder::append(&path, ZSTD).unwrap();
    assert_eq!((last.frames, last.seq), (before.len() as u64, Some(before.len() as u64)));
    recorder.push(b"next").unwrap();
    recorder.finish().unwrap();
    let after = read(&path).unwrap();
    assert_eq!((&after[..before.len()], after.len()), (&before[..], before.len() + 1));

    // A frame lies in two of zstd's, of which the second is broken off.
    let bytes = plain(&frames[..2]);
    let (one, two) = bytes.split_at(bytes.len() - 100);
    let two = zstd::encode_all(two, 1).unwrap();
    fs::write(&path, [zstd::encode_all(one, 1).unwrap(), two[..two.len() - 1].to_vec()].concat()).unwrap();
    let held = fs::read(&path).unwrap();
    assert!(matches!(Recorder::append(&path, ZSTD), Err(RecordingError::BrokenOff { .. })));
    assert_eq!(fs::read(&path).unwrap(), held);
    fs::write(&path, b"this is no recording").unwrap();
    assert!(matches!(Recorder::append(&path, ZSTD), Err(RecordingError::TooLong { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"this is no recording");
}

#[test]
fn frames_wait_for_a_second_at_most() {
    let (_folder, path) = folder();
    for compression in [Compression::None, ZSTD] {
        fs::write(&path, b"").unwrap();
        let start = Instant::now();
        let mut recorder = Recorder::create(&path, compression).unwrap();
        let mut at = |millis, frame: &[u8]| {
            if !frame.is_empty() {
                recorder.push(frame).unwrap();
            }
            recorder.flush_due(start + Duration::from_millis(millis)).unwrap();
            read(&path).unwrap().len()
        };
        assert_eq!(at(0, b"one"), 0, "{compression:?}");
        assert_eq!(at(999, b"two"), 0);
        assert_eq!(at(1000, b""), 2);
        assert_eq!(at(5000, b""), 2);
        assert_eq!(at(5001, b"three"), 2, "a second from then, not from the last time");
        assert_eq!(at(6001, b""), 3);
        drop(recorder);
    }
}

#[test]
fn every_number_and_time_is_found() {
    let (_folder, path) = folder();
    // Numbers have gaps; times stand still, and fall now and then; some frames have neither.
    let mut frames = Vec::new();
    for at in 0..12_000 {
        frames.push(if at % 10 == 3 {
            b"no frame".to_vec()
        } else {
            frame(at * 3 + 7, (at / 4).saturating_sub(at % 2), 1000)
        });
    }
    let seq_at = |target: u64| {
        frames.iter().enumerate().position(|(at, _)| at % 10 != 3 && at as u64 * 3 + 7 >= target)
    };
    let time_at = |target: u64| {
        (0..frames.len() as u64).position(|at| at % 10 != 3 && (at / 4).saturating_sub(at % 2) >= target)
    };
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        for mut recording in both(&path) {
            // Forwards, backwards, before the beginning, at it, at the end and after it.
            for target in [20_000, 5, 0, 7, 35_999, 36_000, 36_004, 40_000, 100, 12_345, u64::MAX] {
                let expected = seq_at(target);
                assert_eq!(
                    recording.seek_seq(target).unwrap(),
                    expected.is_some(),
                    "{compression:?} {target}"
                );
                let next = recording.next().transpose().unwrap();
                assert_eq!(next.as_deref(), expected.map(|at| &*frames[at]), "{compression:?} {target}");
            }
            for second in [1500, 0, 2, 2998, 2999, 3000, 17] {
                let expected = time_at(second);
                let target = DAY + i64::try_from(second).unwrap() * 1_000_000_000;
                assert_eq!(
                    recording.seek_time(target).unwrap(),
                    expected.is_some(),
                    "{compression:?} {second}"
                );
                let next = recording.next().transpose().unwrap();
                assert_eq!(next.as_deref(), expected.map(|at| &*frames[at]), "{compression:?} {second}");
            }
            assert!(recording.seek_time(i64::MIN).unwrap());
            assert_eq!(recording.count(), frames.len(), "from the beginning to the end");
        }
    }
}

#[test]
fn a_search_enters_a_compressed_recording_near_the_place() {
    let (_folder, path) = folder();
    let frames: Vec<_> = (0..20_000).map(|seq| frame(seq, seq, 1000)).collect();
    write(&path, ZSTD, &frames);
    // What lies before the place cannot have been read: it is gone.
    let mut damaged = fs::read(&path).unwrap();
    let half = damaged.len() / 2;
    damaged[4..half].fill(0);
    fs::write(&path, damaged).unwrap();
    assert!(read(&path).is_err());
    let mut recording = Recording::open(&path).unwrap();
    assert!(recording.seek_seq(15_000).unwrap());
    assert_eq!(recording.next().unwrap().unwrap(), frames[15_000]);
    assert_eq!(recording.count(), 20_000 - 15_001);
}

#[test]
fn a_numbering_that_began_anew_is_searched_in_the_order_of_the_file() {
    let (_folder, path) = folder();
    let numbers: Vec<u64> = (5000..9000).chain(0..12_000).collect();
    let frames: Vec<_> = numbers.iter().map(|seq| frame(*seq, 0, 1000)).collect();
    for compression in [Compression::None, ZSTD] {
        write(&path, compression, &frames);
        for mut recording in both(&path) {
            for target in [11_000, 6000, 9000, 10, 8999] {
                let expected = numbers.iter().position(|seq| *seq >= target).unwrap();
                assert!(recording.seek_seq(target).unwrap());
                assert_eq!(recording.next().unwrap().unwrap(), frames[expected], "{compression:?} {target}");
            }
        }
    }
}

#[test]
fn damage_is_an_error_and_then_the_end() {
    let (_folder, path) = folder();
    let good = plain(&[frame(1, 1, 10)]);

    fs::write(&path, [&good[..], b"\xff\xff\xff\x7fabc"].concat()).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert!(recording.next().unwrap().is_ok());
    let error = recording.next().unwrap().unwrap_err();
    let at = good.len() as u64;
    assert!(
        matches!(error, RecordingError::TooLong { at: found, length: 0x7fff_ffff, .. } if found == at),
        "{error}"
    );
    assert!(recording.next().is_none());

    let mut recording = Recording::from_bytes(fs::read(&path).unwrap()).unwrap();
    assert!(recording.next().unwrap().is_ok());
    let error = recording.next().unwrap().unwrap_err();
    assert!(matches!(error, RecordingError::TooLong { at: found, .. } if found == at), "{error}");
    assert!(recording.next().is_none());

    // A batch gives the frames before the error first.
    let mut recording = Recording::open(&path).unwrap();
    let mut batch = Vec::new();
    assert_eq!(recording.next_batch(&mut batch, 10).unwrap(), 1);
    assert!(recording.next_batch(&mut batch, 10).is_err());
    assert_eq!(recording.next_batch(&mut batch, 10).unwrap(), 0);

    let mut zstd = zstd::encode_all(&*good, 1).unwrap();
    zstd.extend(b"not zstd at all");
    fs::write(&path, zstd).unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert!(recording.next().unwrap().is_ok());
    assert!(matches!(recording.next().unwrap().unwrap_err(), RecordingError::Damaged { .. }));
    assert!(recording.next().is_none());

    assert!(matches!(Recording::open(path.join("none")), Err(RecordingError::Open { .. })));
    assert!(matches!(Recording::open(path.parent().unwrap()), Err(RecordingError::Open { .. })));
}

#[test]
fn a_recorder_refuses_what_could_not_be_read() {
    let (_folder, path) = folder();
    let mut recorder = Recorder::create(&path, Compression::None).unwrap();
    let too_large = vec![0; skytide_firehose::recording::MAX_RECORDED + 1];
    assert!(matches!(recorder.push(&too_large), Err(RecordingError::FrameTooLarge { .. })));
    recorder.push(&too_large[1..]).unwrap();
    recorder.finish().unwrap();
    assert_eq!(read(&path).unwrap(), [&too_large[1..]]);
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_follows_a_write_that_failed() {
    let mut recorder = Recorder::create("/dev/full", Compression::None).unwrap();
    recorder.push(b"one").unwrap();
    let error = recorder.flush().unwrap_err();
    assert!(
        matches!(&error, RecordingError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
    );
    recorder.push(b"two").unwrap();
    assert!(recorder.flush().unwrap_err().to_string().ends_with("an earlier write failed"));
    assert!(recorder.finish().is_err());
}

#[test]
fn compression_follows_the_name() {
    let of = |path: &str| Compression::of_path(Path::new(path));
    assert_eq!(of("a.frames.zst"), Compression::Zstd { level: 3 });
    assert_eq!(of("a.zstd"), Compression::Zstd { level: 3 });
    assert_eq!(of("a.frames"), Compression::None);
    assert_eq!(of("zst"), Compression::None);
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn the_real_window_is_read_and_found() {
    let vectors =
        std::env::var_os("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of the vectors");
    let path = Path::new(&vectors).join("relay-window/frames.bin.zst");
    let mut recording = Recording::open(&path).unwrap();
    let frames: Vec<_> = recording.by_ref().map(Result::unwrap).collect();
    assert_eq!(frames.len(), 150);
    assert_eq!(recording.cut_off(), None);
    assert!(recording.seek_seq(31_527_015_400).unwrap());
    assert_eq!(recording.count(), 72);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, flip in any::<prop::sample::Index>(), to: u8, zstd: bool) {
        let (_folder, path) = folder();
        let mut file = if zstd {
            write(&path, ZSTD, &[frame(1, 1, 20), bytes]);
            fs::read(&path).unwrap()
        } else {
            bytes
        };
        if !file.is_empty() {
            let at = flip.index(file.len());
            file[at] = to;
        }
        fs::write(&path, &file).unwrap();
        if let Ok(mut recording) = Recording::open(&path) {
            recording.by_ref().for_each(drop);
            recording.seek_seq(1).ok();
            recording.seek_time(DAY).ok();
        }
    }

    #[test]
    fn any_frames_come_back(frames: Vec<Vec<u8>>, zstd: bool) {
        let (_folder, path) = folder();
        write(&path, if zstd { ZSTD } else { Compression::None }, &frames);
        prop_assert_eq!(read(&path).unwrap(), frames);
    }
}
