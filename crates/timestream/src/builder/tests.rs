use std::collections::BTreeMap;

use proptest::prelude::*;

use super::methods::{ARITHMETIC, CALLS, LISTS, OPERATORS};
use super::*;
use crate::functions;
use crate::query::Calendar;
use crate::syntax::parse;

#[test]
fn every_function_of_the_registry_is_a_method_with_its_summary() {
    let named: BTreeMap<_, _> = CALLS.iter().chain(LISTS).chain(OPERATORS).copied().collect();
    for function in functions::all() {
        match function.name {
            "neg" | "not" | "index" => {}
            name if ARITHMETIC.contains(&name) => {}
            name => assert_eq!(named.get(name), Some(&function.summary), "{name}"),
        }
    }
    assert_eq!(named.len() + ARITHMETIC.len() + 3, functions::all().count());
}

/// Knows no stream.
struct Nothing;

impl Catalog for Nothing {
    fn stream(&self, _: &str) -> Option<std::sync::Arc<crate::catalog::StreamDef>> {
        None
    }

    fn stream_function(&self, _: &str, _: &str) -> Result<std::sync::Arc<crate::catalog::StreamDef>, String> {
        Err(String::new())
    }

    fn stream_method(
        &self,
        _: &crate::catalog::StreamDef,
        _: &str,
    ) -> Option<std::sync::Arc<crate::catalog::StreamDef>> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn what_is_too_deep_is_an_error_not_a_crash() {
    let mut sum = field("seq");
    for at in 0..100_000 {
        sum = sum + at;
    }
    assert_eq!(sum.to_string(), "…");
    let error = record([("a", sum)]).compile(&Nothing).unwrap_err();
    assert_eq!(error.message, "nested too deeply: more than 200 levels");
    let window = field("x").over(Window::since_each(Calendar::Hourly)).gt(1);
    let error = source("posts").filter(window).compile(&Nothing).unwrap_err();
    assert!(error.message.contains("as in `.sum().over(…)`"), "{}", error.message);
}

/// One condition after the other, joined by `or` to those before.
fn one_of(count: i64) -> Timestream {
    (1..count).fold(field("seq").eq(0), |any, at| any.or(field("seq").eq(at)))
}

#[test]
fn conditions_may_be_as_many_as_in_a_text() {
    for count in [2, 64, 65, 201, 1000, 3000] {
        let text: Vec<_> = (0..count).map(|at| format!("seq == {at}")).collect();
        let built = one_of(count);
        let printed = built.to_string();
        assert_eq!(parse(&text.join(" or ")).unwrap().body, built.clone().into_expr().unwrap());
        assert_eq!(parse(&printed).unwrap().body.to_string(), printed);
        // They are a condition as any other.
        let (all, none) = (field("a").and(field("b")).and(built.clone()), !built);
        assert_eq!(all.to_string(), format!("a and b and ({printed})"));
        assert_eq!(none.to_string(), format!("not ({printed})"));
    }
    // More are no text that is read, and no crash.
    let error = one_of(100_000).compile(&Nothing).unwrap_err();
    assert!(error.message.ends_with("at most 65536 are read"), "{}", error.message);
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_$][a-z0-9_]{0,5}", "\\PC{1,4}", Just("not".to_owned()), Just("let".to_owned())]
}

fn leaf() -> impl Strategy<Value = Timestream> {
    prop_oneof![
        name().prop_map(|name| source(&name)),
        any::<i64>().prop_map(lit),
        any::<u64>().prop_map(lit),
        any::<f64>().prop_map(lit),
        any::<bool>().prop_map(lit),
        ".{0,8}".prop_map(lit),
        Just(null()),
        (name(), ".{0,4}").prop_map(|(name, text)| source_of(&name, &text)),
    ]
}

fn chain() -> impl Strategy<Value = Timestream> {
    leaf().prop_recursive(6, 40, 4, |inner| {
        let pair = || (inner.clone(), inner.clone());
        prop_oneof![
            (inner.clone(), name()).prop_map(|(value, name)| value.field(&name)),
            (inner.clone(), name()).prop_map(|(value, name)| value.method(&name)),
            (name(), prop::collection::vec(inner.clone(), 0..3)).prop_map(|(name, args)| call(&name, args)),
            (inner.clone(), name(), prop::collection::vec(inner.clone(), 0..3))
                .prop_map(|(value, name, args)| value.apply(&name, args)),
            pair().prop_map(|(value, index)| value.index(index)),
            pair().prop_map(|(value, other)| value.filter(other)),
            pair().prop_map(|(value, other)| value.with_key_named(other, "g")),
            pair().prop_map(|(value, other)| value.or(other)),
            pair().prop_map(|(value, other)| value.and(other)),
            pair().prop_map(|(value, other)| value.lt(other)),
            pair().prop_map(|(value, other)| value.eq(other)),
            pair().prop_map(|(value, other)| value - other),
            pair().prop_map(|(value, other)| value / other),
            inner.clone().prop_map(|value| !value),
            inner.clone().prop_map(|value| -value),
            prop::collection::vec((name(), inner.clone()), 0..3).prop_map(record),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_built_reads_back_as_itself(built in chain()) {
        let text = built.to_string();
        let read = parse(&text).map_err(|error| TestCaseError::fail(error.render(&text)))?;
        prop_assert!(read.lets.is_empty());
        prop_assert_eq!(Some(read.body), built.into_expr());
    }
}
