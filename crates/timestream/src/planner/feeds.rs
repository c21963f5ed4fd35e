//! What a region hands to later ones, and the ticks that it makes.

use std::collections::BTreeMap;

use arrow_schema::DataType;

use super::Request;
use super::domain::Domain;
use super::layout::TicksOf;
use super::region::Steps;
use crate::functions;
use crate::plan::{Feed, Input, Moves, PathStep, Reg, Standing, StepOp, Ticks};
use crate::query::{NodeId, Op, Own, Part};

impl Steps<'_> {
    /// What a later region asks for.
    pub(super) fn feed(&mut self, request: &Request) -> Feed {
        let node = &self.planner.query.nodes[request.node];
        let (value, second) = (node.args[0], node.args[1]);
        if matches!(node.op, Op::Reply) {
            return self.reply(request, value, second);
        }
        let domain = self.planner.domains.of_nodes(&node.args);
        let pairs = node.args.iter().any(|arg| self.planner.pairs.may_pair(*arg));
        let apart = pairs.then(|| Standing {
            lane: self.apart(Part::Lane, &domain),
            ordinal: self.apart(Part::Ordinal, &domain),
        });
        let columns = request.columns.iter().map(|path| self.within(value, path, &domain).reg).collect();
        let own_key = |steps: &mut Self| steps.shared(StepOp::Own(Own::Key), node.key_type());
        let (key, moves) = match &node.op {
            Op::ShiftBy => {
                let by = self.within(second, &[], &domain).reg;
                (own_key(self), Moves::By(by))
            }
            Op::ShiftTo => {
                let time = self.within(second, &[], &domain).reg;
                (own_key(self), Moves::To(time))
            }
            Op::ShiftUntil => {
                let value = self.within(second, &[], &domain).reg;
                let mask = self.shared(StepOp::IsTrue(value), DataType::Boolean);
                (own_key(self), Moves::Until(mask))
            }
            Op::Ask { after } => {
                let key = self.within(second, &[], &domain).reg;
                let last = self.planner.layout.asks_among_doubles(request.node);
                let moves = match *after || last || self.planner.layout.regions[self.region].holds_ticks {
                    true => Moves::After { all: *after, last },
                    false => Moves::Stay,
                };
                (key, moves)
            }
            _ => (self.within(second, &[], &domain).reg, Moves::Stay),
        };
        Feed { present: self.mask(&domain), key, columns, moves, apart }
    }

    /// Lane or ordinal of where the points of a domain stand, each apart from what it pairs with: of all that
    /// are at a row, the first.
    pub(super) fn apart(&mut self, part: Part, domain: &Domain) -> Reg {
        let inputs: Vec<NodeId> =
            self.planner.layout.regions[self.region].inputs.iter().map(|input| input.node).collect();
        // At which points each part is in the domain; none: at all. Filters stand after what they choose from.
        let mut open: BTreeMap<NodeId, Option<Reg>> = domain.iter().map(|part| (*part, None)).collect();
        let mut of = Vec::new();
        while let Some((node, present)) = open.pop_last() {
            if let Some(input) = inputs.iter().position(|input| *input == node) {
                of.push((input, present));
                continue;
            }
            let chosen = self.filter_mask(node);
            let chosen = match present {
                Some(present) => self.shared(StepOp::Both(present, chosen), DataType::Boolean),
                None => chosen,
            };
            for part in self.planner.domains.within(node).into_iter().flatten() {
                let known = open.get(part).copied();
                let present = match known {
                    None => Some(chosen),
                    Some(None) => None,
                    Some(Some(known)) => Some(self.shared(StepOp::Either(known, chosen), DataType::Boolean)),
                };
                open.insert(*part, present);
            }
        }
        of.sort_unstable();
        self.shared(StepOp::Apart { part, of }, part.data_type())
    }

    /// The value at questions, back under the key and at the place of the asking point. Nothing is known of
    /// the null key.
    fn reply(&mut self, request: &Request, value: NodeId, ask: NodeId) -> Feed {
        let domain = self.planner.domains.of_node(ask).clone();
        let nodes = &self.planner.query.nodes;
        let own = self.shared(StepOp::Own(Own::Key), nodes[ask].key_type());
        let op = StepOp::Call { function: &functions::logic::IS_NOT_NULL, args: vec![own] };
        let known = self.shared(op, DataType::Boolean);
        let columns = request.columns.iter().map(|path| {
            let reg = self.within(value, path, &domain).reg;
            let data_type = self.planner.type_inside(value, path);
            self.shared(StepOp::Only { value: reg, present: known }, data_type)
        });
        let columns = columns.collect();
        let part = |steps: &mut Self, name: &str| steps.column(ask, &[PathStep::Field(name.to_owned())]).reg;
        let key = part(self, "key");
        let inputs = &self.planner.layout.regions[self.region].inputs;
        let asked_by_ticks = inputs.iter().any(|input| match input.from {
            Input::Feed { region, .. } => {
                input.node == ask && self.planner.layout.regions[region].holds_ticks
            }
            Input::Scan(_) | Input::Ticks(_) => false,
        });
        let pairs = self.planner.pairs.may_pair(request.node);
        let doubles = self.planner.layout.asks_among_doubles(ask);
        let moves = match nodes[ask].op {
            Op::Ask { after } if after || asked_by_ticks || pairs || doubles => Moves::Back {
                standing: Standing { lane: part(self, "lane"), ordinal: part(self, "ordinal") },
                origin_time: part(self, "origin_time"),
                origin_lane: part(self, "origin_lane"),
                made_for: part(self, "made_for"),
                turn: doubles.then(|| part(self, "turn")),
            },
            _ => Moves::Stay,
        };
        let apart =
            pairs.then(|| Standing { lane: part(self, "apart_lane"), ordinal: part(self, "apart_ordinal") });
        Feed { present: self.mask(&domain), key, columns, moves, apart }
    }

    /// The ticks of an input.
    pub(super) fn ticks(&mut self, of: &TicksOf) -> Ticks {
        let present = self.mask(self.planner.domains.of_node(of.node));
        Ticks { calendar: of.calendar, intervals: of.intervals, present }
    }
}
