//! In which order units are read, and which of them must be sorted.
//!
//! Units whose times do not overlap need no sorting among each other: the earlier is read before the later.
//! What overlaps, or of which nothing is known, makes one **segment**. Of each segment the times alone are
//! read first: if they stand in order, the segment is streamed, a batch at a time; else it is sorted. So a
//! sorted file is never held, however large it is, and a day's file that was written out of order in places
//! costs the sorting of those places.

use super::unit::{Range, Unit};

/// Units that are sorted together, if they need to be; their numbers in the order of the files.
pub(super) type Segment = Vec<usize>;

/// The segments of units, in order of time. `is_strict` says that two units that share a time overlap, as
/// they do where another column than their order in the file tells which row of one time is first.
pub(super) fn segments(units: &[Unit], is_strict: bool) -> Vec<Segment> {
    let (mut empty, mut timed) = (Vec::new(), Vec::new());
    for (number, unit) in units.iter().enumerate() {
        match unit.range {
            Range::Unknown => return vec![(0..units.len()).collect()],
            // It is read to count its rows.
            Range::Empty => empty.push(vec![number]),
            Range::Within(first, last) => timed.push((first, number, last)),
        }
    }
    // Of those that begin at one time the first of the files first: a later one may end where an earlier one begins.
    timed.sort_unstable();
    let mut segments: Vec<Segment> = empty;
    let mut open: Option<(i64, Segment)> = None;
    for (first, number, last) in timed {
        open = Some(match open.take() {
            None => (last, vec![number]),
            Some((until, mut units)) => {
                let follows = !is_strict && units.iter().all(|unit| *unit < number);
                if until < first || (until == first && follows) {
                    segments.push(units);
                    (last, vec![number])
                } else {
                    units.push(number);
                    (until.max(last), units)
                }
            }
        });
    }
    segments.extend(open.map(|(_, units)| units));
    for segment in &mut segments {
        segment.sort_unstable();
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ranges: &[Range], is_strict: bool) -> Vec<Segment> {
        let unit = |range: &Range| Unit { file: 0, at: 0, range: *range, bytes: 0 };
        segments(&ranges.iter().map(unit).collect::<Vec<_>>(), is_strict)
    }

    #[test]
    fn units_of_a_single_time_stand_where_their_number_says() {
        use Range::Within;
        // Rows of time 5 stand in all three, the first unit's first.
        assert_eq!(of(&[Within(5, 7), Within(0, 5), Within(5, 5)], false), [vec![0, 1, 2]]);
        assert_eq!(of(&[Within(0, 5), Within(5, 5), Within(5, 7)], false), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn what_overlaps_is_sorted_together() {
        use Range::{Empty, Unknown, Within};
        let apart = [Within(0, 5), Within(5, 9), Within(10, 20)];
        assert_eq!(of(&apart, false), [[0], [1], [2]]);
        assert_eq!(of(&apart, true), [vec![0, 1], vec![2]]);
        // The later stand first in the files; a time that both have keeps the files' order.
        assert_eq!(of(&[Within(10, 20), Within(0, 9)], false), [[1], [0]]);
        assert_eq!(of(&[Within(9, 20), Within(0, 9)], false), [[0, 1]]);
        assert_eq!(
            of(&[Within(0, 100), Within(200, 300), Within(50, 60), Empty], false),
            [vec![3], vec![0, 2], vec![1]]
        );
        assert_eq!(of(&[Within(0, 1), Unknown, Within(2, 3)], false), [[0, 1, 2]]);
        assert_eq!(of(&[], false), Vec::<Segment>::new());
    }
}
