//! Where the parts of a picture of a plan stand: boxes in columns, each right of all that feeds it, and the
//! ways between them.
//!
//! Scans are the first column, a region stands one column after the last of its inputs, the answer is the
//! last. A way that goes past columns has a lane of its own in each, so that no way crosses a box. Everything
//! is whole units and follows from the plan alone: the same plan gives the same picture.

use super::{read, region_keys, results, scan_keys, test, ticks, words};
use crate::error::is_unseen;
use crate::plan::{Input, Moves, Plan};

/// Width of a character of the fixed-width type that is drawn, and height of a line.
const CHARACTER: usize = 8;
pub(super) const LINE: usize = 18;
/// Room within a box, between boxes of a column, and around the picture.
const PADDING: usize = 12;
const BETWEEN: usize = 26;
const MARGIN: usize = 20;
/// Room for a way to turn.
const TURN: usize = 44;
/// Height of the lane of a way past a column.
const LANE: usize = 20;
/// The most characters of a line, and lines of one kind in a box.
const LONGEST: usize = 60;
const MOST: usize = 16;

/// A picture before it is drawn.
pub(super) struct Diagram {
    pub(super) boxes: Vec<Boxed>,
    pub(super) ways: Vec<Way>,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scan,
    Region,
    Answer,
}

/// A box with lines of text.
pub(super) struct Boxed {
    pub(super) kind: Kind,
    pub(super) lines: Vec<Line>,
    column: usize,
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Title,
    Plain,
    /// What is said about the box.
    Note,
    /// What is held.
    State,
}

/// A line of text; what was too long for it is in `whole`.
pub(super) struct Line {
    pub(super) style: Style,
    pub(super) text: String,
    pub(super) whole: Option<String>,
}

/// What a way carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// Points as they are read or shown.
    Points,
    /// Rows that get another key, or another place beside it.
    Rekeyed,
    /// Rows that keep their key and move in time.
    Moved,
}

/// A way from one box to another.
pub(super) struct Way {
    pub(super) carries: Carries,
    from: usize,
    to: usize,
    /// The line of the box that it leads to.
    port: usize,
    pub(super) label: String,
    /// Where it goes: pairs of points, straight between the two of a pair, bent from one pair to the next.
    pub(super) points: Vec<(usize, usize)>,
}

impl Line {
    fn new(style: Style, text: impl Into<String>) -> Self {
        let text = text.into();
        let shown: String =
            text.chars().map(|character| if is_unseen(character) { '\u{fffd}' } else { character }).collect();
        if width(&shown) <= LONGEST {
            return Self { style, text: shown, whole: None };
        }
        let mut cut = String::new();
        for character in shown.chars() {
            if width(&cut) + 3 > LONGEST {
                break;
            }
            cut.push(character);
        }
        cut.push('…');
        Self { style, text: cut, whole: Some(shown) }
    }
}

/// How many columns of a fixed-width type a text takes, at most.
fn width(text: &str) -> usize {
    text.chars().map(|character| if character < '\u{1100}' || character == '…' { 1 } else { 2 }).sum()
}

/// Lines of which there may be many.
fn some(lines: &mut Vec<Line>, style: Style, texts: impl ExactSizeIterator<Item = String>) {
    let left = texts.len().saturating_sub(MOST);
    lines.extend(texts.take(MOST).map(|text| Line::new(style, text)));
    if left > 0 {
        lines.push(Line::new(Style::Note, format!("and {left} more")));
    }
}

impl Diagram {
    pub(super) fn of(plan: &Plan) -> Self {
        let mut diagram = Self { boxes: Vec::new(), ways: Vec::new(), width: 0, height: 0 };
        for at in 0..plan.scans.len() {
            diagram.add_scan(plan, at);
        }
        for at in 0..plan.regions.len() {
            diagram.add_region(plan, at);
        }
        diagram.add_answer(plan);
        for of in &mut diagram.boxes {
            let longest = of.lines.iter().map(|line| width(&line.text)).max().unwrap_or(0);
            (of.width, of.height) = (longest * CHARACTER + 2 * PADDING, of.lines.len() * LINE + 2 * PADDING);
        }
        diagram.place();
        diagram
    }

    fn add(&mut self, kind: Kind, lines: Vec<Line>, column: usize) {
        self.boxes.push(Boxed { kind, lines, column, x: 0, y: 0, width: 0, height: 0 });
    }

    fn add_scan(&mut self, plan: &Plan, at: usize) {
        let scan = &plan.scans[at];
        let mut lines = vec![
            Line::new(Style::Title, &scan.stream.name),
            Line::new(
                Style::Note,
                format!("scan {at} of source {}, {}", scan.stream.source, scan_keys(scan)),
            ),
        ];
        some(&mut lines, Style::Plain, scan.columns.iter().map(read));
        if scan.columns.is_empty() {
            lines.push(Line::new(Style::Plain, "no columns"));
        }
        some(&mut lines, Style::State, scan.tests.iter().map(|of| test(scan, of)));
        self.add(Kind::Scan, lines, 0);
    }

    fn add_region(&mut self, plan: &Plan, at: usize) {
        let region = &plan.regions[at];
        let (number, steps) = (self.boxes.len(), region.steps.len());
        let mut lines = vec![
            Line::new(Style::Title, format!("by {}", region.grouping)),
            Line::new(
                Style::Note,
                format!(
                    "region {at}, {}, {steps} step{}",
                    region_keys(region),
                    if steps == 1 { "" } else { "s" }
                ),
            ),
        ];
        let mut column = 1;
        for input in &region.inputs {
            let (from, carries, label, text) = match *input {
                Input::Scan(scan) => {
                    let name = plan.scans.get(scan).map_or("?", |scan| &scan.stream.name);
                    (scan, Carries::Points, String::new(), format!("points of {name}"))
                }
                Input::Feed { region: from, feed } => {
                    let (carries, label) = fed(plan, from, feed, &region.grouping);
                    (plan.scans.len() + from, carries, label, format!("rows of region {from}"))
                }
                Input::Ticks(made) => {
                    let made = region.ticks.get(made).map_or_else(|| "?".to_owned(), ticks);
                    lines.push(Line::new(Style::Plain, format!("its own {made}")));
                    continue;
                }
            };
            lines.push(Line::new(Style::Plain, text));
            // A plan has no way back.
            let Some(before) = self.boxes.get(from) else { continue };
            column = column.max(before.column + 1);
            let label = Line::new(Style::Plain, label).text;
            let port = lines.len() - 1;
            self.ways.push(Way { carries, from, to: number, port, label, points: Vec::new() });
        }
        let states = words::states(plan, at);
        lines.push(Line::new(
            Style::Note,
            if states.is_empty() { "holds no state" } else { "holds, for each key:" },
        ));
        some(&mut lines, Style::State, states.into_iter());
        self.add(Kind::Region, lines, column);
    }

    fn add_answer(&mut self, plan: &Plan) {
        let Some(last) = plan.regions.len().checked_sub(1) else { return };
        let mut lines = vec![Line::new(Style::Title, "answer"), Line::new(Style::Note, results(plan))];
        let columns = plan.output.columns.iter();
        let columns = columns.map(|(name, reg)| format!("{name} = {}", words::value(plan, last, *reg)));
        some(&mut lines, Style::Plain, columns);
        let (number, from) = (self.boxes.len(), self.boxes.len() - 1);
        let column = self.boxes.iter().map(|of| of.column).max().unwrap_or(0) + 1;
        self.add(Kind::Answer, lines, column);
        let label = if plan.output.present.is_some() { "its points" } else { "all rows" };
        self.ways.push(Way {
            carries: Carries::Points,
            from,
            to: number,
            port: 0,
            label: label.to_owned(),
            points: Vec::new(),
        });
    }

    /// Puts every box and way in its place, column by column.
    fn place(&mut self) {
        let columns = self.boxes.iter().map(|of| of.column).max().map_or(0, |last| last + 1);
        let lanes = |column: usize| {
            let passes =
                |way: &&Way| self.boxes[way.from].column < column && column < self.boxes[way.to].column;
            self.ways.iter().filter(passes).count()
        };
        let heights: Vec<usize> = (0..columns)
            .map(|column| {
                let boxes = self.boxes.iter().filter(|of| of.column == column);
                let boxes: usize = boxes.map(|of| of.height + BETWEEN).sum();
                (boxes + lanes(column) * (LANE + BETWEEN)).saturating_sub(BETWEEN)
            })
            .collect();
        let highest = heights.iter().copied().max().unwrap_or(0);
        let mut x = MARGIN;
        for (column, height) in heights.iter().enumerate() {
            // Ways turn first, and then go straight below what is said of them.
            let ends = self.ways.iter().filter(|way| self.boxes[way.to].column == column);
            let straight = ends.map(|way| label_width(&way.label)).max().unwrap_or(0);
            if column > 0 {
                x += TURN + straight;
            }
            let widest =
                self.boxes.iter().filter(|of| of.column == column).map(|of| of.width).max().unwrap_or(0);
            let mut y = MARGIN + (highest - height) / 2;
            for item in self.items(column) {
                match item {
                    Item::Box(number) => {
                        let of = &mut self.boxes[number];
                        (of.x, of.y, of.width) = (x, y, widest);
                        y += of.height + BETWEEN;
                        self.leave(number);
                        self.arrive(number, straight);
                    }
                    Item::Lane(way) => {
                        let middle = y + LANE / 2;
                        self.ways[way].points.extend([(x - straight, middle), (x + widest, middle)]);
                        y += LANE + BETWEEN;
                    }
                }
            }
            x += widest;
        }
        (self.width, self.height) = (x + MARGIN, highest + 2 * MARGIN);
    }

    /// What stands in a column, in order: near what it comes from.
    fn items(&self, column: usize) -> Vec<Item> {
        let height_of = |way: &Way| way.points.last().map_or(0, |point| point.1);
        let mut items: Vec<(usize, Item)> = Vec::new();
        for (number, _) in self.boxes.iter().enumerate().filter(|(_, of)| of.column == column) {
            let ways = self.ways.iter().filter(|way| way.to == number);
            let (count, sum) = ways.fold((0, 0), |(count, sum), way| (count + 1, sum + height_of(way)));
            items.push((sum / usize::max(count, 1), Item::Box(number)));
        }
        for (number, way) in self.ways.iter().enumerate() {
            if self.boxes[way.from].column < column && column < self.boxes[way.to].column {
                items.push((height_of(way), Item::Lane(number)));
            }
        }
        items.sort_by_key(|(height, _)| *height);
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The ways out of a box begin on its right, one below the other.
    fn leave(&mut self, number: usize) {
        let of = &self.boxes[number];
        let (x, y, height) = (of.x + of.width, of.y, of.height);
        let count = self.ways.iter().filter(|way| way.from == number).count();
        let ways = self.ways.iter_mut().filter(|way| way.from == number);
        for (at, way) in ways.enumerate() {
            way.points.push((x, y + height * (at + 1) / (count + 1)));
        }
    }

    /// The ways into a box end at their lines, the last of them straight.
    fn arrive(&mut self, number: usize, straight: usize) {
        let of = &self.boxes[number];
        for way in self.ways.iter_mut().filter(|way| way.to == number) {
            let y = of.y + PADDING + way.port * LINE + LINE / 2;
            way.points.extend([(of.x - straight, y), (of.x, y)]);
        }
    }
}

/// What stands in a column.
enum Item {
    Box(usize),
    /// Of the way with this number.
    Lane(usize),
}

/// Room for a label and the arrow.
fn label_width(label: &str) -> usize {
    width(label) * CHARACTER + 20
}

/// What a feed carries into a region of a grouping, and what is said of it.
fn fed(plan: &Plan, from: usize, feed: usize, grouping: &str) -> (Carries, String) {
    let Some(feed) = plan.regions.get(from).and_then(|region| region.feeds.get(feed)) else {
        return (Carries::Rekeyed, "?".to_owned());
    };
    let key = words::value(plan, from, feed.key);
    match feed.moves {
        // A question knows the key under which it was asked.
        Moves::Stay if key == words::KEY => (Carries::Rekeyed, format!("back, by {grouping}")),
        Moves::Stay => (Carries::Rekeyed, format!("new key: {key}")),
        Moves::By(_) | Moves::To(_) => (Carries::Moved, "at a later time".to_owned()),
        Moves::Until(_) => (Carries::Moved, "held until it is true".to_owned()),
        Moves::After { all: false, .. } => {
            (Carries::Rekeyed, format!("ticks after all of their time, new key: {key}"))
        }
        Moves::After { all: true, .. } => {
            (Carries::Rekeyed, format!("after all of its time, new key: {key}"))
        }
        Moves::Back { .. } => (Carries::Rekeyed, format!("back where it stood, by {grouping}")),
    }
}
