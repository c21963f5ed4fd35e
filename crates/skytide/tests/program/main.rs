//! The program as its users have it: what it prints, writes and refuses.

mod commands;
mod common;
mod complete;
mod files;
mod keeping;
mod late;
mod pipe;
mod recovery;
mod several;
mod tables;
