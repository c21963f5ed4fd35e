//! `skytide functions`: the registry as a list, or one function whole.

use skytide_timestream::functions;

use super::args::FunctionsArgs;
use super::failure::{Failure, USAGE};

pub(crate) fn functions(args: &FunctionsArgs) -> Result<(), Failure> {
    let Some(name) = &args.name else {
        let wide = functions::all().map(|function| function.name.len()).max().unwrap_or(0);
        let lines =
            functions::all().map(|function| format!("{:wide$}  {}\n", function.name, function.summary));
        return super::print(&lines.collect::<String>());
    };
    let function = functions::find(name).ok_or_else(|| {
        let failure = Failure::new(USAGE, format!("there is no function {name:?}"));
        match functions::nearest(name) {
            Some(near) => failure.hint(format!("do you mean {near:?}? `skytide functions` lists all")),
            None => failure.hint("`skytide functions` lists all"),
        }
    })?;
    super::print(&function.page())
}
