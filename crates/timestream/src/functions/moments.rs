//! Moments: of points, in the calendar, and between one another. A length of time is added by `+`.

use super::{Example, Family, Form, Function, FunctionKind, eval};

/// A function of this family: null where an argument is, unless it says otherwise.
const fn moment(kind: FunctionKind) -> Function {
    Function::of(Family::Time, true, kind)
}

const EVENTS: &str = "time, key: utf8, at: timestamp\n00:00:01, A, 2026-07-04T14:38:08Z\n\
                      00:00:02, A, 1969-12-31T23:59:59Z\n00:00:03, A,";

pub(super) static FUNCTIONS: &[&Function] = &[
    &Function {
        name: "time",
        signature: "time<T: any>(stream: T) -> timestamp",
        summary: "The time of each point.",
        details: "Never null at its own points, whatever the value there. Of a value that holds between points it is the time of \
                  its newest point.",
        examples: &[Example {
            query: "{time: events.time(), later: events.time() + \"1m\"}",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1\n00:00:02, B,",
            rows: "_time, _key, time, later\n00:00:01, A, 00:00:01, 00:01:01\n00:00:02, B, 00:00:02, 00:01:02",
        }],
        strict: false,
        ..moment(FunctionKind::Form(Form::Time))
    },
    &Function {
        name: "shift_by",
        signature: "shift_by<T: any>(stream: T, duration: duration) -> T",
        summary: "The points, later by a length of time.",
        details: "A moved point stands before the events of its new time. A point that would move back, or by null, is left out and \
                  counted. A point moved by zero stays what it is.",
        examples: &[Example {
            query: "{x: events.x, before: events.x.shift_by(\"2s\")}",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1\n00:00:03, A, 3",
            rows: "_time, _key, x, before\n00:00:01, A, 1, null\n00:00:03, A, null, 1\n00:00:03, A, 3, null\n\
                   00:00:05, A, null, 3",
        }],
        strict: false,
        ..moment(FunctionKind::Form(Form::ShiftBy))
    },
    &Function {
        name: "shift_to",
        signature: "shift_to<T: any>(stream: T, time: timestamp) -> T",
        summary: "The points at another, later time.",
        details: "As `shift_by`: a point that would move back, or to null, is left out and counted.",
        examples: &[Example {
            query: "events.x.shift_to(events.at)",
            events: "time, key: utf8, x: i64, at: timestamp\n00:00:01, A, 1, 00:00:05\n00:00:02, A, 2, 00:00:01\n00:00:03, A, 3,",
            rows: "_time, _key, result\n00:00:05, A, 1",
        }],
        strict: false,
        ..moment(FunctionKind::Form(Form::ShiftTo))
    },
    &Function {
        name: "shift_until",
        signature: "shift_until<T: any>(stream: T, predicate: bool) -> T",
        summary: "The points at the time at which a condition is next true of their key.",
        details: "A point at which it is true stays what it is; those held since the time before stand before the events of \
                  that time. Points that are still held at the end are left out and counted.",
        examples: &[Example {
            query: "events.x.shift_until(events.x > 2)",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1\n00:00:02, A, 2\n00:00:03, A, 3\n00:00:04, A, 1",
            rows: "_time, _key, result\n00:00:03, A, 1\n00:00:03, A, 2\n00:00:03, A, 3",
        }],
        strict: false,
        ..moment(FunctionKind::Form(Form::ShiftUntil))
    },
    &Function {
        name: "seconds_since_previous",
        signature: "seconds_since_previous<T: any>(stream: T, n: i64?) -> i64",
        summary: "The whole seconds since the key's point before, or since the n-th before.",
        details: "Null where there is no such point. `n` is a constant; 1 where it is left out.",
        examples: &[Example {
            query: "events.seconds_since_previous()",
            events: "time, key: utf8, x: i64\n00:00:01, A, 1\n00:00:05, A,\n00:01:00, A, 3",
            rows: "_time, _key, result\n00:00:01, A, null\n00:00:05, A, 4\n00:01:00, A, 55",
        }],
        strict: false,
        ..moment(FunctionKind::Form(Form::SecondsSincePrevious))
    },
    &Function {
        name: "seconds_since",
        signature: "seconds_since(time: timestamp, since: timestamp) -> i64",
        summary: "The whole seconds from one moment to another.",
        details: "Cut towards zero; negative where `since` is the later one. Null where one is null.",
        examples: &[Example {
            query: "events.time().seconds_since(events.at)",
            events: "time, key: utf8, at: timestamp\n00:01:00, A, 00:00:00.5\n00:02:00, A, 00:02:10\n00:03:00, A,",
            rows: "_time, _key, result\n00:01:00, A, 59\n00:02:00, A, -10\n00:03:00, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::seconds_since))
    },
    &Function {
        name: "year",
        signature: "year(time: timestamp) -> i64",
        summary: "The year of a moment.",
        details: "In UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.year()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 2026\n00:00:02, A, 1969\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::year))
    },
    &Function {
        name: "month",
        signature: "month(time: timestamp) -> i64",
        summary: "The month of a moment.",
        details: "1 to 12, in UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.month()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 7\n00:00:02, A, 12\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::month))
    },
    &Function {
        name: "day",
        signature: "day(time: timestamp) -> i64",
        summary: "The day of a moment in its month.",
        details: "1 to 31, in UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.day()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 4\n00:00:02, A, 31\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::day))
    },
    &Function {
        name: "hour",
        signature: "hour(time: timestamp) -> i64",
        summary: "The hour of a moment.",
        details: "0 to 23, in UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.hour()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 14\n00:00:02, A, 23\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::hour))
    },
    &Function {
        name: "minute",
        signature: "minute(time: timestamp) -> i64",
        summary: "The minute of a moment.",
        details: "0 to 59, in UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.minute()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 38\n00:00:02, A, 59\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::minute))
    },
    &Function {
        name: "weekday",
        signature: "weekday(time: timestamp) -> i64",
        summary: "The day of a moment in its week.",
        details: "0 is Monday, 6 is Sunday, in UTC. Null where the moment is null.",
        examples: &[Example {
            query: "events.at.weekday()",
            events: EVENTS,
            rows: "_time, _key, result\n00:00:01, A, 5\n00:00:02, A, 2\n00:00:03, A, null",
        }],
        ..moment(FunctionKind::Scalar(eval::weekday))
    },
];
