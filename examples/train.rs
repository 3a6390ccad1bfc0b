//! Trains a network from an experiment file, and measures it.
//!
//!     cargo run --release --example train -- runs/example

use std::path::Path;

use unrolled::prelude::*;
use unrolled::train::Event;

const EXPERIMENT: &str = r#"
[model]
kind = "mlp"
wiring = "highway"
depth = 12
width = 16

[data]
source = "digits"

[train]
epochs = 2
"#;

fn main() -> Result<()> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "runs/example".into());
    let experiment = Experiment::parse(EXPERIMENT, &[], "the experiment")?;
    let trainer = Trainer::new(experiment, Path::new(&dir), false, Backend::cpu())?;
    let (model, _) = trainer.train(&mut |event| {
        if let Event::Epoch(epoch) = event {
            println!("epoch {}: {:.2} % of the test samples", epoch.epoch, 100.0 * epoch.evaluation_accuracy);
        }
    })?;

    let data = EvalSet::open("digits")?.limit(500).build()?;
    let results = Measure::new().only(["gates"])?.run(&model, &data, &mut ())?;
    for (block, gates) in results.require::<Gates>()? {
        let transform = gates.transform.as_ref().map_or(f64::NAN, |gate| gate.mean.value);
        println!("{block}: mean transform gate {transform:.3}");
    }
    Ok(())
}
