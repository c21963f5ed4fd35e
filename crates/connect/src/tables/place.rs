//! Where rows of CSV begin and end, byte by byte, as the library that reads them has it: for those who cut
//! text before it is read, and who say of a row at which line it stands, and of a quote that it is never
//! closed.

/// What is wrong where text ends within quotes.
pub(crate) const UNCLOSED: &str = "a quote opens here and is never closed: is the text cut off? A quote that is a letter of its cell is \
                                   doubled, within quotes around the cell";

/// What divides cells, unless something else is said.
pub(super) const COMMA: u8 = b',';

/// What the next byte of CSV belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A row begins, unless a line is empty.
    Row,
    /// Another field of the row begins.
    Field,
    /// A field without quotes around it: a quote is a letter there.
    Bare,
    /// A field with quotes around it.
    Quoted,
    /// Behind a quote in such a field: its end, or the first of two.
    Quote,
}

impl Place {
    /// The place behind a byte that stands here, of text whose cells this byte divides.
    pub(super) fn after(self, byte: u8, delimiter: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) | (Self::Row | Self::Field | Self::Quote, b'"') => Self::Quoted,
            (_, b'\r' | b'\n') => Self::Row,
            (_, byte) if byte == delimiter => Self::Field,
            _ => Self::Bare,
        }
    }
}

/// Looks at text as it comes, for a quote that is not closed.
#[derive(Debug)]
pub(crate) struct Quotes {
    delimiter: u8,
    place: Place,
    line: usize,
    opened: usize,
}

impl Quotes {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, place: Place::Row, line: 1, opened: 0 }
    }

    /// Looks on at text.
    pub(crate) fn look(&mut self, text: &[u8]) {
        // Most text has no quotes: its last byte tells.
        if self.place != Place::Quoted && !text.contains(&b'"') {
            let last = text.last().map(|last| Place::Bare.after(*last, self.delimiter));
            self.place = last.unwrap_or(self.place);
            self.line += text.iter().filter(|byte| **byte == b'\n').count();
            return;
        }
        for byte in text {
            let after = self.place.after(*byte, self.delimiter);
            if after == Place::Quoted && !matches!(self.place, Place::Quoted | Place::Quote) {
                self.opened = self.line;
            }
            self.place = after;
            self.line += usize::from(*byte == b'\n');
        }
    }

    /// The line, from 1, of the quote that is open behind what was looked at.
    pub(crate) fn open(&self) -> Option<usize> {
        (self.place == Place::Quoted).then_some(self.opened)
    }
}

/// The line, from 1, of a quote that these rows open and do not close.
pub(super) fn unclosed(rows: &[u8]) -> Option<usize> {
    let mut quotes = Quotes::new(COMMA);
    quotes.look(rows);
    quotes.open()
}

/// The line, from 1, at which a row begins; rows are counted from 1, the header among them. None where there
/// are fewer.
pub(super) fn line_of(text: &str, row: usize) -> Option<usize> {
    let (mut place, mut line, mut rows) = (Place::Row, 1, 0);
    for byte in text.bytes() {
        if place == Place::Row && !matches!(byte, b'\r' | b'\n') {
            rows += 1;
            if rows == row {
                return Some(line);
            }
        }
        place = place.after(byte, COMMA);
        line += usize::from(byte == b'\n');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_open_until_it_is_closed_however_text_comes() {
        for (text, open) in [
            ("a,b\n1,\"two\n\n3", Some(2)),
            ("a\n\"x\"\n\n\"", Some(4)),
            ("a,\"b\n\"\"\n", Some(1)),
            ("a\n\"x\"y\"\n", None),
            ("a\n\"two\nlines\"", None),
            ("a\n5\" disk\n", None),
            ("a\n\"say \"\"so\"\"\"\n", None),
            ("\n\na,b\n\"x\";\"y\n", None),
        ] {
            for at_once in [1, 2, 3, 100] {
                let mut quotes = Quotes::new(COMMA);
                text.as_bytes().chunks(at_once).for_each(|piece| quotes.look(piece));
                assert_eq!(quotes.open(), open, "{text:?}, {at_once} at once");
            }
        }
        let mut tabs = Quotes::new(b'\t');
        tabs.look(b"a,\"\tb\n\"c");
        assert_eq!(tabs.open(), Some(2));
    }
}
