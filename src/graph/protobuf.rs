//! The wire format of Protocol Buffers. Every length is checked against the message that contains it.

use super::ParseResult;

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum FieldValue<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Four bytes, little-endian.
    Fixed32([u8; 4]),
    /// Eight bytes, which no field that is read here has.
    Fixed64,
    /// Text, bytes, packed numbers or a message.
    Bytes(&'a [u8]),
}

/// Iterates over the fields of a message: the number and the value of each, or what is wrong with the message.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = ParseResult<(u64, FieldValue<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // The bytes that follow cannot be read either.
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "a field of its protobuf reaches over the end of what contains it".into()))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, FieldValue<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => FieldValue::Varint(varint(&mut self.0)?),
            1 => take(&mut self.0, 8).map(|_| FieldValue::Fixed64)?,
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                FieldValue::Bytes(take(&mut self.0, length)?)
            }
            5 => FieldValue::Fixed32(*take(&mut self.0, 4)?.first_chunk()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

/// Iterates over the fields of a message, each with all of its bytes: key, length and value.
pub(super) struct FieldSpans<'a>(pub Fields<'a>);

impl<'a> Iterator for FieldSpans<'a> {
    type Item = ParseResult<(u64, FieldValue<'a>, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.0.0;
        let field = self.0.next()?;
        let length = before.len() - self.0.0.len();
        Some(field.map(|(number, value)| (number, value, &before[..length])))
    }
}

/// Reads a `StringStringEntryProto`: a key and its value.
pub(super) fn pair<'a>(fields: Fields<'a>) -> ParseResult<(&'a str, &'a str)> {
    let (mut key, mut value) = ("", "");
    for field in fields {
        match field? {
            (1, text) => key = text.text()?,
            (2, text) => value = text.text()?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Returns the key and the length that precede a field of text, bytes or a message.
pub(super) fn header(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for mut value in [number << 3 | 2, length as u64] {
        while value >= 128 {
            bytes.push(value as u8 | 128);
            value >>= 7;
        }
        bytes.push(value as u8);
    }
    bytes
}

/// Encodes a field of text, bytes or a message.
pub(super) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&header(number, bytes.len()), bytes].concat()
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 127).checked_shl(7 * place)?;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

impl<'a> FieldValue<'a> {
    /// The bytes of text, bytes or a message.
    pub(super) fn bytes(self) -> ParseResult<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("a field of its protobuf has the wrong type".into()),
        }
    }

    /// The text, checked to be UTF-8.
    pub(super) fn text(self) -> ParseResult<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a name in it is no UTF-8".into())
    }

    /// The fields of a message.
    pub(super) fn fields(self) -> ParseResult<Fields<'a>> {
        self.bytes().map(Fields)
    }

    /// The value of an integer field.
    pub(super) fn integer(self) -> ParseResult<i64> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err("a field of its protobuf has the wrong type".into()),
        }
    }

    /// Reads a repeated integer field: one value, or several that are packed.
    pub(super) fn integers(self) -> ParseResult<Vec<i64>> {
        let Self::Bytes(mut packed) = self else { return Ok(vec![self.integer()?]) };
        let mut all = Vec::new();
        while !packed.is_empty() {
            let value = varint(&mut packed).ok_or("packed numbers in it are cut off")?;
            all.push(value.cast_signed());
        }
        Ok(all)
    }

    /// Returns the values of a field of f32: one value, or several that are packed.
    pub(super) fn floats(self) -> Vec<f64> {
        let packed = match &self {
            Self::Fixed32(value) => &value[..],
            Self::Bytes(packed) => packed,
            Self::Varint(_) | Self::Fixed64 => &[],
        };
        packed.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_lengths_are_checked() {
        // Field 1 is the number 300, field 2 the text "ab".
        let message = [0x08, 0xac, 0x02, 0x12, 0x02, b'a', b'b'];
        let found: Vec<_> = Fields(&message).map(Result::unwrap).collect();
        assert!(matches!(found[..], [(1, FieldValue::Varint(300)), (2, FieldValue::Bytes(b"ab"))]));
        for end in 1..message.len() {
            let whole = end == 3;
            assert_eq!(Fields(&message[..end]).all(|field| field.is_ok()), whole, "{end}");
        }
        // A length of 2^63, a group, and a number of more than 64 bits.
        let hostile: [&[u8]; 3] = [
            &[0x12, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0],
            &[0x0b],
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ];
        for bytes in hostile {
            assert!(Fields(bytes).next().unwrap().is_err());
        }
    }
}
