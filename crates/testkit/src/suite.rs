//! Runs the cases of the language tests: against the rows they expect, the reference, and the engine in every way.

use std::collections::BTreeMap;
use std::sync::Arc;

use skytide_timestream::functions::Function;
use skytide_timestream::query::Query;

use crate::answer::Answer;
use crate::events::Events;
use crate::format::{Case, Expected, example, read_answer};
use crate::reference;
use crate::ways::{Taken, Way};

/// What many runs add up to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Queries that gave rows.
    pub answered: usize,
    /// Queries that gave the error they should.
    pub refused: usize,
    /// For each way how many queries were run in it, and what shows it.
    pub ways: BTreeMap<String, (usize, Taken)>,
    /// What is wrong, each with where.
    pub failures: Vec<String>,
}

impl Tally {
    /// Asks a case of the reference alone and takes note of what is wrong. Gives its answer, where there is one.
    pub fn ask_reference(&mut self, name: &str, case: &Case) -> Option<Answer> {
        let place = format!("{name}:{}", case.line);
        self.asked(&place, case).map(|(_, _, wanted)| wanted)
    }

    /// Runs a case by the reference and in every way, and takes note of what is wrong.
    pub fn run(&mut self, name: &str, case: &Case) {
        let place = format!("{name}:{}", case.line);
        let Some((query, events, wanted)) = self.asked(&place, case) else { return };
        let plan = Arc::new(skytide_timestream::plan(query, case.results));
        for way in Way::all() {
            let failure = match way.run(&plan, &events) {
                Ok(None) => None,
                Ok(Some(run)) => {
                    let (runs, taken) = self.ways.entry(format!("{way:?}")).or_default();
                    *runs += 1;
                    taken.add(&run.taken);
                    way.difference(&plan, &events, &run.answer, &wanted)
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(failure) = failure {
                self.fail(&place, case, &format!("{way:?} differs from the reference: {failure}"));
            }
        }
    }

    fn fail(&mut self, place: &str, case: &Case, failure: &str) {
        self.failures.push(format!("{place}: {failure}\n    {}", case.query.replace('\n', "\n    ")));
    }

    /// The checked query, its events and the reference's answer; none where it is refused, or where that is wrong.
    fn asked(&mut self, place: &str, case: &Case) -> Option<(Arc<Query>, Events, Answer)> {
        let events = Events::new(&case.tables, &case.query);
        match judge(case, &events) {
            Ok(Some((query, wanted, difference))) => {
                if let Some(difference) = difference {
                    self.fail(place, case, &format!("the reference differs from the test: {difference}"));
                }
                self.answered += 1;
                Some((query, events, wanted))
            }
            Ok(None) => {
                self.refused += 1;
                None
            }
            Err(failure) => {
                self.fail(place, case, &failure);
                None
            }
        }
    }

    /// The examples of a function, which are language tests written down beside it.
    fn examples(&mut self, function: &Function) -> Vec<(String, Case)> {
        let mut cases = Vec::new();
        for (number, of) in function.examples.iter().enumerate() {
            let place = format!("example {} of {}", number + 1, function.name);
            match example(of) {
                Ok(case) => cases.push((place, case)),
                Err(error) => self.failures.push(format!("{place}: {error}")),
            }
        }
        cases
    }

    /// Runs the examples of a function by the reference and in every way.
    pub fn run_examples(&mut self, function: &Function) {
        for (place, case) in self.examples(function) {
            self.run(&place, &case);
        }
    }

    /// Asks the examples of a function of the reference alone.
    pub fn ask_reference_examples(&mut self, function: &Function) {
        for (place, case) in self.examples(function) {
            self.ask_reference(&place, &case);
        }
    }

    /// Runs of a way that were taken, and what shows it.
    #[must_use]
    pub fn way(&self, way: &Way) -> (usize, Taken) {
        self.ways.get(&format!("{way:?}")).cloned().unwrap_or_default()
    }
}

/// A checked query, the reference's answer, and how that differs from what the test says; none where the
/// query is refused as it should be.
type Judged = Option<(Arc<Query>, Answer, Option<String>)>;

fn judge(case: &Case, events: &Events) -> Result<Judged, String> {
    match (skytide_timestream::compile(&case.query, events), &case.expected) {
        (Ok(_), Expected::Error(_)) => Err("should be refused".to_owned()),
        (Err(error), Expected::Rows(..)) => Err(error.render(&case.query)),
        (Err(error), Expected::Error(pieces)) => {
            let text = error.render(&case.query);
            match pieces.iter().find(|piece| !text.contains(piece.trim())) {
                Some(piece) => Err(format!("the error does not say {piece:?}:\n{text}")),
                None => Ok(None),
            }
        }
        (Ok(query), Expected::Rows(lines, warnings)) => {
            let wanted =
                reference::answer(&query, events, case.results).map_err(|error| error.to_string())?;
            let compared =
                read_answer(lines, *warnings, &wanted).map(|expected| wanted.difference(&expected));
            Ok(Some((Arc::new(query), wanted, compared.unwrap_or_else(Some))))
        }
    }
}
