//! What a subscription shares with the rest of a program: whether to stop, where it is, and what it counted.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

use super::{
    Cursor,
    low_water::{LowWater, Mark},
};
use crate::{ConnectionError, Counters, EndpointError, Ledger};

/// Stops and observes a subscription, from any thread.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Ends the subscription, whatever it is doing: receiving, dialling or waiting to dial again. It then gives no
    /// further frame, until it is told to start again; [`cursor`](Self::cursor) says where it was.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.waker.wake();
    }

    /// The low-water mark: the number of the last frame of which, and of all before it, the caller has
    /// finished (see [`Finish`](super::Finish)); before that the one the subscription was told to begin with.
    /// Of a Jetstream, whose numbers are times, the highest that is believed and not after now. A program
    /// that saves it and begins there the next time loses nothing.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        self.shared.published().low.place().seq()
    }

    /// The [low-water mark](Self::cursor) as the place to begin at the next time: with its time, where that
    /// is known, so that a numbering that begins anew meanwhile is told.
    #[must_use]
    pub fn place(&self) -> Option<Cursor> {
        self.shared.published().low.place().cursor()
    }

    /// Says that the frame of this number is finished; see [`Finish`](super::Finish). One that was not handed on says
    /// nothing.
    pub fn finish(&self, seq: u64) {
        self.shared.published().low.finish(seq);
    }

    /// Sets the parameters of the address that the next connection is made with, in place of those before; names may
    /// repeat. The connection that is open stays.
    ///
    /// # Errors
    /// [`EndpointError::Cursor`] for a parameter of that name, which is the subscription's to keep.
    pub fn set_parameters<N: Into<String>, V: Into<String>>(
        &self,
        parameters: impl IntoIterator<Item = (N, V)>,
    ) -> Result<(), EndpointError> {
        self.shared.published().parameters = checked(parameters)?;
        Ok(())
    }

    /// What may have been missed so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.shared.ledger.clone()
    }

    /// Failures in a row so far, as the back-off counts them, an error that ended the subscription among them.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.shared.published().failures
    }

    /// What the last attempt to connect failed with, as long as there has been no connection at all.
    #[must_use]
    pub fn unreached(&self) -> Option<Arc<ConnectionError>> {
        self.shared.published().unreached.clone()
    }

    /// What the subscription has met so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.published().counters.clone()
    }
}

/// Parameters of an address, without one that the subscription keeps itself.
pub(super) fn checked<N: Into<String>, V: Into<String>>(
    parameters: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<(String, String)>, EndpointError> {
    let parameters: Vec<(String, String)> =
        parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    match parameters.iter().find(|(name, _)| name == "cursor") {
        Some((name, value)) => Err(EndpointError::Cursor { text: format!("{name}={value}") }),
        None => Ok(parameters),
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("cursor", &self.cursor()).field("counters", &self.counters()).finish()
    }
}

/// The shared part. The lock is taken once for all frames that are received together.
pub(super) struct Shared {
    stopped: AtomicBool,
    waker: AtomicWaker,
    published: Mutex<Published>,
    pub(super) ledger: Ledger,
}

pub(super) struct Published {
    pub(super) low: LowWater,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) unreached: Option<Arc<ConnectionError>>,
    counters: Counters,
    failures: u32,
}

impl Shared {
    pub(super) fn new(low: LowWater, parameters: Vec<(String, String)>) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            published: Mutex::new(Published {
                low,
                parameters,
                unreached: None,
                counters: Counters::default(),
                failures: 0,
            }),
            ledger: Ledger::default(),
        }
    }

    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Takes a stop back.
    pub(super) fn begin_again(&self) {
        self.stopped.store(false, Ordering::Release);
        self.ledger.reopen();
        self.published().low.begin_again();
    }

    pub(super) fn wake_on_stop(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Notes that the caller asks for more.
    pub(super) fn asked(&self) {
        self.published().low.asked();
    }

    /// Notes that these frames are handed on.
    pub(super) fn hand_on(&self, marks: impl IntoIterator<Item = Mark>) {
        let mut published = self.published();
        marks.into_iter().for_each(|mark| published.low.hand_on(mark));
    }

    pub(super) fn publish(&self, counters: &Counters, failures: u32) {
        let mut published = self.published();
        published.counters.clone_from(counters);
        published.failures = failures;
    }
}
