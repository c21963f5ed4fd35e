//! The relay's door: one listener, behind it a hub for each stream.

use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::fault::Shared;
use super::hub::Hub;
use super::jetstream::Jetstream;
use super::{Counted, session};

pub(super) struct Door {
    pub(super) hubs: Vec<Hub>,
    /// The events of the first stream, where they are served.
    pub(super) jetstream: Option<Jetstream>,
    pub(super) faults: Option<Shared>,
    /// For what happens before it is known which stream a client wants.
    pub(super) counters: Arc<Counted>,
}

impl Door {
    /// Which stream is served at a path.
    pub(super) fn wanted(&self, path: &str) -> Option<usize> {
        self.hubs.iter().position(|hub| hub.path == path)
    }
}

/// Accepts clients and keeps the pace of every stream, for ever.
pub(super) async fn run(door: Rc<Door>, listener: StdListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the relay cannot use its listener");
            return;
        }
    };
    for place in 0..door.hubs.len() {
        let door = Rc::clone(&door);
        tokio::task::spawn_local(async move {
            if let Some(hub) = door.hubs.get(place) {
                hub.keep_pace().await;
            }
        });
    }
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                let door = Rc::clone(&door);
                tokio::task::spawn_local(async move {
                    if let Err(error) = session::serve(&door, stream).await {
                        tracing::debug!(%client, %error, "a client's connection ended");
                    }
                });
            }
            Err(error) => {
                // Such as too many open files: the listener itself stays good.
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
