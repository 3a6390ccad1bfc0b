//! Opens a network and leaves out each of its blocks in turn.
//!
//!     cargo run --release --example lesion -- resnet56.th cifar10:DIR

use unrolled::prelude::*;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "tests/unchanged/residual/model.safetensors".into());
    let data = arguments.next().unwrap_or_else(|| "digits".into());

    let mut network = AnyNetwork::open(&path)?;
    let data = EvalSet::open(&data)?.limit(2_000).for_network(&mut network)?;
    let results = Measure::new().only(["lesion"])?.run(&network, &data, &mut ())?;
    println!("whole network: {:.2} % of {} samples", 100.0 * results.baseline.accuracy, results.baseline.samples);
    for (block, lesion) in results.require::<Lesion>()? {
        let cost = lesion.accuracy_cost;
        println!("without {block}: {:.2} ± {:.2} points less", 100.0 * cost.value, 100.0 * cost.ci95);
    }
    Ok(())
}
