//! Plans as pictures: what is drawn, where it stands, and that no name can break out of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};
use common::Network;
use insta::assert_binary_snapshot;
use skytide_timestream::catalog::{Catalog, StreamDef};
use skytide_timestream::plan::{Input, Plan, Results};
use skytide_timestream::{compile, plan};

fn planned(text: &str, catalog: &dyn Catalog) -> Plan {
    match compile(text, catalog) {
        Ok(query) => plan(Arc::new(query), Results::history()),
        Err(error) => panic!("{}", error.render(text)),
    }
}

fn drawn(text: &str) -> String {
    planned(text, &Network).explain_svg()
}

/// Queries whose pictures a person has looked at.
const BY_LANGUAGE: &str = "posts.filter(seq > 7).with_key(record.langs[0]).count(window=since.hourly())";
const IN_ALL_WAYS: &str = "let likes_of = likes.with_key(record.subject.uri, grouping=\"uri\");
{ liked: likes_of.count(window=trailing(\"1h\")).lookup(posts.uri), level: meters.level.last().lookup(posts.did), n: posts.count().shift_by(\"1d\") }";

/// Many kinds of plans.
const QUERIES: [&str; 12] = [
    BY_LANGUAGE,
    IN_ALL_WAYS,
    "accounts",
    "posts.count()",
    "likes.with_key(record.subject.uri).count()",
    "{ posts: posts.count(), likes: likes.count() }",
    "let a = posts.with_key(uri).count().with_key(1).max(); { a: a, all: posts.with_key(1).count() }",
    "posts.seq.shift_until(posts.seq > 5).sum()",
    "posts.record.text.collect(3, window=sliding.daily(7))",
    "posts.shift_to(time).record.text.last()",
    "{ minutes: posts.count(window=tumbling.minutely()), hours: posts.count(window=since.hourly()) }",
    "posts.with_key(record.langs[0]).count().lookup(posts.record.langs[0])",
];

/// An element: its name and attributes, and the text right in it.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
}

impl Element {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str) -> i64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} of {self:?}"))
    }

    fn is(&self, class: &str) -> bool {
        self.get("class").is_some_and(|classes| classes.split(' ').any(|of| of == class))
    }
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare & in {text:?}"));
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            other => panic!("what is &{other};?"),
        });
        out.push_str(rest);
    }
    out
}

/// All elements in the order in which they end. Panics where the text is not well-formed.
fn elements(xml: &str) -> Vec<Element> {
    let bad = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    assert!(!xml.contains(bad), "characters that XML has no place for");
    let (mut open, mut done) = (Vec::<Element>::new(), Vec::new());
    let mut rest = xml;
    while let Some((text, after)) = rest.split_once('<') {
        match open.last_mut() {
            Some(element) => element.text.push_str(&unescaped(text)),
            None => assert!(text.trim().is_empty(), "text outside of all: {text:?}"),
        }
        let (tag, after) = after.split_once('>').unwrap_or_else(|| panic!("a tag without an end"));
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap_or_else(|| panic!("{name} ends, which has not begun"));
            assert_eq!(element.name, name);
            done.push(element);
            continue;
        }
        let (tag, is_whole) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut given) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut attributes = Vec::new();
        while let Some((name, after)) = given.split_once("=\"") {
            let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("an open value in {tag}"));
            attributes.push((name.trim().to_owned(), unescaped(value)));
            given = after;
        }
        assert!(given.trim().is_empty(), "{given:?} in {tag}");
        let element = Element { name: name.to_owned(), attributes, text: String::new() };
        if is_whole { done.push(element) } else { open.push(element) }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "it does not end");
    done
}

fn boxes(elements: &[Element]) -> Vec<[i64; 4]> {
    let of = elements.iter().filter(|element| element.is("box"));
    of.map(|element| ["x", "y", "width", "height"].map(|name| element.number(name))).collect()
}

#[test]
fn what_is_read_computed_and_moved_is_drawn() {
    for query in QUERIES {
        let plan = planned(query, &Network);
        let elements = elements(&plan.explain_svg());
        let count = |class: &str| elements.iter().filter(|element| element.is(class)).count();
        let ways = plan.regions.iter().flat_map(|region| &region.inputs);
        let ways = ways.filter(|input| !matches!(input, Input::Ticks(_))).count();
        assert_eq!(count("box"), plan.scans.len() + plan.regions.len() + 1, "{query}");
        assert_eq!((count("scan"), count("answer")), (plan.scans.len(), 1), "{query}");
        assert_eq!(count("way"), ways + 1, "{query}");
        let says = |text: &str| elements.iter().any(|element| element.text.contains(text));
        for scan in &plan.scans {
            assert!(says(&scan.stream.name), "{query}");
        }
        for region in &plan.regions {
            assert!(says(&format!("by {}", region.grouping)), "{query}");
        }
    }
}

#[test]
fn boxes_stand_apart_and_within_the_picture_and_hold_their_text() {
    for query in QUERIES {
        let elements = elements(&drawn(query));
        let svg = elements.last().unwrap();
        let (width, height) = (svg.number("width"), svg.number("height"));
        let boxes = boxes(&elements);
        for (at, [x, y, w, h]) in boxes.iter().enumerate() {
            assert!(*x > 0 && *y > 0 && x + w < width && y + h < height, "{query}");
            for [x2, y2, w2, h2] in &boxes[at + 1..] {
                let apart = x + w < *x2 || x2 + w2 < *x || y + h < *y2 || y2 + h2 < *y;
                assert!(apart, "{query}: two boxes overlap");
            }
        }
        for text in elements.iter().filter(|element| element.name == "text") {
            let (x, y) = (text.number("x"), text.number("y"));
            let wide = text.text.chars().count() as i64 * 8;
            let within = |[left, top, w, h]: &[i64; 4]| {
                *left <= x && x + wide <= left + w && *top <= y && y <= top + h
            };
            // What a way carries stands left of its end, between boxes.
            let beside = |[left, top, w, h]: &[i64; 4]| {
                x < *left || x - wide > left + w || y < *top || y - 12 > top + h
            };
            let is_placed =
                if text.is("label") { boxes.iter().all(beside) } else { boxes.iter().any(within) };
            assert!(is_placed, "{query}: {text:?}");
        }
    }
}

#[test]
fn ways_lead_from_left_to_right_past_all_boxes() {
    for query in QUERIES {
        let elements = elements(&drawn(query));
        let boxes = boxes(&elements);
        for way in elements.iter().filter(|element| element.is("way")) {
            let path = way.get("d").unwrap();
            let number = |text: &str| text.trim_start_matches(['M', 'C', 'L']).parse::<i64>().unwrap();
            let numbers: Vec<i64> = path.split(' ').map(number).collect();
            let points: Vec<(i64, i64)> = numbers.chunks(2).map(|pair| (pair[0], pair[1])).collect();
            assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{query}: {path}");
            let inside = |(x, y): &(i64, i64)| {
                boxes.iter().any(|[left, top, w, h]| left < x && *x < left + w && *top < *y && *y < top + h)
            };
            assert!(!points.iter().any(inside), "{query}: {path}");
            let (first, last) = (points[0], points[points.len() - 1]);
            assert!(boxes.iter().any(|[x, y, w, h]| x + w == first.0 && (*y..=y + h).contains(&first.1)));
            assert!(boxes.iter().any(|[x, y, _, h]| *x == last.0 && (*y..=y + h).contains(&last.1)));
        }
    }
}

/// A source whose names are made to break out of whatever they are put into.
struct Hostile;

const NAME: &str = "</text><script>alert(\"1\")</script>&amp;\u{0}\u{1b}[2J\u{202e}\u{ffff}]]>";

impl Catalog for Hostile {
    fn stream(&self, name: &str) -> Option<Arc<StreamDef>> {
        let fields: Fields = ["id", NAME, &NAME.repeat(40)]
            .iter()
            .map(|name| Field::new(*name, DataType::Utf8, true))
            .chain((0..200).map(|at| Field::new(format!("c{at}"), DataType::Utf8, true)))
            .collect();
        (name == "m").then(|| {
            Arc::new(StreamDef { name: NAME.to_owned(), source: 0, fields, key: "id".to_owned(), time: None })
        })
    }

    fn stream_function(&self, _: &str, _: &str) -> Result<Arc<StreamDef>, String> {
        Err("none".to_owned())
    }

    fn stream_method(&self, _: &StreamDef, _: &str) -> Option<Arc<StreamDef>> {
        None
    }

    fn names(&self) -> Vec<String> {
        vec!["m".to_owned()]
    }
}

#[test]
fn names_are_escaped_cut_and_bounded() {
    let grouping = "m.filter(id == \"<b>&</b>\").with_key(id, grouping=\"<i a='1' b=\\\"2\\\">\").count()";
    for query in ["m", grouping] {
        let svg = planned(query, &Hostile).explain_svg();
        let elements = elements(&svg);
        assert!(
            !svg.contains("<script") && !svg.contains('\u{202e}') && !svg.contains('\u{ffff}'),
            "{query}"
        );
        assert!(elements.iter().any(|element| element.text.contains("</text><script>")), "{query}");
        let svg = elements.last().unwrap();
        assert!(svg.number("width") < 4000 && svg.number("height") < 4000, "{query}");
    }
    assert!(planned(grouping, &Hostile).explain_svg().contains("&lt;b&gt;&amp;&lt;/b&gt;"));
}

#[test]
fn names_steer_nothing_in_a_plan_as_text() {
    let unseen = |text: &str| {
        text.contains(|c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{ffff}'))
    };
    for query in ["m", "m.with_key(id, grouping=\"\u{1b}[31m\u{202e}\").count()"] {
        let text = planned(query, &Hostile).explain();
        assert!(!unseen(&text) && text.contains('\u{fffd}'), "{text:?}");
    }
}

#[test]
fn an_expression_that_shares_its_parts_has_an_end() {
    // Written out it would have 2^40 leaves.
    let doubled: String = (0..40).map(|at| format!("let x{} = x{at} + x{at};\n", at + 1)).collect();
    let svg = drawn(&format!("let x0 = posts.seq;\n{doubled}x40.sum()"));
    assert!(svg.len() < 20_000 && svg.contains('…'), "{}", svg.len());
}

#[test]
fn pictures_that_a_person_has_looked_at() {
    assert_binary_snapshot!("by_language.svg", drawn(BY_LANGUAGE).into_bytes());
    assert_binary_snapshot!("in_all_ways.svg", drawn(IN_ALL_WAYS).into_bytes());
}
