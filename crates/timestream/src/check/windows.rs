//! Aggregations with their windows and constants, and what moves points: `lag`, `collect`, `shift_by`,
//! `lookup` and the like.
//!
//! A window is no value: it is read where an aggregation takes it, as `window=since.hourly()`, or from a
//! `let` that names one.

use std::sync::Arc;

use arrow_schema::{DataType, TimeUnit};

use super::arguments::{Given, no_parameter};
use super::{Checker, Value, defect, literal, no_points};
use crate::error::{QueryError, nearest};
use crate::functions::{self, Function};
use crate::query::{Aggregation, Calendar, Ends, Op, Span, Window};
use crate::scalar::Scalar;
use crate::syntax::{Arg, Expr, ExprKind, Ident};
use crate::{times, types};

/// The windows of the language: name, how it is written, what it is.
pub(crate) const WINDOWS: [(&str, &str, &str); 4] = [
    ("since", "since(predicate)", "The points since the window last ended."),
    ("sliding", "sliding(duration, predicate)", "The points of the last so many intervals."),
    ("trailing", "trailing(duration)", "The points of the last so long."),
    ("tumbling", "tumbling(predicate)", "The points between two ends."),
];
/// What a window takes, in order: how many intervals or how long, and what ends it, which a calendar stands for.
pub(crate) fn params(name: &str, is_calendar: bool) -> &'static [&'static str] {
    match (name, is_calendar) {
        ("trailing", _) | ("sliding", true) => &["duration"],
        ("sliding", false) => &["duration", "predicate"],
        (_, true) => &[],
        (_, false) => &["predicate"],
    }
}

/// Most intervals of a sliding window: each point is folded once for each.
const MAX_INTERVALS: i64 = 1000;

/// Whether an expression is written as a window, and which: `since(…)`, `since.hourly()`.
pub(super) fn window_name(expr: &Expr) -> Option<&str> {
    let ExprKind::Call { receiver, function, .. } = &expr.kind else { return None };
    let name = match receiver.as_ref().map(|receiver| &receiver.kind) {
        None => &function.name,
        Some(ExprKind::Name(name)) if calendar(&function.name).is_some() => name,
        Some(_) => return None,
    };
    is_window(name).then_some(name.as_str())
}

/// Whether a window is called so.
pub(crate) fn is_window(name: &str) -> bool {
    WINDOWS.iter().any(|(known, ..)| *known == name)
}

fn calendar(name: &str) -> Option<Calendar> {
    Calendar::ALL.iter().find(|(known, _)| *known == name).map(|(_, calendar)| *calendar)
}

impl<'a> Checker<'a> {
    /// An aggregation of its first argument over a window, or over all points so far.
    pub(super) fn aggregation(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        window: Option<&'a Expr>,
        span: &Span,
    ) -> Result<Value, QueryError> {
        let (nodes, data_type) = self.coerce(function, matched, span)?;
        let [value, constants @ ..] = nodes.as_slice() else { return Err(defect(function, span)) };
        let optional = functions::signature_of(function).map(|signature| signature.params.as_slice());
        let optional = optional.unwrap_or_default().iter().skip(1).map(|param| param.optional);
        let constants = constants.iter().zip(&matched[1..]).zip(optional);
        let constants =
            constants.map(|((node, given), optional)| self.constant(function, *node, given, optional));
        let constants = constants.collect::<Result<Vec<_>, _>>()?;
        let value = *value;
        if self.graph.node(value).grouping.is_none() {
            return Err(no_points(span.clone(), &format!("`{}`", function.name)));
        }
        let (window, args) = match window {
            None => (Window::All, vec![value]),
            Some(expr) => {
                let (window, of) = self.window(expr, value)?;
                (window, vec![value, of])
            }
        };
        let op = Op::Aggregate(Aggregation { function, constants, window });
        self.graph.add_joined(op, args, data_type, span, Some(function.name))
    }

    /// A constant of an aggregation: a whole number that is not negative; null where it may be left out and is.
    fn constant(
        &self,
        function: &'static Function,
        node: usize,
        given: &Given<'a>,
        optional: bool,
    ) -> Result<Scalar, QueryError> {
        let wrong = |what: &str| {
            let message = format!("`{}` takes a constant here, {what}", function.name);
            QueryError::new(given.expr.span.clone(), message).note(function.signature)
        };
        match &self.graph.node(node).op {
            Op::Literal(Scalar::Int(number)) if *number < 0 => Err(wrong("0 or more")),
            Op::Literal(scalar @ Scalar::Int(_)) => Ok(scalar.clone()),
            // Left out, or written as what leaving it out means.
            Op::Literal(scalar @ Scalar::Null) if optional => Ok(scalar.clone()),
            _ => Err(wrong("a whole number")),
        }
    }

    /// A window, and the node of what it asks for.
    fn window(&mut self, expr: &'a Expr, value: usize) -> Result<(Window, usize), QueryError> {
        if let ExprKind::Name(name) = &expr.kind
            && let Some(bound) = self.windows.get(name.as_str())
        {
            return self.window(bound, value);
        }
        let (Some(name), ExprKind::Call { receiver, function, args }) = (window_name(expr), &expr.kind)
        else {
            return Err(no_window(expr));
        };
        let by_calendar = receiver.as_ref().and_then(|_| calendar(&function.name));
        let mut given = arranged(name, by_calendar, args, &function.span)?.into_iter();
        let missing = || takes(name, by_calendar, &function.span);
        let mut next = || given.next().flatten().ok_or_else(missing);
        match (name, by_calendar) {
            ("trailing", None) => self.trailing(next()?, value),
            ("trailing", Some(_)) => Err(missing()),
            (_, by_calendar) => {
                let intervals = if name == "sliding" { self.intervals(next()?)? } else { 1 };
                let Some(calendar) = by_calendar else {
                    let predicate = self.predicate(name, next()?)?;
                    return Ok((shape(name, intervals, Ends::Predicate), predicate));
                };
                let ticks = self.graph.add_ticks(calendar, intervals, value, &expr.span)?;
                Ok((shape(name, intervals, Ends::Ticks), ticks))
            }
        }
    }

    /// The condition that ends a window.
    fn predicate(&mut self, window: &str, expr: &'a Expr) -> Result<usize, QueryError> {
        let (found, node) = match self.expr(expr)? {
            Value::Literal(scalar @ (Scalar::Bool(_) | Scalar::Null)) => {
                return self.graph.add_literal(scalar, DataType::Boolean, &expr.span);
            }
            Value::Literal(other) => (literal::describe(&other), None),
            Value::Node(node) => (types::name(&self.graph.node(node).data_type), Some(node)),
        };
        match node.filter(|node| self.graph.node(*node).data_type == DataType::Boolean) {
            Some(node) => Ok(node),
            None => {
                let message =
                    format!("Incompatible argument types: `{window}` needs a condition, found {found}");
                Err(QueryError::new(expr.span.clone(), message))
            }
        }
    }

    fn intervals(&mut self, expr: &'a Expr) -> Result<u32, QueryError> {
        let number = match self.expr(expr)? {
            Value::Literal(Scalar::Int(number)) if (1..=MAX_INTERVALS).contains(&number) => {
                u32::try_from(number).ok()
            }
            _ => None,
        };
        let message = format!("`sliding` needs a number of intervals, from 1 to {MAX_INTERVALS}");
        number.ok_or_else(|| QueryError::new(expr.span.clone(), message).expecting(&["a whole number"]))
    }

    /// The last so long: its points are the value's, and those again when they leave.
    fn trailing(&mut self, length: &'a Expr, value: usize) -> Result<(Window, usize), QueryError> {
        let nanos = match self.expr(length)? {
            Value::Literal(Scalar::Text(text)) => times::parse_duration(&text),
            Value::Literal(Scalar::Duration(nanos)) => Some(nanos),
            _ => None,
        };
        let nanos = nanos.filter(|nanos| *nanos > 0).ok_or_else(|| {
            let message = "`trailing` needs a length of time in days, hours, minutes or seconds: above zero, of 292 years at most";
            QueryError::new(length.span.clone(), message).expecting(&["\"1h30m\""])
        })?;
        let duration = types::duration();
        let by = self.graph.add_literal(Scalar::Duration(nanos), duration, &length.span)?;
        let data_type = self.graph.node(value).data_type.clone();
        match self.graph.add_joined(
            Op::ShiftBy,
            vec![value, by],
            data_type,
            &length.span,
            Some("trailing"),
        )? {
            Value::Node(moved) => Ok((Window::Trailing(nanos), moved)),
            Value::Literal(_) => Err(no_points(length.span.clone(), "`trailing`")),
        }
    }

    /// `shift_by`, `shift_to`, `shift_until`: the points of both arguments, later.
    pub(super) fn shift(
        &mut self,
        op: Op,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let (nodes, data_type) = self.coerce(function, matched, span)?;
        let by = nodes[1];
        let length = match (&self.graph.node(by).op, self.graph.cast_literal(by)) {
            (Op::Literal(Scalar::Duration(nanos)), _) => Some(*nanos),
            (_, Some((Scalar::Text(text), DataType::Duration(_)))) => times::parse_duration(text),
            _ => None,
        };
        if length.is_some_and(i64::is_negative) {
            let message = "points move forward only: this length of time is negative";
            return Err(QueryError::new(matched[1].expr.span.clone(), message));
        }
        self.graph.add_joined(op, nodes, data_type, span, Some(function.name))
    }

    /// `value.lookup(key)`: grouped as the key's expression is, whose values are keys of `value`.
    pub(super) fn lookup(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let [value, key] = matched else { return Err(defect(function, span)) };
        let no_points = |given: &Given<'_>| no_points(given.expr.span.clone(), "`lookup`");
        let (Value::Node(of), Value::Node(by)) = (&value.value, &key.value) else {
            let constant = if matches!(value.value, Value::Literal(_)) { value } else { key };
            return Err(no_points(constant));
        };
        let (of, mut by) = (*of, *by);
        let Some(looked_up) = self.graph.node(of).grouping.clone() else { return Err(no_points(value)) };
        if self.graph.node(by).grouping.is_none() {
            return Err(no_points(key));
        }
        let found = &self.graph.node(by).data_type;
        if *found != looked_up.key_type {
            if !types::holds(&looked_up.key_type, found) {
                let names = types::names(&[&looked_up.key_type, found]);
                let message = format!(
                    "Incompatible argument types: `lookup` needs {}, a key of `{}`, found {}",
                    names[0], looked_up.name, names[1]
                );
                return Err(QueryError::new(key.expr.span.clone(), message));
            }
            by = self.graph.add_cast(by, looked_up.key_type, &key.expr.span)?;
        }
        self.graph.add_lookup(of, by, span).map(Value::Node)
    }

    /// `seconds_since_previous(n)`: from the time of the n-th point before to that of the point.
    pub(super) fn seconds_since_previous(
        &mut self,
        function: &'static Function,
        matched: &[Given<'a>],
        span: &Span,
    ) -> Result<Value, QueryError> {
        let (nodes, data_type) = self.coerce(function, matched, span)?;
        let [stream, n] = nodes.as_slice() else { return Err(defect(function, span)) };
        let n = match self.constant(function, *n, &matched[1], true)? {
            Scalar::Null => Scalar::Int(1),
            n => n,
        };
        let of = |name: &str| functions::find(name).ok_or_else(|| defect(function, span));
        let (lag, seconds) = (of("lag")?, of("seconds_since")?);
        let moment = DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC")));
        let time =
            self.graph.add_joined(Op::Time, vec![*stream], moment.clone(), span, Some(function.name))?;
        let Value::Node(time) = time else { return Err(defect(function, span)) };
        let op = Op::Aggregate(Aggregation { function: lag, constants: vec![n], window: Window::All });
        let Value::Node(before) = self.graph.add_joined(op, vec![time], moment, span, Some(function.name))?
        else {
            return Err(defect(function, span));
        };
        self.graph.add_joined(Op::Call(seconds), vec![time, before], data_type, span, Some(function.name))
    }
}

/// The arguments of a window in the order of its parameters, as far as they are given.
fn arranged<'a>(
    name: &str,
    calendar: Option<Calendar>,
    args: &'a [Arg],
    at: &Span,
) -> Result<Vec<Option<&'a Expr>>, QueryError> {
    let params = params(name, calendar.is_some());
    let mut placed = vec![None; params.len()];
    for (place, Arg { name: given, value }) in args.iter().enumerate() {
        let place = match given {
            None => place,
            Some(Ident { name: wanted, span }) => {
                let known = || params.iter().map(|&param| param.to_owned()).collect();
                let place = params.iter().position(|param| param == wanted);
                place.ok_or_else(|| no_parameter(name, wanted, span, known()))?
            }
        };
        let too_many = || takes(name, calendar, if calendar.is_some() { &value.span } else { at });
        if placed.get_mut(place).ok_or_else(too_many)?.replace(value).is_some() {
            let message = format!("`{}` of `{name}` is given twice", params[place]);
            return Err(QueryError::new(value.span.clone(), message));
        }
    }
    Ok(placed)
}

fn shape(name: &str, intervals: u32, ends: Ends) -> Window {
    match name {
        "since" => Window::Since(ends),
        "tumbling" => Window::Tumbling(ends),
        _ => Window::Sliding(intervals, ends),
    }
}

/// How a window is written.
fn takes(name: &str, calendar: Option<Calendar>, at: &Span) -> QueryError {
    let (message, example) = match (name, calendar) {
        ("trailing", _) => ("`trailing` takes a length of time", "trailing(\"1h\")".to_owned()),
        ("sliding", Some(_)) => ("`sliding` takes a number of intervals", "sliding.hourly(2)".to_owned()),
        ("sliding", None) => {
            ("`sliding` takes a number of intervals and a condition", "sliding(2, x > 10)".to_owned())
        }
        (_, Some(_)) => ("a window by the calendar takes no arguments", format!("{name}.hourly()")),
        (_, None) => ("a window takes one condition, or is one of a calendar", format!("{name}(x > 10)")),
    };
    QueryError::new(at.clone(), message).expecting(&[example.as_str()])
}

fn no_window(expr: &Expr) -> QueryError {
    let calendars = Calendar::ALL.map(|(name, _)| format!("since.{name}()")).join(", ");
    let message = "`window` needs a window: `since`, `sliding`, `trailing` or `tumbling`";
    let mut error = QueryError::new(expr.span.clone(), message)
        .note(format!("as since(x > 10), {calendars}, sliding(2, x > 10), trailing(\"1h\")"));
    if let ExprKind::Call { receiver, function: Ident { name, span }, .. } = &expr.kind {
        error.span = span.clone();
        error.nearest = match receiver {
            Some(_) => nearest(name, Calendar::ALL.iter().map(|(name, _)| *name)),
            None => nearest(name, WINDOWS.iter().map(|(name, ..)| *name)),
        };
    }
    error
}
