//! Any bytes, as a sequence of items: a hop ends where a strict reading ends, and never after the end.

#![no_main]

use skytide_atproto::cbor::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_at_end() {
        let (mut checked, mut skipped) = (cursor, cursor);
        let strict = checked.check();
        let hopped = skipped.skip();
        assert!(skipped.position() <= bytes.len());
        if strict.is_ok() {
            assert_eq!((hopped, skipped.position()), (Ok(()), checked.position()));
        }
        if hopped.is_err() {
            break;
        }
        cursor = skipped;
    }
});
