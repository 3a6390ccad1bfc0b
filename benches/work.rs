//! Times pieces of work, as `reference/bench.py` asks for them: a line `NAME COUNT` on the standard input is answered by
//! a line of so many milliseconds, and `memory` by what the steps of the last new piece have added to the most memory held,
//! KiB. Without a pipe,
//! `cargo bench --bench work -- NAME...` times each by itself.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use unrolled::kernel::Kernels;
use unrolled::model::{Model, ModelConfig};
use unrolled::nn::{ForwardContext, Network, RecurrentState, Training, cross_entropy};
use unrolled::train::{Optimizer, TrainConfig};

#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

/// Every piece: name, model, shape of a sample, classes, samples at once, whether it trains.
type Work = (&'static str, &'static str, [usize; 3], usize, usize, bool);
const WORK: [Work; 6] = [
    ("resnet20-train", "kind = 'resnet'\ndepth = 20\nshortcut = 'projection'", [3, 32, 32], 10, 128, true),
    (
        "highway20-train",
        "kind = 'resnet'\ndepth = 20\nshortcut = 'projection'\nwiring = 'highway'",
        [3, 32, 32],
        10,
        128,
        true,
    ),
    ("resnet20-infer", "kind = 'resnet'\ndepth = 20\nshortcut = 'projection'", [3, 32, 32], 10, 128, false),
    ("resnet50-infer", "kind = 'imagenet'\ndepth = 50", [3, 224, 224], 1000, 4, false),
    ("mlp50-train", "kind = 'mlp'\ndepth = 50\nwidth = 64\nwiring = 'highway'", [1, 28, 28], 10, 128, true),
    // Twenty streams of 35 words.
    ("char-lm-train", "kind = 'char-lm'\ncharacters = 51", [1, 1, 21], 10_000, 700, true),
];

const STREAMS: usize = 20;
/// Different words of 700 in a row of English.
const WORDS: usize = 380;

/// Characters of made-up words.
fn words(count: usize, length: usize) -> Vec<f32> {
    let word = |i: usize| {
        let word = i * 7919 % WORDS;
        (0..length).map(move |c| if c < 3 + word % 8 { (1 + (word * 31 + c * 17) % 50) as f32 } else { 0.0 })
    };
    (0..count).flat_map(word).collect()
}

/// A piece of work, ready to be done again and again.
fn piece(name: &str, kernels: Kernels) -> Option<Box<dyn FnMut()>> {
    let &(_, config, shape, classes, batch, trains) = WORK.iter().find(|work| work.0 == name)?;
    let config: ModelConfig = toml::from_str(config).expect("a model");
    let device = Device::flex();
    let mut model = Model::new(&config, shape, classes, 0, &device).expect("a network");
    model.parameters.set_kernels(kernels);
    let size: usize = batch * shape.iter().product::<usize>();
    let is_text = model.outline().is_language_model;
    let values: Vec<f32> = if is_text {
        words(batch, shape[2])
    } else {
        (0..size).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect()
    };
    let labels: Vec<u32> = (0..batch).map(|i| (i % classes) as u32).collect();
    let dims = [batch, shape[0], shape[1], shape[2]];
    if !trains {
        return Some(Box::new(move || {
            let x = Tensor::<4>::from_data(TensorData::new(values.clone(), dims), &device);
            let logits = model.forward(&mut ForwardContext::inference(&model.parameters), x);
            std::hint::black_box(logits.into_data());
        }));
    }
    let train = match is_text {
        true => TrainConfig { momentum: 0.0, clip_norm: 5.0, ..TrainConfig::default() },
        false => TrainConfig::default(),
    };
    let mut memory = RecurrentState::new(if is_text { STREAMS } else { 1 });
    let mut optimizer = Optimizer::new(&train, &model.parameters);
    let mut step = 0;
    Some(Box::new(move || {
        let leaves = model.parameters.tracked();
        let x = Tensor::<4>::from_data(TensorData::new(values.clone(), dims), leaves.device());
        let mut training = Training::new(0, step).with_state(std::mem::take(&mut memory));
        let logits = model.forward(&mut ForwardContext::training(&leaves, &mut training), x);
        let loss = cross_entropy(leaves.kernels(), logits, &labels, 0.0);
        let gradient = leaves.gradient(&loss.mean.backward());
        let values = optimizer.step(&train, 1e-3, model.parameters.flatten(), gradient);
        model.parameters.unflatten(&values);
        memory = training.memory;
        for (id, statistic) in training.statistics {
            model.parameters.set(id, statistic);
        }
        step += 1;
    }))
}

/// The most memory that this process has held, KiB, where the system says it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

fn main() {
    let mut pieces = std::collections::HashMap::new();
    let before = std::cell::Cell::new(None);
    let mut time = |name: &str, count: usize| -> Option<String> {
        let kernels = if name.ends_with("-reference") { Kernels::Reference } else { Kernels::Native };
        let work = match pieces.entry(name.to_owned()) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let mut work = piece(name.trim_end_matches("-reference"), kernels)?;
                before.set(peak());
                // Twice to fill caches and buffers.
                work();
                work();
                entry.insert(work)
            }
        };
        let each = (0..count).map(|_| {
            let begun = Instant::now();
            work();
            format!("{:.3}", begun.elapsed().as_secs_f64() * 1e3)
        });
        Some(each.collect::<Vec<_>>().join(" "))
    };
    let names: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    if std::io::stdin().is_terminal() || !names.is_empty() {
        for name in names {
            println!("{name}: {} ms", time(&name, 7).unwrap_or_else(|| "no such work,".into()));
        }
        return;
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        if line == "memory" {
            let added = peak().zip(before.get()).map(|(after, before)| after - before);
            println!("{}", added.map_or("unknown".into(), |kib| kib.to_string()));
            std::io::stdout().flush().expect("standard output");
            continue;
        }
        let (name, count) = line.split_once(' ').unwrap_or((&line, "1"));
        let count = count.parse().unwrap_or(1);
        println!("{}", time(name, count).unwrap_or_else(|| format!("no work '{name}'")));
        std::io::stdout().flush().expect("standard output");
    }
}
