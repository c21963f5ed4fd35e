//! A query as a program holds it: expressions that are shared, each built of others, printed as the text that
//! means them.
//!
//! A chain of [`builder`](crate::builder) owns all it is made of, so that using it twice doubles it. Here it
//! is used in place, and where the text would grow long, what is used more than once becomes a `let`. Names
//! mean the same wherever they stand: a stream is written so that no field of what a method is called on
//! stands in its way.
//!
//! ```
//! use std::collections::{BTreeMap, BTreeSet};
//! use skytide_timestream::chain::Chain;
//!
//! let posts = Chain::stream("posts");
//! let lang = posts.field("lang");
//! let count = Chain::call("count", vec![(None, Chain::call("with_key", vec![(None, posts), (None, lang)]))]);
//! assert_eq!(count.program(&BTreeSet::new(), &BTreeMap::new()).to_string(), "posts.with_key(lang).count()");
//! ```

mod printer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::builder::Timestream;
use crate::error::QueryError;
use crate::query::Calendar;
use crate::scalar::Scalar;
use crate::syntax::{self, BinaryOp, Expr, ExprKind, Ident, Let, MANY, Program};
use printer::Printer;

/// Expressions of a text from which on what is used twice is written once.
const LONG: u32 = 500;
/// Expressions below which nothing is worth a `let`.
const SHORT: u32 = 3;
/// So many levels make a `let` of their own in a long text.
const DEEP: u32 = 64;

/// Most expressions within each other, whatever becomes of them in the text: looking at them calls itself. A
/// row of conditions is as high as it is long.
const HIGHEST: u32 = 2000;

/// The function by which a stream is named where a field of its name stands in the way.
const SOURCE: &str = "source";

/// An expression. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Chain(Arc<Node>);

#[derive(Debug)]
struct Node {
    kind: Kind,
    /// Expressions of its text, were all written out.
    weight: u32,
    depth: u32,
    /// Expressions within each other.
    height: u32,
    /// Of conditions in a row: how many, and how deep the deepest is.
    row: Option<(usize, u32)>,
}

#[derive(Debug)]
enum Kind {
    Stream(String),
    StreamOf { function: String, argument: String },
    Literal(Expr),
    Field(Chain, String),
    Call { function: String, args: Vec<(Option<String>, Chain)> },
    Record(Vec<(String, Chain)>),
    Window { name: String, calendar: Option<Calendar>, args: Vec<Chain> },
    Text { program: Program, bound: Vec<(String, Chain)> },
}

impl Chain {
    fn new(kind: Kind) -> Self {
        let (mut weight, mut depth, mut height) = (1_u32, 0, 0);
        each(&kind, |chain| {
            weight = weight.saturating_add(chain.0.weight);
            depth = depth.max(chain.0.depth);
            height = height.max(chain.0.height);
        });
        if let Kind::Text { .. } = kind {
            weight = weight.saturating_add(SHORT);
        }
        let row = condition(&kind).map(|(op, left, right)| {
            let before = left.0.row.filter(|_| condition(&left.0.kind).is_some_and(|(of, ..)| of == op));
            let (len, deepest) = before.unwrap_or((1, left.0.depth));
            (len + 1, deepest.max(right.0.depth))
        });
        // Many are written in halves.
        let depth = match row {
            Some((len, deepest)) if len > MANY => deepest + len.next_power_of_two().ilog2(),
            _ => depth + 1,
        };
        Self(Arc::new(Node { kind, weight, depth, height: height + 1, row }))
    }

    /// A stream by its name.
    #[must_use]
    pub fn stream(name: impl Into<String>) -> Self {
        Self::new(Kind::Stream(name.into()))
    }

    /// A stream by a function of its source: `records("com.example.thing")`.
    #[must_use]
    pub fn stream_of(function: impl Into<String>, argument: impl Into<String>) -> Self {
        Self::new(Kind::StreamOf { function: function.into(), argument: argument.into() })
    }

    /// A constant, made by [`lit`](crate::builder::lit); none of what is nested too deeply.
    #[must_use]
    pub fn literal(value: Timestream) -> Option<Self> {
        value.into_expr().map(|expr| Self::new(Kind::Literal(expr)))
    }

    /// A query written as text.
    ///
    /// # Errors
    /// It does not read; names are looked up when it is compiled.
    pub fn text(text: &str) -> Result<Self, QueryError> {
        Self::text_with(text, Vec::new())
    }

    /// A query written as text, in which these names are these expressions, as if it began with a `let` for each.
    ///
    /// # Errors
    /// It does not read; names are looked up when it is compiled.
    pub fn text_with(text: &str, bound: Vec<(String, Self)>) -> Result<Self, QueryError> {
        Ok(Self::new(Kind::Text { program: syntax::parse(text)?, bound }))
    }

    /// Whether a longer chain may be made of it, which is to be asked of each: what is written in halves is
    /// no deep text, however long.
    ///
    /// # Errors
    /// It is too long.
    pub fn refuse_endless(&self) -> Result<(), QueryError> {
        if self.0.height <= HIGHEST {
            return Ok(());
        }
        Err(QueryError::new(0..0, format!("nested too deeply: more than {HIGHEST} expressions")))
    }

    /// Whether it is the stream of this name, and nothing made of it.
    #[must_use]
    pub fn is_stream(&self, name: &str) -> bool {
        matches!(&self.0.kind, Kind::Stream(stream) if stream == name)
    }

    /// A field of a struct.
    #[must_use]
    pub fn field(&self, name: impl Into<String>) -> Self {
        Self::new(Kind::Field(self.clone(), name.into()))
    }

    /// A function of arguments, each with the name of its parameter or in its place; one that an operator
    /// means is written as that.
    #[must_use]
    pub fn call(function: impl Into<String>, args: Vec<(Option<String>, Self)>) -> Self {
        Self::new(Kind::Call { function: function.into(), args })
    }

    /// A record of these fields.
    #[must_use]
    pub fn record(fields: Vec<(String, Self)>) -> Self {
        Self::new(Kind::Record(fields))
    }

    /// A window, as the argument `window` of an aggregation: `since(x > 20)`, or by a calendar `sliding.hourly(2)`.
    #[must_use]
    pub fn window(name: impl Into<String>, calendar: Option<Calendar>, args: Vec<Self>) -> Self {
        Self::new(Kind::Window { name: name.into(), calendar, args })
    }

    /// The program that means it. `taken` are the names of the fields of all structs in it, `renamed` what
    /// functions are called in it that have another name in the chain.
    #[must_use]
    pub fn program(&self, taken: &BTreeSet<String>, renamed: &BTreeMap<String, String>) -> Program {
        let mut order = Vec::new();
        let mut uses = HashMap::new();
        self.visit(&mut uses, &mut order);
        let mut program =
            Program { lets: Vec::new(), body: Expr::new(ExprKind::Literal(Scalar::Null), 0..0) };
        let is_long = self.0.weight > LONG;
        // What texts define stands before a stream of that name, and before a field of none.
        let mut defined = BTreeSet::new();
        for chain in &order {
            if let Kind::Text { program, bound } = &chain.0.kind {
                let others = bound.iter().filter(|(name, value)| !value.is_stream(name));
                defined.extend(others.map(|(name, _)| name.clone()));
                defined.extend(program.lets.iter().map(|one| one.name.name.clone()));
            }
        }
        let taken: BTreeSet<String> = taken.union(&defined).cloned().collect();
        let mut printer = Printer { taken: &taken, renamed, lets: HashMap::new() };
        let names = (1..).map(|number| format!("s{number}"));
        let mut streams = BTreeSet::new();
        for chain in &order {
            chain.mention(&mut |name| {
                streams.insert(name);
            });
        }
        let mut names = names.filter(|name| !taken.contains(name) && !streams.contains(name));
        for chain in &order {
            if let Kind::Text { program: text, bound } = &chain.0.kind {
                // A stream by its own name is that, unless another text calls something else so: then
                // checking finds two of one name.
                let is_told = |name: &str, value: &Self| {
                    !value.is_stream(name)
                        || defined.contains(name) && text.lets.iter().all(|one| one.name.name != name)
                };
                let bound = bound
                    .iter()
                    .filter(|(name, value)| is_told(name, value))
                    .map(|(name, value)| Let { name: ident(name), value: printer.print(value, None) });
                for one in bound.chain(text.lets.iter().cloned()) {
                    // Two texts may define the same; checking finds where it is not.
                    let is_same = |known: &Let| {
                        known.name.name == one.name.name && known.value.to_string() == one.value.to_string()
                    };
                    if !program.lets.iter().any(is_same) {
                        program.lets.push(one);
                    }
                }
            }
            let is_root = Arc::ptr_eq(&chain.0, &self.0);
            let is_shared = uses.get(&Arc::as_ptr(&chain.0)).is_some_and(|uses| *uses > 1);
            let is_many = chain.0.row.is_some_and(|(len, _)| len > MANY);
            let is_deep = chain.0.depth % DEEP == 0 && !is_many;
            let is_worth = chain.0.weight > SHORT && is_shared || is_deep;
            if !is_root && (matches!(chain.0.kind, Kind::Text { .. }) || is_long && is_worth) {
                let Some(name) = names.next() else { break };
                let value = printer.print(chain, None);
                program.lets.push(Let { name: ident(&name), value });
                printer.lets.insert(Arc::as_ptr(&chain.0), name);
            }
        }
        program.body = printer.print(self, None);
        program
    }

    /// What it names, in the order in which it does: bare names, and calls that may be of a source.
    #[must_use]
    pub fn mentions(&self) -> Vec<String> {
        let mut mentions = Vec::new();
        let mut uses = HashMap::new();
        let mut order = Vec::new();
        self.visit(&mut uses, &mut order);
        let mut seen = BTreeSet::new();
        self.walk(&mut HashMap::new(), &mut |chain| {
            chain.mention(&mut |name| {
                if seen.insert(name.clone()) {
                    mentions.push(name);
                }
            });
        });
        mentions
    }

    /// All expressions of it once, each after those it is made of, and how often each is used.
    fn visit(&self, uses: &mut HashMap<*const Node, u32>, order: &mut Vec<Self>) {
        let count = uses.entry(Arc::as_ptr(&self.0)).or_default();
        *count += 1;
        if *count == 1 {
            each(&self.0.kind, |chain| chain.visit(uses, order));
            order.push(self.clone());
        }
    }

    /// All expressions of it once, in the order of the text.
    fn walk(&self, seen: &mut HashMap<*const Node, ()>, visit: &mut impl FnMut(&Self)) {
        if seen.insert(Arc::as_ptr(&self.0), ()).is_none() {
            visit(self);
            each(&self.0.kind, |chain| chain.walk(seen, visit));
        }
    }

    /// What this expression itself names.
    fn mention(&self, found: &mut impl FnMut(String)) {
        match &self.0.kind {
            Kind::Stream(name) => found(name.clone()),
            Kind::StreamOf { function, argument } => found(format!("{function}({argument:?})")),
            Kind::Call { function, args } => {
                if let [(None, of)] = args.as_slice()
                    && let Kind::Stream(name) = &of.0.kind
                {
                    found(format!("{name}.{function}()"));
                }
            }
            Kind::Text { program, bound } => {
                // What is bound names what it is bound to, where it is named.
                let mut found = |mention: String| {
                    let of_bound = |(name, _): &&(String, Self)| {
                        let rest = mention.strip_prefix(name.as_str());
                        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                    };
                    match bound.iter().find(of_bound).filter(|(name, value)| !value.is_stream(name)) {
                        Some((_, value)) => value.mentions().into_iter().for_each(&mut *found),
                        None => found(mention),
                    }
                };
                program.lets.iter().for_each(|one| mentions(&one.value, &mut found));
                mentions(&program.body, &mut found);
            }
            Kind::Literal(_) | Kind::Field(..) | Kind::Record(_) | Kind::Window { .. } => {}
        }
    }

    /// Whether both are the same way into the same stream.
    fn is_path(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        match (&self.0.kind, &other.0.kind) {
            (Kind::Stream(a), Kind::Stream(b)) => a == b,
            (Kind::Field(a, name), Kind::Field(b, other)) => name == other && a.is_path(b),
            _ => false,
        }
    }
}

/// Names in a text.
fn mentions(expr: &Expr, found: &mut impl FnMut(String)) {
    match &expr.kind {
        ExprKind::Literal(_) => {}
        ExprKind::Name(name) => found(name.clone()),
        ExprKind::Field { value, .. } | ExprKind::Unary { value, .. } => mentions(value, found),
        ExprKind::Index { value, index } => {
            mentions(value, found);
            mentions(index, found);
        }
        ExprKind::Binary { left, right, .. } => {
            mentions(left, found);
            mentions(right, found);
        }
        ExprKind::Call { receiver, args, .. } => {
            if args.iter().all(|arg| matches!(arg.value.kind, ExprKind::Literal(_))) {
                found(expr.to_string());
            }
            receiver.iter().for_each(|receiver| mentions(receiver, found));
            args.iter().for_each(|arg| mentions(&arg.value, found));
        }
        ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| mentions(value, found)),
    }
}

/// The two of `and` or `or`.
fn condition(kind: &Kind) -> Option<(BinaryOp, &Chain, &Chain)> {
    let Kind::Call { function, args } = kind else { return None };
    let [(None, left), (None, right)] = args.as_slice() else { return None };
    let op = [BinaryOp::And, BinaryOp::Or].into_iter().find(|op| op.function() == function)?;
    Some((op, left, right))
}

/// What an expression is made of, in order.
fn each(kind: &Kind, mut visit: impl FnMut(&Chain)) {
    match kind {
        Kind::Stream(_) | Kind::StreamOf { .. } | Kind::Literal(_) => {}
        Kind::Text { bound, .. } => bound.iter().for_each(|(_, value)| visit(value)),
        Kind::Field(of, _) => visit(of),
        Kind::Call { args, .. } => args.iter().for_each(|(_, arg)| visit(arg)),
        Kind::Window { args, .. } => args.iter().for_each(visit),
        Kind::Record(fields) => fields.iter().for_each(|(_, value)| visit(value)),
    }
}

fn expr(kind: ExprKind) -> Expr {
    Expr::new(kind, 0..0)
}

fn ident(name: &str) -> Ident {
    Ident { name: name.to_owned(), span: 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::lit;
    use crate::syntax::parse;

    fn call(function: &str, args: &[&Chain]) -> Chain {
        Chain::call(function, args.iter().map(|arg| (None, (*arg).clone())).collect())
    }

    fn text(chain: &Chain) -> String {
        let renamed = BTreeMap::from([("f#2".to_owned(), "f".to_owned())]);
        let text = chain.program(&BTreeSet::from(["likes".to_owned()]), &renamed).to_string();
        assert!(parse(&text).is_ok(), "{text}");
        text
    }

    #[test]
    fn it_prints_as_a_person_would_write_it() {
        let posts = Chain::stream("posts");
        let words = call("len", &[&posts.field("record").field("text")]);
        let long = call("gt", &[&words, &Chain::literal(lit(280)).unwrap()]);
        let filtered = call("filter", &[&posts, &long]);
        assert_eq!(text(&filtered), "posts.filter(record.text.len() > 280)");
        let key = Chain::stream("posts").field("record").field("langs");
        let key = call("index", &[&key, &Chain::literal(lit(0)).unwrap()]);
        assert_eq!(text(&call("with_key", &[&posts, &key])), "posts.with_key(record.langs[0])");
        assert_eq!(text(&call("f#2", &[&words])), "posts.record.text.len().f()");
        assert_eq!(text(&call("not", &[&long])), "not posts.record.text.len() > 280");
        assert_eq!(
            text(&call("deletes", &[&Chain::stream_of("records", "a.b")])),
            "records(\"a.b\").deletes()"
        );
    }

    #[test]
    fn a_field_never_stands_for_a_stream() {
        let both = Chain::record(vec![("likes".to_owned(), call("count", &[&Chain::stream("likes")]))]);
        let again = call(
            "filter",
            &[&both, &call("gt", &[&both.field("likes"), &Chain::stream("likes").field("x")])],
        );
        assert_eq!(text(&again), "{likes: source(\"likes\").count()}.filter(likes > source(\"likes\").x)");
    }

    #[test]
    fn what_is_shared_stays_short() {
        let mut sum = Chain::stream("m").field("x");
        for _ in 0..60 {
            sum = call("add", &[&sum, &sum]);
        }
        let keyed = call("with_key", &[&Chain::stream("m"), &Chain::stream("m").field("x")]);
        let both = Chain::record(vec![("a".to_owned(), sum), ("b".to_owned(), keyed)]);
        let text = text(&both);
        assert!(text.len() < 2000, "{text}");
        assert!(text.contains("let s2 = s1 + s1;"), "{text}");
        assert!(text.ends_with("b: m.with_key(x, \"x\")}"), "{text}");
        assert_eq!(both.mentions(), ["m"]);
    }

    #[test]
    fn conditions_without_end_are_refused_before_the_stack_ends() {
        let same = Chain::stream("m").field("x");
        let or = |row: &Chain| call(BinaryOp::Or.function(), &[row, &same]);
        let most = (2..HIGHEST).fold(same.clone(), |row, _| or(&row));
        assert!(most.refuse_endless().is_ok());
        text(&most);
        let message = or(&most).refuse_endless().unwrap_err().message;
        assert_eq!(message, "nested too deeply: more than 2000 expressions");
    }

    #[test]
    fn many_conditions_are_no_deep_ones() {
        let is = |at: i64| call("eq", &[&Chain::stream("m").field("x"), &Chain::literal(lit(at)).unwrap()]);
        for (op, word) in [("or", "or"), ("and", "and")] {
            let op = BinaryOp::ALL.into_iter().find(|known| known.symbol() == op).unwrap().function();
            for count in [2, 64, 65, 200, 1300] {
                let row = (1..count).fold(is(0), |row, at| call(op, &[&row, &is(at)]));
                let text = text(&row);
                let program = parse(&text).unwrap();
                let depths =
                    program.lets.iter().map(|one| one.value.depth()).sum::<u32>() + program.body.depth();
                assert!(depths < 150, "{count}: {depths}");
                assert_eq!(text.matches(&format!(" {word} ")).count(), count as usize - 1);
                let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
                let order = text.split("x == ").skip(1).map(|rest| digits(rest).parse::<i64>().unwrap());
                assert!(order.eq(0..count), "{text}");
            }
        }
    }

    #[test]
    fn a_window_is_an_argument_by_name() {
        let x = Chain::stream("m").field("x");
        let over = |window: &Chain| {
            Chain::call("sum", vec![(None, x.clone()), (Some("window".to_owned()), window.clone())])
        };
        let literal = |value: i64| Chain::literal(lit(value)).unwrap();
        let big = call("gt", &[&x, &literal(20)]);
        let since = Chain::window("since", None, vec![big.clone()]);
        assert_eq!(text(&over(&since)), "m.x.sum(window=since(m.x > 20))");
        let hourly = Chain::window("sliding", Some(Calendar::Hourly), vec![literal(2)]);
        assert_eq!(text(&over(&hourly)), "m.x.sum(window=sliding.hourly(2))");
        // A source that is called as a window is mentioned where it is used, not by the window.
        assert_eq!(over(&hourly).mentions(), ["m"]);
        // In a long text a window that is shared has a name.
        let sliding = Chain::window("sliding", None, vec![literal(2), big]);
        let mut both = over(&sliding);
        for _ in 0..200 {
            both = call("add", &[&both, &over(&sliding)]);
        }
        let text = text(&both);
        assert!(text.starts_with("let s1 = sliding(2, m.x > 20);\n"), "{text}");
        assert!(text.contains("m.x.sum(window=s1)"), "{text}");
    }

    #[test]
    fn a_text_is_part_of_a_chain() {
        let query = Chain::text("let long = posts.filter(n > 1); long.n + likes.n").unwrap();
        let count = call("count", &[&query]);
        assert_eq!(text(&count), "let long = posts.filter(n > 1);\nlet s1 = long.n + likes.n;\ns1.count()");
        assert_eq!(count.mentions(), ["posts", "n", "long", "likes"]);
    }
}
