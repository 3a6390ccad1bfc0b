//! ONNX files written and read field by field, apart from the code that is tested.

/// A field of text, bytes or a message.
pub(crate) fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A field of an integer.
pub(crate) fn integer(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn text(number: u64, text: &str) -> Vec<u8> {
    field(number, text.as_bytes())
}

/// The fields of a message: number, and what the field holds (of an integer its bytes).
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let number = |bytes: &mut &[u8]| {
        let mut value = 0;
        for place in 0.. {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 127) << (7 * place);
            if byte < 128 {
                return value;
            }
        }
        unreachable!()
    };
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let whole = bytes;
        let length = match key & 7 {
            0 => {
                number(&mut bytes);
                whole.len() - bytes.len()
            }
            1 => 8,
            2 => {
                let length = number(&mut bytes) as usize;
                found.push((key >> 3, bytes[..length].to_vec()));
                bytes = &bytes[length..];
                continue;
            }
            5 => 4,
            _ => panic!("no wire type of ours"),
        };
        found.push((key >> 3, whole[..length].to_vec()));
        bytes = &whole[length..];
    }
    found
}

/// All fields of one number.
pub(crate) fn all(bytes: &[u8], number: u64) -> Vec<Vec<u8>> {
    fields(bytes).into_iter().filter(|(n, _)| *n == number).map(|(_, value)| value).collect()
}

/// All fields of one number, as text.
pub(crate) fn texts(bytes: &[u8], number: u64) -> Vec<String> {
    all(bytes, number).into_iter().map(|value| String::from_utf8(value).unwrap()).collect()
}

/// The graph of a file.
pub(crate) fn graph(file: &[u8]) -> Vec<u8> {
    all(file, 7).remove(0)
}

/// A node; its attributes are messages.
pub(crate) fn node(op: &str, takes: &[&str], gives: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let takes = takes.iter().flat_map(|name| text(1, name));
    let gives = gives.iter().flat_map(|name| text(2, name));
    let name = gives.clone().skip(2).collect::<Vec<u8>>();
    let rest = [field(3, &name), text(4, op)].concat();
    takes.chain(gives).chain(rest).chain(attributes.iter().flat_map(|a| field(5, a))).collect()
}

/// An attribute that is a graph.
pub(crate) fn branch(name: &str, graph: &[u8]) -> Vec<u8> {
    [text(1, name), field(6, graph), integer(20, 5)].concat()
}

/// An attribute that is an integer.
pub(crate) fn counted(name: &str, value: u64) -> Vec<u8> {
    [text(1, name), integer(3, value), integer(20, 2)].concat()
}

/// Shape and element type of an array, without values; 1 is f32.
fn array(name: &str, shape: &[usize], element: u64) -> Vec<u8> {
    let sides = shape.iter().flat_map(|&side| integer(1, side as u64));
    sides.chain(integer(2, element)).chain(text(8, name)).collect()
}

/// An array of floats.
pub(crate) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    [array(name, shape, 1), field(9, &raw)].concat()
}

/// An array of whole numbers, all of them 1.
pub(crate) fn ones(name: &str, shape: &[usize]) -> Vec<u8> {
    let raw: Vec<u8> = (0..shape.iter().product()).flat_map(|_| 1_i32.to_le_bytes()).collect();
    [array(name, shape, 6), field(9, &raw)].concat()
}

/// A truth.
pub(crate) fn truth(name: &str, value: bool) -> Vec<u8> {
    [array(name, &[], 9), field(9, &[u8::from(value)])].concat()
}

/// An array of floats in a file beside; pairs say where.
pub(crate) fn external(name: &str, shape: &[usize], place: &[(&str, &str)]) -> Vec<u8> {
    let pairs = place.iter().flat_map(|(key, value)| field(13, &[text(1, key), text(2, value)].concat()));
    array(name, shape, 1).into_iter().chain(pairs).chain(integer(14, 1)).collect()
}

/// A value of floats whose first side is free.
pub(crate) fn value(name: &str, sides: &[usize]) -> Vec<u8> {
    let first = field(1, &text(2, "batch"));
    let shape: Vec<u8> = first.into_iter().chain(sides.iter().flat_map(|&s| field(1, &integer(1, s as u64)))).collect();
    let tensor = [integer(1, 1), field(2, &shape)].concat();
    [text(1, name), field(2, &field(1, &tensor))].concat()
}

/// A graph of parts, each with its number: 1 nodes, 5 arrays, 11 inputs, 12 outputs, 13 other values.
pub(crate) fn parts(parts: &[(u64, Vec<u8>)]) -> Vec<u8> {
    parts.iter().flat_map(|(number, bytes)| field(*number, bytes)).collect()
}

/// A file: a graph between what else a file has.
pub(crate) fn file(graph: &[u8]) -> Vec<u8> {
    [
        integer(1, 9),
        text(2, "a test"),
        text(6, "in words"),
        field(7, graph),
        field(8, &[text(1, ""), integer(2, 17)].concat()),
        field(14, &[text(1, "licence"), text(2, "none")].concat()),
        // What nobody knows yet.
        text(4711, "later"),
    ]
    .concat()
}

/// An attribute of several integers.
pub(crate) fn integers(name: &str, values: &[u64]) -> Vec<u8> {
    let values = values.iter().flat_map(|&value| integer(8, value));
    [text(1, name), values.collect(), integer(20, 7)].concat()
}

/// An input or output of an element type, as ONNX numbers it. A side is a number, or the name of a free one.
pub(crate) fn declared(name: &str, element: u64, sides: &[&str]) -> Vec<u8> {
    let side = |side: &&str| side.parse().map_or_else(|_| text(2, side), |size| integer(1, size));
    let shape: Vec<u8> = sides.iter().flat_map(|s| field(1, &side(s))).collect();
    let tensor = [integer(1, element), field(2, &shape)].concat();
    [text(1, name), field(2, &field(1, &tensor))].concat()
}
