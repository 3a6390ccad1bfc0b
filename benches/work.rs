//! Times training steps and inference, for `reference/bench.py` and for people.
//!
//! Requests come on standard input, one a line. `NAME COUNT` runs a benchmark `COUNT` times and answers with as many
//! milliseconds on a line. `memory` answers with the KiB that the steps of the last new benchmark added to the peak memory of
//! the process. The suffix `-reference` of a name selects the reference kernels, and `@wgpu` after that a device.
//!
//! Without a pipe, `cargo bench --bench work -- NAME...` times each benchmark seven times.

use std::collections::HashMap;
use std::io::{BufRead, IsTerminal, Write};
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use unrolled::kernel::{Backend, Kernels};
use unrolled::model::{Model, ModelConfig};
use unrolled::nn::{ForwardContext, Network, RecurrentState, TrainingStep, cross_entropy};
use unrolled::train::{Optimizer, TrainConfig};

#[global_allocator]
static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;

/// A training step or an inference of one model. `reference/bench.py` has the same list.
struct Benchmark {
    name: &'static str,
    /// The model, in TOML.
    model: &'static str,
    /// `[channels, height, width]` of a sample.
    shape: [usize; 3],
    classes: usize,
    /// Samples of a batch.
    batch: usize,
    trains: bool,
}

const RESNET20: &str = "kind = 'resnet'\ndepth = 20\nshortcut = 'projection'";
const HIGHWAY20: &str = "kind = 'resnet'\ndepth = 20\nshortcut = 'projection'\nwiring = 'highway'";
const RESNET50: &str = "kind = 'imagenet'\ndepth = 50";
const MLP50: &str = "kind = 'mlp'\ndepth = 50\nwidth = 64\nwiring = 'highway'";
const CHAR_LM: &str = "kind = 'char-lm'\ncharacters = 51";

const fn benchmark(
    name: &'static str,
    model: &'static str,
    shape: [usize; 3],
    classes: usize,
    batch: usize,
    trains: bool,
) -> Benchmark {
    Benchmark { name, model, shape, classes, batch, trains }
}

const BENCHMARKS: [Benchmark; 8] = [
    benchmark("resnet20-train", RESNET20, [3, 32, 32], 10, 128, true),
    benchmark("highway20-train", HIGHWAY20, [3, 32, 32], 10, 128, true),
    benchmark("resnet20-infer", RESNET20, [3, 32, 32], 10, 128, false),
    benchmark("resnet50-infer", RESNET50, [3, 224, 224], 1000, 4, false),
    // What a graphics card is given: `reference/bench_gpu.py`.
    benchmark("resnet50-train", RESNET50, [3, 224, 224], 1000, 32, true),
    benchmark("resnet50-infer-32", RESNET50, [3, 224, 224], 1000, 32, false),
    benchmark("mlp50-train", MLP50, [1, 28, 28], 10, 128, true),
    // 20 streams of 35 words.
    benchmark("char-lm-train", CHAR_LM, [1, 1, 21], 10_000, 700, true),
];

/// Streams of the language model.
const STREAMS: usize = 20;
/// Different words among 700 successive words of English text.
const WORDS: usize = 380;
/// The suffix of a benchmark's name that selects the reference kernels.
const REFERENCE: &str = "-reference";

/// Returns `count` made-up words of up to ten characters, each filled up with zeros to `length`.
fn words(count: usize, length: usize) -> Vec<f32> {
    let word = |i: usize| {
        let word = i * 7919 % WORDS;
        (0..length).map(move |c| if c < 3 + word % 8 { (1 + (word * 31 + c * 17) % 50) as f32 } else { 0.0 })
    };
    (0..count).flat_map(word).collect()
}

/// Returns a benchmark as a closure that runs it once, or `None` for an unknown name or device.
fn prepare(name: &str) -> Option<Box<dyn FnMut()>> {
    let (name, device) = name.split_once('@').unwrap_or((name, "cpu"));
    let (name, kernels) = match name.strip_suffix(REFERENCE) {
        Some(name) => (name, Kernels::Reference),
        None => (name, Kernels::Native),
    };
    let found = BENCHMARKS.iter().find(|benchmark| benchmark.name == name)?;
    let &Benchmark { model, shape, classes, batch, trains, .. } = found;
    let config: ModelConfig = toml::from_str(model).expect("a model");
    let backend = Backend::new(unrolled::device::open(device).ok()?, kernels);
    let mut model = Model::new(&config, shape, classes, 0, &backend).expect("a network");
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
            let x = Tensor::<4>::from_data(TensorData::new(values.clone(), dims), &backend.device);
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
        let leaves = model.parameters.require_grad();
        let x = Tensor::<4>::from_data(TensorData::new(values.clone(), dims), leaves.device());
        let mut training = TrainingStep::new(0, step).with_state(std::mem::take(&mut memory));
        let logits = model.forward(&mut ForwardContext::training(&leaves, &mut training), x);
        let loss = cross_entropy(leaves.kernels(), logits, &labels, 0.0);
        let gradient = leaves.gradient(&loss.mean.backward());
        let values = optimizer.step(&train, 1e-3, model.parameters.flatten(), gradient);
        model.parameters.unflatten(&values);
        memory = training.state;
        for (id, statistic) in training.statistics {
            model.parameters.set(id, statistic);
        }
        std::hint::black_box(loss.read());
        step += 1;
    }))
}

/// Returns the peak memory of this process, KiB, on systems that report it.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

/// The benchmarks that have been prepared, by name.
#[derive(Default)]
struct Runner {
    prepared: HashMap<String, Box<dyn FnMut()>>,
    /// The peak memory before the last new benchmark ran, KiB.
    peak_before: Option<u64>,
}

impl Runner {
    /// Runs a benchmark `count` times and returns the times in milliseconds, or `None` for an unknown name.
    fn time(&mut self, name: &str, count: usize) -> Option<Vec<String>> {
        if !self.prepared.contains_key(name) {
            let mut run = prepare(name)?;
            self.peak_before = peak();
            // Two runs fill caches and buffers.
            run();
            run();
            self.prepared.insert(name.to_owned(), run);
        }
        let run = self.prepared.get_mut(name)?;
        let times = (0..count).map(|_| {
            let start = Instant::now();
            run();
            format!("{:.3}", start.elapsed().as_secs_f64() * 1e3)
        });
        Some(times.collect())
    }

    /// Returns the memory that the last new benchmark added to the peak, KiB.
    fn added_memory(&self) -> Option<u64> {
        Some(peak()? - self.peak_before?)
    }

    /// Answers a request of `reference/bench.py`.
    fn answer(&mut self, request: &str) -> String {
        if request == "memory" {
            return self.added_memory().map_or("unknown".into(), |kib| kib.to_string());
        }
        let (name, count) = request.split_once(' ').unwrap_or((request, "1"));
        match self.time(name, count.parse().unwrap_or(1)) {
            Some(times) => times.join(" "),
            None => format!("no benchmark '{name}'"),
        }
    }
}

fn main() {
    let mut runner = Runner::default();
    let names: Vec<String> = std::env::args().skip(1).filter(|name| name != "--bench").collect();
    if std::io::stdin().is_terminal() || !names.is_empty() {
        for name in names {
            match runner.time(&name, 7) {
                Some(times) => println!("{name}: {} ms", times.join(" ")),
                None => println!("no benchmark '{name}'"),
            }
        }
        return;
    }
    for request in std::io::stdin().lock().lines().map_while(Result::ok) {
        println!("{}", runner.answer(&request));
        std::io::stdout().flush().expect("standard output");
    }
}
