//! Adds a measurement: how many units of every block are zero, on average over the samples.

use serde::{Deserialize, Serialize};
use unrolled::measure::{BlockView, charts};
use unrolled::prelude::*;
use unrolled::report::{Cell, Column, Format};

struct Zeros;

/// Zeros and values of every block.
#[derive(Default, Serialize, Deserialize)]
struct ZeroProbe(Vec<(BlockId, [u64; 2])>);

impl Probe for ZeroProbe {
    fn block(&mut self, block: &BlockView) {
        let values = block.stage.after();
        let zeros = values.iter().filter(|value| **value == 0.0).count();
        self.add(block.id, [zeros as u64, values.len() as u64]);
    }

    fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(id, counts)| self.add(id, counts));
    }
}

impl ZeroProbe {
    fn add(&mut self, id: BlockId, counts: [u64; 2]) {
        match self.0.iter_mut().find(|(other, _)| *other == id) {
            Some((_, sums)) => (0..2).for_each(|place| sums[place] += counts[place]),
            None => self.0.push((id, counts)),
        }
    }
}

impl Measurement for Zeros {
    type Output = PerBlock<f64>;
    type Probe = ZeroProbe;
    const NAME: &'static str = "zeros";
    const ABOUT: &'static str = "The share of units that are zero";

    fn probe(&self, _: &Scope) -> Option<ZeroProbe> {
        Some(ZeroProbe::default())
    }

    fn analyse(&self, _: &Scope, observed: &AnalysisInput<ZeroProbe>) -> PerBlock<f64> {
        let counts = observed.probe.iter().flat_map(|probe| &probe.0);
        counts.map(|&(id, [zeros, values])| (id, zeros as f64 / values as f64)).collect()
    }

    fn present(&self, networks: &[Presented<PerBlock<f64>>]) -> Section {
        let columns = vec![Column::new("zero_share_fraction", "zeros", Format::Percent)];
        let cells = |network: &Presented<PerBlock<f64>>, id| Some(vec![Cell::Number(*network.output.get(&id)?)]);
        let table = charts::block_table(("zeros", "Units that are zero"), networks, columns, cells);
        Section { title: "Units that are zero".into(), tables: vec![table], ..Section::default() }
    }
}

fn main() -> Result<()> {
    let config = ModelConfig::new(ModelKind::Resnet).with_depth(8).with_width(4);
    let model = Model::new(&config, [1, 8, 8], 10, 0, Backend::cpu())?;
    let data = EvalSet::open("digits")?.limit(100).build()?;
    let results = Measure::new().only(["lesion"])?.with(&Zeros).run(&model, &data, &mut ())?;
    let report = unrolled::measure::report("Zeros", Vec::new(), &[results], &[&Zeros], Vec::new())?;
    println!("{}", unrolled::report::text(&report, 80));
    Ok(())
}
