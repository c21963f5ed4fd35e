//! The end of a Parquet file, looked at before its library reads it: the library walks the schema by calling
//! itself, and one that is nested deep enough ends the process.
//!
//! The schema is a list of elements, each before its children, of which it only says how many there are. They
//! are read here in a loop, and by the format's definition alone: a value that is not written as its field
//! demands is refused, since the library, which reads it as the field demands whatever is written there,
//! would see other elements than those that were looked at.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Deepest nesting of columns. It is what pyarrow takes, too.
const MAX_DEPTH: usize = 100;
/// The last bytes: the length of what is before them, and how the file began.
const TAIL: u64 = 8;
const MAGIC: &[u8] = b"PAR1";

/// What stands before a file's last bytes; the inner error says what is wrong with those.
pub(super) fn read(mut file: &File) -> io::Result<Result<Vec<u8>, &'static str>> {
    let size = file.seek(SeekFrom::End(0))?;
    let Some(end) = size.checked_sub(TAIL) else { return Ok(Err("it is too short to be one")) };
    file.seek(SeekFrom::Start(end))?;
    let mut tail = [0; TAIL as usize];
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != MAGIC {
        return Ok(Err("it does not end as one"));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    let Some(begin) = end.checked_sub(length) else { return Ok(Err("its end is longer than the file")) };
    file.seek(SeekFrom::Start(begin))?;
    let mut footer = Vec::new();
    file.take(length).read_to_end(&mut footer)?;
    Ok(Ok(footer))
}

/// Looks at the schema of a file, which this is the end of; the error says what is wrong with it.
pub(super) fn look(footer: &[u8]) -> Result<(), &'static str> {
    let mut bytes = Bytes { rest: footer };
    let elements = bytes.elements().ok_or(UNREADABLE)?;
    // Of each column that is begun, how many are yet to come within it.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..elements {
        let children = bytes.element().ok_or(UNREADABLE)?;
        if let Some(last) = open.last_mut() {
            *last -= 1;
        }
        if children > elements {
            return Err("a column of its schema says to hold more than there is");
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_DEPTH {
            return Err("its columns are nested more than 100 deep");
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}

const UNREADABLE: &str = "its schema cannot be read";

/// How a value is written (Thrift's compact protocol), as far as schemas have such values. What is of no kind
/// known here is passed over by what is said beside it.
enum Kind {
    Flag,
    Byte,
    Int,
    Text,
    /// The fields numbered from 1.
    Record(&'static [Kind]),
}

/// `SchemaElement` of the format: type, length of the type, repetition, name, number of children, converted
/// type, scale, precision, number of the field, logical type.
const ELEMENT: &[Kind] = &[
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Text,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Int,
    Kind::Record(LOGICAL),
];
const CHILDREN: i16 = 5;
/// `LogicalType`: text, map, list, enum, decimal, date, time, timestamp, (none), integer, unknown, JSON,
/// BSON, UUID, half float, variant, geometry, geography.
const LOGICAL: &[Kind] = &[
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    Kind::Record(&[Kind::Int, Kind::Int]),
    EMPTY,
    TIME,
    TIME,
    EMPTY,
    Kind::Record(&[Kind::Byte, Kind::Flag]),
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    Kind::Record(&[Kind::Byte]),
    Kind::Record(&[Kind::Text]),
    Kind::Record(&[Kind::Text, Kind::Int]),
];
const EMPTY: Kind = Kind::Record(&[]);
const TIME: Kind = Kind::Record(&[Kind::Flag, Kind::Record(&[EMPTY, EMPTY, EMPTY])]);
/// Records in each other: an element's logical type, what that has, its unit, which one; and some to come.
const MAX_RECORDS: usize = 8;

/// What a field or an item is said to be.
mod wire {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const TEXT: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const RECORD: u8 = 12;
}

struct Bytes<'a> {
    rest: &'a [u8],
}

impl Bytes<'_> {
    /// Goes to the first of the schema's elements; how many they are.
    fn elements(&mut self) -> Option<u64> {
        // Before it is the version of the format alone.
        let mut last = 0;
        loop {
            match self.field(&mut last)?? {
                (1, wire::I32) => drop(self.int()?),
                (2, wire::LIST) => break,
                _ => return None,
            }
        }
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        (head & 15 == wire::RECORD && count <= self.rest.len() as u64).then_some(count)
    }

    /// Passes over an element; how many children it has.
    fn element(&mut self) -> Option<u64> {
        let (mut last, mut children) = (0, 0);
        while let Some((id, wire)) = self.field(&mut last)? {
            let value = self.value(kind(ELEMENT, id), wire, 0)?;
            if id == CHILDREN {
                children = value;
            }
        }
        u64::try_from(children).ok()
    }

    /// The number and the kind of the next field; none at the end of a record.
    fn field(&mut self, last: &mut i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head & 15 == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.int()?).ok()?,
            step => last.checked_add(step.into())?,
        };
        Some(Some((*last, head & 15)))
    }

    /// Passes over a value; which number it is, if it is one. None where it is not of its kind.
    fn value(&mut self, kind: Option<&Kind>, wire: u8, depth: usize) -> Option<i64> {
        let fits = match kind {
            None => true,
            Some(Kind::Flag) => matches!(wire, wire::TRUE | wire::FALSE),
            Some(Kind::Byte) => wire == wire::BYTE,
            Some(Kind::Int) => wire == wire::I32,
            Some(Kind::Text) => wire == wire::TEXT,
            Some(Kind::Record(_)) => wire == wire::RECORD,
        };
        if !fits {
            return None;
        }
        match wire {
            wire::TRUE | wire::FALSE => {}
            wire::BYTE => drop(self.byte()?),
            wire::I16 | wire::I32 | wire::I64 => return self.int(),
            wire::DOUBLE => self.pass(8)?,
            wire::TEXT => {
                let length = self.varint()?;
                self.pass(length)?;
            }
            wire::RECORD if depth < MAX_RECORDS => {
                let fields = if let Some(Kind::Record(fields)) = kind { fields } else { &[][..] };
                let mut last = 0;
                while let Some((id, wire)) = self.field(&mut last)? {
                    self.value(self::kind(fields, id), wire, depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(0)
    }

    fn pass(&mut self, length: u64) -> Option<()> {
        self.rest = self.rest.get(usize::try_from(length).ok()?..)?;
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// A number, seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number with a sign, which is its lowest bit. Beyond 32 bits it is none of a schema's.
    fn int(&mut self) -> Option<i64> {
        let number = self.varint()?;
        let number = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        i32::try_from(number).ok().map(i64::from)
    }
}

fn kind(fields: &'static [Kind], id: i16) -> Option<&'static Kind> {
    usize::try_from(id).ok()?.checked_sub(1).and_then(|at| fields.get(at))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::file::metadata::ParquetMetaDataReader;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;
    use crate::files::FileError;
    use crate::files::parquet::ParquetFile;

    /// The end of a file that the library writes.
    fn written(schema: &str) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let file = tempfile::tempfile().unwrap();
        SerializedFileWriter::new(file.try_clone().unwrap(), schema, Arc::default())
            .unwrap()
            .close()
            .unwrap();
        read(&file).unwrap().unwrap()
    }

    /// An end with these elements, the version before them.
    fn made(elements: &[Vec<u8>]) -> Vec<u8> {
        let count = u8::try_from(elements.len()).unwrap_or(255);
        let mut bytes = vec![0x15, 2, 0x19];
        match count {
            0..15 => bytes.push(count << 4 | 12),
            _ => {
                bytes.push(0xfc);
                let mut left = elements.len();
                while left > 127 {
                    bytes.push((left & 127) as u8 | 128);
                    left >>= 7;
                }
                bytes.push(left as u8);
            }
        }
        bytes.extend(elements.concat());
        // No rows, no row groups.
        bytes.extend([0x16, 0, 0x19, 12, 0]);
        bytes
    }

    /// Required, named x, with so many children; none is a whole number.
    fn element(children: u8) -> Vec<u8> {
        match children {
            0 => vec![0x15, 2, 0x25, 0, 0x18, 1, b'x', 0],
            some => vec![0x35, 0, 0x18, 1, b'x', 0x15, some * 2, 0],
        }
    }

    /// A file with this end, opened.
    fn opened(footer: &[u8]) -> Result<ParquetFile, FileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
        std::fs::write(&path, [MAGIC, footer, &length, MAGIC].concat()).unwrap();
        ParquetFile::open(&path)
    }

    #[test]
    fn schemas_of_every_type_are_taken() {
        let footer = written(
            "message m {
               required boolean a; optional int96 b; required fixed_len_byte_array(16) c (uuid);
               required binary d (string); required binary e (enum); required binary f (json); required binary g (bson);
               required int32 h (decimal(9, 2)); required int32 i (date); required int32 j (time(millis, true));
               required int64 k (timestamp(nanos, false)); required int64 l (timestamp(micros, true));
               required int32 n (integer(8, true)); required int64 o (integer(64, false));
               required fixed_len_byte_array(2) p (float16); required binary q (geometry); required binary r (geography);
               required group s (list) { repeated group list { optional double element; } }
               required group t (map) { repeated group key_value { required binary key (utf8); optional int32 value; } }
             }",
        );
        assert_eq!(look(&footer), Ok(()));
        let many: String = (0..5000).map(|at| format!("required int32 c{at};")).collect();
        assert_eq!(look(&written(&format!("message m {{ {many} }}"))), Ok(()));
    }

    #[test]
    fn columns_nested_too_deep_are_refused() {
        let deep = |depth| {
            let mut elements = vec![element(1); depth];
            elements.push(element(0));
            made(&elements)
        };
        let most = deep(MAX_DEPTH);
        assert_eq!(look(&most), Ok(()));
        assert_eq!(ParquetMetaDataReader::decode_schema(&most).unwrap().num_columns(), 1);
        for depth in [MAX_DEPTH + 1, 6000, 300_000] {
            assert_eq!(look(&deep(depth)), Err("its columns are nested more than 100 deep"));
        }
        let error = opened(&deep(6000)).err().unwrap().to_string();
        assert!(error.ends_with(
            "rows.parquet: it is no whole Parquet file: its columns are nested more than 100 deep"
        ));
        // Beside each other they are no deeper.
        let mut elements = vec![element(60)];
        elements.extend((0..60).flat_map(|_| [element(1), element(0)]));
        assert_eq!(look(&made(&elements)), Ok(()));
    }

    #[test]
    fn what_the_library_would_read_otherwise_is_refused() {
        let root = element(1);
        let with = |fields: &[u8]| look(&made(&[root.clone(), [&element(0)[..7], fields, &[0]].concat()]));
        assert_eq!(with(&[]), Ok(()));
        // A field of a later version of the format, a number; the same number where the library reads a logical type.
        assert_eq!(with(&[0xb5, 2]), Ok(()));
        assert_eq!(with(&[0x65, 2]), Err(UNREADABLE));
        // A logical type of a later version, and a decimal whose scale is a text.
        assert_eq!(with(&[0x6c, 0x0c, 60, 0x18, 1, b'y', 0, 0]), Ok(()));
        assert_eq!(with(&[0x6c, 0x5c, 0x15, 2, 0x15, 2, 0, 0]), Ok(()));
        assert_eq!(with(&[0x6c, 0x5c, 0x18, 1, b'y', 0, 0]), Err(UNREADABLE));
        let more = made(&[element(50), element(0)]);
        assert_eq!(look(&more), Err("a column of its schema says to hold more than there is"));
        assert_eq!(look(&more[..10]), Err(UNREADABLE));
        assert_eq!(look(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f]), Err(UNREADABLE));
    }

    #[test]
    fn a_second_schema_is_not_read() {
        let first = made(&[element(1), element(0)]);
        let mut elements = vec![element(1); 101];
        elements.push(element(0));
        // In place of the mark of the end, the field 2 once more.
        let again = [&first[..first.len() - 1], &[0x09, 4], &made(&elements)[3..]].concat();
        assert_eq!(look(&again), Ok(()));
        let file = opened(&again).unwrap();
        assert_eq!(file.fields().len(), 1);
        assert!(!file.fields()[0].data_type().is_nested());
    }
}
