//! Two JSON documents held against each other: structure, strings and whole numbers exactly, floats within a tolerance.

use serde_json::{Map, Number, Value};

/// How far apart two floats may be that count as the same.
#[derive(Clone, Copy)]
pub(crate) struct Tolerance {
    /// Of the greater of the two.
    pub(crate) relative: f64,
    /// Beside that, for figures that are small because larger ones cancel.
    pub(crate) absolute: f64,
}

impl Tolerance {
    /// Bit for bit.
    pub(crate) const NONE: Self = Self { relative: 0.0, absolute: 0.0 };

    fn holds(self, kept: f64, found: f64) -> bool {
        let greater = kept.abs().max(found.abs());
        kept.to_bits() == found.to_bits() || (kept - found).abs() <= self.relative * greater + self.absolute
    }
}

/// What may differ on purpose.
pub(crate) struct Allowed {
    /// Keys of the outermost objects that may be new.
    pub(crate) added: &'static [&'static str],
    /// Places that may differ, with the reason; see [`is_within`].
    pub(crate) changed: &'static [(&'static str, &'static str)],
}

/// Every difference of a document from the one that was kept, one a line, with its place.
///
/// Places are spelled `document/key/key/index`, and the document's name may hold a `/` too.
pub(crate) fn differences(
    document: &str,
    kept: &Value,
    found: &Value,
    tolerance: Tolerance,
    allowed: &Allowed,
) -> Vec<String> {
    let mut comparison = Comparison { top: document, tolerance, allowed, found: Vec::new() };
    comparison.values(document, kept, found);
    comparison.found
}

struct Comparison<'a> {
    top: &'a str,
    tolerance: Tolerance,
    allowed: &'a Allowed,
    found: Vec<String>,
}

impl Comparison<'_> {
    fn note(&mut self, place: &str, kept: &str, found: &str) {
        if !self.allowed.changed.iter().any(|(pattern, _)| is_within(place, pattern)) {
            self.found.push(format!("{place}: kept {kept}, found {found}"));
        }
    }

    fn values(&mut self, place: &str, kept: &Value, found: &Value) {
        match (kept, found) {
            (Value::Object(kept), Value::Object(found)) => self.objects(place, kept, found),
            (Value::Array(kept), Value::Array(found)) => self.arrays(place, kept, found),
            (Value::Number(a), Value::Number(b)) if self.same(a, b) => {}
            _ if kept == found && !kept.is_number() => {}
            _ => self.note(place, &short(kept), &short(found)),
        }
    }

    /// A whole number is another than a float of the same value: who reads the JSON may tell them apart.
    fn same(&self, kept: &Number, found: &Number) -> bool {
        match (kept.is_f64(), found.is_f64()) {
            (true, true) => kept.as_f64().zip(found.as_f64()).is_some_and(|(a, b)| self.tolerance.holds(a, b)),
            (false, false) => kept == found,
            _ => false,
        }
    }

    fn arrays(&mut self, place: &str, kept: &[Value], found: &[Value]) {
        if kept.len() != found.len() {
            self.note(place, &format!("{} elements", kept.len()), &format!("{} elements", found.len()));
        }
        for (index, (kept, found)) in kept.iter().zip(found).enumerate() {
            self.values(&format!("{place}/{index}"), kept, found);
        }
    }

    fn objects(&mut self, place: &str, kept: &Map<String, Value>, found: &Map<String, Value>) {
        for (key, kept) in kept {
            let place = format!("{place}/{key}");
            match found.get(key) {
                Some(found) => self.values(&place, kept, found),
                None => self.note(&place, &short(kept), "nothing"),
            }
        }
        for (key, value) in found.iter().filter(|(key, _)| !kept.contains_key(*key)) {
            if !(self.is_outermost(place) && self.allowed.added.contains(&key.as_str())) {
                self.note(&format!("{place}/{key}"), "nothing", &short(value));
            }
        }
        // Blocks stand in the order in which they run.
        let order = |all: &Map<String, Value>, other: &Map<String, Value>| -> Vec<String> {
            all.keys().filter(|key| other.contains_key(*key)).cloned().collect()
        };
        let (kept, found) = (order(kept, found), order(found, kept));
        if kept != found {
            self.note(place, &format!("keys in the order {kept:?}"), &format!("{found:?}"));
        }
    }

    /// Whether an object is the document, or a line of it.
    fn is_outermost(&self, place: &str) -> bool {
        let rest = place.strip_prefix(self.top).unwrap_or(place).trim_start_matches('/');
        rest.is_empty() || rest.parse::<usize>().is_ok()
    }
}

/// Whether a place is the one that a pattern names, or inside it. `*` stands for any one part: `*/measure/baseline`.
fn is_within(place: &str, pattern: &str) -> bool {
    let mut parts = place.split('/');
    pattern.split('/').all(|wanted| parts.next().is_some_and(|part| wanted == "*" || wanted == part))
}

/// A value, or its beginning.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).collect::<String>() + " …" }
}

/// The document without these keys, wherever they stand.
pub(crate) fn without(value: Value, keys: &[&str]) -> Value {
    match value {
        Value::Object(all) => {
            let kept = all.into_iter().filter(|(key, _)| !keys.contains(&key.as_str()));
            Value::Object(kept.map(|(key, value)| (key, without(value, keys))).collect())
        }
        Value::Array(all) => all.into_iter().map(|value| without(value, keys)).collect(),
        other => other,
    }
}

/// A document with what holds nothing further on one line, so that a file is short and its changes can be read.
pub(crate) fn text(value: &Value, depth: usize) -> String {
    let is_flat = |value: &Value| !(value.is_object() || value.is_array());
    let lines = |all: Vec<String>, [open, close]: [&str; 2]| {
        let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
        format!("{open}\n{inner}{}\n{outer}{close}", all.join(&format!(",\n{inner}")))
    };
    match value {
        Value::Object(all) if !all.values().all(is_flat) => {
            let line = |(key, value): (&String, &Value)| format!("{}: {}", Value::from(&**key), text(value, depth + 1));
            lines(all.iter().map(line).collect(), ["{", "}"])
        }
        Value::Array(all) if !all.iter().all(is_flat) => {
            lines(all.iter().map(|value| text(value, depth + 1)).collect(), ["[", "]"])
        }
        flat => flat.to_string(),
    }
}

#[test]
fn every_difference_is_named_and_nothing_else() {
    let allowed = Allowed { added: &["new"], changed: &[("a/*/moved", "on purpose")] };
    let compare = |kept: &str, found: &str, tolerance| {
        let parse = |text| serde_json::from_str(text).unwrap();
        differences("a/b", &parse(kept), &parse(found), tolerance, &allowed)
    };
    let within = Tolerance { relative: 1e-5, absolute: 0.0 };
    let kept = r#"{"x": 1.0, "n": 1, "s": "t", "all": [1, 2], "moved": 1, "o": {"k": null}}"#;
    assert_eq!(compare(kept, kept, Tolerance::NONE), [""; 0]);
    let found = r#"{"x": 1.000001, "n": 1, "s": "t", "all": [1, 2], "moved": {"y": 2}, "o": {"k": null}, "new": 1}"#;
    assert_eq!(compare(kept, found, within), [""; 0]);
    assert_eq!(compare(kept, found, Tolerance::NONE), ["a/b/x: kept 1.0, found 1.000001"]);
    let found = r#"{"x": 1, "s": "u", "n": 2, "all": [1], "moved": 1, "o": {"new": 1}}"#;
    let all = [
        "a/b/x: kept 1.0, found 1",
        "a/b/n: kept 1, found 2",
        "a/b/s: kept \"t\", found \"u\"",
        "a/b/all: kept 2 elements, found 1 elements",
        "a/b/o/k: kept null, found nothing",
        "a/b/o/new: kept nothing, found 1",
        r#"a/b: kept keys in the order ["x", "n", "s", "all", "moved", "o"], found ["x", "s", "n", "all", "moved", "o"]"#,
    ];
    assert_eq!(compare(kept, found, within), all);
    let value: Value = serde_json::from_str(kept).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text(&value, 0)).unwrap(), value);
}
