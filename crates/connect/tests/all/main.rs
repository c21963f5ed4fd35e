//! Sources, sinks and runs between them: one program, since each would be linked with all of the engine.

mod ahead;
mod files;
mod firehose;
mod fits;
mod forms;
mod jetstream;
mod pages;
mod piped;
mod quiet;
mod recovery;
mod repos;
mod shared;
mod sinks;
mod standing;
mod stopping;
mod stream;
mod tables;
mod texts;
mod types;
mod using;
mod wide;
