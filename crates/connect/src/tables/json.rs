//! A line of JSON as a value, whatever its numbers.
//!
//! JSON sets numbers no bounds, and the library fails at one that is beyond an `f64`. That is a value that
//! fits no column, as others may be, and no reason to end a query: something stands in for it, in its place
//! on the line, so that errors are told where they are.

use std::borrow::Cow;

use serde_json::{Error, Value};

/// What lines are read for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum For {
    /// The types of their values: a number beyond an `f64` is one of those.
    Types,
    /// Their values: it fits no column that holds single values.
    Values,
}

/// Reads a row, which is an object on a line of its own.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read_row(line: &[u8], of: For) -> Result<Value, String> {
    if let [b'[', rest @ ..] = line.trim_ascii()
        && matches!(rest.trim_ascii_start(), [] | [b'{', ..])
    {
        return Err("a row is a JSON object, and this begins an array: write each of its objects on a line of its own, \
             as `jq -c '.[]'` does"
            .to_owned());
    }
    match read_line(line, of) {
        Ok(row) if row.is_object() => Ok(row),
        Ok(_) => Err("a row is a JSON object".to_owned()),
        Err(error) => Err(format!("{}; each line is a JSON object of its own", wrong_at(&error))),
    }
}

/// Reads a line.
fn read_line(line: &[u8], of: For) -> Result<Value, Error> {
    serde_json::from_slice(line).or_else(|error| match held(line, of) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(held) => serde_json::from_slice(&held),
    })
}

/// What is wrong with a line, and at which of its bytes: the library counts lines from the one it was given.
fn wrong_at(error: &Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(reason) if error.line() == 1 => format!("{reason} at column {}", error.column()),
        Some(reason) => format!("{reason} at its end"),
        None => text,
    }
}

/// The line with what stands in for numbers beyond an `f64`.
fn held(line: &[u8], of: For) -> Cow<'_, [u8]> {
    let stand_in: &[u8] = match of {
        For::Types => b"0.5",
        For::Values => b"{}",
    };
    let mut held = Cow::Borrowed(line);
    let (mut at, mut is_text) = (0, false);
    while let Some(byte) = line.get(at) {
        let len = match byte {
            b'\\' if is_text => 2,
            b'"' => {
                is_text = !is_text;
                1
            }
            b'-' | b'0'..=b'9' if !is_text => {
                let is_of_number =
                    |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let number = &line[at..][..line[at..].iter().take_while(is_of_number).count()];
                if is_beyond(number) {
                    let place = &mut held.to_mut()[at..][..number.len()];
                    place.fill(b' ');
                    place[..stand_in.len()].copy_from_slice(stand_in);
                }
                number.len()
            }
            _ => 1,
        };
        at += len;
    }
    held
}

/// Whether it is a number of JSON that is beyond an `f64`; those have five letters at least.
fn is_beyond(number: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(number) else { return false };
    let positive = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = parted(positive, &['e', 'E']);
    let (whole, fraction) = parted(mantissa, &['.']);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|exponent| is_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
        && text.parse::<f64>().is_ok_and(f64::is_infinite)
}

fn parted<'a>(text: &'a str, at: &[char]) -> (&'a str, Option<&'a str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_beyond_an_f64_are_stood_in_for() {
        let long = "9".repeat(400);
        let line =
            format!(r#"{{"a": 1e400, "b": [-1.5E+999,2], "c": "1e400 \" 1e400", "d": {long}, "e": 3e-400}}"#);
        let read = read_line(line.as_bytes(), For::Values).unwrap();
        let expected = json!({"a": {}, "b": [{}, 2], "c": "1e400 \" 1e400", "d": {}, "e": 0.0});
        assert_eq!(read, expected);
        let read = read_line(br#"{"a": 1e309}"#, For::Types).unwrap();
        assert_eq!(read, json!({"a": 0.5}));
    }

    #[test]
    fn what_is_no_json_stays_so_and_is_told_where_it_is() {
        let column = |line: &str| read_line(line.as_bytes(), For::Values).unwrap_err().column();
        for (line, at) in [(r#"{"a": 01e400}"#, 8), (r#"{"a": 1.e400}"#, 9), (r#"{"a": 1e400, "b": x}"#, 19)]
        {
            assert_eq!(column(line), at, "{line}");
        }
        for line in ["1e400e", "{\"a\": 1e400", "\"1e400", "\\1e400", "-", "1e+"] {
            assert!(read_line(line.as_bytes(), For::Types).is_err(), "{line}");
        }
    }
}
