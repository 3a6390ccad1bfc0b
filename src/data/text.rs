//! Texts as samples: every word is to be predicted from the words before it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::spec::Split;
use crate::text::read_text;
use crate::{Error, Result};

/// The word that ends every sentence.
const END_OF_SENTENCE: &str = "<eos>";
/// The word that stands for all words outside the vocabulary.
const UNKNOWN_WORD: &str = "<unk>";

/// Character ids without a character: padding, the begin and the end of a word, and a character outside the vocabulary.
const PADDING_ID: u32 = 0;
const BEGIN_ID: u32 = 1;
const END_ID: u32 = 2;
const UNKNOWN_ID: u32 = 3;
/// The number of these ids. The characters of the vocabulary follow them.
const SPECIAL_IDS: usize = 4;

/// The most characters of a word that a sample holds; longer words are cut.
const MAX_WORD_CHARACTERS: usize = 63;
/// The least length of a sample: the widest filters of the large model need it.
const MIN_SAMPLE_LENGTH: usize = 8;

/// The words and characters that a language model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The words, in the order of their first occurrence. A label is an index into them.
    pub words: Vec<String>,
    /// The characters, in the order of their first occurrence.
    pub characters: Vec<char>,
    /// The length of a sample: the characters of the longest word, and the two ids for its begin and end.
    pub length: usize,
}

impl Vocabulary {
    /// Returns the vocabulary of a text.
    fn of(text: &Text) -> Self {
        let mut words = text.distinct.clone();
        if !words.iter().any(|word| word == UNKNOWN_WORD) {
            words.push(UNKNOWN_WORD.to_owned());
        }
        let mut characters: Vec<char> = Vec::new();
        let mut known = HashSet::new();
        for character in text.distinct.iter().flat_map(|word| word.chars()) {
            if known.insert(character) {
                characters.push(character);
            }
        }
        let longest = text.distinct.iter().map(|word| word.chars().count()).max().unwrap_or(0);
        Self { words, characters, length: (longest.min(MAX_WORD_CHARACTERS) + 2).max(MIN_SAMPLE_LENGTH) }
    }

    /// Returns the number of different character ids: the characters and the special ids.
    pub fn character_id_count(&self) -> usize {
        SPECIAL_IDS + self.characters.len()
    }

    /// Returns the character ids of `words`, [`Vocabulary::length`] for each word.
    fn encode_characters(&self, words: &[String]) -> Vec<u32> {
        let ids: HashMap<char, u32> = self.characters.iter().copied().zip(SPECIAL_IDS as u32..).collect();
        let mut all = Vec::with_capacity(words.len() * self.length);
        for word in words {
            let end = all.len() + self.length;
            all.push(BEGIN_ID);
            all.extend(word.chars().take(self.length - 2).map(|c| ids.get(&c).copied().unwrap_or(UNKNOWN_ID)));
            all.push(END_ID);
            all.resize(end, PADDING_ID);
        }
        all
    }

    /// Returns the label of each of `words`.
    fn labels(&self, words: &[String]) -> Result<Vec<u32>> {
        let labels: HashMap<&str, u32> = self.words.iter().map(String::as_str).zip(0..).collect();
        let unknown = labels.get(UNKNOWN_WORD).copied();
        let label = |word: &String| {
            labels.get(word.as_str()).copied().or(unknown).ok_or_else(|| {
                let what = format!("not in the network's vocabulary, which has no {UNKNOWN_WORD} either");
                Error::mismatch(format_args!("word '{word}'"), what)
            })
        };
        words.iter().map(label).collect()
    }
}

/// A text as a sequence of words.
#[derive(Debug)]
pub(super) struct Text {
    /// The distinct words, in the order of their first occurrence.
    distinct: Vec<String>,
    /// The words of the text, as indices into `distinct`.
    words: Vec<u32>,
}

impl Text {
    /// Reads the words of a file. The end of every line is a word too.
    fn read(path: &Path) -> Result<Self> {
        let text = read_text(path)?;
        let mut indices: HashMap<&str, u32> = HashMap::new();
        let mut found = Self { distinct: Vec::new(), words: Vec::new() };
        for word in text.lines().flat_map(|line| line.split_whitespace().chain([END_OF_SENTENCE])) {
            let next = indices.len() as u32;
            let index = *indices.entry(word).or_insert(next);
            if index == next {
                found.distinct.push(word.to_owned());
            }
            found.words.push(index);
        }
        match found.distinct.iter().any(|word| word != END_OF_SENTENCE) {
            true => Ok(found),
            false => Err(Error::file(path, "no word in it")),
        }
    }
}

/// A text as samples. The input of sample `n` is word `n - 1`, its label is word `n`; the first word follows the end of a
/// sentence.
#[derive(Debug)]
pub(super) struct TextDataset {
    text: Text,
    vocabulary: Vocabulary,
    /// The character ids of every distinct word. The last distinct word is the end of a sentence.
    characters: Vec<u32>,
    /// The index of the last word of every sentence.
    ends: Vec<usize>,
}

impl TextDataset {
    /// Opens one split: `train.txt`, `valid.txt` or `test.txt`. The vocabulary is that of `train.txt` if the file exists.
    pub(super) fn open(dir: &Path, split: Split) -> Result<Self> {
        let file = |split: Split| dir.join(format!("{split}.txt"));
        let text = Text::read(&file(split))?;
        // A trained network replaces the vocabulary by its own, so that the training text may be missing.
        let vocabulary = match file(Split::Train) {
            path if split == Split::Train || !path.exists() => Vocabulary::of(&text),
            path => Vocabulary::of(&Text::read(&path)?),
        };
        Ok(Self::new(text, vocabulary))
    }

    fn new(mut text: Text, vocabulary: Vocabulary) -> Self {
        // The input of the first sample.
        if text.distinct.last().is_none_or(|word| word != END_OF_SENTENCE) {
            text.distinct.push(END_OF_SENTENCE.to_owned());
        }
        let characters = vocabulary.encode_characters(&text.distinct);
        let is_end: Vec<bool> = text.distinct.iter().map(|word| word == END_OF_SENTENCE).collect();
        let words = text.words.iter().enumerate();
        let ends = words.filter(|(_, word)| is_end[**word as usize]).map(|(index, _)| index).collect();
        Self { text, vocabulary, characters, ends }
    }

    /// Returns the same text with another vocabulary.
    pub(super) fn with_vocabulary(self, vocabulary: Vocabulary) -> Self {
        Self::new(self.text, vocabulary)
    }

    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Returns the label of every word.
    pub(super) fn labels(&self) -> Result<Vec<u32>> {
        let labels = self.vocabulary.labels(&self.text.distinct)?;
        Ok(self.text.words.iter().map(|&word| labels[word as usize]).collect())
    }

    /// Returns how many of the words of these indices are not in the vocabulary. The word `<unk>` of the text itself is.
    pub(super) fn count_unknown(&self, indices: &[usize]) -> usize {
        let known: HashSet<&str> = self.vocabulary.words.iter().map(String::as_str).collect();
        let is_unknown: Vec<bool> = self.text.distinct.iter().map(|word| !known.contains(word.as_str())).collect();
        indices.iter().filter(|&&index| is_unknown[self.text.words[index] as usize]).count()
    }

    /// Returns the sentence of word `index`, counted from 0. The end of a sentence belongs to it.
    pub(super) fn sentence(&self, index: usize) -> u32 {
        self.ends.partition_point(|&end| end < index) as u32
    }

    /// Writes the character ids of the word before word `index` to `out`.
    pub(super) fn sample(&self, index: usize, out: &mut [f32]) {
        let end_of_sentence = self.text.distinct.len() - 1;
        let word = index.checked_sub(1).map_or(end_of_sentence, |before| self.text.words[before] as usize);
        let length = self.vocabulary.length;
        let characters = &self.characters[word * length..(word + 1) * length];
        out.iter_mut().zip(characters).for_each(|(to, &character)| *to = character as f32);
    }

    /// Returns whether another text has the same words in the same order.
    pub(super) fn has_same_words(&self, other: &Self) -> bool {
        let (one, other) = (&self.text, &other.text);
        one.words == other.words && one.distinct == other.distinct
    }

    /// Returns all numbers that the samples are made of, for a fingerprint.
    pub(super) fn content(&self) -> impl Iterator<Item = u32> + '_ {
        self.characters.iter().chain(&self.text.words).copied()
    }
}

/// Returns the order in which `count` words are read in `streams` streams: the first word of each stream, then the second
/// word of each, and so on. Each stream is a contiguous part of the text; streams that are one word longer come first.
pub(super) fn stream_order(count: usize, streams: usize) -> Vec<usize> {
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

    fn text_of(text: &[u8]) -> Result<TextDataset> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("train.txt"), text).unwrap();
        TextDataset::open(dir.path(), Split::Train)
    }

    #[test]
    fn the_input_of_a_sample_is_the_word_before_it() {
        let text = text_of(b"the cat\n the dog \n").unwrap();
        assert_eq!(text.vocabulary.words, ["the", "cat", "<eos>", "dog", "<unk>"]);
        assert_eq!(text.labels().unwrap(), [0, 1, 2, 0, 3, 2]);
        let input = |index| {
            let mut out = vec![0.0; text.vocabulary.length];
            text.sample(index, &mut out);
            out
        };
        // The ids of t h e c a < o s > d g follow the four special ids. The first word follows the end of a sentence.
        assert_eq!(input(1), [1.0, 4.0, 5.0, 6.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(input(0), input(3));
        assert_eq!(input(5), [1.0, 13.0, 10.0, 14.0, 2.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn unknown_words_and_characters_have_ids() {
        let known = text_of(b"a cat\n").unwrap().vocabulary;
        let text = text_of(b"a cut\n").unwrap().with_vocabulary(known);
        assert_eq!(text.labels().unwrap(), [0, 3, 2]);
        assert_eq!([0, 1, 2].map(|index| text.count_unknown(&[index])), [0, 1, 0]);
        assert_eq!(text.count_unknown(&[0, 1, 2]), 1);
        let mut out = vec![0.0; text.vocabulary.length];
        text.sample(2, &mut out);
        assert_eq!(out[..6], [1.0, 5.0, UNKNOWN_ID as f32, 6.0, 2.0, 0.0]);
    }

    #[test]
    fn a_byte_order_mark_is_no_character() {
        assert_eq!(text_of("\u{feff}the the\n".as_bytes()).unwrap().vocabulary.words, ["the", "<eos>", "<unk>"]);
    }

    #[test]
    fn a_file_that_is_no_text_is_refused() {
        let message = |bytes: &[u8]| text_of(bytes).unwrap_err().to_string();
        assert!(message(b"fine\n\xff\n").ends_with("train.txt: line 2 is not UTF-8, in which a text has to be"));
        assert!(message(b"\n \n").ends_with("train.txt: no word in it"));
    }

    #[test]
    fn streams_differ_by_one_word_at_most_and_hold_every_word() {
        assert_eq!(stream_order(7, 3), [0, 3, 5, 1, 4, 6, 2]);
        for (count, streams) in [(1, 1), (20, 20), (21, 20), (3, 20), (100, 7)] {
            let mut all = stream_order(count, streams);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count));
        }
    }
}
