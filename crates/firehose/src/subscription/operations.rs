//! Operations in place of frames: for whoever wants records and nothing else.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    vec,
};

use futures_core::Stream;

use super::{Blocking, Buffered, BufferedStream, Frame, Handle, Operation, Subscription};
use crate::Error;

/// The operations of a subscription's commits, in order: an [`Iterator`] over a [`Blocking`] or [`Buffered`]
/// subscription, a [`Stream`] over an async one. All operations of a frame are handed on before the next
/// frame is asked for, so the low-water mark of the subscription's handle is that of whole frames.
///
/// A frame that cannot be read is an item [`Error::Message`], and the next ones follow: a program that is to
/// go on does where [`Error::is_end`] is false. Records are not held against their CIDs:
/// [`Operation::is_of_its_cid`] does.
#[derive(Debug)]
pub struct Operations<F> {
    frames: F,
    ready: vec::IntoIter<Operation>,
}

impl<F> Operations<F> {
    fn new(frames: F) -> Self {
        Self { frames, ready: Vec::new().into_iter() }
    }

    /// The subscription. Where it stands is after the frame whose operations are being given; an event of a
    /// Jetstream has one.
    #[must_use]
    pub fn subscription(&self) -> &F {
        &self.frames
    }

    /// Takes a frame in; gives what is to be handed on at once.
    fn take(&mut self, frame: Result<Frame, Error>) -> Option<Result<Operation, Error>> {
        match frame.and_then(|frame| Ok(frame.operations()?)) {
            Ok(operations) => {
                self.ready = operations.into_iter();
                self.ready.next().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// What is the same over all forms of a subscription.
macro_rules! over {
    ($($frames:ident),*) => {
        $(
            impl Operations<$frames> {
                /// A handle that stops and observes the subscription from anywhere.
                #[must_use]
                pub fn handle(&self) -> Handle {
                    self.frames.handle()
                }
            }

            impl $frames {
                /// The operations of its commits in place of its frames.
                #[must_use]
                pub fn operations(self) -> Operations<Self> {
                    Operations::new(self)
                }
            }
        )*
    };
}

over!(Subscription, Blocking, Buffered, BufferedStream);

impl<F: Iterator<Item = Result<Frame, Error>>> Iterator for Operations<F> {
    type Item = Result<Operation, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(operation) = self.ready.next() {
                return Some(Ok(operation));
            }
            let frame = self.frames.next()?;
            if let Some(item) = self.take(frame) {
                return Some(item);
            }
        }
    }
}

impl<F: Stream<Item = Result<Frame, Error>> + Unpin> Stream for Operations<F> {
    type Item = Result<Operation, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(operation) = self.ready.next() {
                return Poll::Ready(Some(Ok(operation)));
            }
            let Some(frame) = ready!(Pin::new(&mut self.frames).poll_next(cx)) else {
                return Poll::Ready(None);
            };
            if let Some(item) = self.take(frame) {
                return Poll::Ready(Some(item));
            }
        }
    }
}
