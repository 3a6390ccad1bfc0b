//! Measures a network that this crate does not know: the trait `Network` says all that a measurement asks for.
//!
//! The network adds a tenth of what is missing to an average of the pixels, four times: an iteration towards a target.

use unrolled::prelude::*;

struct Iterated(Outline);

/// The blocks of one stage of a single unit.
fn outline() -> Outline {
    let block = |block| BlockOutline {
        id: BlockId { stage: 0, block },
        source_name: None,
        wiring: Wiring::Residual,
        body: "a step".into(),
        shortcut: Shortcut::Identity,
        parameters: 0,
        flops: 10,
        receptive_field: None,
        why_not_removable: None,
    };
    let stage = StageOutline { name: "stage1".into(), shape: vec![1, 1, 1], blocks: (0..4).map(block).collect() };
    let (name, input) = ("iterated average".into(), vec![1, 8, 8]);
    let (parameters, flops, stem_parameters, head_parameters) = (0, 104, 0, 0);
    let is_language_model = false;
    Outline {
        name,
        input,
        classes: 10,
        answer: Answer::default(),
        is_language_model,
        parameters,
        flops,
        stem_parameters,
        head_parameters,
        stages: vec![stage],
    }
}

impl Network for Iterated {
    type Estimate = Vec<f32>;

    fn outline(&self) -> &Outline {
        &self.0
    }

    fn stem(&self, samples: &Samples) -> Result<Vec<f32>> {
        Ok(samples.values.chunks(64).map(|pixels| pixels.iter().sum::<f32>() / 64.0).collect())
    }

    fn enter_stage(&self, _: usize, estimate: Vec<f32>) -> Result<Vec<f32>> {
        Ok(estimate)
    }

    fn block_activations(&self, _: BlockId, x: Vec<f32>) -> Result<BlockActivations<Vec<f32>>> {
        let h: Vec<f32> = x.iter().map(|x| 0.1 * (1.0 - x)).collect();
        let estimate = x.iter().zip(&h).map(|(x, h)| x + h).collect();
        Ok(BlockActivations { h, transform: None, carry: None, estimate })
    }

    fn shortcut(&self, _: BlockId, estimate: Vec<f32>) -> Result<Vec<f32>> {
        Ok(estimate)
    }

    fn head(&self, estimate: Vec<f32>, _: &mut RecurrentState) -> Result<Logits> {
        let values = estimate.iter().flat_map(|x| (0..10).map(move |class| x * class as f32)).collect();
        Ok(Logits::new(values, 10))
    }

    fn values(&self, estimate: &Vec<f32>) -> (Vec<f32>, usize) {
        (estimate.clone(), 1)
    }

    fn rebuild(&self, _: &Vec<f32>, values: Vec<f32>) -> Vec<f32> {
        values
    }
}

fn main() -> Result<()> {
    let data = EvalSet::open("digits")?.build()?;
    let results = Measure::new().only(["estimation"])?.run(&Iterated(outline()), &data, &mut ())?;
    for (block, error) in results.require::<Estimation>()? {
        println!("{block}: mean of a - A {:+.4}, standard deviation {:.4}", error.mean, error.std);
    }
    Ok(())
}
