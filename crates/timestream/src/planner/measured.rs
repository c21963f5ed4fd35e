//! Texts of a scan of which nothing but the length is asked for, for its source to leave the rest unread.

use arrow_schema::DataType;

use crate::plan::{Input, Output, Reg, Region, Scan, StepOp};

/// Functions to which texts of one length are the same.
const LENGTHS: [&str; 4] = ["len", "length", "is_null", "is_not_null"];

/// Marks the columns of all scans that are measured alone.
pub(super) fn mark(scans: &mut [Scan], regions: &[Region], output: &Output) {
    for (at, region) in regions.iter().enumerate() {
        let answered = (at + 1 == regions.len()).then_some(output);
        for (input, from) in region.inputs.iter().enumerate() {
            let Input::Scan(scan) = *from else { continue };
            let Scan { columns, tests, .. } = &mut scans[scan];
            for (column, of) in columns.iter_mut().enumerate() {
                of.measured = of.data_type == DataType::Utf8
                    && tests.iter().all(|test| test.column != column)
                    && is_measured(region, answered, input, column);
            }
        }
    }
}

/// Whether all uses of an input's column in its region are such functions.
fn is_measured(region: &Region, output: Option<&Output>, input: usize, column: usize) -> bool {
    let is_it = |reg: &Reg| matches!(region.steps[*reg].op, StepOp::Column { input: of, column: at } if (of, at) == (input, column));
    let by_step = |op: &StepOp| {
        let measures = matches!(op, StepOp::Call { function, .. } if LENGTHS.contains(&function.name));
        measures || !args(op).iter().any(is_it)
    };
    let by_feed = region.feeds.iter().flat_map(|feed| feed.columns.iter().chain([&feed.key]));
    let by_answer = output.iter().flat_map(|output| output.columns.iter().map(|(_, reg)| reg));
    region.steps.iter().all(|step| by_step(&step.op)) && !by_feed.chain(by_answer).any(is_it)
}

/// The registers that a step computes with, masks aside: no text is one.
fn args(op: &StepOp) -> Vec<Reg> {
    match op {
        StepOp::Column { .. } | StepOp::Present(_) | StepOp::Own(_) | StepOp::Time | StepOp::Literal(_) => {
            Vec::new()
        }
        StepOp::Call { args, .. } | StepOp::User { args, .. } | StepOp::Record(args) => args.clone(),
        StepOp::Cast(value)
        | StepOp::Field { value, .. }
        | StepOp::Only { value, .. }
        | StepOp::IsTrue(value)
        | StepOp::Aggregate { value, .. } => vec![*value],
        StepOp::Both(one, other) | StepOp::Either(one, other) => vec![*one, *other],
    }
}
