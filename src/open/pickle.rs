//! The opcodes of a pickle, read without building any object: which classes it names, and a copy of an old whole module that
//! the reader understands.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Longer pickles are not looked into, in bytes.
const MAX_PICKLE: u64 = 100 << 20;
/// The number with which files of PyTorch before 1.6 begin, as protocols 2 and up write it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The magic number begins within so many bytes.
const MAGIC_WITHIN: usize = 64;
/// Pickles before that of the object in such a file: magic number, version, system.
const LEGACY_HEADERS: usize = 3;

const POP: u8 = b'0';
const MARK: u8 = b'(';
const TUPLE: u8 = b't';
const PERSISTENT_ID: u8 = b'Q';
const STOP: u8 = b'.';
const MEMOIZE: u8 = 0x94;
const STACK_GLOBAL: u8 = 0x93;

/// An opcode with its argument, as the bytes of the file.
struct Op {
    code: u8,
    bytes: Vec<u8>,
    /// Where the text or the bytes of the argument begin.
    text: usize,
}

/// How the length of an opcode's argument is stored.
enum Argument {
    Fixed(usize),
    /// So many lines.
    Lines(usize),
    /// A length of so many bytes, then as many bytes as it says.
    Counted(usize),
}

impl Argument {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            b'K' | b'h' | b'q' | 0x80 | 0x82 => Self::Fixed(1),
            b'M' | 0x83 => Self::Fixed(2),
            b'J' | b'j' | b'r' | 0x84 => Self::Fixed(4),
            b'G' | 0x95 => Self::Fixed(8),
            b'F' | b'I' | b'L' | b'S' | b'V' | b'P' | b'g' | b'p' => Self::Lines(1),
            b'c' | b'i' => Self::Lines(2),
            b'U' | b'C' | 0x8c | 0x8a => Self::Counted(1),
            b'T' | b'B' | b'X' | 0x8b => Self::Counted(4),
            0x8d | 0x8e | 0x96 => Self::Counted(8),
            b'.' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'(' | b't' | b'a' | b'd' | b'b' | b'e' | b'l' | b'o'
            | b's' | b'u' | b')' | b']' | b'}' => Self::Fixed(0),
            0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => Self::Fixed(0),
            _ => return None,
        })
    }
}

impl Op {
    /// Reads the next opcode; `None` at the end of the file and for what is no opcode.
    fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut append = |bytes: &mut Vec<u8>, count: u64| {
            let read = Read::by_ref(reader).take(count).read_to_end(bytes).ok()?;
            (read as u64 == count).then_some(())
        };
        append(&mut bytes, 1)?;
        let code = bytes[0];
        let mut text = 1;
        match Argument::of(code)? {
            Argument::Fixed(count) => append(&mut bytes, count as u64)?,
            Argument::Counted(width) => {
                append(&mut bytes, width as u64)?;
                text += width;
                let count = bytes[1..].iter().rev().fold(0_u64, |count, byte| count << 8 | u64::from(*byte));
                append(&mut bytes, Some(count).filter(|count| *count <= MAX_PICKLE)?)?;
            }
            Argument::Lines(count) => {
                for _ in 0..count {
                    reader.take(MAX_PICKLE).read_until(b'\n', &mut bytes).ok()?;
                }
            }
        }
        Some(Self { code, bytes, text })
    }

    /// Returns the text of the argument; empty where it is none.
    fn text(&self) -> &[u8] {
        &self.bytes[self.text..]
    }

    /// Whether it stores the value before it for later use.
    fn is_memo(&self) -> bool {
        matches!(self.code, b'q' | b'r' | b'p' | MEMOIZE)
    }

    fn is_text(&self) -> bool {
        matches!(self.code, b'X' | b'U' | b'T' | 0x8c | 0x8d)
    }
}

/// Reads the opcodes of one pickle, up to its end; `None` for a damaged or very long one.
fn read_ops(reader: &mut impl BufRead) -> Option<Vec<Op>> {
    let (mut ops, mut length) = (Vec::new(), 0);
    loop {
        let op = Op::read(reader)?;
        length += op.bytes.len() as u64;
        let is_last = op.code == STOP;
        ops.push(op);
        match is_last {
            true => return Some(ops),
            false if length > MAX_PICKLE => return None,
            false => {}
        }
    }
}

/// Returns the classes and functions that the pickle in a file names, as `module.name`: a plain pickle, or that of the object
/// in a PyTorch file.
pub(super) fn named_classes(path: &Path) -> Vec<String> {
    pickle_ops(path).map_or_else(Vec::new, |ops| classes(&ops))
}

fn pickle_ops(path: &Path) -> Option<Vec<Op>> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    if reader.fill_buf().ok()?.starts_with(b"PK") {
        let mut archive = zip::ZipArchive::new(reader).ok()?;
        let name = archive.file_names().flatten().find(|name| name.ends_with("data.pkl"))?.into_owned();
        return read_ops(&mut BufReader::new(archive.by_name(&name).ok()?.take(MAX_PICKLE)));
    }
    let headers = if is_legacy(&mut reader) { LEGACY_HEADERS } else { 0 };
    for _ in 0..headers {
        read_ops(&mut reader)?;
    }
    read_ops(&mut reader)
}

fn classes(ops: &[Op]) -> Vec<String> {
    let mut texts: Vec<&[u8]> = Vec::new();
    let mut found = Vec::new();
    for op in ops {
        match op.code {
            b'c' | b'i' => found.push(String::from_utf8_lossy(op.text()).trim_end().replace('\n', ".")),
            // The two texts before it are the names of module and class, unless they were stored earlier.
            STACK_GLOBAL => {
                let names = texts.iter().rev().take(2).rev().map(|text| String::from_utf8_lossy(text));
                found.push(names.collect::<Vec<_>>().join("."));
            }
            _ if op.is_text() => texts.push(op.text()),
            _ => {}
        }
    }
    found
}

fn is_legacy(reader: &mut impl BufRead) -> bool {
    let begins = reader.fill_buf().unwrap_or_default();
    begins[..begins.len().min(MAGIC_WITHIN)].windows(LEGACY_MAGIC.len()).any(|bytes| bytes == LEGACY_MAGIC)
}

/// Returns a copy of a file of PyTorch before 1.6 in which the classes of modules stand without their source code; `None` for
/// all other files.
///
/// Such files hold a class of modules as a persistent id `('module', class, file, source)`. `pytorch-reader` knows those of
/// storages alone. In the copy the same opcodes put the class in its place.
pub(super) fn without_module_sources(path: &Path) -> std::io::Result<Option<NamedTempFile>> {
    let mut reader = BufReader::new(File::open(path)?);
    if !is_legacy(&mut reader) {
        return Ok(None);
    }
    let mut headers = Vec::new();
    for _ in 0..LEGACY_HEADERS {
        let Some(ops) = read_ops(&mut reader) else { return Ok(None) };
        headers.extend(ops);
    }
    let Some(object) = read_ops(&mut reader).and_then(replace_module_ids) else { return Ok(None) };
    let mut copy = NamedTempFile::new()?;
    for op in headers.iter().chain(&object) {
        copy.write_all(&op.bytes)?;
    }
    let rest = reader.stream_position()?;
    let mut file = reader.into_inner();
    file.seek(std::io::SeekFrom::Start(rest))?;
    std::io::copy(&mut file, copy.as_file_mut())?;
    copy.flush()?;
    Ok(Some(copy))
}

/// Replaces the persistent ids of classes of modules by the classes; `None` where there are none.
///
/// Of `(`, four values, `t` and `Q` the values stay, and all but the class are dropped again one by one. What they store for
/// later use is stored in the same order.
fn replace_module_ids(ops: Vec<Op>) -> Option<Vec<Op>> {
    let mut out: Vec<Op> = Vec::with_capacity(ops.len());
    let mut marks = Vec::new();
    let mut module_text = ModuleText::default();
    let mut tuple: Option<(usize, usize)> = None;
    let mut has_any = false;
    for op in ops {
        module_text.follow(&op);
        match op.code {
            MARK => marks.push(out.len()),
            TUPLE => tuple = marks.pop().map(|mark| (mark, out.len())),
            PERSISTENT_ID => {
                if let Some((mark, end)) = tuple.take()
                    && let Some(class) = class_of_module_id(&out[mark..end], &module_text)
                {
                    let memos = out.drain(end..).skip(1).collect::<Vec<_>>();
                    out.truncate(mark);
                    out.extend(class.into_iter().chain(memos));
                    has_any = true;
                    continue;
                }
            }
            // Whatever else takes a mark away: the pairs do not matter here, as ids have no marks within.
            b'd' | b'l' | b'o' | b'e' | b'u' | b'1' | b'i' | 0x90 | 0x91 => {
                marks.pop();
            }
            _ => {}
        }
        out.push(op);
    }
    has_any.then_some(out)
}

/// Returns the opcodes that leave the class of a persistent id, from its `(` to before its `t`; `None` for the id of another
/// thing.
fn class_of_module_id(id: &[Op], module_text: &ModuleText) -> Option<Vec<Op>> {
    // The opcodes of each value, with those that store it.
    let mut values: Vec<Vec<&Op>> = Vec::new();
    for op in &id[1..] {
        if op.is_memo() {
            values.last_mut()?.push(op);
        } else if op.code == STACK_GLOBAL {
            let name = values.pop()?;
            let class = values.last_mut()?;
            class.extend(name.into_iter().chain([op]));
        } else {
            values.push(vec![op]);
        }
    }
    let [tag, class, _, _] = &values[..] else { return None };
    let is_class = class.iter().any(|op| matches!(op.code, b'c' | b'h' | b'j' | STACK_GLOBAL));
    if !is_class || !module_text.is(tag[0]) {
        return None;
    }
    let mut out: Vec<Op> = Vec::new();
    for (place, value) in values.iter().enumerate() {
        out.extend(value.iter().map(|op| Op { code: op.code, bytes: op.bytes.clone(), text: op.text }));
        if place != 1 {
            out.push(Op { code: POP, bytes: vec![POP], text: 1 });
        }
    }
    Some(out)
}

/// Where the text `module` was stored for later use.
#[derive(Default)]
struct ModuleText {
    was_last: bool,
    stored: Vec<u32>,
    /// The number under which protocol 4 stores the next value.
    next: u32,
}

impl ModuleText {
    const TEXT: &'static [u8] = b"module";

    fn follow(&mut self, op: &Op) {
        let next = (op.code == MEMOIZE).then_some(self.next);
        self.next += u32::from(next.is_some());
        if op.is_memo() && self.was_last {
            self.stored.extend(next.or(number(op)));
        }
        self.was_last = op.is_text() && op.text() == Self::TEXT;
    }

    /// Returns whether an opcode gives the text.
    fn is(&self, op: &Op) -> bool {
        let is_fetched = matches!(op.code, b'h' | b'j') && number(op).is_some_and(|n| self.stored.contains(&n));
        is_fetched || (op.is_text() && op.text() == Self::TEXT)
    }
}

/// Returns the number under which an opcode stores or fetches a value.
fn number(op: &Op) -> Option<u32> {
    let bytes = &op.bytes[1..];
    let is_numbered = matches!(op.code, b'q' | b'r' | b'h' | b'j');
    is_numbered.then(|| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}
