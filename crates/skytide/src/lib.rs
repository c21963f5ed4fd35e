//! Skytide: live, time-aware queries over the AT Protocol firehose and its past.
//!
//! This crate is the facade: it hands on the parts, each a crate of its own, under one name. The program
//! `skytide` stands on the same parts.
//!
//! ```
//! use std::sync::Arc;
//!
//! use skytide::connect::network::{Location, Network};
//! use skytide::connect::run::{RunOptions, run};
//! use skytide::connect::sink::Ndjson;
//! use skytide::connect::sources::{Offer, Sources};
//! use skytide::sim;
//! use skytide::timestream::engine::Mode;
//! use skytide::timestream::plan::Results;
//!
//! // A thousand events of the simulated network as a recording in memory: each frame after its length.
//! let frames = sim::Network::new(sim::Config::default()).take(1000).map(|frame| frame.bytes);
//! let frames = frames.flat_map(|frame| [&(frame.len() as u32).to_le_bytes()[..], &frame[..]].concat());
//! let recording = Location::Memory(frames.collect::<Vec<u8>>().into());
//!
//! // What is asked for may be a network (`Network::at("wss://bsky.network")`), files, tables, or several.
//! let sources = Sources::new(vec![Offer::Network(Arc::new(Network::at(recording)))]);
//! let query = skytide::compile("posts.with_key(record.langs[0]).count()", &sources)?;
//! let plan = Arc::new(skytide::timestream::plan(Arc::new(query), Results::snapshot()));
//! let mut source = sources.open(&plan, Mode::Once)?;
//! let mut rows = Vec::new();
//! run(plan, &mut source, &mut Ndjson::new(&mut rows), &RunOptions::once(), |_, _| {})?;
//! assert!(String::from_utf8(rows)?.contains(r#""_key":"en""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types of other crates that stand in signatures here are handed on with their crates, in the one version
//! that fits: [`arrow_array`] and [`arrow_schema`] (answers, rows, functions of one's own), [`bytes`]
//! (frames), [`serde_json`] (records as JSON) and [`firehose::rustls`] (roots of trust of one's own).

pub use arrow_array;
pub use arrow_schema;
pub use bytes;
pub use serde_json;
pub use skytide_atproto as atproto;
pub use skytide_connect as connect;
pub use skytide_firehose as firehose;
pub use skytide_runtime as runtime;
pub use skytide_sim as sim;
pub use skytide_timestream as timestream;

pub use skytide_timestream::compile;

/// The programs in the README run as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Those on the client's page are compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/client.md")]
struct Client;
