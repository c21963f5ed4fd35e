//! Points at other times, and values of other keys (SEMANTICS 6).

use std::collections::BTreeMap;

use super::Warnings;
use super::points::{Joined, Point, Stream, anew, join};
use crate::value::Val;

/// 6.1: the points of both arguments, each moved to the time that is told by its own and the second's value
/// there. None: there is no such time.
pub(super) fn shifted(
    args: &[&Stream],
    warnings: &mut Warnings,
    target: impl Fn(i64, &Val) -> Option<i64>,
) -> Vec<Point> {
    let mut moves = Vec::new();
    for Joined { point, values, .. } in join(args) {
        let now = point.place.time;
        match target(now, &values[1]) {
            Some(time) if time >= now => moves.push((Point { value: values[0].clone(), ..point }, time)),
            _ => warnings.moved_back += 1,
        }
    }
    moved(moves)
}

/// 6.1: the points of both arguments, each moved to its key's next at which the second is true, itself among
/// them. Those for which none comes are dropped and counted (7.1).
pub(super) fn shifted_until(args: &[&Stream], warnings: &mut Warnings) -> Vec<Point> {
    let mut held: BTreeMap<Val, Vec<Point>> = BTreeMap::new();
    let mut moves = Vec::new();
    for Joined { point, values, .. } in join(args) {
        let time = point.place.time;
        let of_key = held.entry(point.key.clone()).or_default();
        of_key.push(Point { value: values[0].clone(), ..point });
        if values[1] == Val::Bool(true) {
            moves.extend(of_key.drain(..).map(|point| (point, time)));
        }
    }
    warnings.held += held.values().map(|held| held.len() as u64).sum::<u64>();
    moved(moves)
}

/// Points at the times that are told with them. 1.5: a point moved by zero is not moved.
fn moved(moves: Vec<(Point, i64)>) -> Vec<Point> {
    let (unmoved, moves): (Vec<_>, Vec<_>) =
        moves.into_iter().partition(|(point, time)| point.place.time == *time);
    anew(
        unmoved.into_iter().map(|(point, _)| point).collect(),
        moves.into_iter().map(|(point, time)| point.moved_to(time)).collect(),
    )
}

/// 6.2: at each point of the key's expression the other stream's value for the key that it gives.
///
/// Of the same source: as of the point's place, the point itself included. Else after all points up to and
/// including its time.
pub(super) fn looked_up(of: &Stream, by: &Stream, is_same_source: bool) -> Vec<Point> {
    let mut known: BTreeMap<&Val, Vec<&Point>> = BTreeMap::new();
    for point in of.points() {
        known.entry(&point.key).or_default().push(point);
    }
    let holds = matches!(of, Stream::Points { holds: true, .. });
    let value = |at: &Point| {
        // A null key that is looked up is none, though a stream may have points of the null key.
        let points = known.get(&at.value).filter(|_| !at.value.is_null())?;
        // What is paired asks where its own event stands.
        let is_before = |point: &&&Point| match is_same_source {
            true => point.place.is_known_at(&at.own),
            false => point.place.time <= at.place.time,
        };
        let newest = points.iter().rfind(is_before)?;
        // A discrete stream has a value only at the very time.
        (holds || newest.place.time == at.place.time).then(|| newest.value.clone())
    };
    let points = by.points().iter();
    points.map(|at| Point { value: value(at).unwrap_or(Val::Null), ..at.clone() }).collect()
}
