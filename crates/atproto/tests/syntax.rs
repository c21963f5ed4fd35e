//! Identifiers against the published lists of valid and invalid ones, and against rules of their own.

#![allow(clippy::panic, reason = "a test fails by them")]

mod vectors;

use proptest::prelude::*;
use skytide_atproto::cid::{Cid, CidError};
use skytide_atproto::syntax::{
    AtIdentifier, AtUri, Datetime, DatetimeError, Did, Handle, Language, LanguageError, Nsid, RecordKey, Tid,
    TidError, Times, parse_time,
};

/// The cases of a list: its lines, without comments and empty ones. Spaces are part of a case.
fn cases(name: &str) -> Vec<String> {
    vectors::text(&format!("interop/syntax/{name}.txt"))
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Holds the type `T` against its lists; gives the numbers of valid and invalid cases.
fn hold<T>(name: &str) -> (usize, usize)
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display + std::fmt::Debug,
{
    let valid = cases(&format!("{name}_syntax_valid"));
    for case in &valid {
        let value: T = case.parse().unwrap_or_else(|error| panic!("{case:?} is valid: {error:?}"));
        assert_eq!(value.to_string(), *case);
    }
    let invalid = cases(&format!("{name}_syntax_invalid"));
    for case in &invalid {
        if let Ok(value) = case.parse::<T>() {
            panic!("{case:?} is invalid, read as {value:?}");
        }
    }
    (valid.len(), invalid.len())
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn the_published_lists_are_judged_as_published() {
    assert_eq!(hold::<Did>("did"), (24, 18));
    assert_eq!(hold::<Handle>("handle"), (71, 48));
    assert_eq!(hold::<AtIdentifier>("atidentifier"), (11, 22));
    assert_eq!(hold::<Nsid>("nsid"), (25, 27));
    assert_eq!(hold::<RecordKey>("recordkey"), (16, 11));
    assert_eq!(hold::<Tid>("tid"), (4, 9));
    assert_eq!(hold::<AtUri>("aturi"), (23, 72));
    assert_eq!(hold::<Datetime>("datetime"), (35, 45));
    assert_eq!(hold::<Language>("language"), (18, 7));
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn what_is_well_formed_but_means_nothing_is_refused_by_another_rule() {
    let datetimes = cases("datetime_parse_invalid");
    for case in &datetimes {
        let error = case.parse::<Datetime>().unwrap_err();
        assert!(matches!(error, DatetimeError::Range | DatetimeError::BeforeYearZero), "{case}: {error}");
    }
    let languages = cases("language_parse_invalid");
    for case in &languages {
        let error = case.parse::<Language>().unwrap_err();
        let twice = matches!(error, LanguageError::VariantTwice | LanguageError::ExtensionTwice);
        assert!(twice, "{case}: {error}");
    }
    assert_eq!((datetimes.len(), languages.len()), (7, 4));
}

#[test]
#[ignore = "needs SKYTIDE_VECTORS"]
fn of_all_cids_only_those_of_the_protocol_are_read() {
    let valid = cases("cid_syntax_valid");
    let mut refusals = Vec::new();
    let mut ours = 0;
    for case in &valid {
        match case.parse::<Cid>() {
            Ok(cid) => {
                assert_eq!(cid.to_string(), *case);
                ours += 1;
            }
            Err(refusal) => refusals.push(refusal),
        }
    }
    // Two in base32, both dag-pb; the others are in other bases.
    assert_eq!((valid.len(), ours), (8, 0));
    assert_eq!(refusals.iter().filter(|refusal| **refusal == CidError::Codec).count(), 2);
    assert_eq!(refusals.iter().filter(|refusal| **refusal == CidError::Multibase).count(), 6);
    let invalid = cases("cid_syntax_invalid");
    assert_eq!(invalid.len(), 10);
    assert!(invalid.iter().all(|case| case.parse::<Cid>().is_err()));
}

#[test]
fn parts_are_found() {
    let uri: AtUri = "at://did:web:example.com/app.bsky.feed.post/3jzfcijpj2z2a".parse().unwrap();
    assert_eq!(
        (uri.authority(), uri.collection(), uri.rkey()),
        ("did:web:example.com", Some("app.bsky.feed.post"), Some("3jzfcijpj2z2a"))
    );
    let uri: AtUri = "at://example.com".parse().unwrap();
    assert_eq!((uri.authority(), uri.collection(), uri.rkey()), ("example.com", None, None));
    assert_eq!(Did::parse("did:web:example.com").unwrap().method(), "web");
    assert_eq!(Nsid::parse("app.bsky.feed.post").unwrap().name(), "post");
    assert!(matches!("did:plc:a".parse(), Ok(AtIdentifier::Did(_))));
    assert!(matches!("example.com".parse(), Ok(AtIdentifier::Handle(_))));
}

#[test]
fn a_tid_is_its_moment_and_its_clock() {
    let tid: Tid = "3jzfcijpj2z2a".parse().unwrap();
    assert_eq!((tid.micros(), tid.clock_id()), (1_688_137_381_887_007, 6));
    assert_eq!(Tid::from_micros(1_688_137_381_887_007, 6), Ok(tid));
    assert_eq!(Tid::from_micros(1 << 53, 0), Err(TidError::Range));
    assert_eq!(Tid::from_micros(0, 1 << 10), Err(TidError::Range));
    assert_eq!(Tid::parse("kjzfcijpj2z2a"), Err(TidError::FirstCharacter));
    assert_eq!(Tid::parse("3jzfcijpj2z2A"), Err(TidError::Character));
}

#[test]
fn times_are_read_to_nanoseconds() {
    for (text, nanos) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-07-04T14:38:08.999Z", Some(1_783_175_888_999_000_000)),
        ("2026-07-04T14:38:08.123456789999Z", Some(1_783_175_888_123_456_789)),
        ("2026-07-04T16:38:08.9+02:00", Some(1_783_175_888_900_000_000)),
        ("1969-12-31T23:59:59.999999999Z", Some(-1)),
        // A leap second is the second before it, as jiff has it.
        ("2016-12-31T23:59:60Z", Some(1_483_228_799_000_000_000)),
        ("1677-09-21T00:12:43.145224192Z", Some(i64::MIN)),
        ("1677-09-21T00:12:43.145224191Z", None),
        ("2262-04-11T23:47:16.854775807Z", Some(i64::MAX)),
        ("2262-04-11T23:47:16.854775808Z", None),
        ("9999-12-31T23:59:59Z", None),
        ("2025-02-29T00:00:00Z", None),
        ("2100-02-29T00:00:00Z", None),
        ("2026-07-04T14:38:08", None),
        ("", None),
    ] {
        assert_eq!(parse_time(text), nanos, "{text}");
    }
    assert!(parse_time("2024-02-29T00:00:00Z").is_some() && parse_time("2000-02-29T00:00:00Z").is_some());
}

proptest! {
    #[test]
    fn times_are_what_jiff_reads(nanos: i64, digits in 0_i32..=9, offset in -1439_i32..=1439) {
        let offset = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
        let moment = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
        let zoned = offset.to_datetime(moment);
        let sign = if offset.is_negative() { '-' } else { '+' };
        let minutes = offset.seconds().abs() / 60;
        let fraction = match digits {
            0 => String::new(),
            _ => format!(".{:09}", zoned.subsec_nanosecond())[..=digits as usize].to_owned(),
        };
        let text = format!(
            "{}{fraction}{sign}{:02}:{:02}", zoned.strftime("%Y-%m-%dT%H:%M:%S"), minutes / 60, minutes % 60
        );
        let read: jiff::Timestamp = text.parse().unwrap();
        let expected = i64::try_from(read.as_nanosecond()).ok();
        prop_assert_eq!(parse_time(&text), expected, "{}", text);
    }

    #[test]
    fn tids_keep_their_number_and_order(a in 0_u64..1 << 53, b in 0_u64..1 << 53, clock in 0_u16..1 << 10) {
        let (a, b) = (Tid::from_micros(a, clock).unwrap(), Tid::from_micros(b, clock).unwrap());
        prop_assert_eq!(a.to_string().parse(), Ok(a));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn any_text_is_read_as_it_is_or_refused(text in "\\PC{0,40}|[a-z0-9.:/-]{0,40}|(did:|at://)[a-z:./-]{0,20}") {
        fn held<T: std::str::FromStr + std::fmt::Display>(text: &str) -> bool {
            text.parse::<T>().map_or(true, |value| value.to_string() == text)
        }
        prop_assert!(held::<Did>(&text) && held::<Handle>(&text) && held::<AtIdentifier>(&text));
        prop_assert!(held::<Nsid>(&text) && held::<RecordKey>(&text) && held::<Tid>(&text));
        prop_assert!(held::<AtUri>(&text) && held::<Language>(&text) && held::<Datetime>(&text));
        prop_assert!(held::<Cid>(&text));
    }
}

#[test]
fn times_are_read_as_each_is_by_itself() {
    let texts = [
        "2026-07-04T14:38:08.517Z",
        "2026-07-04T14:38:08.000Z",
        "2026-07-04T14:38:08.9Z",
        "2026-07-04T14:38:08.999+01:00",
        "2026-07-04T14:38:08.51xZ",
        "2026-07-04T14:38:09.517Z",
        "2026-07-04T14:38:61.517Z",
        "2026-07-04T14:38:61.518Z",
        "2026-07-04T14:38:60.517Z",
        "2026-07-04T14:38:59.517Z",
        "1677-09-21T00:12:43.145Z",
        "1677-09-21T00:12:43.146Z",
        "2262-04-11T23:47:16.854Z",
        "2262-04-11T23:47:16.855Z",
        "2026-07-04T14:38:09.517Z",
        "",
    ];
    let mut times = Times::default();
    for text in texts {
        assert_eq!(times.parse(text.as_bytes()), parse_time(text), "{text}");
    }
    assert!(parse_time(texts[0]).is_some() && parse_time(texts[6]).is_none());
    assert_eq!(times.parse(b"2026-07-04T14:38:0\xff.517Z"), None);
}
