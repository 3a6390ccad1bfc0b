use super::*;
use crate::data::{ResizeCrop, Split};

fn digits(n: usize) -> Arc<Dataset> {
    let data = Dataset::open(&"digits".parse().unwrap(), Split::Train, &ResizeCrop::default());
    Arc::new(data.unwrap().limit(n))
}

fn config(order: SampleOrder) -> LoaderConfig {
    LoaderConfig {
        batch_size: 4,
        order,
        augment: Augment { pad: 2, flip: true, random_resized_crop: None },
        normalization: Normalization::uniform(0.5, 0.25),
        drop_last: false,
        start: 0,
        workers: 0,
        part: None,
    }
}

fn shuffled(epoch: u64) -> LoaderConfig {
    config(SampleOrder::Shuffled { seed: 7, epoch })
}

fn all(data: &Arc<Dataset>, config: &LoaderConfig) -> Vec<Batch> {
    let batches = batches(data, config).unwrap();
    let len = batches.len();
    let batches: Vec<Batch> = batches.map(|batch| batch.unwrap()).collect();
    assert_eq!(batches.len(), len);
    batches
}

#[test]
fn sequential_batches_hold_the_samples_in_order() {
    let data = digits(10);
    let batches = all(&data, &config(SampleOrder::Sequential));
    assert_eq!(batches.iter().map(|b| b.shape[0]).collect::<Vec<_>>(), [4, 4, 2]);
    let mut sample = [0.0; 64];
    data.sample(9, &mut sample).unwrap();
    let last = &batches[2];
    assert_eq!((last.shape, &last.indices[..]), ([2, 1, 8, 8], &[8, 9][..]));
    assert_eq!(last.labels, data.labels()[8..]);
    assert_eq!(last.images[64..], sample.map(|x| (x - 0.5) / 0.25));
}

#[test]
fn an_incomplete_last_batch_can_be_dropped() {
    for (samples, drop_last, expected) in [(10, true, 2), (10, false, 3), (8, true, 2), (8, false, 2), (3, true, 0)] {
        let config = LoaderConfig { drop_last, ..shuffled(0) };
        assert_eq!(all(&digits(samples), &config).len(), expected);
    }
    let config = LoaderConfig { batch_size: usize::MAX, ..shuffled(0) };
    assert_eq!(all(&digits(3), &config)[0].shape, [3, 1, 8, 8]);
}

#[test]
fn every_epoch_has_all_samples_in_its_own_order_and_augmentation() {
    let data = digits(50);
    let indices = |batches: &[Batch]| batches.iter().flat_map(|b| b.indices.clone()).collect::<Vec<_>>();
    let (first, second) = (indices(&all(&data, &shuffled(0))), indices(&all(&data, &shuffled(1))));
    assert_ne!(first, second);
    for mut order in [first, second] {
        order.sort_unstable();
        assert!(order.into_iter().eq(0..50));
    }
    let image = |epoch| {
        let batches = all(&data, &shuffled(epoch));
        let (batch, row) = batches.iter().find_map(|b| Some((b, b.indices.iter().position(|&i| i == 3)?))).unwrap();
        batch.images[row * 64..(row + 1) * 64].to_vec()
    };
    assert!((1..5).any(|epoch| image(epoch) != image(0)));
}

#[test]
fn neither_workers_nor_a_start_change_a_batch() {
    let data = digits(50);
    let expected = all(&data, &shuffled(3));
    for workers in [0, 1, 2, 5] {
        for start in [0, 1, 6, 13, 99] {
            let config = LoaderConfig { workers, start, ..shuffled(3) };
            assert_eq!(all(&data, &config)[..], expected[start.min(13)..]);
        }
    }
}

/// Every list, read in batches of any size from any start by any number of workers, is the same samples one by one.
#[test]
fn a_listed_order_visits_exactly_the_samples_of_its_list() {
    let data = digits(20);
    let augment = Augment { pad: 2, flip: true, random_resized_crop: Some(5) };
    let lists: [&[usize]; 5] = [&[], &[19], &[3, 3, 0], &[19, 0, 7, 7, 2, 11, 5], &(0..20).collect::<Vec<_>>()];
    for list in lists {
        let listed = |batch_size| LoaderConfig { batch_size, augment, ..config(SampleOrder::Listed(list.into())) };
        for batch_size in [1, 2, 3, 7, 64, usize::MAX] {
            let full = list.len() / batch_size;
            assert_eq!(LoaderConfig { drop_last: true, ..listed(batch_size) }.batch_count(20), full);
            let count = list.len().div_ceil(batch_size);
            assert_eq!(listed(batch_size).batch_count(20), count);
            for start in 0..count + 2 {
                for workers in [0, 1, 3] {
                    let found = all(&data, &LoaderConfig { start, workers, ..listed(batch_size) });
                    assert_eq!(found.len(), count.saturating_sub(start));
                    let expected = &list[start.saturating_mul(batch_size).min(list.len())..];
                    assert_eq!(found.iter().flat_map(|b| b.indices.clone()).collect::<Vec<_>>(), expected);
                    for batch in found {
                        assert_eq!(batch.shape, [batch.indices.len(), 1, 8, 8]);
                        for ((image, &index), label) in batch.images.chunks(64).zip(&batch.indices).zip(batch.labels) {
                            let mut sample = [0.0; 64];
                            data.sample(index, &mut sample).unwrap();
                            assert_eq!(image, sample.map(|x| (x - 0.5) / 0.25));
                            assert_eq!(label, data.labels()[index]);
                        }
                    }
                }
            }
        }
    }
    let outside = config(SampleOrder::Listed([0, 20].into()));
    let error = batches(&data, &outside).err().unwrap().to_string();
    assert_eq!(error, "order: sample 20 of a data set of 20 samples");
}

#[test]
fn a_random_resized_crop_sets_the_shape_of_shuffled_batches_only() {
    let augment = Augment { random_resized_crop: Some(5), ..Augment::default() };
    let data = digits(4);
    let shape = |order| all(&data, &LoaderConfig { augment, ..config(order) })[0].shape;
    assert_eq!(shape(SampleOrder::Shuffled { seed: 0, epoch: 0 }), [4, 1, 5, 5]);
    assert_eq!(shape(SampleOrder::Sequential), [4, 1, 8, 8]);
}

#[test]
fn an_unreadable_sample_is_an_error_in_place_of_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a")).unwrap();
    for name in ["1", "2", "3", "4"] {
        let path = dir.path().join("a").join(name).with_extension("png");
        image::RgbImage::new(2, 2).save(&path).unwrap();
        if name == "3" {
            std::fs::write(path, "text").unwrap();
        }
    }
    let spec = format!("folder:{}", dir.path().display()).parse().unwrap();
    let data = Arc::new(Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap());
    for workers in [0, 2] {
        let normalization = data.normalization();
        let config = LoaderConfig { batch_size: 1, workers, normalization, ..config(SampleOrder::Sequential) };
        let good: Vec<bool> = batches(&data, &config).unwrap().map(|batch| batch.is_ok()).collect();
        assert_eq!(good, [true, true, false, true]);
    }
}

#[test]
fn an_impossible_configuration_is_refused() {
    let data = digits(4);
    let message = |config: LoaderConfig| batches(&data, &config).err().unwrap().to_string();
    let good = config(SampleOrder::Sequential);
    assert_eq!(message(LoaderConfig { batch_size: 0, ..good.clone() }), "train.batch: 0 samples, expected at least 1");
    let augment = Augment { pad: 9, ..good.augment };
    let expected = "data.augment.pad: 9 pixels, expected at most the 8 of the image";
    assert_eq!(message(LoaderConfig { augment, ..good.clone() }), expected);
    let normalization = Normalization { mean: vec![0.0; 3], std: vec![1.0] };
    let expected = "mean: 3 values, expected 1 or one for each of 1 channels";
    assert_eq!(message(LoaderConfig { normalization, ..good }), expected);
}
