//! atproto
