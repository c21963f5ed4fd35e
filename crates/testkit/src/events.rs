//! Events in memory: what a query of a language test is asked over, and the catalog that names it.
//!
//! A table is a stream; several tables may come from one source, whose order of arrival is then by time and,
//! at equal times, by the order in which the rows stand in the test.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Fields};
use skytide_timestream::catalog::{Catalog, StreamDef};

use crate::value::{Val, record};

/// A table as written down: a stream's columns and its rows.
#[derive(Debug, Clone)]
pub struct Table {
    /// The stream's name: `m`, `m.deletes()`, `records("com.example.thing")`.
    pub name: String,
    /// The source that it comes from.
    pub source: String,
    /// The column that holds the key.
    pub key: String,
    /// The columns.
    pub fields: Fields,
    /// The rows, in order of time.
    pub rows: Vec<Row>,
}

/// A row as written down.
#[derive(Debug, Clone)]
pub struct Row {
    /// Where it stands among the rows of all tables.
    pub line: usize,
    /// UTC nanoseconds.
    pub time: i64,
    /// One value a column.
    pub values: Vec<Val>,
}

/// The tables of a test, numbered for one query.
#[derive(Debug, Clone)]
pub struct Events {
    /// The streams that can be named.
    pub streams: Vec<Stream>,
}

/// A stream with all its points.
#[derive(Debug, Clone)]
pub struct Stream {
    /// How a query names it.
    pub def: Arc<StreamDef>,
    /// Its points, in order.
    pub points: Vec<Event>,
}

/// An event of a source.
#[derive(Debug, Clone)]
pub struct Event {
    /// UTC nanoseconds.
    pub time: i64,
    /// The number of its arrival at the source, over all of the source's streams.
    pub ordinal: u64,
    /// The key.
    pub key: Val,
    /// The struct of all columns.
    pub value: Val,
}

impl Events {
    /// Numbers the tables' sources in the order in which the query names them (SEMANTICS 1.2), and their
    /// events as they arrive.
    #[must_use]
    pub fn new(tables: &[Table], query: &str) -> Self {
        let mut sources: Vec<(usize, &str)> = Vec::new();
        for table in tables {
            let at = first_mention(query, &table.name);
            match sources.iter_mut().find(|(_, source)| *source == table.source) {
                Some((first, _)) => *first = at.min(*first),
                None => sources.push((at, &table.source)),
            }
        }
        sources.sort_by_key(|(at, _)| *at);
        let number = |name: &str| sources.iter().position(|(_, source)| *source == name).unwrap_or_default();

        let mut streams: Vec<Stream> = tables
            .iter()
            .map(|table| {
                let source = u16::try_from(number(&table.source)).unwrap_or(u16::MAX - 2);
                let def = StreamDef {
                    name: table.name.clone(),
                    source,
                    fields: table.fields.clone(),
                    key: table.key.clone(),
                    time: None,
                };
                Stream { def: Arc::new(def), points: Vec::new() }
            })
            .collect();

        let mut arrivals: Vec<(usize, &Row)> = tables
            .iter()
            .enumerate()
            .flat_map(|(at, table)| table.rows.iter().map(move |row| (at, row)))
            .collect();
        arrivals.sort_by_key(|(_, row)| (row.time, row.line));
        let mut ordinals: BTreeMap<u16, u64> = BTreeMap::new();
        for (at, row) in arrivals {
            let stream = &mut streams[at];
            let source = stream.def.source;
            let value = record(&stream.def.fields, row.values.clone());
            let key = value.field(&stream.def.key);
            let count = ordinals.entry(source).or_insert(0);
            let ordinal = *count;
            *count += 1;
            stream.points.push(Event { time: row.time, ordinal, key, value });
        }
        Self { streams }
    }

    /// The stream of a name.
    #[must_use]
    pub fn stream_named(&self, name: &str) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.def.name == name)
    }

    /// The time of the newest event of some sources, and none where they have no events.
    #[must_use]
    pub fn newest(&self, sources: &[u16]) -> Option<i64> {
        let streams = self.streams.iter().filter(|stream| sources.contains(&stream.def.source));
        streams.flat_map(|stream| stream.points.iter().map(|event| event.time)).max()
    }
}

/// Where a query first names a stream; the end of the text where it does not.
fn first_mention(query: &str, name: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = query.match_indices(name).map(|(at, _)| at);
    let whole = |at: &usize| {
        !query[..*at].ends_with(|c| word(c) || c == '.') && !query[at + name.len()..].starts_with(word)
    };
    starts.into_iter().find(whole).unwrap_or(query.len())
}

impl Catalog for Events {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        self.stream_named(name).map(|stream| Arc::clone(&stream.def))
    }

    fn stream_function(&self, function: &str, argument: &str) -> Result<Arc<StreamDef>, String> {
        let name = format!("{function}({argument:?})");
        self.stream(&name).ok_or_else(|| format!("there is no `{name}`"))
    }

    fn stream_method(&self, stream: &StreamDef, method: &str) -> Option<Arc<StreamDef>> {
        self.stream(&format!("{}.{method}()", stream.name))
    }

    fn stream_methods(&self, stream: &StreamDef) -> Vec<String> {
        let names = self.streams.iter().filter_map(|other| other.def.name.strip_prefix(&stream.name));
        let methods = names.filter_map(|rest| rest.strip_prefix('.')?.strip_suffix("()"));
        methods.map(str::to_owned).collect()
    }

    fn names(&self) -> Vec<String> {
        self.streams.iter().map(|stream| stream.def.name.clone()).filter(|name| !name.contains('(')).collect()
    }
}

impl Stream {
    /// Type of its keys.
    #[must_use]
    pub fn key_type(&self) -> DataType {
        let field = self.def.fields.iter().find(|field| *field.name() == self.def.key);
        field.map_or(DataType::Null, |field| field.data_type().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::parse_field;

    fn table(name: &str, source: &str, times: &[(usize, i64)]) -> Table {
        let fields: Fields = ["id: utf8"].into_iter().map(|text| parse_field(text).unwrap()).collect();
        let row = |&(line, time)| Row { line, time, values: vec![Val::Text("A".into())] };
        Table {
            name: name.into(),
            source: source.into(),
            key: "id".into(),
            fields,
            rows: times.iter().map(row).collect(),
        }
    }

    #[test]
    fn sources_are_numbered_as_the_query_names_them_and_events_as_they_arrive() {
        let tables = [
            table("m", "a", &[(0, 5), (3, 5)]),
            table("n", "b", &[(1, 1)]),
            table("o", "a", &[(2, 5), (4, 1)]),
        ];
        let events = Events::new(&tables, "m_x.n + n.count() + m.count()");
        let numbers: Vec<_> = events.streams.iter().map(|stream| stream.def.source).collect();
        assert_eq!(numbers, [1, 0, 1]);
        let of = |name: &str| -> Vec<u64> {
            events.stream_named(name).unwrap().points.iter().map(|event| event.ordinal).collect()
        };
        assert_eq!(of("m"), [1, 3]);
        assert_eq!(of("o"), [0, 2]);
        assert_eq!(of("n"), [0]);
        assert_eq!(events.newest(&[0]), Some(1));
        assert_eq!(events.newest(&[2]), None);
    }
}
