//! Where a query's points come from and where its answers go.
//!
//! A [`source::Source`] gives epochs: batches of points in order, each after the ones before it. A [`sink::Sink`] takes
//! record batches. [`run::run`] moves one through a job to the other until the source ends or someone says stop. Nothing
//! here touches a terminal, the environment or a home folder: that is the program's.

pub mod catalog;
mod columns;
pub mod files;
pub mod firehose;
pub mod frames;
pub mod late;
pub mod merge;
pub mod network;
pub mod recovery;
pub mod reorder;
pub mod repo;
pub mod run;
pub mod shared;
pub mod sink;
pub mod source;
pub mod sources;
pub mod supply;
pub mod tables;
