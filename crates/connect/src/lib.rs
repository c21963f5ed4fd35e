//! Where a query's points come from and where its answers go.
//!
//! A [`source::Source`] gives epochs: batches of points in order, each after the ones before it. A
//! [`sink::Sink`] takes record batches. [`run::run`] moves one through a job to the other until the source
//! ends or someone says stop. Nothing here touches a terminal, the environment or a home folder: that is the
//! program's.

#![warn(missing_debug_implementations)]

/// Shows a type by some of its fields, where others cannot be shown, or are rows.
macro_rules! shown {
    ($name:ident $(<$param:ident: $bound:path>)? { $($field:ident),* }) => {
        impl$(<$param: $bound>)? std::fmt::Debug for $name$(<$param>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    };
}

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
