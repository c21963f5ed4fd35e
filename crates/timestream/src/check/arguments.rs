//! Arguments against a signature: which is which, one type for each variable, and the casts that make them so.

use std::sync::LazyLock;

use arrow_schema::DataType;

use super::literal::{self, Fit};
use super::{Checker, Value, defect};
use crate::error::QueryError;
use crate::functions::signature::{Class, Param, Signature, Type};
use crate::functions::user::UserDefined;
use crate::functions::{self, Family, Function, FunctionKind};
use crate::query::Span;
use crate::scalar::Scalar;
use crate::syntax::{Expr, ExprKind, Ident};
use crate::{times, types};

/// What checking asks of a function, be it of the registry or the program's own.
pub(super) trait Callee {
    /// Its name.
    fn name(&self) -> &str;
    /// The operator that means it.
    fn operator(&self) -> Option<&str>;
    /// Its signatures as they are written.
    fn texts(&self) -> Vec<&str>;
    /// What it takes and gives, and what it takes instead.
    fn signatures(&self) -> &[Signature];
    /// Whether it takes moments and lengths of time in whichever unit each is kept: another may not hold them.
    fn takes_units(&self) -> bool;
}

impl Callee for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn operator(&self) -> Option<&str> {
        self.operator
    }

    fn texts(&self) -> Vec<&str> {
        std::iter::once(self.signature).chain(self.also.iter().copied()).collect()
    }

    fn signatures(&self) -> &[Signature] {
        functions::signatures_of(self)
    }

    fn takes_units(&self) -> bool {
        matches!(self.kind, FunctionKind::Scalar(_))
            && matches!(self.family, Family::Comparisons | Family::Time)
    }
}

impl Callee for UserDefined {
    fn name(&self) -> &str {
        self.name()
    }

    fn operator(&self) -> Option<&str> {
        None
    }

    fn texts(&self) -> Vec<&str> {
        vec![self.text()]
    }

    fn signatures(&self) -> &[Signature] {
        std::slice::from_ref(self.signature())
    }

    fn takes_units(&self) -> bool {
        false
    }
}

/// An argument as it was given.
#[derive(Debug, Clone)]
pub(super) struct Given<'a> {
    /// The parameter it names.
    pub(super) name: Option<&'a Ident>,
    /// What it was found to be.
    pub(super) value: Value,
    /// As written.
    pub(super) expr: &'a Expr,
}

/// What stands for an argument that is left out.
static LEFT_OUT: LazyLock<Expr> = LazyLock::new(|| Expr::new(ExprKind::Literal(Scalar::Null), 0..0));

/// The arguments in the order of the parameters, a null for each that is left out.
pub(super) fn arrange<'a>(
    function: &dyn Callee,
    given: Vec<Given<'a>>,
    span: &Span,
) -> Result<Vec<Given<'a>>, QueryError> {
    let signature = function.signatures().first().ok_or_else(|| defect(function, span))?;
    let name = function.name();
    let params = &signature.params;
    let mut placed: Vec<Option<Given<'a>>> = params.iter().map(|_| None).collect();
    let mut further = Vec::new();
    // What stands before a dot, or an operator, begins where the call does: nobody counts it among the arguments.
    let before = given.first().is_some_and(|first| first.expr.span.start == span.start);
    for (at, argument) in given.into_iter().enumerate() {
        if argument.name.is_none() && at >= params.len() && signature.param(at).is_some() {
            further.push(argument);
            continue;
        }
        let place = match argument.name {
            None => Some(at).filter(|at| *at < params.len()),
            Some(Ident { name: wanted, span }) => {
                let place = params.iter().position(|param| param.name == *wanted);
                Some(place.ok_or_else(|| {
                    let known = params.iter().skip(1).map(|param| param.name.clone()).collect();
                    no_parameter(name, wanted, span, known)
                })?)
            }
        };
        let place = place.and_then(|place| params.get(place).zip(placed.get_mut(place)));
        let (param, place) = place.ok_or_else(|| {
            let most = params.len() - usize::from(before);
            let message = format!("too many arguments: `{name}` takes {most}");
            about(function, QueryError::new(argument.expr.span.clone(), message))
        })?;
        if place.is_some() {
            let message = format!("`{}` of `{name}` is given twice", param.name);
            return Err(about(function, QueryError::new(argument.expr.span.clone(), message)));
        }
        *place = Some(argument);
    }
    let missing = params.iter().zip(&placed).find(|(param, given)| given.is_none() && !param.optional);
    if let Some((param, _)) = missing {
        let message = format!("`{name}` needs an argument: `{}`", param.name);
        let error = about(function, QueryError::new(span.clone(), message));
        let is_first = params.first() == Some(param);
        let note = || format!("it is written behind what it takes, also within another call: `x.{name}()`");
        return Err(if is_first { error.note(note()) } else { error });
    }
    let left_out = || Given { name: None, value: Value::Literal(Scalar::Null), expr: &LEFT_OUT };
    Ok(placed.into_iter().map(|given| given.unwrap_or_else(left_out)).chain(further).collect())
}

/// An error about an argument by a name that no parameter has.
pub(super) fn no_parameter(function: &str, wanted: &str, span: &Span, known: Vec<String>) -> QueryError {
    let message = format!("`{function}` has no parameter `{wanted}`");
    QueryError::unknown(span.clone(), message, wanted, known)
        .note("two values are compared with `==`; `=` names a parameter")
}

/// An argument that must be a text in quotes.
pub(super) fn text<'g>(
    function: &dyn Callee,
    param: &str,
    given: &'g Given<'_>,
) -> Result<&'g str, QueryError> {
    match &given.value {
        Value::Literal(Scalar::Text(text)) => Ok(text),
        _ => {
            let message = format!("`{param}` of `{}` must be a text in quotes", function.name());
            Err(QueryError::new(given.expr.span.clone(), message))
        }
    }
}

impl<'a> Checker<'a> {
    /// Nodes of exactly the types that a function takes, and the type of what it gives.
    pub(super) fn coerce(
        &mut self,
        function: &dyn Callee,
        given: &[Given<'a>],
        span: &Span,
    ) -> Result<(Vec<usize>, DataType), QueryError> {
        let signature = self.chosen(function, given).ok_or_else(|| defect(function, span))?;
        let bound = self.bind(function, signature, given)?;
        let mut nodes = Vec::new();
        for (param, argument) in signature.pairs(given) {
            let takes = self.takes(function, signature, &param.takes, argument, &bound);
            let takes = takes.ok_or_else(|| defect(function, span))?;
            nodes.push(self.convert(function, param, argument, &takes)?);
        }
        let gives = signature.result.with(&bound).ok_or_else(|| defect(function, span))?;
        Ok((nodes, gives))
    }

    /// The signature that the arguments fit: the first of those that take them, or one that takes them but
    /// for a text that cannot be read; else one that takes the first argument, or the first, whose errors say
    /// what is wrong.
    fn chosen<'f>(&self, function: &'f dyn Callee, given: &[Given<'a>]) -> Option<&'f Signature> {
        let all = function.signatures();
        let fits = |signature: &Signature, unreadable: bool| self.fits(signature, given, unreadable);
        let found = all.iter().find(|signature| fits(signature, false));
        // Two texts are no badly written moments.
        let typed = given.iter().any(|argument| matches!(argument.value, Value::Node(_)));
        let unreadable = || all.iter().find(|signature| typed && fits(signature, true));
        let begun =
            || all.iter().find(|signature| self.fits(signature, given.get(..1).unwrap_or(given), false));
        found.or_else(unreadable).or_else(begun).or_else(|| all.first())
    }

    /// Whether a signature takes such arguments, which may be the first of them; `unreadable` where texts
    /// that cannot be read are as good.
    pub(super) fn fits(&self, signature: &Signature, given: &[Given<'a>], unreadable: bool) -> bool {
        signature.pairs(given).all(|(param, argument)| match &argument.value {
            Value::Node(node) => {
                let actual = &self.graph.node(*node).data_type;
                param.takes.beside(actual).is_some_and(|parts| {
                    parts.into_iter().all(|(takes, of)| match takes {
                        Type::Variable(at) => signature.variables[*at].1.admits(of).is_some(),
                        Type::Exactly(takes) => types::holds(takes, of),
                        _ => true,
                    })
                })
            }
            Value::Literal(Scalar::Null) => true,
            Value::Literal(literal) => match &param.takes {
                Type::Variable(at) => {
                    signature.variables[*at].1.admits(&literal::natural_type(literal)).is_some()
                }
                Type::Exactly(takes) => match literal::fit(literal, takes) {
                    Fit::As(shared) => shared == *takes,
                    Fit::Unreadable => unreadable,
                    Fit::Not => false,
                },
                Type::List(_) | Type::Map(_) | Type::Depends => false,
            },
        })
    }

    /// The type of each variable: what holds the values of all arguments in its places.
    fn bind(
        &self,
        function: &dyn Callee,
        signature: &Signature,
        given: &[Given<'a>],
    ) -> Result<Vec<DataType>, QueryError> {
        let mut bound: Vec<Option<DataType>> = vec![None; signature.variables.len()];
        // Columns first: a literal takes their type.
        for (param, argument) in signature.pairs(given) {
            let Value::Node(node) = argument.value else { continue };
            let actual = &self.graph.node(node).data_type;
            let Some(parts) = param.takes.beside(actual) else {
                return Err(self.mismatch(function, argument, &needs(function, signature, param)));
            };
            for (takes, actual) in parts {
                let Type::Variable(variable) = *takes else { continue };
                let class = signature.variables[variable].1;
                let needs = || needs(function, signature, param);
                let admitted =
                    class.admits(actual).ok_or_else(|| self.misfit(function, argument, class, &needs()))?;
                let shared = match &bound[variable] {
                    None => Some(admitted),
                    Some(others) => types::common(others, &admitted).and_then(|both| class.admits(&both)),
                };
                bound[variable] = Some(shared.ok_or_else(|| self.incompatible(function, given, argument))?);
            }
        }
        for (param, argument) in signature.pairs(given) {
            let (Value::Literal(literal), Type::Variable(variable)) = (&argument.value, &param.takes) else {
                continue;
            };
            let class = signature.variables[*variable].1;
            let natural = literal::natural_type(literal);
            let shared = match &bound[*variable] {
                // A null says nothing about its type.
                _ if *literal == Scalar::Null => continue,
                None => Some(class.admits(&natural).ok_or_else(|| {
                    self.misfit(function, argument, class, &needs(function, signature, param))
                })?),
                Some(others) => match literal::fit(literal, others) {
                    Fit::As(both) => class.admits(&both),
                    Fit::Unreadable => return Err(unreadable(argument, literal, others)),
                    Fit::Not => None,
                },
            };
            bound[*variable] = Some(shared.ok_or_else(|| self.incompatible(function, given, argument))?);
        }
        Ok(bound.into_iter().map(|bound| bound.unwrap_or(DataType::Int64)).collect())
    }

    /// The type a parameter takes of this argument.
    fn takes(
        &self,
        function: &dyn Callee,
        signature: &Signature,
        param: &Type,
        argument: &Given<'a>,
        bound: &[DataType],
    ) -> Option<DataType> {
        let takes = param.with(bound)?;
        let Value::Node(node) = argument.value else { return Some(takes) };
        let actual = &self.graph.node(node).data_type;
        let as_it_is = match param {
            // Lists of one kind differ in the name of their items; that is no reason to copy them.
            Type::List(_) => {
                matches!(actual, DataType::List(_)) && types::item(actual) == types::item(&takes)
            }
            // Whoever looks a key up brings the keys to its type.
            Type::Map(_) => true,
            // The number with the other sign may fit the signed type where the number does not.
            Type::Variable(at) if signature.variables[*at].1 == Class::Signed => actual.is_unsigned_integer(),
            _ => function.takes_units() && types::is_time(&takes) && types::common(actual, &takes).is_some(),
        };
        Some(if as_it_is { actual.clone() } else { takes })
    }

    /// The argument in a type, where it has it or can be brought to it without loss.
    fn convert(
        &mut self,
        function: &dyn Callee,
        param: &Param,
        argument: &Given<'a>,
        takes: &DataType,
    ) -> Result<usize, QueryError> {
        let span = &argument.expr.span;
        match &argument.value {
            Value::Literal(literal) => match literal::fit(literal, takes) {
                Fit::As(shared) if shared == *takes => {
                    self.graph.add_literal(literal.clone(), takes.clone(), span)
                }
                Fit::Unreadable => Err(unreadable(argument, literal, takes)),
                Fit::As(_) | Fit::Not => Err(self.mismatch(function, argument, &types::name(takes))),
            },
            Value::Node(node) => {
                let actual = &self.graph.node(*node).data_type;
                let fits = match &param.takes {
                    // Checked when the variables were bound.
                    Type::Variable(_) | Type::List(_) | Type::Map(_) | Type::Depends => true,
                    Type::Exactly(_) => types::holds(takes, actual),
                };
                if !fits {
                    return Err(self.mismatch(function, argument, &types::name(takes)));
                }
                self.graph.add_cast(*node, takes.clone(), span)
            }
        }
    }

    /// What an argument is, in words.
    fn found(&self, argument: &Given<'a>) -> String {
        match &argument.value {
            Value::Literal(literal) => literal::describe(literal),
            Value::Node(node) => types::name(&self.graph.node(*node).data_type),
        }
    }

    fn mismatch(&self, function: &dyn Callee, argument: &Given<'a>, needs: &str) -> QueryError {
        let (name, found) = (spoken(function), self.found(argument));
        let message = format!("Incompatible argument types: {name} needs {needs}, found {found}");
        let error = about(function, QueryError::new(argument.expr.span.clone(), message));
        let needs_time = [types::timestamp(), types::duration()].iter().any(|of| types::name(of) == needs);
        self.cast_first(error, std::iter::once(argument), needs_time)
    }

    /// An error about an argument of a type that the class of its variable does not hold.
    fn misfit(&self, function: &dyn Callee, argument: &Given<'a>, class: Class, needs: &str) -> QueryError {
        let error = self.mismatch(function, argument, needs);
        let Value::Node(node) = argument.value else { return error };
        let DataType::Struct(fields) = &self.graph.node(node).data_type else { return error };
        let fit = fields.iter().filter(|field| class.admits(field.data_type()).is_some());
        let fit: Vec<_> = fit.map(|field| format!("`{}`", field.name())).collect();
        if fit.is_empty() {
            error
        } else {
            error.note(format!("of its fields these fit: {}", fit.join(", ")))
        }
    }

    fn incompatible(&self, function: &dyn Callee, given: &[Given<'a>], argument: &Given<'a>) -> QueryError {
        let given = given.iter().filter(|argument| !std::ptr::eq(argument.expr, &*LEFT_OUT));
        let types = given.clone().filter_map(|argument| match argument.value {
            Value::Node(node) => Some(&self.graph.node(node).data_type),
            Value::Literal(_) => None,
        });
        let types: Vec<_> = types.collect();
        let mut names = types::names(&types).into_iter();
        let found: Vec<_> = given
            .clone()
            .filter_map(|argument| match &argument.value {
                Value::Node(_) => names.next(),
                Value::Literal(literal) => Some(literal::describe(literal)),
            })
            .collect();
        let message =
            format!("Incompatible argument types: {} is given {}", spoken(function), found.join(" and "));
        let error = about(function, QueryError::new(argument.expr.span.clone(), message));
        self.cast_first(error, given, types.iter().any(|of| types::is_time(of)))
    }

    /// An error with what to do about arguments of a type that most functions take only when it is cast; of a
    /// text where times are taken.
    fn cast_first<'g>(
        &self,
        error: QueryError,
        mut given: impl Iterator<Item = &'g Given<'a>>,
        takes_times: bool,
    ) -> QueryError
    where
        'a: 'g,
    {
        let cast = given.find_map(|argument| match argument.value {
            Value::Node(node) => match self.graph.node(node).data_type {
                DataType::Date32 | DataType::Date64 => Some("a date is cast: `.cast(\"timestamp\")`"),
                DataType::Decimal32(..)
                | DataType::Decimal64(..)
                | DataType::Decimal128(..)
                | DataType::Decimal256(..) => Some("a decimal is cast: `.cast(\"f64\")`"),
                DataType::Utf8 if takes_times => {
                    Some("a column of texts is cast: `.cast(\"timestamp\")`, `.cast(\"duration\")`")
                }
                _ => None,
            },
            Value::Literal(_) => None,
        });
        match cast {
            Some(note) => error.note(note),
            None => error,
        }
    }
}

impl Signature {
    /// Each argument with the parameter that takes it.
    fn pairs<'s, 'g, 'a>(
        &'s self,
        given: &'g [Given<'a>],
    ) -> impl Iterator<Item = (&'s Param, &'g Given<'a>)> + use<'s, 'g, 'a> {
        given.iter().enumerate().filter_map(|(at, argument)| Some((self.param(at)?, argument)))
    }
}

/// What a parameter takes, in words: of the first one all that the function's signatures take, since none
/// took what was given.
fn needs(function: &dyn Callee, signature: &Signature, param: &Param) -> String {
    let is_first = signature.params.first() == Some(param);
    let all = function.signatures().iter().filter(|_| is_first);
    let all = all.filter_map(|signature| Some((signature, signature.params.first()?)));
    let mut words: Vec<String> = Vec::new();
    for (signature, param) in all.chain((!is_first).then_some((signature, param))) {
        let word = match &param.takes {
            Type::Exactly(data_type) => types::name(data_type),
            Type::Variable(variable) => signature.variables[*variable].1.words().to_owned(),
            Type::List(item) if matches!(**item, Type::List(_)) => "a list of lists".to_owned(),
            Type::List(_) => "a list".to_owned(),
            Type::Map(_) => "a map".to_owned(),
            Type::Depends => "anything".to_owned(),
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// An error about a call of a function, with what it takes.
fn about(function: &dyn Callee, error: QueryError) -> QueryError {
    function.texts().into_iter().fold(error, QueryError::note)
}

/// A function as it is written.
fn spoken(function: &dyn Callee) -> String {
    format!("`{}`", function.operator().unwrap_or(function.name()))
}

fn unreadable(argument: &Given<'_>, literal: &Scalar, data_type: &DataType) -> QueryError {
    let text = if let Scalar::Text(text) = literal { text.as_str() } else { "" };
    let example =
        if matches!(data_type, DataType::Duration(_)) { "\"1h30m\"" } else { "\"2026-07-04T14:38:08Z\"" };
    let message = format!("the text `{text}` is no {}", types::name(data_type));
    let error = QueryError::new(argument.expr.span.clone(), message).expecting(&[example]);
    match times::why_unread(text).filter(|_| matches!(data_type, DataType::Timestamp(..))) {
        Some(why) => error.note(format!("it is {why}")),
        None => error,
    }
}
