//! The masks that say at which rows of a region the points of a domain are.

use arrow_schema::DataType;

use super::domain::Domain;
use super::region::{Steps, cumulative};
use crate::functions;
use crate::plan::{Reg, StepOp};
use crate::query::{Continuity, NodeId};
use crate::scalar::Scalar;

impl Steps<'_> {
    /// The mask of a domain; none if it is all rows.
    pub(super) fn mask(&mut self, domain: &Domain) -> Option<Reg> {
        let inputs = &self.planner.layout.regions[self.region].inputs;
        if inputs.iter().all(|input| domain.contains(&input.node)) {
            return None;
        }
        let mut mask = None;
        for part in domain {
            let reg = match inputs.iter().position(|input| input.node == *part) {
                Some(input) => self.shared(StepOp::Present(input), DataType::Boolean),
                None => self.filter_mask(*part),
            };
            mask = Some(mask.map_or(reg, |mask| self.shared(StepOp::Either(mask, reg), DataType::Boolean)));
        }
        mask
    }

    /// The mask of the points that a filter leaves.
    pub(super) fn filter_mask(&mut self, filter: NodeId) -> Reg {
        let node = &self.planner.query.nodes[filter];
        let domain = self.planner.domains.of_nodes(&node.args);
        self.truth(node.args[1], &domain)
    }

    /// The mask of the points of a domain at which a condition is true.
    pub(super) fn truth(&mut self, condition: NodeId, domain: &Domain) -> Reg {
        let value = self.within(condition, &[], domain);
        let is_true = self.shared(StepOp::IsTrue(value.reg), DataType::Boolean);
        // A discrete condition that is null outside its points is not true there either.
        if value.quiet && self.planner.query.nodes[condition].continuity == Continuity::Discrete {
            return is_true;
        }
        match self.mask(domain) {
            Some(mask) => self.shared(StepOp::Both(mask, is_true), DataType::Boolean),
            None => is_true,
        }
    }

    /// The mask of the rows at which a key has had a point of a domain.
    pub(super) fn begun(&mut self, mask: Reg) -> Reg {
        let one = self.shared(StepOp::Literal(Scalar::Bool(true)), DataType::Boolean);
        let op = cumulative(&functions::aggregations::COUNT, one, Some(mask));
        let count = self.shared(op, DataType::Int64);
        let op = StepOp::Call { function: &functions::logic::IS_NOT_NULL, args: vec![count] };
        self.shared(op, DataType::Boolean)
    }
}
