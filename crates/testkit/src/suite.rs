//! Runs the cases of the language tests: against the rows they expect, the reference, and the engine in every way.

use std::collections::BTreeMap;
use std::sync::Arc;

use skytide_timestream::functions::Function;

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
    /// Runs a case and takes note of what is wrong. Gives the reference's answer, where there is one.
    pub fn run(&mut self, name: &str, case: &Case) -> Option<Answer> {
        let place = format!("{name}:{}", case.line);
        match self.judge(&place, case) {
            Ok(answer) => answer,
            Err(failure) => {
                self.failures.push(format!("{place}: {failure}\n    {}", case.query.replace('\n', "\n    ")));
                None
            }
        }
    }

    fn judge(&mut self, place: &str, case: &Case) -> Result<Option<Answer>, String> {
        let events = Events::new(&case.tables, &case.query);
        let query = match (skytide_timestream::compile(&case.query, &events), &case.expected) {
            (Ok(query), Expected::Rows(..)) => Arc::new(query),
            (Ok(_), Expected::Error(_)) => return Err("should be refused".to_owned()),
            (Err(error), Expected::Rows(..)) => return Err(error.render(&case.query)),
            (Err(error), Expected::Error(pieces)) => {
                let text = error.render(&case.query);
                if let Some(piece) = pieces.iter().find(|piece| !text.contains(piece.trim())) {
                    return Err(format!("the error does not say {piece:?}:\n{text}"));
                }
                self.refused += 1;
                return Ok(None);
            }
        };
        let wanted = reference::answer(&query, &events, case.results).map_err(|error| error.to_string())?;
        if let Expected::Rows(lines, warnings) = &case.expected {
            let compared =
                read_answer(lines, *warnings, &wanted).map(|expected| wanted.difference(&expected));
            if let Some(difference) = compared.unwrap_or_else(Some) {
                self.failures.push(format!("{place}: the reference differs from the test: {difference}"));
            }
        }
        self.answered += 1;
        let plan = Arc::new(skytide_timestream::plan(query, case.results));
        for way in Way::all() {
            let failure = match way.run(&plan, &events) {
                Ok(None) => None,
                Ok(Some(run)) => {
                    let (runs, taken) = self.ways.entry(format!("{way:?}")).or_default();
                    *runs += 1;
                    taken.add(&run.taken);
                    way.difference(case.results, &run.answer, &wanted)
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(failure) = failure {
                let query = case.query.replace('\n', "\n    ");
                self.failures
                    .push(format!("{place}: {way:?} differs from the reference: {failure}\n    {query}"));
            }
        }
        Ok(Some(wanted))
    }

    /// Runs the examples of a function, which are language tests written down beside it.
    pub fn run_examples(&mut self, function: &Function) {
        for (number, of) in function.examples.iter().enumerate() {
            let place = format!("example {} of {}", number + 1, function.name);
            match example(of) {
                Ok(case) => {
                    self.run(&place, &case);
                }
                Err(error) => self.failures.push(format!("{place}: {error}")),
            }
        }
    }

    /// Runs of a way that were taken, and what shows it.
    #[must_use]
    pub fn way(&self, way: &Way) -> (usize, Taken) {
        self.ways.get(&format!("{way:?}")).cloned().unwrap_or_default()
    }
}
