//! How much memory a pprof takes once it is decoded, told before it is: two bytes can stand for a
//! sample of 72.

use std::mem::size_of;

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::{
    Error,
    pprof::{Function, Label, Line, Location, Mapping, Sample, ValueType},
};

/// A vector that grows has up to twice the room that it needs.
const GROWTH: u64 = 2;

/// An upper bound, in bytes. Of damaged input it is what decoding takes until it comes to the damage.
///
/// # Errors
/// When there are groups, which pprof never had, and which would have to be followed into.
pub fn decoded(raw: &[u8]) -> Result<u64, Error> {
    let mut sum = 0;
    for field in Fields(raw) {
        let field = field?;
        sum += match field.tag {
            1 | 11 => of::<ValueType>(),
            2 => of::<Sample>() + inside(&field, 3, of::<Label>())?,
            3 => of::<Mapping>(),
            4 => of::<Location>() + inside(&field, 4, of::<Line>())?,
            5 => of::<Function>(),
            6 => of::<String>() + field.bytes.len() as u64,
            13 => numbers(&field),
            _ => 0,
        };
    }
    Ok(sum)
}

/// Of what is in a sample or location: messages in field `tag`, and in the others numbers.
fn inside(field: &Field<'_>, tag: u32, message: u64) -> Result<u64, Error> {
    Fields(field.bytes)
        .map(|field| {
            let field = field?;
            Ok(match field.tag == tag {
                true => message,
                false => numbers(&field),
            })
        })
        .sum()
}

fn of<T>() -> u64 {
    size_of::<T>() as u64 * GROWTH
}

/// Numbers, one or many in a row; the last byte of each has no continuation bit.
fn numbers(field: &Field<'_>) -> u64 {
    let ends = field.bytes.iter().filter(|byte| **byte < 0x80).count();
    of::<u64>() * ends.max(1) as u64
}

struct Field<'a> {
    tag: u32,
    /// What a field with a length holds.
    bytes: &'a [u8],
}

/// The fields of a message, as far as they can be told apart.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// `None` where the message is damaged.
    fn field(&mut self) -> Option<Result<Field<'a>, Error>> {
        let (tag, wire) = decode_key(&mut self.0).ok()?;
        let length = match wire {
            WireType::Varint => {
                decode_varint(&mut self.0).ok()?;
                0
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut self.0).ok()?).ok()?,
            WireType::StartGroup | WireType::EndGroup => {
                return Some(Err(Error::Group { tag }));
            }
        };
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Ok(Field { tag, bytes }))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let field = (!self.0.is_empty()).then(|| self.field()).flatten();
        if !matches!(field, Some(Ok(_))) {
            self.0 = &[];
        }
        field
    }
}
