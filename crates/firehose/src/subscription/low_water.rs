//! The low-water mark: the last frame of which, and of all before it, the caller has finished.

use std::collections::VecDeque;

use crate::Place;

/// How a caller says that it has finished a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// By asking for more: everything handed on before is finished then. Right for whoever deals with one
    /// frame, or one batch, before asking for the next. Who leaves off after a frame without asking for
    /// another says so of it with [`Handle::finish`](super::Handle::finish); else it comes again the next
    /// time.
    #[default]
    ByAsking,
    /// By saying so of each frame with [`Handle::finish`](super::Handle::finish), in any order: for whoever
    /// hands frames to others to work on. Frames without a number have nothing to finish.
    Told,
}

/// A frame's number, and the place after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    seq: u64,
    /// Of the place; what else it knows of is of no use to who goes on there.
    last: Option<u64>,
    newest: Option<i64>,
}

impl Mark {
    pub(super) fn new(seq: u64, place: &Place) -> Self {
        Self { seq, last: place.seq(), newest: place.newest() }
    }

    fn place(self) -> Place {
        Place::new(self.last, self.newest)
    }
}

/// What was handed on and what of it is finished.
#[derive(Debug)]
pub(super) struct LowWater {
    finish: Finish,
    place: Place,
    /// Handed on, in order, and whether it is finished. By asking it is only the last one.
    open: VecDeque<(Mark, bool)>,
}

impl LowWater {
    pub(super) fn new(finish: Finish, place: Place) -> Self {
        Self { finish, place, open: VecDeque::new() }
    }

    /// After the last frame of which, and of all before it, the caller has finished.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The caller asks for more.
    pub(super) fn asked(&mut self) {
        if self.finish == Finish::ByAsking
            && let Some((mark, _)) = self.open.pop_back()
        {
            self.place = mark.place();
            self.open.clear();
        }
    }

    /// A frame is handed on.
    pub(super) fn hand_on(&mut self, mark: Mark) {
        if self.finish == Finish::ByAsking {
            self.open.clear();
        }
        self.open.push_back((mark, false));
    }

    /// The caller says that a frame is finished. One that was not handed on says nothing.
    pub(super) fn finish(&mut self, seq: u64) {
        if let Some((_, finished)) =
            self.open.iter_mut().find(|(open, finished)| open.seq == seq && !finished)
        {
            *finished = true;
        }
        while let Some((mark, true)) = self.open.front() {
            self.place = mark.place();
            self.open.pop_front();
        }
    }

    /// The caller begins again: what is not finished is handed on once more.
    pub(super) fn begin_again(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64) -> Mark {
        Mark::new(seq, &Place::new(Some(seq), None))
    }

    fn seq(low: &LowWater) -> Option<u64> {
        low.place().seq()
    }

    #[test]
    fn asking_for_more_finishes_what_there_was() {
        let mut low = LowWater::new(Finish::ByAsking, Place::new(Some(3), None));
        low.asked();
        assert_eq!(seq(&low), Some(3));
        low.hand_on(mark(4));
        low.hand_on(mark(7));
        assert_eq!(seq(&low), Some(3));
        low.asked();
        assert_eq!(seq(&low), Some(7));
        low.hand_on(mark(8));
        low.begin_again();
        low.asked();
        assert_eq!(seq(&low), Some(7));
    }

    #[test]
    fn the_oldest_frame_that_is_open_holds_the_mark() {
        let mut low = LowWater::new(Finish::Told, Place::default());
        (1..=4).for_each(|seq| low.hand_on(mark(seq)));
        low.asked();
        low.finish(2);
        low.finish(3);
        low.finish(9);
        assert_eq!(seq(&low), None);
        low.finish(1);
        assert_eq!(seq(&low), Some(3));
        low.finish(4);
        assert_eq!(seq(&low), Some(4));
        // Numbers may begin anew.
        (1..=2).for_each(|seq| low.hand_on(mark(seq)));
        low.finish(1);
        assert_eq!(seq(&low), Some(1));
    }
}
