//! One definition of a message makes its struct, its reader and its writer.
//!
//! [`message!`] takes the fields in canonical order of their keys (shorter first, then bytewise), which is the order
//! in which they are written. How a type is read and written is said by [`Field`].

use crate::cbor::{Cursor, Encoder};
use crate::cid::Cid;
use crate::frame::FrameError;

/// A type that a field of a message can have.
pub(super) trait Field<'a>: Sized {
    /// Reads a value.
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError>;

    /// Writes a value.
    fn write(&self, encoder: &mut Encoder);

    /// What it is where the field is not there; none where it has to be.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the field is there when written.
    fn is_there(&self) -> bool {
        true
    }
}

impl<'a> Field<'a> for u64 {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_u64()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.unsigned(*self);
    }
}

impl<'a> Field<'a> for i64 {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_i64()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.integer((*self).into());
    }
}

impl<'a> Field<'a> for bool {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_bool()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.bool(*self);
    }
}

impl<'a> Field<'a> for &'a str {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_text()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
}

impl<'a> Field<'a> for &'a [u8] {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_bytes()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.bytes(self);
    }
}

impl<'a> Field<'a> for Cid {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        Ok(cursor.read_link()?)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.link(self);
    }
}

/// Null is as if the field were not there.
impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        if cursor.take_null() { Ok(None) } else { Ok(Some(T::read(cursor)?)) }
    }

    fn write(&self, encoder: &mut Encoder) {
        match self {
            Some(value) => value.write(encoder),
            None => {
                encoder.null();
            }
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_there(&self) -> bool {
        self.is_some()
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, FrameError> {
        // Grown by what is there: the list's own number of items is a claim.
        (0..cursor.read_list()?).map(|_| T::read(cursor)).collect::<Result<_, _>>()
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.list(self.len());
        for item in self {
            item.write(encoder);
        }
    }
}

/// Defines a message or a part of one: `field: Type = "key"`, with `[nullable]` after it where null is written
/// rather than nothing.
macro_rules! message {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<'a> {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty = $key:literal $([$nullable:ident])?,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name<'a> {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl<'a> crate::message::wire::Field<'a> for $name<'a> {
            fn read(cursor: &mut crate::cbor::Cursor<'a>) -> Result<Self, crate::frame::FrameError> {
                $(let mut $field: Option<$type> = None;)*
                let mut keys = crate::cbor::MapKeys::new(cursor.read_map()?);
                while let Some(key) = keys.next(cursor)? {
                    match key {
                        $($key => $field = Some(crate::message::wire::Field::read(cursor)?),)*
                        _ => cursor.check()?,
                    }
                }
                Ok($name {
                    $($field: $field
                        .or_else(crate::message::wire::Field::absent)
                        .ok_or(crate::frame::FrameError::Missing($key))?,)*
                })
            }

            fn write(&self, encoder: &mut crate::cbor::Encoder) {
                let fields = [$((
                    $key,
                    crate::message::wire::Field::is_there(&self.$field)
                        $(|| stringify!($nullable) == "nullable")?,
                    &self.$field as &dyn crate::message::wire::Write,
                )),*];
                encoder.map(fields.iter().filter(|(_, there, _)| *there).count());
                for (key, _, value) in fields.iter().filter(|(_, there, _)| *there) {
                    value.write_to(encoder.text(key));
                }
            }
        }
    };
}

pub(super) use message;

/// The writing half of [`Field`], which values of different types share.
pub(super) trait Write {
    /// Writes the value.
    fn write_to(&self, encoder: &mut Encoder);
}

impl<'a, T: Field<'a>> Write for T {
    fn write_to(&self, encoder: &mut Encoder) {
        self.write(encoder);
    }
}
