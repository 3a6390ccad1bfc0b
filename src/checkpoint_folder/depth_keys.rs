//! Finds the keys of a configuration that hold the number of layers.

use serde_json::{Map, Value};

use super::known_keys::{KeyMeaning, Side, known_meaning};
use crate::text::excerpt;

/// An object of a configuration, and those of its keys that hold the number of layers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DepthKeys {
    /// The keys that lead to the object, such as `["text_config"]`; none for the configuration itself.
    pub(super) section: Vec<String>,
    /// The keys in it.
    pub(super) keys: Vec<String>,
    /// The stage whose number of layers is meant, and how many there are, where the key has the numbers of all stages.
    pub(super) stage: Option<(usize, usize)>,
}

/// A key with a number of layers.
struct Candidate {
    section: Vec<String>,
    key: String,
    side: Side,
    /// Whether its name always means a number of layers.
    is_sure: bool,
    value: u64,
}

impl Candidate {
    fn path(&self) -> String {
        join(&self.section, &self.key)
    }
}

/// Returns the keys that hold the number of layers of the list of modules `prefix`.
///
/// # Errors
/// A sentence that names the keys which might hold it, or those which hold another number.
pub(super) fn find_depth_keys(
    config: &Map<String, Value>,
    prefix: &str,
    depth: usize,
    kept_keys: &[String],
) -> Result<DepthKeys, String> {
    // Such configurations may have the number of stages under the name of a number of layers.
    if let Some(of_stage) = stage_depths(config, prefix, depth, &mut Vec::new()) {
        return Ok(of_stage);
    }
    let mut all = Vec::new();
    collect(config, &mut Vec::new(), &mut all);
    let paths = |candidates: &[&Candidate]| {
        let said = candidates.iter().map(|found| format!("{} is {}", excerpt(&found.path()), found.value));
        said.collect::<Vec<_>>().join(", ")
    };
    let fitting: Vec<&Candidate> =
        all.iter().filter(|found| found.value == depth as u64 && !kept_keys.contains(&found.path())).collect();
    let fitting = of_part(fitting, prefix);
    let fitting = of_side(fitting, &all, prefix);
    let Some(first) = fitting.first() else {
        let found = paths(&all.iter().collect::<Vec<_>>());
        let found = if found.is_empty() { "it has no key for a number of layers".to_owned() } else { found };
        return Err(format!("no key is the number of layers of {prefix}, {depth}: {found}"));
    };
    if fitting.iter().any(|other| other.section != first.section || other.is_sure != first.is_sure) {
        let what = paths(&fitting);
        return Err(format!("which key is the number of layers of {prefix}? {what}; name the others with --keep-key"));
    }
    let keys = fitting.iter().map(|found| found.key.clone()).collect();
    Ok(DepthKeys { section: first.section.clone(), keys, stage: None })
}

/// Finds the list with the depths of all stages, of which the last number in the prefix names one, as in `layers.2.blocks`.
fn stage_depths(
    object: &Map<String, Value>,
    prefix: &str,
    depth: usize,
    section: &mut Vec<String>,
) -> Option<DepthKeys> {
    let stage: usize = prefix.rsplit('.').find_map(|part| part.parse().ok())?;
    for (key, value) in object {
        let found = match value {
            Value::Array(depths) if known_meaning(key) == Some(KeyMeaning::StageDepths) => {
                let is_meant = depths.get(stage) == Some(&Value::from(depth));
                let stage = Some((stage, depths.len()));
                is_meant.then(|| DepthKeys { section: section.clone(), keys: vec![key.clone()], stage })
            }
            Value::Object(inner) => {
                section.push(key.clone());
                let found = stage_depths(inner, prefix, depth, section);
                section.pop();
                found
            }
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Lists all keys with a number of layers.
fn collect(object: &Map<String, Value>, section: &mut Vec<String>, found: &mut Vec<Candidate>) {
    for (key, value) in object {
        match (value, known_meaning(key)) {
            (Value::Object(inner), _) => {
                section.push(key.clone());
                collect(inner, section, found);
                section.pop();
            }
            (Value::Number(number), Some(meaning @ (KeyMeaning::Depth(_) | KeyMeaning::MaybeDepth))) => {
                let (side, is_sure) = match meaning {
                    KeyMeaning::Depth(side) => (side, true),
                    _ => (Side::Main, false),
                };
                if let Some(value) = number.as_u64() {
                    found.push(Candidate { section: section.clone(), key: key.clone(), side, is_sure, value });
                }
            }
            _ => {}
        }
    }
}

/// Keeps the keys of the part of the network that the prefix names, such as `vision_config` for `vision_model.encoder.layers`.
fn of_part<'a>(fitting: Vec<&'a Candidate>, prefix: &str) -> Vec<&'a Candidate> {
    let wanted = parts(prefix);
    let named = |found: &Candidate| parts(&found.section.join("."));
    let same = |found: &&Candidate| named(found).iter().any(|part| wanted.contains(part));
    if fitting.iter().any(same) {
        return fitting.into_iter().filter(same).collect();
    }
    // Layers without a word before them are those of the text.
    let is_other = |part: &Part| matches!(part, Part::Vision | Part::Audio) && !wanted.contains(part);
    fitting.into_iter().filter(|found| !named(found).iter().any(is_other)).collect()
}

/// Keeps the keys of the encoder or of the decoder, where one object counts both.
fn of_side<'a>(fitting: Vec<&'a Candidate>, all: &[Candidate], prefix: &str) -> Vec<&'a Candidate> {
    let is_decoder = parts(prefix).contains(&Part::Decoder);
    let counts_decoder =
        |section: &[String]| all.iter().any(|other| other.side == Side::Decoder && other.section == section);
    let is_own = |found: &&Candidate| match found.side {
        Side::Decoder => is_decoder,
        Side::Encoder => !is_decoder,
        Side::Main => !(is_decoder && counts_decoder(&found.section)),
    };
    fitting.into_iter().filter(is_own).collect()
}

/// A part of a network, as words in names tell it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Vision,
    Audio,
    Text,
    Encoder,
    Decoder,
}

/// Returns the parts that a name speaks of.
pub(super) fn parts(name: &str) -> Vec<Part> {
    let words: Vec<&str> = name.split(['.', '_']).collect();
    let table: [(Part, &[&str]); 5] = [
        (Part::Vision, &["vision", "visual", "image", "vit"]),
        (Part::Audio, &["audio", "speech", "sound"]),
        (Part::Text, &["text", "language", "llm"]),
        (Part::Encoder, &["encoder"]),
        (Part::Decoder, &["decoder"]),
    ];
    table.iter().filter(|(_, of)| words.iter().any(|word| of.contains(word))).map(|(part, _)| *part).collect()
}

/// Returns the name of a key with the objects that it is in: `text_config.num_hidden_layers`.
pub(super) fn join(section: &[String], key: &str) -> String {
    section.iter().map(|part| format!("{part}.")).collect::<String>() + key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(config: Value, prefix: &str, depth: usize) -> Result<String, String> {
        let found = find_depth_keys(config.as_object().unwrap(), prefix, depth, &[])?;
        let keys: Vec<String> = found.keys.iter().map(|key| join(&found.section, key)).collect();
        Ok(keys.join(" "))
    }

    #[test]
    fn a_network_with_an_encoder_and_a_decoder_counts_both() {
        let bart = serde_json::json!({"encoder_layers": 6, "decoder_layers": 6, "num_hidden_layers": 6});
        assert_eq!(keys(bart.clone(), "model.decoder.layers", 6).unwrap(), "decoder_layers");
        assert_eq!(keys(bart, "model.encoder.layers", 6).unwrap(), "encoder_layers num_hidden_layers");
        let opt = serde_json::json!({"num_hidden_layers": 6});
        assert_eq!(keys(opt, "model.decoder.layers", 6).unwrap(), "num_hidden_layers");
        let t5 = serde_json::json!({"num_layers": 6, "num_decoder_layers": 4});
        assert_eq!(keys(t5, "decoder.block", 4).unwrap(), "num_decoder_layers");
    }

    #[test]
    fn parts_of_a_network_have_configurations_of_their_own() {
        let clip =
            serde_json::json!({"text_config": {"num_hidden_layers": 4}, "vision_config": {"num_hidden_layers": 4}});
        assert_eq!(keys(clip.clone(), "model.layers", 4).unwrap(), "text_config.num_hidden_layers");
        assert_eq!(keys(clip, "vision_model.encoder.layers", 4).unwrap(), "vision_config.num_hidden_layers");
    }

    #[test]
    fn a_stage_has_an_entry_of_a_list() {
        let swin = serde_json::json!({"num_layers": 4, "depths": [2, 2, 6, 4]});
        let found = find_depth_keys(swin.as_object().unwrap(), "encoder.layers.2.blocks", 6, &[]).unwrap();
        assert_eq!((found.keys, found.stage), (vec!["depths".to_owned()], Some((2, 4))));
        assert_eq!(keys(swin.clone(), "encoder.layers.3.blocks", 4).unwrap(), "depths");
        let said = keys(swin.clone(), "encoder.layers.1.blocks", 6).unwrap_err();
        assert!(said.starts_with("no key is the number of layers of encoder.layers.1.blocks, 6"), "{said}");
        assert!(keys(swin, "encoder.blocks", 2).is_err());
    }

    #[test]
    fn a_number_that_no_key_holds_or_two_do_is_an_error() {
        let said = keys(serde_json::json!({"num_hidden_layers": 5}), "h", 4).unwrap_err();
        assert_eq!(said, "no key is the number of layers of h, 4: num_hidden_layers is 5");
        let two = serde_json::json!({"a": {"n_layer": 4}, "b": {"n_layer": 4}});
        assert!(keys(two, "h", 4).unwrap_err().contains("a.n_layer is 4, b.n_layer is 4"));
        let other = serde_json::json!({"num_hidden_layers": 4, "num_blocks": 4});
        let said = keys(other, "h", 4).unwrap_err();
        assert!(said.ends_with("num_hidden_layers is 4, num_blocks is 4; name the others with --keep-key"), "{said}");
        assert_eq!(keys(serde_json::json!({"depth": 4}), "h", 4).unwrap(), "depth");
    }
}
