//! The wire format of Protocol Buffers, as far as a bounds check: every length is held against what contains it.

use super::Said;

/// A field's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wire<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Four bytes, little-endian.
    Four([u8; 4]),
    /// Eight bytes, little-endian.
    Eight,
    /// Text, bytes, packed numbers or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message in their order: number and value, or what is wrong with it.
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Said<(u64, Wire<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // Whatever follows has no meaning.
            self.0 = &[];
        }
        Some(field.ok_or_else(|| "a field of its protobuf reaches over the end of what contains it".into()))
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Wire<'a>)> {
        let key = varint(&mut self.0)?;
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut self.0)?),
            1 => take(&mut self.0, 8).map(|_| Wire::Eight)?,
            2 => {
                let length = usize::try_from(varint(&mut self.0)?).ok()?;
                Wire::Bytes(take(&mut self.0, length)?)
            }
            5 => Wire::Four(*take(&mut self.0, 4)?.first_chunk()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

/// The same fields, each with the bytes that it takes.
pub(super) struct Spans<'a>(pub Fields<'a>);

impl<'a> Iterator for Spans<'a> {
    type Item = Said<(u64, Wire<'a>, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.0.0;
        let field = self.0.next()?;
        let length = before.len() - self.0.0.len();
        Some(field.map(|(number, value)| (number, value, &before[..length])))
    }
}

/// A key and what it stands for, of a list of such pairs.
pub(super) fn pair<'a>(fields: Fields<'a>) -> Said<(&'a str, &'a str)> {
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

/// What stands before a field of text, bytes or a message of so many bytes.
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

/// A field of text, bytes or a message.
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

impl<'a> Wire<'a> {
    pub(super) fn bytes(self) -> Said<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err("a field of its protobuf has the wrong type".into()),
        }
    }

    pub(super) fn text(self) -> Said<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| "a name in it is no UTF-8".into())
    }

    pub(super) fn fields(self) -> Said<Fields<'a>> {
        self.bytes().map(Fields)
    }

    pub(super) fn integer(self) -> Said<i64> {
        match self {
            Self::Varint(value) => Ok(value.cast_signed()),
            _ => Err("a field of its protobuf has the wrong type".into()),
        }
    }

    /// Integers that stand alone or packed.
    pub(super) fn integers(self) -> Said<Vec<i64>> {
        let Self::Bytes(mut packed) = self else { return Ok(vec![self.integer()?]) };
        let mut all = Vec::new();
        while !packed.is_empty() {
            let value = varint(&mut packed).ok_or("packed numbers in it are cut off")?;
            all.push(value.cast_signed());
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_lengths_are_held_against_the_whole() {
        // Field 1 is 300, field 2 the text "ab".
        let message = [0x08, 0xac, 0x02, 0x12, 0x02, b'a', b'b'];
        let found: Vec<_> = Fields(&message).map(Result::unwrap).collect();
        assert!(matches!(found[..], [(1, Wire::Varint(300)), (2, Wire::Bytes(b"ab"))]));
        for end in 1..message.len() {
            let whole = end == 3;
            assert_eq!(Fields(&message[..end]).all(|field| field.is_ok()), whole, "{end}");
        }
        // A length of 2^63, a group, and a number that never ends.
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
