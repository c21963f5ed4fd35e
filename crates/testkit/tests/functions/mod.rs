//! Functions as a program would define them, kind and unkind.

use std::error::Error;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::DataType;
use skytide_timestream::functions::user::{UserFunction, UserFunctions};

type Evaluate = fn(&[ArrayRef], &DataType) -> Result<ArrayRef, Box<dyn Error + Send + Sync>>;

/// A function by its signature and its code.
struct Own(&'static str, Evaluate);

impl UserFunction for Own {
    fn signature(&self) -> &str {
        self.0
    }

    fn evaluate(
        &self,
        arguments: &[ArrayRef],
        result: &DataType,
    ) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
        // As the engine promises.
        let rows = arguments[0].len();
        if rows == 0 || arguments.iter().any(|argument| argument.len() != rows) {
            return Err("the arguments are of several lengths, or none".into());
        }
        (self.1)(arguments, result)
    }
}

fn ints(array: &ArrayRef) -> &Int64Array {
    array.as_primitive::<Int64Type>()
}

/// All of them.
pub(crate) fn functions() -> UserFunctions {
    let mut functions = UserFunctions::default();
    for own in [
        // Not null where an argument is, and null where none is: nothing follows from the rows around.
        Own("weigh(x: i64, y: i64) -> i64", |arguments, _| {
            let pairs = ints(&arguments[0]).iter().zip(ints(&arguments[1]));
            let weigh = |(x, y): (Option<i64>, Option<i64>)| match (x, y) {
                (Some(9), _) => None,
                (Some(x), Some(y)) => Some(x.wrapping_mul(100).wrapping_add(y)),
                _ => Some(5),
            };
            Ok(Arc::new(pairs.map(weigh).collect::<Int64Array>()))
        }),
        Own("shout(text: utf8) -> utf8", |arguments, _| {
            let loud = arguments[0].as_string::<i32>().iter().map(|text| text.map(|text| format!("{text}!")));
            Ok(Arc::new(loud.collect::<StringArray>()))
        }),
        Own("either<T: any>(x: T, y: T?) -> T", |arguments, result| {
            let [x, y] = arguments else { return Err("two arguments, one of which may be left out".into()) };
            Ok(match result {
                DataType::Int64 => {
                    Arc::new(ints(x).iter().zip(ints(y)).map(|(x, y)| x.or(y)).collect::<Int64Array>())
                }
                DataType::Utf8 => {
                    let pairs = x.as_string::<i32>().iter().zip(y.as_string::<i32>());
                    Arc::new(pairs.map(|(x, y)| x.or(y)).collect::<StringArray>())
                }
                other => return Err(format!("not for {other}").into()),
            })
        }),
        Own("root(x: i64) -> f64", |arguments, _| {
            let root = |x: Option<i64>| match x {
                Some(x) if x >= 0 => Ok((x as f64).sqrt()),
                Some(x) => Err(format!("there is no root of {x}")),
                None => Err("there is no root of nothing".to_owned()),
            };
            Ok(Arc::new(ints(&arguments[0]).iter().map(root).collect::<Result<Float64Array, _>>()?))
        }),
        Own("unlucky(x: i64) -> i64", |arguments, _| {
            let numbers = ints(&arguments[0]);
            assert!(numbers.iter().all(|x| x != Some(9)), "9 is unlucky");
            Ok(Arc::clone(&arguments[0]))
        }),
        Own("short(x: i64) -> i64", |arguments, _| Ok(arguments[0].slice(1, arguments[0].len() - 1))),
        Own("mistyped(x: i64) -> utf8", |arguments, _| Ok(Arc::clone(&arguments[0]))),
    ] {
        functions.define(own).unwrap();
    }
    functions
}
