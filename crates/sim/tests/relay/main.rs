//! A relay, seen by clients: what it serves, what it refuses, what goes wrong where it is told to.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a client that panics is how a test fails"
)]

mod chance;
mod client;
mod fault_text;
mod faults;
mod jetstream;
mod serving;
mod streams;
