//! Any bytes: our reading and the oracle's are the same, but for the differences that have a name.

#![no_main]

#[path = "../../crates/atproto/tests/oracle/mod.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oracle::judge(bytes);
});
