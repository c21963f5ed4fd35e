//! Runs that are killed anywhere and go on from what was saved: all of their rows together are those of a run
//! that was never killed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod case;
mod files;
mod refusals;
mod sources;
