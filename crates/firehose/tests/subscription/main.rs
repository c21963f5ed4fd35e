//! Subscriptions against scripted servers on the loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod edges;
mod floods;
mod gaps;
mod jetstream;
mod labels;
mod limits;
mod receiving;
mod rules;
mod support;
mod tls;
