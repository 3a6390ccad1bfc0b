//! Invented measurements that look like real ones, for tests and for looking at a report without training anything.

use super::result::{
    BlockGates, BlockOutline, Chosen, Epoch, Estimate, Estimation, Gate, Lesion, Measurements, Outline, Ranking,
    Removal, Score, Shuffle, Sizes, Slimmed, Slimming, StageOutline, Version,
};

/// A source of numbers that look random and are the same everywhere.
struct Noise(u64);

impl Noise {
    /// Between -1 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// One of several 50-layer networks with one stage of 49 blocks: 0 highway, 1 full, 2 residual.
pub(crate) fn highway(which: usize) -> Measurements {
    let wiring = ["highway", "full", "residual"][which % 3];
    let stage = stage("stage1", wiring, &[50], 49, 5_100, false);
    network(&format!("runs/{wiring}"), &format!("highway-50 {wiring}, width 50"), vec![stage], which as u64 + 1)
}

/// A residual network with three stages of nine blocks.
pub(crate) fn residual() -> Measurements {
    let stages = vec![
        stage("stage1", "residual", &[16, 32, 32], 9, 4_672, false),
        stage("stage2", "residual", &[32, 16, 16], 9, 18_560, true),
        stage("stage3", "residual", &[64, 8, 8], 9, 73_984, true),
    ];
    network("resnet56.th", "resnet-56 residual, width 16", stages, 9)
}

/// A gated network with the four stages of a ResNet-50.
pub(crate) fn bottleneck() -> Measurements {
    let stages = vec![
        stage("stage1", "highway", &[256, 56, 56], 3, 70_400, true),
        stage("stage2", "highway", &[512, 28, 28], 4, 280_064, true),
        stage("stage3", "highway", &[1024, 14, 14], 6, 1_117_184, true),
        stage("stage4", "highway", &[2048, 7, 7], 3, 4_462_592, true),
    ];
    network("runs/imagenet-highway", "resnet-50 highway", stages, 5)
}

/// The residual network without two of its blocks.
pub(crate) fn slimming() -> Slimming {
    let whole = residual().outline;
    let removed = ["stage1.block4", "stage3.block9"].map(str::to_owned).to_vec();
    let mut slim = Outline { name: "resnet-52 residual, width 16".into(), ..whole.clone() };
    slim.stages
        .iter_mut()
        .for_each(|stage| stage.blocks.retain(|block| !removed.iter().any(|name| name == block.name())));
    let names = |reverse: bool| {
        let blocks = whole.stages.iter().flat_map(|stage| &stage.blocks).filter(|block| block.keeps_shape());
        let mut names: Vec<String> = blocks.map(|block| block.name().to_owned()).collect();
        if reverse {
            names.reverse();
        }
        names
    };
    let ranking = |name: &str, figures: bool, reverse: bool| Ranking {
        name: name.into(),
        values: names(reverse)
            .into_iter()
            .enumerate()
            .filter(|_| figures)
            .map(|(place, block)| (block, 0.05 * place as f64 - 0.35))
            .collect(),
        order: names(reverse),
        kendall_tau: vec![if reverse { -1.0 } else { 1.0 }, if reverse { 1.0 } else { -1.0 }],
        score: Some(score(0.9)),
    };
    let sizes = |outline: &Outline, latency: f64| Sizes {
        blocks: outline.stages.iter().map(|stage| stage.blocks.len()).sum(),
        parameters: outline.parameters,
        bytes: 4 * outline.parameters,
        flops: outline.flops,
        latency_ms: Estimate { value: latency, ci95: 0.1 },
    };
    let cost = Estimate { value: 0.006, ci95: 0.01 };
    let lesion = Lesion { score: score(0.93), accuracy_cost: cost, loss_cost: cost };
    Slimming {
        target: "a<b.th".into(),
        data: "cifar10, test split".into(),
        seed: 0,
        stays: [("stage2.block1".to_owned(), "it changes the shape".to_owned())].into(),
        choice: Some(Chosen {
            by: "greedy, 2 blocks".into(),
            baseline: score(0.94),
            curve: removed.iter().map(|block| Removal { block: block.clone(), score: score(0.93) }).collect(),
            rankings: vec![ranking("lesion", true, false), ranking("deepest", false, true)],
        }),
        route: "1-3,5-9 / 1-9 / 1-8".into(),
        slimmed: Some(Slimmed {
            builds: "ResNet(BasicBlock, [8, 9, 8])".into(),
            whole: score(0.94),
            versions: ["as planned", "fine-tuned"].map(|name| Version { name: name.into(), lesion }).to_vec(),
            before: sizes(&whole, 10.0),
            after: sizes(&slim, 9.0),
            finetuning: Vec::new(),
            file: Some("slim.safetensors".into()),
            outline: slim,
        }),
        removed,
        outline: whole,
    }
}

fn stage(name: &str, wiring: &str, shape: &[usize], count: usize, parameters: u64, reshapes: bool) -> StageOutline {
    let block = |number: usize| BlockOutline {
        id: format!("{name}.block{number}").parse().unwrap(),
        source_name: None,
        wiring: wiring.parse().unwrap(),
        body: format!("3x3 {0} · 3x3 {0}", shape[0]),
        shortcut: if reshapes && number == 1 { crate::nn::Shortcut::Projection } else { crate::nn::Shortcut::Identity },
        parameters: if reshapes && number == 1 { parameters * 4 / 5 } else { parameters },
        flops: parameters * 2_048,
        receptive_field: None,
        why_not_removable: (reshapes && number == 1).then(|| "changes the shape".into()),
    };
    StageOutline { name: name.into(), shape: shape.to_vec(), blocks: (1..=count).map(block).collect() }
}

fn score(accuracy: f64) -> Score {
    let accuracy = accuracy.clamp(0.0, 1.0);
    let half = 1.96 * (accuracy * (1.0 - accuracy) / 10_000.0).sqrt();
    let accuracy_ci95 = [(accuracy - half).max(0.0), (accuracy + half).min(1.0)];
    Score { accuracy, loss: -(accuracy + 0.01).ln() + 0.08, samples: 10_000, accuracy_ci95, loss_ci95: 0.008 }
}

fn network(target: &str, name: &str, stages: Vec<StageOutline>, seed: u64) -> Measurements {
    let mut noise = Noise(seed);
    let baseline = 0.968 + 0.01 * noise.next();
    let parameters: u64 = stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.parameters).sum();
    let blocks: usize = stages.iter().map(|stage| stage.blocks.len()).sum();
    let outline = Outline {
        is_language_model: false,
        name: name.into(),
        input: vec![3, 32, 32],
        classes: 10,
        parameters: parameters + 464 + 650,
        flops: parameters * 2_048,
        stem_parameters: 464,
        head_parameters: 650,
        stages,
    };
    let mut measured = Measurements {
        target: target.into(),
        data: "mnist".into(),
        estimation: Some(Default::default()),
        lesion: Some(Default::default()),
        shuffle: Some((0..60).map(|order| shuffled(order, baseline, &mut noise)).collect()),
        training: (1..=40).map(|epoch| trained(epoch, baseline, &mut noise)).collect(),
        ..Measurements::new(outline, score(baseline), 1)
    };
    let stages = measured.outline.stages.clone();
    let mut depth = 0;
    for stage in &stages {
        let last = stage.blocks.len() - 1;
        for (index, block) in stage.blocks.iter().enumerate() {
            let left = (last - index) as f64 / stage.blocks.len() as f64;
            let error = estimation(index, left, &mut noise);
            measured.estimation.as_mut().unwrap().insert(block.name().to_owned(), error);
            let early = (-4.0 * depth as f64 / blocks as f64).exp();
            if block.why_not_removable.is_none() {
                let cost = (0.35 * early * (0.6 + 0.4 * noise.next()) + 0.002 * noise.next()).min(baseline);
                measured.lesion.as_mut().unwrap().insert(block.name().to_owned(), lesion(baseline, cost));
            }
            if block.wiring.is_gated() {
                let transform = Some(gate(0.05 + 0.3 * early, stage.shape[0], &mut noise));
                let carry = (block.wiring == crate::nn::Wiring::Full).then(|| gate(0.85, stage.shape[0], &mut noise));
                let gates = BlockGates { transform, carry };
                measured.gates.get_or_insert_default().insert(block.name().to_owned(), gates);
            }
            depth += 1;
        }
    }
    measured
}

fn estimation(index: usize, left: f64, noise: &mut Noise) -> Estimation {
    let std = 0.62 * left.powf(0.7) * (1.0 + 0.04 * noise.next());
    let mean = 0.05 * left * noise.next() - 0.04 * left;
    let step = (index > 0).then(|| 0.01 * noise.next());
    let relative = 1.0 / 0.55;
    Estimation {
        mean,
        std,
        rms: std.hypot(mean),
        step_mean: step,
        mean_relative: mean * relative,
        std_relative: std * relative,
        rms_relative: std.hypot(mean) * relative,
        step_mean_relative: step.map(|value| value * relative),
        mean_ci95: 0.002 * left,
        std_ci95: 0.012 * std,
        rms_ci95: 0.012 * std,
        step_mean_ci95: step.map(|_| 0.0004),
    }
}

fn lesion(baseline: f64, cost: f64) -> Lesion {
    Lesion {
        score: score(baseline - cost),
        accuracy_cost: Estimate { value: cost, ci95: 0.001 + 0.02 * cost.abs() },
        loss_cost: Estimate { value: 4.0 * cost, ci95: 0.01 },
    }
}

fn shuffled(order: u64, baseline: f64, noise: &mut Noise) -> Shuffle {
    let swaps = 1 + order as usize / 5;
    let kendall_tau = (-(swaps as f64) / 9.0).exp() * (1.0 + 0.1 * noise.next()).min(1.0);
    Shuffle {
        swaps,
        seed: order % 5,
        kendall_tau,
        route: "stage1: 2 1 3..49".into(),
        score: score(baseline - 0.75 * (1.0 - kendall_tau).powi(2) * (1.0 + 0.2 * noise.next())),
    }
}

fn trained(epoch: u64, baseline: f64, noise: &mut Noise) -> Epoch {
    let left = (-(epoch as f64) / 8.0).exp();
    let test_accuracy = baseline - 0.5 * left + 0.004 * noise.next();
    let train_accuracy = (baseline + 0.02 - 0.5 * left).min(1.0);
    Epoch {
        epoch,
        rate: 0.1,
        train_loss: 0.03 + 1.6 * left,
        train_accuracy,
        test_loss: 0.11 + 1.5 * left + 0.02 * noise.next(),
        test_accuracy,
        seconds: 4.2,
    }
}

fn gate(level: f64, width: usize, noise: &mut Noise) -> Gate {
    let mut channel = || (level * (1.0 + 0.9 * noise.next()) + 0.3 * level * noise.next()).clamp(0.0, 1.0) as f32;
    let channels: Vec<f32> = (0..width).map(|_| channel()).collect();
    let class_channels = (0..10).map(|_| (0..width).map(|_| channel()).collect()).collect();
    let mut histogram: Vec<f64> =
        (0..20).map(|bin| (-((f64::from(bin) + 0.5) / 20.0 - level).abs() / 0.2).exp()).collect();
    let total: f64 = histogram.iter().sum();
    histogram.iter_mut().for_each(|share| *share /= total);
    let value = channels.iter().copied().map(f64::from).sum::<f64>() / width as f64;
    Gate {
        mean: Estimate { value, ci95: 0.01 * level },
        std_over_samples: 0.3 * level,
        std_over_units: 0.5 * level,
        open_share: level / 3.0,
        histogram,
        sparsity_per_sample: 0.55 + 0.1 * noise.next(),
        sparsity_of_average: 0.3 + 0.06 * noise.next(),
        sparsity_per_class: (0..10).map(|_| 0.42 + 0.05 * noise.next()).collect(),
        channels,
        class_channels,
    }
}
