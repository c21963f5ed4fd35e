//! Any text as each identifier: it is shown as it was read, and its parts are what they should be.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use skytide_atproto::cid::Cid;
use skytide_atproto::syntax::{
    AtIdentifier, AtUri, Datetime, Did, Handle, Language, Nsid, RecordKey, Tid, parse_time,
};

fn read<T: FromStr + Display>(text: &str) -> Option<T> {
    let value = text.parse::<T>().ok()?;
    assert_eq!(value.to_string(), text);
    Some(value)
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let did = read::<Did>(text);
    let handle = read::<Handle>(text);
    assert_eq!(read::<AtIdentifier>(text).is_some(), did.is_some() || handle.is_some());
    read::<Nsid>(text);
    read::<RecordKey>(text);
    read::<Language>(text);
    read::<Cid>(text);
    if let Some(tid) = read::<Tid>(text) {
        assert_eq!(Tid::from_micros(tid.micros(), tid.clock_id()).unwrap_or(tid), tid);
    }
    let datetime = read::<Datetime>(text);
    assert_eq!(datetime.and_then(|datetime| datetime.nanos()), parse_time(text));
    if let Some(uri) = read::<AtUri>(text) {
        assert!(uri.authority().parse::<AtIdentifier>().is_ok());
        assert!(uri.collection().is_none_or(|collection| collection.parse::<Nsid>().is_ok()));
        assert!(uri.rkey().is_none_or(|rkey| rkey.parse::<RecordKey>().is_ok()));
    }
});
