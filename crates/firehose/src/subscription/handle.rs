//! What a subscription shares with the rest of a program: whether to stop, where it is, and what it counted.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

use crate::Counters;

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
    /// further frame; [`cursor`](Self::cursor) says where it was.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.waker.wake();
    }

    /// The number of the last frame handed on, or the one the subscription was told to begin with. A program that
    /// must not lose a frame saves the number of the last frame it has finished with instead.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        self.shared.published.lock().unwrap_or_else(PoisonError::into_inner).cursor
    }

    /// What the subscription has met so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.published.lock().unwrap_or_else(PoisonError::into_inner).counters.clone()
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
}

struct Published {
    cursor: Option<u64>,
    counters: Counters,
}

impl Shared {
    pub(super) fn new(cursor: Option<u64>) -> Self {
        Self {
            stopped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            published: Mutex::new(Published { cursor, counters: Counters::default() }),
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(super) fn wake_on_stop(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Notes that the frames up to this number have been handed on; a frame without a number says nothing.
    pub(super) fn hand_on(&self, cursor: Option<u64>) {
        if cursor.is_some() {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).cursor = cursor;
        }
    }

    pub(super) fn publish(&self, counters: &Counters) {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).counters.clone_from(counters);
    }
}
