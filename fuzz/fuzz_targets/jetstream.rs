//! Any bytes as an event of a Jetstream: what is read is a frame whose one event is written and read back the same.

#![no_main]

use skytide_atproto::frame::Frame;
use skytide_atproto::jetstream;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = jetstream::frame_of(bytes) else { return };
    let frame = Frame::parse(&event.bytes).unwrap();
    assert_eq!(frame.kind(), event.kind);
    let mut json = String::new();
    // A record that was not strict is refused when it is written.
    let Ok(written) = jetstream::write_events(&frame, event.time_us, |_| true, &mut json) else { return };
    assert_eq!(written, 1);
    let again = jetstream::frame_of(json.trim_end().as_bytes()).unwrap();
    assert_eq!((again.time_us, again.kind), (event.time_us, event.kind));
    let mut second = String::new();
    jetstream::write_events(&Frame::parse(&again.bytes).unwrap(), again.time_us, |_| true, &mut second).unwrap();
    assert_eq!(json, second);
});
