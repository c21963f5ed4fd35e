//! Reads published test data from the folder that `SKYTIDE_VECTORS` names.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by them")]

use std::path::PathBuf;

fn path(file: &str) -> PathBuf {
    let folder = std::env::var_os("SKYTIDE_VECTORS").expect("SKYTIDE_VECTORS names the folder of test data");
    PathBuf::from(folder).join(file)
}

pub(crate) fn bytes(file: &str) -> Vec<u8> {
    let path = path(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[allow(dead_code, reason = "each test file has its own copy of this module, and needs what it needs")]
pub(crate) fn text(file: &str) -> String {
    String::from_utf8(bytes(file)).unwrap()
}

/// The frames of the real relay window, in order.
#[allow(dead_code, reason = "each test file has its own copy of this module, and needs what it needs")]
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let bytes = zstd::decode_all(bytes("relay-window/frames.bin.zst").as_slice()).unwrap();
    let mut rest = &bytes[..];
    let mut frames = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (frame, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        frames.push(frame.to_vec());
        rest = after;
    }
    frames
}
