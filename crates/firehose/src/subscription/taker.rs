//! Who takes frames as they are received: a batch that keeps them, or a visitor that is done with each at once.

use bytes::{Bytes, BytesMut};

use super::{Frame, low_water::Mark};

/// Takes frames as they are received.
pub(super) trait Taker {
    /// Takes a frame whose bytes may lie in the socket's own buffer, and its mark, if it has a number.
    fn take(&mut self, shelf: &mut Shelf, frame: Frame, mark: Option<Mark>);

    /// Whether it takes no more now.
    #[inline]
    fn is_full(&self) -> bool {
        false
    }
}

/// Keeps them, in the order of receipt.
impl Taker for Vec<Frame> {
    fn take(&mut self, shelf: &mut Shelf, frame: Frame, _: Option<Mark>) {
        self.push(Frame { bytes: shelf.put(frame.bytes), ..frame });
    }
}

/// A frame that is kept to be handed on later, with its mark.
pub(super) type Kept = (Frame, Option<Mark>);

impl Taker for Vec<Kept> {
    fn take(&mut self, shelf: &mut Shelf, frame: Frame, mark: Option<Mark>) {
        self.push((Frame { bytes: shelf.put(frame.bytes), ..frame }, mark));
    }
}

/// Keeps them until they have filled a room of so many bytes; the last one may be larger than what is left of it.
pub(super) struct Bounded<'a> {
    pub(super) frames: &'a mut Vec<Kept>,
    pub(super) room: usize,
}

impl Taker for Bounded<'_> {
    fn take(&mut self, shelf: &mut Shelf, frame: Frame, mark: Option<Mark>) {
        self.room = self.room.saturating_sub(frame.bytes.len());
        self.frames.take(shelf, frame, mark);
    }

    fn is_full(&self) -> bool {
        self.room == 0
    }
}

/// Shows each to a function and lets it go.
pub(super) struct Visitor<F>(pub(super) F);

impl<F: FnMut(&Frame)> Taker for Visitor<F> {
    fn take(&mut self, _: &mut Shelf, frame: Frame, _: Option<Mark>) {
        (self.0)(&frame);
    }
}

/// A taker and the number of frames it has taken.
pub(super) struct Taking<'a, T> {
    pub(super) taker: &'a mut T,
    pub(super) taken: usize,
}

impl<T: Taker> Taking<'_, T> {
    /// Whether there are `max`, or the taker takes no more.
    #[inline]
    pub(super) fn is_full(&self, max: usize) -> bool {
        self.taken >= max || self.taker.is_full()
    }
}

/// Where messages are copied to, side by side.
///
/// The library reads into one buffer and gives messages as parts of it. While one of them is held, it takes a new
/// buffer for each message, and asks the system for each message by itself: three times the cost of all else. So
/// messages that fit are copied, and the library's buffer is free again at once.
#[derive(Default)]
pub(super) struct Shelf {
    room: BytesMut,
}

/// The size of a shelf, in bytes.
const SHELF: usize = 256 << 10;

impl Shelf {
    fn put(&mut self, message: Bytes) -> Bytes {
        if message.len() > SHELF / 4 {
            return message;
        }
        if self.room.capacity() < message.len() && !self.room.try_reclaim(SHELF) {
            self.room = BytesMut::with_capacity(SHELF);
        }
        self.room.extend_from_slice(&message);
        self.room.split().freeze()
    }
}
