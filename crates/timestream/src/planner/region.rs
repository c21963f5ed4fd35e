//! The steps of one region: values as they are asked for.
//!
//! A value is computed at every row of its region, and a row may be no point of it. Where that matters,
//! because something wider uses it, it is made null there: a discrete value outside its points, a continuous
//! one before its first (SEMANTICS 1.4). Most values are null there anyway ([`Value::quiet`]), as columns of
//! an input and what strict functions make of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_schema::DataType;

use super::domain::Domain;
use super::{Path, Planner};
use crate::functions::user::UserDefined;
use crate::functions::{self, Function};
use crate::plan::{ANSWERS_OWN, PathStep, Reg, Step, StepOp};
use crate::query::{Aggregation, Continuity, Ends, Node, NodeId, Op, Window};
use crate::scalar::Scalar;
use crate::types;

/// A value in a register.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) reg: Reg,
    /// Whether it is null at rows outside its expression's points, or before the first of them where it is
    /// continuous.
    pub(super) quiet: bool,
}

/// Steps under construction.
pub(super) struct Steps<'a> {
    pub(super) planner: &'a Planner<'a>,
    pub(super) region: usize,
    steps: Vec<Step>,
    values: HashMap<(NodeId, Path), Value>,
    /// The register of each step that is no expression's own, by what it computes.
    known: HashMap<String, Reg>,
    /// What is asked of each input.
    wanted: Vec<Vec<Path>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(planner: &'a Planner<'a>, region: usize) -> Self {
        let wanted = vec![Vec::new(); planner.layout.regions[region].inputs.len()];
        Self { planner, region, steps: Vec::new(), values: HashMap::new(), known: HashMap::new(), wanted }
    }

    /// The steps, and the paths that are asked of each input.
    pub(super) fn finish(self) -> (Vec<Step>, Vec<Vec<Path>>) {
        (self.steps, self.wanted)
    }

    /// Whether a field of the answer is its source's column of the very time or key that the answer's rows
    /// have: an answer that was written and is read again has these twice. A record of the query's own has
    /// none, nor has what came under another time or key.
    fn is_own(&self, root: NodeId, name: &str) -> bool {
        let [time, key] = ANSWERS_OWN.map(|own| own == name);
        let (mut left, mut seen) = (vec![root], BTreeSet::new());
        while let Some(node) = left.pop() {
            if !seen.insert(node) {
                continue;
            }
            let Node { op, args, data_type, .. } = &self.planner.query.nodes[node];
            let alike = args.iter().filter(|arg| self.planner.query.nodes[**arg].data_type == *data_type);
            match op {
                Op::Stream(stream) if time && stream.time.as_deref() == Some(name) => {}
                Op::Stream(stream) if key && stream.key == name => {}
                Op::Literal(_) => {}
                Op::Filter => left.push(args[0]),
                Op::WithKey if time => left.push(args[0]),
                Op::ShiftBy | Op::ShiftTo | Op::ShiftUntil if key => left.push(args[0]),
                Op::Aggregate(of) if time && !self.is_newest(of, args[0], root) => return false,
                // One of several values, as the last, or that of a condition.
                Op::Aggregate(_) | Op::Call(_) if alike.clone().count() > 0 => left.extend(alike),
                _ => return false,
            }
        }
        true
    }

    /// Whether what an aggregation gives is of the very point of the row, not of one before: the newest of
    /// values none of which is null, where the answer has no points but theirs.
    fn is_newest(&self, aggregation: &Aggregation, values: NodeId, root: NodeId) -> bool {
        let Aggregation { function, constants, window } = aggregation;
        let domains = &self.planner.domains;
        (*function == &functions::aggregations::LAST
            || *function == &functions::aggregations::LAG && *constants == [Scalar::Int(0)])
            && *window == Window::All
            && self.planner.never_null(values)
            && domains.of_node(values) == domains.of_node(root)
    }

    /// Names and registers of the answer's fields: the record's, or one named `result`.
    pub(super) fn answer(&mut self, root: NodeId) -> Vec<(String, Reg)> {
        match &self.planner.query.nodes[root].data_type {
            DataType::Struct(fields) => {
                let fields = fields.iter().filter(|field| !self.is_own(root, field.name()));
                let fields: Vec<_> = fields.collect();
                let fields = fields.into_iter().map(|field| {
                    let path = [PathStep::Field(field.name().clone())];
                    (field.name().clone(), self.value(root, &path).reg)
                });
                fields.collect()
            }
            _ => vec![("result".to_owned(), self.value(root, &[]).reg)],
        }
    }

    fn push(&mut self, op: StepOp, data_type: DataType) -> Reg {
        self.steps.push(Step::new(op, data_type));
        self.steps.len() - 1
    }

    /// A step whose type follows from what it computes: made once.
    pub(super) fn shared(&mut self, op: StepOp, data_type: DataType) -> Reg {
        let key = match &op {
            StepOp::Literal(scalar) => format!("{scalar:?}: {data_type}"),
            other => format!("{other:?}"),
        };
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let reg = self.push(op, data_type);
        self.known.insert(key, reg);
        reg
    }

    /// An expression's value, or a value inside it, as something with this domain uses it.
    pub(super) fn within(&mut self, node: NodeId, path: &[PathStep], domain: &Domain) -> Value {
        let value = self.value(node, path);
        let own = self.planner.domains.of_node(node);
        let of = &self.planner.query.nodes[node];
        if value.quiet || own == domain {
            return value;
        }
        let mask = match of.continuity {
            Continuity::Constant => None,
            Continuity::Discrete => self.mask(own),
            Continuity::Continuous => self.mask(own).map(|mask| self.begun(mask)),
        };
        let Some(present) = mask else { return value };
        let data_type = self.planner.type_inside(node, path);
        Value { reg: self.shared(StepOp::Only { value: value.reg, present }, data_type), quiet: true }
    }

    /// A value inside an expression's value, at every row.
    fn value(&mut self, node: NodeId, path: &[PathStep]) -> Value {
        let place = (node, path.to_vec());
        if let Some(known) = self.values.get(&place) {
            return *known;
        }
        let value = self.compute(node, path);
        self.values.insert(place, value);
        value
    }

    /// The values of arguments at the points of their user. Planning calls itself here, so it is a loop: the
    /// calls of an iterator would take stack at each level.
    fn arguments(&mut self, args: &[NodeId], domain: &Domain) -> Vec<Value> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.within(*arg, &[], domain));
        }
        values
    }

    fn compute(&mut self, id: NodeId, path: &[PathStep]) -> Value {
        let planner = self.planner;
        let node = &planner.query.nodes[id];
        let domain = planner.domains.of_node(id);
        match &node.op {
            Op::Stream(_) if path.is_empty() => self.record_of_columns(id, &node.data_type),
            Op::Stream(_)
            | Op::WithKey
            | Op::ShiftBy
            | Op::ShiftTo
            | Op::ShiftUntil
            | Op::Ask { .. }
            | Op::Reply => self.column(id, path),
            Op::Field(name) => self.value(node.args[0], &prepend(PathStep::Field(name.clone()), path)),
            Op::Filter => {
                let within = planner.domains.within(id).unwrap_or(domain);
                Value { quiet: false, ..self.within(node.args[0], path, within) }
            }
            Op::Call(function) => match planner.step_of(id) {
                Some(step) => self.value(node.args[0], &prepend(step, path)),
                None => {
                    let args = self.arguments(&node.args, domain);
                    let op = StepOp::Call { function, args: args.iter().map(|arg| arg.reg).collect() };
                    let quiet = function.strict && self.any_quiet(id, &args);
                    let counts = function.overflows && !node.data_type.is_floating();
                    let counted = if counts { self.mask(domain) } else { None };
                    let value = Value { reg: self.push(op, node.data_type.clone()), quiet };
                    self.steps[value.reg].counted = counted;
                    self.inside(value, &node.data_type, path)
                }
            },
            Op::User(function) => {
                let value = self.user(function, node, domain);
                self.inside(value, &node.data_type, path)
            }
            Op::Cast => {
                let arg = self.within(node.args[0], &[], domain);
                let counted = self.mask(domain);
                let value = Value { reg: self.push(StepOp::Cast(arg.reg), node.data_type.clone()), ..arg };
                self.steps[value.reg].counted = counted;
                self.inside(value, &node.data_type, path)
            }
            Op::Time => self.time(id),
            Op::Record(names) => {
                if let Some((PathStep::Field(name), rest)) = path.split_first()
                    && let Some(at) = names.iter().position(|known| known == name)
                {
                    let value = self.within(node.args[at], rest, domain);
                    return Value { quiet: self.is_quiet(id, node.args[at], value), ..value };
                }
                let args = self.arguments(&node.args, domain).iter().map(|arg| arg.reg).collect();
                Value { reg: self.push(StepOp::Record(args), node.data_type.clone()), quiet: false }
            }
            Op::Apart(part) => Value { reg: self.apart(*part, domain), quiet: false },
            Op::Own(own) => {
                Value { reg: self.shared(StepOp::Own(*own), node.data_type.clone()), quiet: false }
            }
            // Nobody asks for the value of a tick.
            Op::Ticks { .. } | Op::Lookup => {
                let null = self.shared(StepOp::Literal(Scalar::Null), node.data_type.clone());
                Value { reg: null, quiet: true }
            }
            Op::Aggregate(aggregation) => {
                let value = self.aggregate(id, aggregation);
                self.inside(value, &node.data_type, path)
            }
            Op::Literal(scalar) => {
                let literal = self.shared(StepOp::Literal(scalar.clone()), node.data_type.clone());
                self.inside(Value { reg: literal, quiet: false }, &node.data_type, path)
            }
        }
    }

    /// A call of a program's own function, apart from the rest so that the stack of that is small.
    fn user(&mut self, function: &Arc<UserDefined>, node: &Node, domain: &Domain) -> Value {
        let args = self.arguments(&node.args, domain).iter().map(|arg| arg.reg).collect();
        // It is asked for nothing but values of its points: what it says to other rows could end the query.
        let present = match node.continuity {
            Continuity::Constant => None,
            Continuity::Discrete => self.mask(domain),
            Continuity::Continuous => self.mask(domain).map(|mask| self.begun(mask)),
        };
        let op = StepOp::User { function: Arc::clone(function), args, present };
        let quiet = node.continuity != Continuity::Constant;
        Value { reg: self.push(op, node.data_type.clone()), quiet }
    }

    /// Whether an argument that is null outside its own points is so outside those of its user: not if it
    /// goes on where its user has no points, as a continuous argument of a discrete expression does.
    fn is_quiet(&self, user: NodeId, arg: NodeId, value: Value) -> bool {
        let nodes = &self.planner.query.nodes;
        value.quiet && nodes[user].continuity == nodes[arg].continuity
    }

    /// Whether a function that is null where an argument is null is so outside its own points.
    fn any_quiet(&self, user: NodeId, values: &[Value]) -> bool {
        let args = &self.planner.query.nodes[user].args;
        args.iter().zip(values).any(|(arg, value)| self.is_quiet(user, *arg, *value))
    }

    /// The time of a node's points: that of the row, or where it holds between points that of its newest.
    fn time(&mut self, id: NodeId) -> Value {
        let node = &self.planner.query.nodes[id];
        let reg = self.shared(StepOp::Time, node.data_type.clone());
        if node.continuity != Continuity::Continuous {
            return Value { reg, quiet: false };
        }
        let present = self.mask(self.planner.domains.of_node(id));
        let op = cumulative(&functions::aggregations::LAST, reg, present);
        Value { reg: self.shared(op, node.data_type.clone()), quiet: true }
    }

    fn aggregate(&mut self, id: NodeId, aggregation: &Aggregation) -> Value {
        let node = &self.planner.query.nodes[id];
        let arg = node.args[0];
        let of = &self.planner.query.nodes[arg];
        let own = self.planner.domains.of_node(arg);
        let domain = self.planner.domains.of_nodes(&node.args);
        // Counting what is never null is counting points: nothing of them is read.
        let counts = aggregation.function == &functions::aggregations::COUNT && self.planner.never_null(arg);
        let value = if counts {
            Value { reg: self.shared(StepOp::Literal(Scalar::Bool(true)), DataType::Boolean), quiet: false }
        } else {
            self.value(arg, &[])
        };
        let value_type = if counts { DataType::Boolean } else { of.data_type.clone() };
        // What only ends a window adds nothing to it, also where a value holds there.
        let is_null_there = value.quiet && of.continuity == Continuity::Discrete;
        let value = match self.mask(own) {
            Some(present) if *own != domain && !is_null_there => {
                self.shared(StepOp::Only { value: value.reg, present }, value_type)
            }
            _ => value.reg,
        };
        let ends = match aggregation.window {
            Window::All | Window::Trailing(_) => None,
            Window::Since(ends) | Window::Tumbling(ends) | Window::Sliding(_, ends) => match ends {
                Ends::Predicate => Some(self.truth(node.args[1], &domain)),
                Ends::Ticks => self.mask(self.planner.domains.of_node(node.args[1])),
            },
        };
        let window = match aggregation.window {
            // The same values, shown at the ends alone.
            Window::Tumbling(ends) => Window::Since(ends),
            window => window,
        };
        let aggregation = Aggregation { window, ..aggregation.clone() };
        let op = StepOp::Aggregate { aggregation, value, present: self.mask(&domain), ends };
        let quiet = node.continuity == Continuity::Continuous;
        Value { reg: self.shared(op, node.data_type.clone()), quiet }
    }

    /// A column of an input: its point's value, or a value inside it. What is no input of the region has a
    /// column of none, which its operator refuses: a plan that is not right gives no rows.
    pub(super) fn column(&mut self, node: NodeId, path: &[PathStep]) -> Value {
        let inputs = &self.planner.layout.regions[self.region].inputs;
        let input = inputs.iter().position(|input| input.node == node).unwrap_or(inputs.len());
        let column = self.wanted.get_mut(input).map_or(0, |wanted| {
            wanted.iter().position(|known| known == path).unwrap_or_else(|| {
                wanted.push(path.to_vec());
                wanted.len() - 1
            })
        });
        let data_type = self.planner.type_inside(node, path);
        Value { reg: self.shared(StepOp::Column { input, column }, data_type), quiet: true }
    }

    /// The struct of all columns of a stream.
    fn record_of_columns(&mut self, node: NodeId, data_type: &DataType) -> Value {
        let DataType::Struct(fields) = data_type else { return self.column(node, &[]) };
        let columns =
            fields.iter().map(|field| self.value(node, &[PathStep::Field(field.name().clone())]).reg);
        let columns = columns.collect();
        Value { reg: self.push(StepOp::Record(columns), data_type.clone()), quiet: false }
    }

    /// A value inside a value that is computed whole.
    fn inside(&mut self, whole: Value, data_type: &DataType, path: &[PathStep]) -> Value {
        let mut reg = whole.reg;
        let mut data_type = data_type;
        for step in path {
            reg = match (step, data_type) {
                (PathStep::Field(name), DataType::Struct(fields)) => {
                    let Some((index, field)) = fields.find(name) else { continue };
                    data_type = field.data_type();
                    self.shared(StepOp::Field { value: reg, index }, data_type.clone())
                }
                (PathStep::Index(index), list) => {
                    let Some(item) = types::item(list) else { continue };
                    data_type = item;
                    let index = i64::try_from(*index).unwrap_or(i64::MAX);
                    let index = self.shared(StepOp::Literal(Scalar::Int(index)), DataType::Int64);
                    let op = StepOp::Call { function: &functions::lists::INDEX, args: vec![reg, index] };
                    self.shared(op, data_type.clone())
                }
                (PathStep::Length, _) => {
                    data_type = &DataType::Int64;
                    let op = StepOp::Call { function: &functions::texts::LEN, args: vec![reg] };
                    self.shared(op, DataType::Int64)
                }
                (PathStep::Field(_), _) => continue,
            };
        }
        Value { reg, ..whole }
    }
}

/// An aggregation over all points so far.
pub(super) fn cumulative(function: &'static Function, value: Reg, present: Option<Reg>) -> StepOp {
    StepOp::Aggregate { aggregation: Aggregation::cumulative(function), value, present, ends: None }
}

/// A path with a step before it.
pub(super) fn prepend(first: PathStep, path: &[PathStep]) -> Path {
    std::iter::once(first).chain(path.iter().cloned()).collect()
}
