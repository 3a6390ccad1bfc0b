use proptest::prelude::*;

use super::*;

fn records(labels: &[&[u8]]) -> Vec<u8> {
    let record = |(i, labels): (usize, &&[u8])| [labels.to_vec(), vec![i as u8; PIXELS]].concat();
    labels.iter().enumerate().flat_map(record).collect()
}

/// Opens a directory with this one file. The error message is without the directory.
fn outcome(format: &CifarFormat, bytes: &[u8]) -> std::result::Result<ImageBytes, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("test.bin.gz"), bytes).unwrap();
    let prefix = format!("{}/", dir.path().display());
    open(format, dir.path(), &["test.bin"]).map_err(|e| e.to_string().replace(&prefix, ""))
}

#[test]
fn the_label_is_the_fine_one() {
    let images = outcome(&CIFAR_10, &records(&[&[9], &[3]])).unwrap();
    assert_eq!(images.labels, [9, 3]);
    let images = outcome(&CIFAR_100, &binary_reader::gzip(&records(&[&[19, 99], &[0, 1]]))).unwrap();
    assert_eq!(images.labels, [99, 1]);
    assert_eq!(images.bytes.len(), 2 * PIXELS);
    assert_eq!(images.bytes[PIXELS - 1..=PIXELS], [0, 1]);
}

#[test]
fn the_training_split_is_five_files_in_the_directory_or_that_of_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("cifar-10-batches-bin");
    std::fs::create_dir(&below).unwrap();
    for (i, name) in TRAIN_10.iter().enumerate() {
        let parent = if i % 2 == 0 { dir.path() } else { &below };
        std::fs::write(parent.join(name), records(&[&[i as u8]])).unwrap();
    }
    assert_eq!(open_10(dir.path(), Split::Train).unwrap().labels, [0, 1, 2, 3, 4]);
    let expected = "no test_batch.bin or test_batch.bin.gz here or in cifar-10-batches-bin; \
                    `unrolled data fetch cifar10` gets it";
    let error = open_10(dir.path(), Split::Test).unwrap_err().to_string();
    assert_eq!(error, format!("{}: {expected}", dir.path().display()));
    std::fs::create_dir(dir.path().join("train")).unwrap();
    let error = open_10(dir.path(), Split::Test).unwrap_err().to_string();
    assert!(error.ends_with(&format!("; pictures in folders are read as folder:{}", dir.path().display())), "{error}");
}

#[test]
fn invalid_files_are_refused_with_what_was_expected() {
    let good = records(&[&[1], &[2]]);
    for (format, bytes, message) in [
        (&CIFAR_10, &good[..0], "empty, expected at least one image"),
        (&CIFAR_10, &good[..6000], "truncated: record 1 has 2,927 of 3,073 bytes"),
        (&CIFAR_10, &records(&[&[10]]), "label 10 of record 0, expected 0 to 9; is this cifar10?"),
        (&CIFAR_100, &records(&[&[20, 0]]), "label 20 of record 0, expected 0 to 19; is this cifar100?"),
        (&CIFAR_100, &records(&[&[0, 100]]), "label 100 of record 0, expected 0 to 99; is this cifar100?"),
    ] {
        assert_eq!(outcome(format, bytes).unwrap_err(), format!("test.bin.gz: {message}"));
    }
}

#[test]
fn truncated_gzip_data_are_refused() {
    let bytes = binary_reader::gzip(&records(&[&[1], &[2]]));
    let error = outcome(&CIFAR_10, &bytes[..bytes.len() - 3]).unwrap_err();
    assert_eq!(error, "test.bin.gz: truncated: the gzip data have no end");
}

#[test]
fn class_names_are_read_from_the_list_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(class_names_100(dir.path()).unwrap()[99], "worm");
    let path = dir.path().join("fine_label_names.txt");
    let list: Vec<String> = (0..100).map(|i| format!("class {i}\r\n")).collect();
    std::fs::write(&path, list.concat() + "\n").unwrap();
    assert_eq!(class_names_100(dir.path()).unwrap()[99], "class 99");
    std::fs::write(&path, "apple").unwrap();
    let error = class_names_100(dir.path()).unwrap_err().to_string();
    assert_eq!(error, format!("{}: 1 names of classes, expected 100, one a line", path.display()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damaged_files_end_in_an_error_or_a_valid_data_set(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        zipped in any::<bool>(),
    ) {
        let plain = records(&[&[1, 2], &[3, 4]]);
        let mut bytes = if zipped { binary_reader::gzip(&plain) } else { plain };
        flips.iter().for_each(|(at, byte)| *at.get_mut(bytes.as_mut_slice()) = *byte);
        bytes.truncate(end.index(bytes.len() + 1));
        if let Ok(images) = outcome(&CIFAR_100, &bytes) {
            prop_assert_eq!(images.bytes.len(), images.labels.len() * PIXELS);
            prop_assert!(images.labels.iter().all(|&label| label < 100));
        }
    }
}
