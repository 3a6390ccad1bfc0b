//! Removes two blocks of a network for good, writes the smaller network, and opens it again.
//!
//!     cargo run --release --example slim -- resnet56.th cifar10:DIR slim.safetensors

use std::path::Path;

use unrolled::prelude::*;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: &str| arguments.next().unwrap_or_else(|| default.into());
    let path = argument("tests/unchanged/mlp/model.safetensors");
    let data = argument("digits");
    let out = argument("slim.safetensors");

    let mut network = AnyNetwork::open(&path)?;
    let data = EvalSet::open(&data)?.limit(1_000).for_network(&mut network)?;
    // One half of the samples selects the blocks, the other gives the scores. The written file is opened again and has to
    // predict as planned, bit for bit: otherwise this is an error, and there is no file.
    let slimming = Slim::new(&network, &data).remove(2).by(Criterion::Greedy).save(Path::new(&out))?;
    let removed: Vec<String> = slimming.removed.iter().map(BlockId::to_string).collect();
    println!("removed: {}", removed.join(", "));

    let slimmed = AnyNetwork::open(&out)?;
    for network in [&network, &slimmed] {
        let outline = network.outline();
        println!("{}: {} parameters", outline.name, outline.parameters);
    }
    Ok(())
}
