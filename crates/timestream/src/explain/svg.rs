//! A plan as a picture: what is pushed into the sources on the left, then regions in the order in which rows
//! reach them, each with what it holds, the answer on the right.
//!
//! Plain SVG in text, readable on light and dark ground; whatever a query or a source names is escaped.

use std::fmt::Write as _;

use super::diagram::{Boxed, Carries, Diagram, Kind, LINE, Style, Way};
use crate::plan::Plan;

/// How things look, on light ground and on dark.
const STYLE: &str = "\
  .ground { fill: #ffffff }
  text { font: 12.5px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; white-space: pre }
  .title { font-weight: 700; font-size: 14px }
  .note, .label { fill: #59636e }
  .state { fill: #0b5cad }
  .box { fill: #f6f8fa; stroke: #8c959f }
  .scan { fill: #eef6ee; stroke: #4b8a52 }
  .answer { fill: #fff6e5; stroke: #b7791f }
  .way { fill: none; stroke: #8c959f; stroke-width: 1.5 }
  .head { fill: #8c959f }
  .rekeyed { stroke: #0b5cad }
  .rekeyed-head { fill: #0b5cad }
  .moved { stroke: #a0469c; stroke-dasharray: 6 4 }
  .moved-head { fill: #a0469c }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 }
    text { fill: #e6edf3 }
    .note, .label { fill: #9198a1 }
    .state { fill: #79b8ff }
    .box { fill: #161b22; stroke: #6e7681 }
    .scan { fill: #12261a; stroke: #57a663 }
    .answer { fill: #2b2111; stroke: #d29922 }
    .way { stroke: #6e7681 }
    .head { fill: #6e7681 }
    .rekeyed { stroke: #79b8ff }
    .rekeyed-head { fill: #79b8ff }
    .moved { stroke: #d580d0 }
    .moved-head { fill: #d580d0 }
  }
";

/// From the top of a line to the foot of its letters.
const FOOT: usize = 13;
/// From the side of a box to its text.
const INSET: usize = 12;

impl Plan {
    /// The plan as a picture, in SVG: scans with what is pushed into them, regions with what they hold, where
    /// keys change and points move, the answer.
    #[must_use]
    pub fn explain_svg(&self) -> String {
        let diagram = Diagram::of(self);
        let (width, height) = (diagram.width, diagram.height);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n"
        );
        let _ = writeln!(out, "<title>{}</title>", escaped(&self.query.text));
        let _ = writeln!(out, "<style>\n{STYLE}</style>");
        let _ = writeln!(out, "<rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>");
        diagram.ways.iter().for_each(|way| draw_way(&mut out, way));
        diagram.boxes.iter().for_each(|of| draw_box(&mut out, of));
        out.push_str("</svg>\n");
        out
    }
}

fn draw_box(out: &mut String, of: &Boxed) {
    let kind = match of.kind {
        Kind::Scan => "box scan",
        Kind::Region => "box",
        Kind::Answer => "box answer",
    };
    let Boxed { x, y, width, height, .. } = of;
    let _ = writeln!(
        out,
        "<rect class=\"{kind}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    for (at, line) in of.lines.iter().enumerate() {
        let class = match line.style {
            Style::Title => " class=\"title\"",
            Style::Plain => "",
            Style::Note => " class=\"note\"",
            Style::State => " class=\"state\"",
        };
        let (x, y) = (x + INSET, y + INSET + at * LINE + FOOT);
        let whole = line
            .whole
            .as_deref()
            .map_or_else(String::new, |whole| format!("<title>{}</title>", escaped(whole)));
        let _ = writeln!(out, "<text{class} x=\"{x}\" y=\"{y}\">{whole}{}</text>", escaped(&line.text));
    }
}

fn draw_way(out: &mut String, way: &Way) {
    let (Some((first, rest)), Some(end)) = (way.points.split_first(), way.points.last()) else { return };
    let (class, head) = match way.carries {
        Carries::Points => ("way", "head"),
        Carries::Rekeyed => ("way rekeyed", "rekeyed-head"),
        Carries::Moved => ("way moved", "moved-head"),
    };
    let mut path = format!("M{} {}", first.0, first.1);
    let mut at = *first;
    for pair in rest.chunks(2) {
        if let [enter, leave] = pair {
            let middle = (at.0 + enter.0) / 2;
            let _ = write!(path, " C{middle} {} {middle} {} {} {}", at.1, enter.1, enter.0, enter.1);
            let _ = write!(path, " L{} {}", leave.0, leave.1);
            at = *leave;
        }
    }
    let _ = writeln!(out, "<path class=\"{class}\" d=\"{path}\"/>");
    let _ = writeln!(out, "<path class=\"{head}\" d=\"M{} {} l-9 -5 v10 z\"/>", end.0, end.1);
    if !way.label.is_empty() {
        let (x, y) = (end.0 - INSET, end.1 - 5);
        let _ = writeln!(
            out,
            "<text class=\"label\" text-anchor=\"end\" x=\"{x}\" y=\"{y}\">{}</text>",
            escaped(&way.label)
        );
    }
}

/// Text as it stands in XML, which has no place at all for some characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
