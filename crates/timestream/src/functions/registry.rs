//! All functions in one list, and how a name finds its own.

use std::sync::LazyLock;

use super::signature::Signature;
use super::{Function, aggregations, comparisons, lists, logic, moments, numbers, streams, texts};

/// Every family's functions with their signatures read, in the order in which they are listed.
static REGISTRY: LazyLock<Vec<(&'static Function, Vec<Signature>)>> = LazyLock::new(|| {
    [
        streams::FUNCTIONS,
        aggregations::FUNCTIONS,
        numbers::FUNCTIONS,
        comparisons::FUNCTIONS,
        logic::FUNCTIONS,
        texts::FUNCTIONS,
        lists::FUNCTIONS,
        moments::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .map(|&function| {
        let texts = std::iter::once(&function.signature).chain(function.also);
        (function, texts.map(|text| Signature::parse(text)).collect::<Result<_, _>>().unwrap_or_default())
    })
    .collect()
});

/// Every function, by family.
pub fn all() -> impl Iterator<Item = &'static Function> {
    REGISTRY.iter().map(|(function, _)| *function)
}

/// The function of a name or alias.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name || function.aliases.contains(&name))
}

/// The name of a function that a misspelt one may have meant.
#[must_use]
pub fn nearest(name: &str) -> Option<String> {
    crate::error::nearest(name, all().map(|function| function.name))
}

/// What a function of the registry takes and gives; none for one that is not of it.
#[must_use]
pub fn signature_of(function: &Function) -> Option<&'static Signature> {
    signatures_of(function).first()
}

/// The same, and what it takes instead.
#[must_use]
pub fn signatures_of(function: &Function) -> &'static [Signature] {
    let known = REGISTRY.iter().find(|(known, _)| *known == function);
    known.map(|(_, signatures)| signatures.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use arrow_schema::DataType;

    use super::*;
    use crate::functions::signature::Type;
    use crate::syntax::{BinaryOp, UnaryOp};

    #[test]
    fn every_definition_is_whole() {
        let mut names = BTreeSet::new();
        for (function, signatures) in REGISTRY.iter() {
            let name = function.name;
            let signature = signatures.first().unwrap_or_else(|| panic!("signatures of {name}"));
            let params = |of: &Signature| {
                of.params
                    .iter()
                    .map(|param| (param.name.clone(), param.optional, param.repeated))
                    .collect::<Vec<_>>()
            };
            for also in signatures {
                assert_eq!((&also.name, params(also)), (&signature.name, params(signature)), "{name}");
            }
            assert_eq!(signature.name, name);
            let first_optional = signature.params.iter().position(|param| param.optional);
            let optional = signature.params.len() - first_optional.unwrap_or(signature.params.len());
            assert_eq!(signature.params.iter().filter(|param| param.optional).count(), optional, "{name}");
            for name in std::iter::once(&name).chain(function.aliases) {
                assert!(names.insert(*name), "{name} is defined twice");
            }
            assert!(function.summary.ends_with('.') && !function.summary.contains('\n'), "summary of {name}");
            assert!(!function.details.is_empty(), "details of {name}");
            assert!(!function.examples.is_empty(), "examples of {name}");
            if function.is_aggregation() {
                // What follows the value are constants.
                let constants = signature.params.iter().skip(1);
                let mut whole = constants.map(|param| param.takes == Type::Exactly(DataType::Int64));
                assert!(!function.strict && whole.all(|whole| whole), "{name}");
            }
        }
        assert_eq!(all().count(), 74);
    }

    #[test]
    fn every_operator_means_a_function_that_knows_it() {
        let unary = [UnaryOp::Neg, UnaryOp::Not].map(|op| (op.symbol(), op.function(), 1));
        let binary = BinaryOp::ALL.map(|op| (op.symbol(), op.function(), 2));
        let operators: Vec<_> = unary.into_iter().chain(binary).collect();
        for (symbol, name, params) in &operators {
            let function = find(name).unwrap();
            assert_eq!(function.operator, Some(*symbol), "{name}");
            assert_eq!(signature_of(function).unwrap().params.len(), *params, "{name}");
        }
        let named = all().filter(|function| function.operator.is_some()).count();
        // `index` is written `x[i]`, `col` as `x.name`.
        assert_eq!(named, operators.len() + 2);
    }
}
