//! The tree of a query as it was written: names not yet looked up, types unknown.

use crate::query::Span;
use crate::scalar::Scalar;

/// A whole text: definitions, then the expression whose points are the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// `let x = …;`, in order.
    pub lets: Vec<Let>,
    /// What is asked for.
    pub body: Expr,
}

/// `let name = value;`
#[derive(Debug, Clone, PartialEq)]
pub struct Let {
    /// The name.
    pub name: Ident,
    /// What it stands for.
    pub value: Expr,
}

/// A name and where it stands.
#[derive(Debug, Clone)]
pub struct Ident {
    /// The name, without backticks.
    pub name: String,
    /// Where it stands in the text.
    pub span: Span,
}

/// Names are equal wherever they stand.
impl PartialEq for Ident {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands in the text; `0..0` if it was not read from one.
    pub span: Span,
    depth: u32,
}

/// Expressions are equal wherever they stand.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The forms of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A constant. Numbers are not negative: a minus is an operation.
    Literal(Scalar),
    /// A bare name.
    Name(String),
    /// `value.name`
    Field {
        /// The struct.
        value: Box<Expr>,
        /// Its field.
        name: Ident,
    },
    /// `value[index]`
    Index {
        /// The list.
        value: Box<Expr>,
        /// Which item.
        index: Box<Expr>,
    },
    /// `-x`, `not x`
    Unary {
        /// The operation.
        op: UnaryOp,
        /// What it is applied to.
        value: Box<Expr>,
    },
    /// `x + y` and its like.
    Binary {
        /// The operation.
        op: BinaryOp,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `x.f(y)`, or `f(x, y)`, which means the same.
    Call {
        /// What stands before the dot.
        receiver: Option<Box<Expr>>,
        /// The function's or method's name.
        function: Ident,
        /// What stands in the brackets.
        args: Vec<Arg>,
    },
    /// `{name: value, …}`
    Record(Vec<(Ident, Expr)>),
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Arg {
    /// The parameter's name, in `name=value`.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// An operation on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `not`
    Not,
}

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what its symbol says")]
pub enum BinaryOp {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl UnaryOp {
    /// The operator in the text.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Neg => "-",
            Self::Not => "not",
        }
    }

    /// The function that it means.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Not => "not",
        }
    }

    /// How tightly it binds; see [`BinaryOp::power`].
    #[must_use]
    pub const fn power(self) -> u8 {
        match self {
            Self::Not => 3,
            Self::Neg => 7,
        }
    }
}

impl BinaryOp {
    /// Every operation.
    pub const ALL: [Self; 13] = [
        Self::Or,
        Self::And,
        Self::Eq,
        Self::Ne,
        Self::Lt,
        Self::Le,
        Self::Gt,
        Self::Ge,
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Rem,
    ];

    /// The operator in the text.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Rem => "%",
        }
    }

    /// The function that it means.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Rem => "rem",
        }
    }

    /// How tightly it binds: from 1, the loosest. Comparisons (4) do not chain; the others group to the left.
    #[must_use]
    pub const fn power(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge => COMPARISON,
            Self::Add | Self::Sub => 5,
            Self::Mul | Self::Div | Self::Rem => 6,
        }
    }
}

/// Power of the comparisons.
pub(super) const COMPARISON: u8 = 4;
/// Power of `.name`, `(…)` and `[…]`.
pub(super) const POSTFIX: u8 = 8;

impl Expr {
    /// An expression at a place.
    #[must_use]
    pub fn new(kind: ExprKind, span: Span) -> Self {
        let depth = match &kind {
            ExprKind::Literal(_) | ExprKind::Name(_) => 0,
            ExprKind::Field { value, .. } | ExprKind::Unary { value, .. } => value.depth,
            ExprKind::Index { value, index } => value.depth.max(index.depth),
            ExprKind::Binary { left, right, .. } => left.depth.max(right.depth),
            ExprKind::Call { receiver, args, .. } => {
                let receiver = receiver.iter().map(|receiver| receiver.depth);
                receiver.chain(args.iter().map(|arg| arg.value.depth)).max().unwrap_or(0)
            }
            ExprKind::Record(fields) => fields.iter().map(|(_, value)| value.depth).max().unwrap_or(0),
        };
        Self { kind, span, depth: depth + 1 }
    }

    /// How many expressions stand within each other, at the deepest place.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }
}
