//! The low-water mark: the last frame of which, and of all before it, the caller has finished.

use std::collections::VecDeque;

/// How a caller says that it has finished a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// By asking for more: everything handed on before is finished then. Right for whoever deals with one frame, or one
    /// batch, before asking for the next.
    #[default]
    ByAsking,
    /// By saying so of each frame with [`Handle::finish`](super::Handle::finish), in any order: for whoever hands frames
    /// to others to work on. Frames without a number have nothing to finish.
    Told,
}

/// What was handed on and what of it is finished.
#[derive(Debug)]
pub(super) struct LowWater {
    finish: Finish,
    mark: Option<u64>,
    /// Handed on, in order, and whether it is finished. By asking it is only the last one.
    open: VecDeque<(u64, bool)>,
}

impl LowWater {
    pub(super) fn new(finish: Finish, mark: Option<u64>) -> Self {
        Self { finish, mark, open: VecDeque::new() }
    }

    /// The number of the last frame of which, and of all before it, the caller has finished.
    pub(super) fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// The caller asks for more.
    pub(super) fn asked(&mut self) {
        if self.finish == Finish::ByAsking
            && let Some((seq, _)) = self.open.pop_back()
        {
            self.mark = Some(seq);
            self.open.clear();
        }
    }

    /// A frame is handed on.
    pub(super) fn hand_on(&mut self, seq: u64) {
        if self.finish == Finish::ByAsking {
            self.open.clear();
        }
        self.open.push_back((seq, false));
    }

    /// The caller says that a frame is finished. One that was not handed on says nothing.
    pub(super) fn finish(&mut self, seq: u64) {
        if let Some((_, finished)) = self.open.iter_mut().find(|(open, finished)| *open == seq && !finished) {
            *finished = true;
        }
        while let Some((seq, true)) = self.open.front() {
            self.mark = Some(*seq);
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

    #[test]
    fn asking_for_more_finishes_what_there_was() {
        let mut low = LowWater::new(Finish::ByAsking, Some(3));
        low.asked();
        assert_eq!(low.mark(), Some(3));
        low.hand_on(4);
        low.hand_on(7);
        assert_eq!(low.mark(), Some(3));
        low.asked();
        assert_eq!(low.mark(), Some(7));
        low.hand_on(8);
        low.begin_again();
        low.asked();
        assert_eq!(low.mark(), Some(7));
    }

    #[test]
    fn the_oldest_frame_that_is_open_holds_the_mark() {
        let mut low = LowWater::new(Finish::Told, None);
        (1..=4).for_each(|seq| low.hand_on(seq));
        low.asked();
        low.finish(2);
        low.finish(3);
        low.finish(9);
        assert_eq!(low.mark(), None);
        low.finish(1);
        assert_eq!(low.mark(), Some(3));
        low.finish(4);
        assert_eq!(low.mark(), Some(4));
        // Numbers may begin anew.
        (1..=2).for_each(|seq| low.hand_on(seq));
        low.finish(1);
        assert_eq!(low.mark(), Some(1));
    }
}
