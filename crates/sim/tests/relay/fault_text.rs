//! The text form of faults: it reads back as it was, and errors name what is wrong.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use skytide_sim::{
    ConnectFault, CursorRule, Fault, FaultKind, FaultName, FaultRates, FaultScript, FaultSyntaxError,
    FrameFault,
};

fn name() -> impl Strategy<Value = FaultName> {
    "[A-Za-z0-9._-]{1,64}".prop_map(|name| name.parse().unwrap())
}

/// To the millisecond, as the text is.
fn time() -> impl Strategy<Value = Duration> {
    (0..10_000_000u64).prop_map(Duration::from_millis)
}

fn frame_fault() -> impl Strategy<Value = FrameFault> {
    prop_oneof![
        option::of(any::<u64>()).prop_map(|after| FrameFault::Disconnect { after }),
        option::of(any::<u64>()).prop_map(|after| FrameFault::Reset { after }),
        option::of(1000..=4999u16).prop_map(|code| FrameFault::Close { code }),
        (1..=u64::MAX, time())
            .prop_map(|(bytes_per_second, lasting)| FrameFault::Slow { bytes_per_second, lasting }),
        option::of(time()).prop_map(|lasting| FrameFault::Stall { lasting }),
        option::of(any::<u16>()).prop_map(|bytes| FrameFault::Garbage { bytes }),
        option::of(any::<u64>()).prop_map(|after| FrameFault::Truncated { after }),
        Just(FrameFault::ThreeItems),
        any::<u64>().prop_map(|bytes| FrameFault::Oversized { bytes }),
        option::of(1..=u16::MAX).prop_map(|parts| FrameFault::Fragmented { parts }),
        Just(FrameFault::Text),
        any::<i64>()
            .prop_filter("a known op", |op| !matches!(op, 1 | -1))
            .prop_map(|op| FrameFault::UnknownOp { op }),
        name().prop_map(|t| FrameFault::UnknownType { t }),
        name().prop_map(|name| FrameFault::Error { name }),
        name().prop_map(|name| FrameFault::Info { name }),
        Just(FrameFault::Ping),
    ]
}

fn connect_fault() -> impl Strategy<Value = ConnectFault> {
    prop_oneof![
        (300..=599u16, option::of(any::<u64>()), any::<bool>())
            .prop_map(|(status, retry_after, html)| ConnectFault::Answer { status, retry_after, html }),
        Just(ConnectFault::Mute),
        Just(ConnectFault::Refuse),
        option::of(1..=u64::MAX).prop_map(|frames| ConnectFault::Duplicates { frames }),
        option::of(1..=u64::MAX).prop_map(|frames| ConnectFault::Gap { frames }),
        option::of(1..=u64::MAX).prop_map(|events| ConnectFault::Seam { events }),
        option::of(prop_oneof![Just(CursorRule::Inclusive), Just(CursorRule::Exclusive)])
            .prop_map(|rule| ConnectFault::Cursor { rule }),
    ]
}

#[derive(Debug, Clone)]
enum Line {
    At(u64, FrameFault),
    On(u64, u64, FrameFault),
    OnEvery(u64, FrameFault),
    Connect(u64, ConnectFault),
    ConnectEvery(ConnectFault),
    Renumber(u64),
}

fn script() -> impl Strategy<Value = FaultScript> {
    let line = prop_oneof![
        (1..=u64::MAX, frame_fault()).prop_map(|(at, fault)| Line::At(at, fault)),
        (1..=u64::MAX, 1..=u64::MAX, frame_fault()).prop_map(|(on, at, fault)| Line::On(on, at, fault)),
        (1..=u64::MAX, frame_fault()).prop_map(|(at, fault)| Line::OnEvery(at, fault)),
        (1..=u64::MAX, connect_fault()).prop_map(|(on, fault)| Line::Connect(on, fault)),
        connect_fault().prop_map(Line::ConnectEvery),
        (1..=u64::MAX).prop_map(Line::Renumber),
    ];
    let add = |script: FaultScript, line| match line {
        Line::At(at, fault) => script.at(at, fault),
        Line::On(on, at, fault) => script.on(on, at, fault),
        Line::OnEvery(at, fault) => script.on_every(at, fault),
        Line::Connect(on, fault) => script.connect(on, fault),
        Line::ConnectEvery(fault) => script.connect_every(fault),
        Line::Renumber(at) => script.renumber(at),
    };
    prop::collection::vec(line, 0..20)
        .prop_map(move |lines| lines.into_iter().fold(FaultScript::default(), add))
}

fn rates() -> impl Strategy<Value = FaultRates> {
    let frames = prop::collection::vec((frame_fault(), 0..50_000u32), 0..20);
    let connects = prop::collection::vec((connect_fault(), 0..50_000u32), 0..20);
    (frames, connects).prop_map(|(frames, connects)| {
        let rates =
            frames.into_iter().fold(FaultRates::default(), |rates, (fault, rate)| rates.frame(fault, rate));
        connects.into_iter().fold(rates, |rates, (fault, rate)| rates.connect(fault, rate))
    })
}

proptest! {
    #[test]
    fn a_script_reads_back(script in script()) {
        prop_assert_eq!(script.to_string().parse(), Ok(script));
    }

    #[test]
    fn rates_read_back(rates in rates()) {
        prop_assert_eq!(rates.to_string().parse(), Ok(rates));
    }

    #[test]
    fn no_text_is_too_much(text in "(at|on|connect|every|[0-9]{1,22}|for|after|bytes|=|,|#| |\n|slow|reset|answer|\\PC){0,40}") {
        let _ = text.parse::<FaultScript>();
        let _ = text.parse::<FaultRates>();
    }
}

#[test]
fn every_kind_has_a_name_of_its_own_and_can_be_written_alone() {
    for kind in FaultKind::ALL {
        assert_eq!(FaultKind::of_name(kind.name()), Some(kind));
        assert_eq!(kind.fault().kind(), kind);
        let script: FaultScript = match kind.fault() {
            Fault::Frame(_) | Fault::Renumber => format!("at 1 {kind}"),
            Fault::Connect(_) => format!("connect 1 {kind}"),
        }
        .parse()
        .unwrap();
        let expected = match kind.fault() {
            Fault::Frame(fault) => FaultScript::default().at(1, fault),
            Fault::Connect(fault) => FaultScript::default().connect(1, fault),
            Fault::Renumber => FaultScript::default().renumber(1),
        };
        assert_eq!(script, expected);
    }
}

#[test]
fn all_is_every_fault_of_frames() {
    let all: FaultRates = "all=10, mute=5".parse().unwrap();
    assert_eq!(all, FaultRates::default().all(10).connect(ConnectFault::Mute, 5));
    let text = all.to_string();
    for kind in FaultKind::ALL {
        let is_there = text.split(", ").any(|entry| entry.split([' ', '=']).next() == Some(kind.name()));
        let expected = matches!(kind.fault(), Fault::Frame(_)) || kind == FaultKind::Mute;
        assert_eq!(is_there, expected, "{kind} in {text}");
    }
}

#[test]
fn blank_lines_comments_and_spaces_mean_nothing() {
    let script: FaultScript = "\n# first\n\tat   3  ping # second\r\n\n".parse().unwrap();
    assert_eq!(script, FaultScript::default().at(3, FrameFault::Ping));
    assert_eq!("".parse(), Ok(FaultScript::default()));
    assert_eq!(" , ping=1,".parse(), Ok(FaultRates::default().frame(FrameFault::Ping, 1)));
}

#[test]
fn an_error_names_the_line_what_was_found_and_what_is_possible() {
    let names: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
    let names = names.join(", ");
    for (text, expected) in [
        ("ping", "found `ping`, expected `at`, `on` or `connect`"),
        ("at", "found the end, expected the number of a frame, from 1"),
        ("at 0 ping", "found `0`, expected the number of a frame, from 1"),
        ("at 3", &format!("found the end, expected one of {names}")),
        ("at 3 rset", &format!("found `rset`, expected one of {names}")),
        ("at 3 ping twice", "found `twice`, expected the end of the fault"),
        ("at 3 reset after some", "found `some`, expected a number of bytes"),
        ("at 3 reset after 3", "found the end, expected `bytes`"),
        ("at 3 close 99", "found `99`, expected a close code from 1000 to 4999"),
        ("at 3 slow 0 bytes/s", "found `0`, expected a number from 1, or `for`"),
        ("at 3 slow 7 bytes", "found `bytes`, expected `bytes/s`"),
        ("at 3 stall for 3", "found `3`, expected a time as `250ms` or `2s`, or `ever`"),
        ("at 3 slow for long", "found `long`, expected a time as `250ms` or `2s`"),
        ("at 3 fragmented into 0 parts", "found `0`, expected a number from 1 to 65535"),
        ("at 3 unknown-op 1", "found `1`, expected a number, but not 1 or -1"),
        ("at 3 error so/so", "found `so/so`, expected a name of 1 to 64 letters, digits, `-`, `_` and `.`"),
        ("at 3 mute", "found `mute`, expected a fault of a frame: this is one of a connect"),
        ("on 3 ping", "found `ping`, expected `at`"),
        ("on all at 3 ping", "found `all`, expected the number of a connection, from 1, or `every`"),
        ("on 3 at 3 renumber", "found `renumber`, expected it after `at N`: it concerns the whole stream"),
        ("connect 3 garbage", "found `garbage`, expected a fault of a connect: this is one of a frame"),
        ("connect 3 answer 200", "found `200`, expected an HTTP status from 300 to 599"),
        ("connect 3 answer 503 retry-after soon", "found `soon`, expected a number of seconds"),
        ("connect 3 gap 0", "found `0`, expected a number of frames, from 1"),
        ("connect 3 seam 0", "found `0`, expected a number of events, from 1"),
        ("connect 3 cursor odd", "found `odd`, expected `inclusive`, `exclusive` or `swapped`"),
    ] {
        let error = format!("at 1 ping\n# second\n{text}").parse::<FaultScript>().unwrap_err();
        assert_eq!(error.to_string(), format!("line 3: {expected}"));
        assert_eq!(error.line, Some(3));
    }
    for (text, expected) in [
        ("ping", "found `ping`, expected `FAULT=N`, so many in a million"),
        ("ping=often", "found `often`, expected a number up to 1000000, so many in a million"),
        ("ping=1000001", "found `1000001`, expected a number up to 1000000, so many in a million"),
        ("pong=1", &format!("found `pong`, expected one of {names}")),
        ("text=1, renumber=1", "found `renumber`, expected it in a script, `at N renumber`: it has no rate"),
        (
            "ping=600000, text=400001",
            "found `1000001`, expected faults of frames that are 1000000 in a million or less together",
        ),
        (
            "mute=600000, refuse=400001",
            "found `1000001`, expected faults of connects that are 1000000 in a million or less together",
        ),
    ] {
        let error: FaultSyntaxError = text.parse::<FaultRates>().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.line), (expected, None));
    }
    assert!("ping=600000, text=400000, mute=1000000".parse::<FaultRates>().is_ok());
}
