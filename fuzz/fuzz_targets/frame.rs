//! Any bytes as a frame: what is read is written back as a message that reads the same, and its events are JSON.

#![no_main]

use skytide_atproto::frame::{self, Frame};
use skytide_atproto::jetstream;
use skytide_atproto::message::Message;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let peek = frame::peek(bytes);
    let Ok(frame) = Frame::parse(bytes) else {
        assert!(peek.is_err());
        return;
    };
    let Ok(message) = Message::parse(&frame) else { return };
    let peek = peek.unwrap();
    assert_eq!(peek.kind, message.kind());
    assert!(message.seq().is_none() || peek.seq == message.seq());
    let written = message.to_frame_bytes();
    assert_eq!(Message::parse(&Frame::parse(&written).unwrap()), Ok(message));
    let mut json = String::new();
    if jetstream::write_events(&frame, 0, |_| true, &mut json).is_ok() {
        assert!(json.lines().all(|line| skytide_atproto::json::parse(line).is_ok()));
    }
});
