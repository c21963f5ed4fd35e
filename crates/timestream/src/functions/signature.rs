//! What functions take and give, as a line of text: `add<N: number>(x: N, y: N) -> N`.
//!
//! ```text
//! signature = name [ "<" variable ":" class, … ">" ] "(" parameter ":" type [ "?" | "..." ], … ")" "->" type
//! type      = any | variable | bool | i8 … i64 | u8 … u64 | f32 | f64 | utf8 | string | binary
//!           | timestamp | duration | list<type> | map<type, type>
//! class     = number | signed | wide | ordered | any
//! ```
//!
//! A variable stands for one type in all its places: the narrowest that holds the values of all arguments
//! there. A parameter with `?` may be left out, which is the same as giving null; the last one with `...`
//! takes any number of arguments, one at least. The result `any` depends on what an argument says.

use arrow_schema::DataType;

use crate::types;

/// A signature, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The function's name.
    pub name: String,
    /// The type variables.
    pub variables: Vec<(String, Class)>,
    /// The parameters, in order; what may be left out comes last.
    pub params: Vec<Param>,
    /// Type of what it gives.
    pub result: Type,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name: the argument may be given as `name=value`.
    pub name: String,
    /// What it takes.
    pub takes: Type,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it takes all further arguments, too: of the last one only.
    pub repeated: bool,
}

/// A type with variables.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// This very type.
    Exactly(DataType),
    /// The type of a variable: its place in [`Signature::variables`].
    Variable(usize),
    /// A list of such items.
    List(Box<Self>),
    /// A map from such keys to such values.
    Map(Box<[Self; 2]>),
    /// As an argument says: of a result only.
    Depends,
}

/// What types a variable can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Whole numbers and floats.
    Number,
    /// Numbers that can be negative; unsigned ones become the signed type that holds them.
    Signed,
    /// i64, u64 or f64; narrower numbers become these.
    Wide,
    /// What has an order: numbers, text, moments, lengths of time.
    Ordered,
    /// Every type.
    Any,
}

impl Class {
    const ALL: [(&'static str, Self, &'static str); 5] = [
        ("number", Self::Number, "a number"),
        ("signed", Self::Signed, "a number"),
        ("wide", Self::Wide, "a number"),
        ("ordered", Self::Ordered, "a number, text, timestamp or duration"),
        ("any", Self::Any, "anything"),
    ];

    /// What it asks for, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        Self::ALL.iter().find(|(_, class, _)| *class == self).map_or("anything", |(_, _, words)| words)
    }

    /// The type that a function takes where an argument has this type; none if the class does not hold it.
    #[must_use]
    pub fn admits(self, data_type: &DataType) -> Option<DataType> {
        let number = types::is_number(data_type);
        match self {
            Self::Number => number.then(|| data_type.clone()),
            Self::Signed => number.then(|| types::signed(data_type)),
            Self::Wide => number.then(|| types::wide(data_type)),
            Self::Ordered => {
                let ordered = number || types::is_text(data_type) || types::is_time(data_type);
                ordered.then(|| data_type.clone())
            }
            Self::Any => Some(data_type.clone()),
        }
    }
}

impl Signature {
    /// Reads a signature.
    ///
    /// # Errors
    /// The rule that the text breaks, in words.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (head, result) = text.rsplit_once("->").ok_or("it lacks the type that it gives: `-> f64`")?;
        let (head, params) = head
            .trim()
            .strip_suffix(')')
            .and_then(|head| head.split_once('('))
            .ok_or("its parameters stand in round brackets between its name and `->`")?;
        let (name, variables) = match head.split_once('<') {
            Some((name, variables)) => {
                let variables =
                    variables.strip_suffix('>').ok_or("its type variables lack their closing `>`")?;
                let variables = variables.split(',').map(|variable| {
                    let (name, class) = variable.split_once(':')?;
                    let class = Class::ALL.iter().find(|(name, ..)| *name == class.trim())?.1;
                    Some((name.trim().to_owned(), class))
                });
                let variables = variables.collect::<Option<Vec<_>>>().ok_or(
                    "a type variable is of one of the classes number, signed, wide, ordered, any: `<N: number>`",
                )?;
                (name, variables)
            }
            None => (head, Vec::new()),
        };
        let params = parts(params).filter(|param| !param.trim().is_empty()).map(|param| {
            let (name, takes) = param.split_once(':').ok_or("a parameter lacks its type: `x: f64`")?;
            let optional = takes.ends_with('?');
            let repeated = takes.ends_with("...");
            let takes = parse_type(takes.trim_end_matches(['?', '.']), &variables)
                .ok_or("a parameter is of a type that there is not")?;
            Ok(Param { name: name.trim().to_owned(), takes, optional, repeated })
        });
        let params = params.collect::<Result<Vec<_>, &str>>()?;
        let result = match result.trim() {
            "any" => Type::Depends,
            result => parse_type(result, &variables).ok_or("it gives a type that there is not")?,
        };
        if params.is_empty() {
            return Err(
                "it takes nothing: a function has one parameter at least, by whose points it is called",
            );
        }
        if !(0..variables.len()).all(|at| params.iter().any(|param| param.takes.uses(at))) {
            return Err("a type variable stands in no parameter, so that nothing tells which type it is");
        }
        if params.iter().rev().skip(1).any(|param| param.repeated) {
            return Err("only its last parameter can be repeated");
        }
        Ok(Self { name: name.trim().to_owned(), variables, params, result })
    }
}

impl Signature {
    /// The parameter that takes an argument by its place.
    #[must_use]
    pub fn param(&self, at: usize) -> Option<&Param> {
        self.params.get(at).or_else(|| self.params.last().filter(|param| param.repeated))
    }
}

/// What stands between the commas that are in no brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c| {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

fn parse_type(text: &str, variables: &[(String, Class)]) -> Option<Type> {
    let text = text.trim();
    if let Some(item) = text.strip_prefix("list<") {
        return Some(Type::List(Box::new(parse_type(item.strip_suffix('>')?, variables)?)));
    }
    if let Some(entry) = text.strip_prefix("map<") {
        let parts: Vec<&str> = parts(entry.strip_suffix('>')?).collect();
        let [key, value] = parts[..] else { return None };
        return Some(Type::Map(Box::new([parse_type(key, variables)?, parse_type(value, variables)?])));
    }
    if let Some(at) = variables.iter().position(|(name, _)| name == text) {
        return Some(Type::Variable(at));
    }
    match text {
        "binary" => Some(Type::Exactly(DataType::Binary)),
        // As users of Kaskada write it.
        "string" => Some(Type::Exactly(DataType::Utf8)),
        text => types::castable(text).map(Type::Exactly),
    }
}

impl Type {
    /// Whether a variable stands in it.
    fn uses(&self, variable: usize) -> bool {
        match self {
            Self::Exactly(_) | Self::Depends => false,
            Self::Variable(at) => *at == variable,
            Self::List(item) => item.uses(variable),
            Self::Map(entry) => entry.iter().any(|part| part.uses(variable)),
        }
    }

    /// What it takes within its lists and maps, beside what a type holds there; none where that has fewer.
    #[must_use]
    pub fn beside<'t>(&'t self, actual: &'t DataType) -> Option<Vec<(&'t Self, &'t DataType)>> {
        match self {
            Self::List(item) => item.beside(types::item(actual)?),
            Self::Map(entry) => {
                let (key, value) = types::entry(actual)?;
                let mut parts = entry[0].beside(key)?;
                parts.extend(entry[1].beside(value)?);
                Some(parts)
            }
            simple => Some(vec![(simple, actual)]),
        }
    }

    /// The type where each variable stands for these; none if one is missing.
    #[must_use]
    pub fn with(&self, variables: &[DataType]) -> Option<DataType> {
        match self {
            Self::Exactly(data_type) => Some(data_type.clone()),
            Self::Variable(at) => variables.get(*at).cloned(),
            Self::List(item) => item.with(variables).map(types::list),
            Self::Map(entry) => Some(types::map(entry[0].with(variables)?, entry[1].with(variables)?)),
            Self::Depends => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_read() {
        let add = Signature::parse("add<N: number>(x: N, y: N) -> N").unwrap();
        assert_eq!(add.name, "add");
        assert_eq!(add.variables, [("N".to_owned(), Class::Number)]);
        assert_eq!(add.params.len(), 2);
        assert_eq!(add.result, Type::Variable(0));

        let index = Signature::parse("index<T: any>(list: list<T>, index: i64) -> T").unwrap();
        assert_eq!(index.params[0].takes, Type::List(Box::new(Type::Variable(0))));
        assert_eq!(index.result.with(&[DataType::Utf8]), Some(DataType::Utf8));

        let key =
            Signature::parse("with_key<T: any, K: any>(stream: T, key: K, grouping: utf8?) -> T").unwrap();
        assert!(key.params[2].optional && !key.params[1].optional);
        assert!(key.param(3).is_none());

        let first = Signature::parse("coalesce<T: any>(value: T, others: T...) -> T").unwrap();
        assert!(first.params[1].repeated && !first.params[0].repeated);
        assert_eq!(first.param(7), first.params.last());

        let map =
            Signature::parse("index<K: ordered, T: any>(list: map<K, list<T>>, index: K) -> T").unwrap();
        let list = Type::List(Box::new(Type::Variable(1)));
        assert_eq!(map.params[0].takes, Type::Map(Box::new([Type::Variable(0), list])));
        assert_eq!(map.params.len(), 2);

        let other = Signature::parse("f(x: string, y: i8) -> list<binary>").unwrap();
        assert_eq!(other.params[0].takes, Type::Exactly(DataType::Utf8));
        assert_eq!(other.result.with(&[]), Some(types::list(DataType::Binary)));
    }

    #[test]
    fn what_is_none_is_told_which_rule_it_breaks() {
        for (text, rule) in [
            ("", "the type that it gives"),
            ("f(x: i64)", "the type that it gives"),
            ("f -> i64", "round brackets"),
            ("f() -> i64", "one parameter at least"),
            ("f(x) -> i64", "lacks its type"),
            ("f(x: Q) -> i64", "a parameter is of a type"),
            ("f(x: i64) -> Q", "gives a type"),
            ("f<N: odd>(x: N) -> N", "classes number"),
            ("f<N>(x: N) -> N", "classes number"),
            ("f<N: any(x: N) -> N", "closing `>`"),
            ("f<N: any>(x: i64) -> N", "stands in no parameter"),
            ("f(x: i64..., y: i64) -> i64", "only its last"),
            ("f(x: map<i64>) -> i64", "a parameter is of a type"),
        ] {
            let told = Signature::parse(text).unwrap_err();
            assert!(told.contains(rule), "{text}: {told}");
        }
    }
}
