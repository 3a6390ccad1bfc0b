//! Texts: words of a file, one sentence a line, each to be told from those before it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::spec::Split;
use crate::{Error, Result};

/// The word that ends every sentence, and the one that stands for all that are not known.
const END: &str = "<eos>";
const UNKNOWN: &str = "<unk>";

/// Numbers of characters that are none: nothing, the beginning and the end of a word, and one that is not known.
const NONE: u32 = 0;
const FIRST: u32 = 1;
const LAST: u32 = 2;
const STRANGE: u32 = 3;
/// How many these are.
const MARKS: usize = 4;

/// Letters that are read of a word; of a longer one the first.
const MOST_LETTERS: usize = 63;
/// Fewer characters would leave no room for the filters of the large model.
const FEWEST: usize = 8;

/// Words and characters that a language model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The words, in the order of their first occurrence; a label is an index into them.
    pub words: Vec<String>,
    /// The characters, in the order of their first occurrence.
    pub characters: Vec<char>,
    /// Characters of a sample, the marks for a word's two ends among them.
    pub length: usize,
}

impl Vocabulary {
    /// Of a text.
    fn of(text: &Text) -> Self {
        let mut words = text.names.clone();
        if !words.iter().any(|word| word == UNKNOWN) {
            words.push(UNKNOWN.to_owned());
        }
        let mut characters: Vec<char> = Vec::new();
        let mut known = HashSet::new();
        for letter in text.names.iter().flat_map(|word| word.chars()) {
            if known.insert(letter) {
                characters.push(letter);
            }
        }
        let longest = text.names.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        Self { words, characters, length: (longest.min(MOST_LETTERS) + 2).max(FEWEST) }
    }

    /// Different numbers that a character of a sample may be.
    pub fn numbers(&self) -> usize {
        MARKS + self.characters.len()
    }

    /// The characters of some words, [`Vocabulary::length`] each.
    fn spell(&self, words: &[String]) -> Vec<u32> {
        let places: HashMap<char, u32> = self.characters.iter().copied().zip(MARKS as u32..).collect();
        let mut all = Vec::with_capacity(words.len() * self.length);
        for word in words {
            let end = all.len() + self.length;
            all.push(FIRST);
            all.extend(
                word.chars().take(self.length - 2).map(|letter| places.get(&letter).copied().unwrap_or(STRANGE)),
            );
            all.push(LAST);
            all.resize(end, NONE);
        }
        all
    }

    /// The label of every one of some words.
    fn labels(&self, words: &[String]) -> Result<Vec<u32>> {
        let places: HashMap<&str, u32> = self.words.iter().map(String::as_str).zip(0..).collect();
        let unknown = places.get(UNKNOWN).copied();
        let label = |word: &String| places.get(word.as_str()).copied().or(unknown);
        let labels = words.iter().map(|word| {
            label(word)
                .ok_or_else(|| Error::Usage(format!("'{word}' is none of the network's words, nor has it {UNKNOWN}")))
        });
        labels.collect()
    }
}

/// A text as words.
#[derive(Debug)]
pub(super) struct Text {
    /// The different words.
    names: Vec<String>,
    /// Which of them stands in every place.
    words: Vec<u32>,
}

impl Text {
    /// Words of a file, the end of every line among them.
    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            Error::file(path, format!("line {line} is not UTF-8, in which a text has to be"))
        })?;
        // Some editors begin a file with a mark of how it is encoded.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut places: HashMap<&str, u32> = HashMap::new();
        let mut found = Self { names: Vec::new(), words: Vec::new() };
        for word in text.lines().flat_map(|line| line.split_whitespace().chain([END])) {
            let next = places.len() as u32;
            let place = *places.entry(word).or_insert(next);
            if place == next {
                found.names.push(word.to_owned());
            }
            found.words.push(place);
        }
        match found.names.iter().any(|name| name != END) {
            true => Ok(found),
            false => Err(Error::file(path, "no word in it")),
        }
    }
}

/// A text as samples: every word but the first follows the one before it, and that follows the end of a sentence.
#[derive(Debug)]
pub(super) struct TextDataset {
    text: Text,
    vocabulary: Vocabulary,
    /// Characters of every different word; behind them those of the end of a sentence.
    spelled: Vec<u32>,
}

impl TextDataset {
    /// The words of one split, `train.txt`, `valid.txt` or `test.txt`; known are those of `train.txt`.
    pub(super) fn open(dir: &Path, split: Split) -> Result<Self> {
        let file = |split: Split| dir.join(format!("{split}.txt"));
        let text = Text::read(&file(split))?;
        // What a network knows takes the place of what its training text would tell.
        let vocabulary = match file(Split::Train) {
            path if split == Split::Train || !path.exists() => Vocabulary::of(&text),
            path => Vocabulary::of(&Text::read(&path)?),
        };
        Ok(Self::new(text, vocabulary))
    }

    fn new(mut text: Text, vocabulary: Vocabulary) -> Self {
        // What stands before the first word.
        if text.names.last().is_none_or(|name| name != END) {
            text.names.push(END.to_owned());
        }
        let spelled = vocabulary.spell(&text.names);
        Self { text, vocabulary, spelled }
    }

    /// The same text for a network that knows other words and characters.
    pub(super) fn read_by(self, vocabulary: Vocabulary) -> Self {
        Self::new(self.text, vocabulary)
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The label of every word.
    pub(super) fn labels(&self) -> Result<Vec<u32>> {
        let labels = self.vocabulary.labels(&self.text.names)?;
        Ok(self.text.words.iter().map(|&word| labels[word as usize]).collect())
    }

    /// Of every place, whether its word is told as the unknown one although the text says another.
    pub(super) fn strangers(&self) -> impl Fn(usize) -> bool + '_ {
        let known: HashSet<&str> = self.vocabulary.words.iter().map(String::as_str).collect();
        let strange: Vec<bool> = self.text.names.iter().map(|name| !known.contains(name.as_str())).collect();
        move |place| strange[self.text.words[place] as usize]
    }

    /// The characters of the word before a place.
    pub(super) fn sample(&self, place: usize, out: &mut [f32]) {
        let end = self.text.names.len() - 1;
        let word = place.checked_sub(1).map_or(end, |before| self.text.words[before] as usize);
        let length = self.vocabulary.length;
        let characters = &self.spelled[word * length..(word + 1) * length];
        out.iter_mut().zip(characters).for_each(|(to, &character)| *to = character as f32);
    }

    /// Everything that a sample is made of.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.spelled.iter().chain(&self.text.words).copied()
    }
}

/// The places `0..count` of a text cut into equal streams, step by step: one of each stream, then the next of each.
/// Streams whose last step is missing come last.
pub(super) fn in_streams(count: usize, streams: usize) -> Vec<usize> {
    let (each, longer) = (count / streams, count % streams);
    let start = |stream: usize| stream * each + stream.min(longer);
    let steps = (0..count.div_ceil(streams)).flat_map(|step| (0..streams).map(move |stream| (step, stream)));
    steps
        .filter(|&(step, stream)| step < each + usize::from(stream < longer))
        .map(|(step, stream)| start(stream) + step)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> Result<TextDataset> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.txt"), text).unwrap();
        TextDataset::open(dir.path(), Split::Train)
    }

    #[test]
    fn words_follow_each_other() {
        let text = written(b"the cat\n the dog \n").unwrap();
        assert_eq!(text.vocabulary.words, ["the", "cat", "<eos>", "dog", "<unk>"]);
        assert_eq!(text.labels().unwrap(), [0, 1, 2, 0, 3, 2]);
        let spelled = |place| {
            let mut out = vec![0.0; text.vocabulary.length];
            text.sample(place, &mut out);
            out
        };
        // t h e c a < o s > d g, behind four marks; the first word follows an end.
        assert_eq!(spelled(1), [1.0, 4.0, 5.0, 6.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(spelled(0), spelled(3));
        assert_eq!(spelled(5), [1.0, 13.0, 10.0, 14.0, 2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn what_is_not_known_has_a_place() {
        let known = written(b"a cat\n").unwrap().vocabulary;
        let text = written(b"a cut\n").unwrap().read_by(known);
        assert_eq!(text.labels().unwrap(), [0, 3, 2]);
        assert_eq!([0, 1, 2].map(text.strangers()), [false, true, false]);
        let mut out = vec![0.0; text.vocabulary.length];
        text.sample(2, &mut out);
        assert_eq!(out[..6], [1.0, 5.0, STRANGE as f32, 6.0, 2.0, 0.0]);
    }

    #[test]
    fn a_mark_of_the_encoding_is_no_letter() {
        assert_eq!(written("\u{feff}the the\n".as_bytes()).unwrap().vocabulary.words, ["the", "<eos>", "<unk>"]);
    }

    #[test]
    fn what_is_no_text_is_named() {
        let message = |bytes: &[u8]| written(bytes).unwrap_err().to_string();
        assert!(message(b"fine\n\xff\n").ends_with("train.txt: line 2 is not UTF-8, in which a text has to be"));
        assert!(message(b"\n \n").ends_with("train.txt: no word in it"));
    }

    #[test]
    fn streams_are_equal_and_lose_nothing() {
        assert_eq!(in_streams(7, 3), [0, 3, 5, 1, 4, 6, 2]);
        for (count, streams) in [(1, 1), (20, 20), (21, 20), (3, 20), (100, 7)] {
            let mut all = in_streams(count, streams);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count));
        }
    }
}
