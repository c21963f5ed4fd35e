//! The AT Protocol as data: what its bytes mean, held to the protocol's rules, with no network, clock or async.
//!
//! Bytes come in as a slice and are borrowed for as long as can be; nothing is decoded before it is asked for, and
//! what is not asked for is hopped over. No input makes this crate panic, recurse without bound, or allocate by what
//! a length field of it says: it is read, or refused by a rule that has a name.
//!
//! From the outside in: a [`frame`] holds a [`message`]; a commit's [`car`] holds the [`repo`]'s commit object, the
//! nodes of its [`mst`] and its [`records`], all in [`cbor`] and named by a [`cid`]; the texts in them are what
//! [`syntax`] says. [`json`] and [`jetstream`] write the same as JSON. With the feature `arrow`, `columns` takes from
//! a frame just the fields that a query needs.

pub mod car;
pub mod cbor;
pub mod cid;
pub mod clock;
#[cfg(feature = "arrow")]
pub mod columns;
pub mod frame;
pub mod jetstream;
pub mod json;
pub mod message;
pub mod mst;
pub mod records;
pub mod repo;
pub mod syntax;
