//! `skytide functions`: the registry as a list, or one function whole.

use skytide_connect::catalog::FirehoseCatalog;
use skytide_timestream::completion::{self, Kind};
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
        match (written(name), functions::nearest(name)) {
            (Some(written), _) => failure.hint(format!("{written}: docs/queries.md has it")),
            (None, Some(near)) => {
                failure.hint(format!("do you mean {near:?}? `skytide functions` lists all"))
            }
            (None, None) => failure.hint("`skytide functions` lists all"),
        }
    })?;
    super::print(&function.page())
}

/// What a name is that is written as a function's and is none of the registry: a window, or what gives a stream.
fn written(name: &str) -> Option<String> {
    let catalog = FirehoseCatalog::new();
    ["posts.count(window=", "posts.", ""].into_iter().find_map(|before| {
        let text = format!("{before}{name}");
        let mut found = completion::complete(&text, text.len(), &catalog).candidates.into_iter();
        let is_meant = |text: &str| text.split_once('(').is_some_and(|(called, _)| called == name);
        let found = found.find(|found| is_meant(&found.text))?;
        match found.kind {
            Kind::Window => Some(format!("`{0}` is a window, as in `count(window={0})`", found.signature)),
            Kind::Stream => Some(format!("`{text}(…)` is a stream")),
            _ => None,
        }
    })
}
