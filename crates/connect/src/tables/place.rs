//! Where rows of CSV begin and end, byte by byte, as the library that reads them has it: for those who cut text before it is read, and
//! who say of a row at which line it stands.

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
    /// The place behind a byte that stands here.
    pub(super) fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::Quote,
            (Self::Quoted, _) | (Self::Row | Self::Field | Self::Quote, b'"') => Self::Quoted,
            (_, b'\r' | b'\n') => Self::Row,
            (_, b',') => Self::Field,
            _ => Self::Bare,
        }
    }
}

/// The line, from 1, at which a row begins; rows are counted from 1, the header among them. None where there are fewer.
pub(super) fn line_of(text: &str, row: usize) -> Option<usize> {
    let (mut place, mut line, mut rows) = (Place::Row, 1, 0);
    for byte in text.bytes() {
        if place == Place::Row && !matches!(byte, b'\r' | b'\n') {
            rows += 1;
            if rows == row {
                return Some(line);
            }
        }
        place = place.after(byte);
        line += usize::from(byte == b'\n');
    }
    None
}
