//! Any bytes through the query-driven decode: what is read is as long as it says, and a refused frame leaves nothing.

#![no_main]

use std::sync::Arc;

use skytide_atproto::columns::{Clock, Decoder, PathStep, StreamKind, Wanted, WantedStream};
use skytide_atproto::message::Action;
use skytide_atproto::records::{RecordType, Shape};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let field = |name: &str| PathStep::Field(name.to_owned());
    let langs = vec![field("record"), field("langs"), PathStep::Index(0)];
    let stream = |collection: &str, shape: Arc<Shape>, columns| WantedStream {
        of: StreamKind::Records { collection: collection.to_owned(), action: Action::Create, shape },
        keyed: true,
        columns,
        tests: vec![],
    };
    let mut streams = vec![stream("app.bsky.feed.like", Arc::new(Shape::Json), vec![vec![field("record")]])];
    for known in RecordType::all() {
        streams.push(stream(&known.nsid, Arc::clone(&known.shape), vec![vec![], vec![field("record")]]));
    }
    streams.push(stream("app.bsky.feed.post", Arc::clone(&RecordType::all()[0].shape), vec![langs]));
    let mut decoder = Decoder::new(&Wanted { streams, clock: Clock::CreatedAt }).unwrap();
    let position = decoder.position();
    match decoder.push(bytes, 0) {
        Ok(pushed) => assert_eq!(decoder.rows(), pushed.rows as usize),
        Err(_) => assert_eq!((decoder.rows(), decoder.position()), (0, position)),
    }
    for stream in decoder.take() {
        assert!(stream.columns.iter().all(|column| column.len() == stream.time.len()));
    }
});
