//! What is known of a file, and the signs by which its kind is recognized.

use super::state_dict::ArrayFormat;

/// How a kind of file is recognized.
pub(super) enum Sign {
    /// It has no bytes.
    Empty,
    /// It has these bytes at an offset.
    Bytes(usize, &'static [u8]),
    /// It is text that begins so, white space and case aside.
    Text(&'static str),
    /// It is text of any other kind.
    AnyText,
    /// Its first bytes are those of a MessagePack map with text keys.
    MessagePack,
    /// Its first bytes are those of an ONNX graph.
    Onnx,
    /// An entry of the archive or the directory has this name, or this end where the text begins with a dot.
    Entry(&'static str),
    /// All entries of the archive end so.
    AllEntries(&'static str),
    /// No entry of the archive has this name.
    NoEntry(&'static str),
    /// The pickle names a class or function whose path begins so.
    Class(&'static str),
    /// The name of an array has these parts in a row. `#` stands for a number, and `*` for the rest of a part.
    Array(&'static str),
    /// The last parts of the names of all arrays are these.
    AllArrays(&'static [&'static str]),
    /// An array has such a part, and none has the other.
    ArrayWithout(&'static str, &'static str),
}

/// What is known of a file.
#[derive(Default)]
pub(super) struct Evidence<'a> {
    /// The first bytes; `None` for a directory.
    pub begins: Option<Vec<u8>>,
    pub entries: Vec<String>,
    pub is_archive: bool,
    pub is_graph: bool,
    pub classes: Vec<String>,
    pub arrays: Vec<&'a str>,
    /// The format of the file that the arrays are in.
    pub format: ArrayFormat,
}

impl Evidence<'_> {
    /// Returns the name that shows a sign, or an empty text for a sign without a name; `None` where there is no such sign.
    pub(super) fn shows(&self, sign: &Sign) -> Option<String> {
        let when = |is_shown: bool| is_shown.then(String::new);
        let begins = self.begins.as_deref().unwrap_or_default();
        match sign {
            Sign::Empty => when(self.begins.as_ref().is_some_and(Vec::is_empty)),
            Sign::Bytes(at, bytes) => when(begins.get(*at..).is_some_and(|rest| rest.starts_with(bytes))),
            Sign::Text(start) => when(text_of(begins).is_some_and(|text| text.starts_with(start))),
            Sign::AnyText => when(text_of(begins).is_some_and(|text| !is_text_pickle(&text))),
            Sign::MessagePack => when(is_message_pack(begins)),
            Sign::Onnx => when(!self.is_graph && is_onnx(begins)),
            Sign::Entry(name) => when(self.entries.iter().any(|entry| is_entry(entry, name))),
            Sign::AllEntries(end) => when(self.is_archive && self.entries.iter().all(|entry| entry.ends_with(end))),
            Sign::NoEntry(name) => when(self.is_archive && !self.entries.iter().any(|entry| is_entry(entry, name))),
            Sign::Class(start) => self.classes.iter().find(|class| class.starts_with(start)).cloned(),
            Sign::Array(pattern) => self.array_like(pattern).map(str::to_owned),
            Sign::AllArrays(ends) => {
                let is_one = |name: &&str| ends.contains(&name.rsplit('.').next().unwrap_or_default());
                self.arrays.first().filter(|_| self.arrays.iter().all(is_one)).map(ToString::to_string)
            }
            Sign::ArrayWithout(pattern, other) => {
                self.array_like(pattern).filter(|_| self.array_like(other).is_none()).map(str::to_owned)
            }
        }
    }

    /// Returns the first array whose name has parts like those of a pattern in a row.
    fn array_like(&self, pattern: &str) -> Option<&str> {
        let pattern: Vec<&str> = pattern.split('.').collect();
        self.arrays.iter().copied().find(|name| {
            let parts: Vec<&str> = name.split('.').collect();
            parts.windows(pattern.len()).any(|parts| parts.iter().zip(&pattern).all(|(part, like)| is_like(part, like)))
        })
    }
}

/// Returns whether a part of a name is like one of a pattern, where `#` stands for a number and `*` for anything.
fn is_like(part: &str, pattern: &str) -> bool {
    let Some(at) = pattern.find(['#', '*']) else { return part == pattern };
    let (start, end) = (&pattern[..at], &pattern[at + 1..]);
    let middle = part.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    middle.is_some_and(|middle| {
        pattern[at..].starts_with('*') || (!middle.is_empty() && middle.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn is_entry(entry: &str, name: &str) -> bool {
    entry == name || entry.strip_suffix(name).is_some_and(|start| name.starts_with('.') || start.ends_with('/'))
}

/// Returns the first bytes of a text in lower case, without white space before it; `None` for what is no text.
fn text_of(begins: &[u8]) -> Option<String> {
    let begins = begins.strip_prefix(b"\xef\xbb\xbf").unwrap_or(begins);
    // The last character may be cut.
    let end =
        (0..4).map(|cut| begins.len().saturating_sub(cut)).find(|end| std::str::from_utf8(&begins[..*end]).is_ok())?;
    let text = std::str::from_utf8(&begins[..end]).ok()?;
    let is_text = !text.trim().is_empty() && !text.contains(|c: char| c.is_control() && !c.is_whitespace());
    is_text.then(|| text.trim_start().to_ascii_lowercase())
}

/// Returns whether a text may be a pickle of protocol 0, or the beginning of a PyTorch file of that protocol.
fn is_text_pickle(text: &str) -> bool {
    text.starts_with(['(', 'c', 'l', '}', ']'])
}

/// Returns whether bytes begin a MessagePack map whose first key is a text of letters.
fn is_message_pack(begins: &[u8]) -> bool {
    let key = match begins {
        [0x81..=0x8f, key @ ..] | [0xde, _, _, key @ ..] => key,
        _ => return false,
    };
    let Some((&length @ 0xa1..=0xbf, text)) = key.split_first() else { return false };
    text.get(..usize::from(length & 0x1f)).is_some_and(|text| text.iter().all(u8::is_ascii_graphic))
}

/// Returns whether bytes begin an ONNX graph: the version of the format, then the name of what wrote it, another text, a
/// number, the graph or the sets of operators.
fn is_onnx(begins: &[u8]) -> bool {
    // Safetensors begin with a length, which can have these bytes, and then the text of an object.
    match begins {
        _ if begins.get(8) == Some(&b'{') => false,
        [0x08, 1..=32, 0x12 | 0x1a | 0x22, 1..=127, first, ..] => first.is_ascii_graphic(),
        [0x08, 1..=32, 0x3a | 0x42, ..] => true,
        _ => false,
    }
}
