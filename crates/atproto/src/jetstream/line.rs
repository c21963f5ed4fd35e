//! A line under construction: `{"did":…,"time_us":…,"kind":"x","x":{…}}`.

use std::fmt::{Display, Write as _};

use crate::json::push_text;

/// A line whose part of its kind is open for fields, in the order in which they are given.
pub(super) struct Line<'j> {
    json: &'j mut String,
    /// No field has been given yet.
    is_first: bool,
}

// Writing to a `String` does not fail.
impl<'j> Line<'j> {
    /// Begins a line about an account.
    pub(super) fn about(json: &'j mut String, did: &str, time_us: i64, kind: &str) -> Self {
        json.push_str("{\"did\":");
        push_text(json, did);
        let _ = write!(json, ",\"time_us\":{time_us},\"kind\":\"{kind}\",\"{kind}\":{{");
        Self { json, is_first: true }
    }

    /// Begins a line about the stream itself, which has no time.
    pub(super) fn of_stream(json: &'j mut String, kind: &str) -> Self {
        let _ = write!(json, "{{\"kind\":\"{kind}\",\"{kind}\":{{");
        Self { json, is_first: true }
    }

    /// Begins a field: its value is to be appended to what this gives.
    pub(super) fn value(&mut self, name: &str) -> &mut String {
        let comma = if self.is_first { "" } else { "," };
        self.is_first = false;
        let _ = write!(self.json, "{comma}\"{name}\":");
        self.json
    }

    /// A field whose value this appends; none where it cannot.
    pub(super) fn value_by<E>(&mut self, name: &str, write: impl FnOnce(&mut String) -> Result<(), E>) {
        let before = (self.json.len(), self.is_first);
        if write(self.value(name)).is_err() {
            self.json.truncate(before.0);
            self.is_first = before.1;
        }
    }

    /// A field that is text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> &mut Self {
        push_text(self.value(name), text);
        self
    }

    /// A field that is text, if it is there.
    pub(super) fn optional_text(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        if let Some(text) = text {
            self.text(name, text);
        }
        self
    }

    /// A field that is a number or a truth value.
    pub(super) fn plain(&mut self, name: &str, value: impl Display) -> &mut Self {
        let _ = write!(self.value(name), "{value}");
        self
    }

    /// A field that is a number or a truth value, if it is there.
    pub(super) fn optional_plain(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.plain(name, value);
        }
        self
    }

    /// Ends the line.
    pub(super) fn end(&mut self) {
        self.json.push_str("}}\n");
    }
}
