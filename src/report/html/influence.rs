use super::blocks::{Figure, heat_maps, numbered, place};
use super::element;
use crate::Result;
use crate::report::chart::Cell;
use crate::report::number;
use crate::report::result::{Estimate, Influence, Measurements, Run};
use crate::report::table::Table;

/// How much every block and every run of blocks changes the estimate.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.influence.as_ref().is_some_and(|blocks| !blocks.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "Block influence is 1 − cos(<i>a<sub>k−1</sub></i>, <i>a<sub>k</sub></i>), averaged over the samples: how far a \
         block turns the estimate (ShortGPT, 2024). Below it the size of what the block adds, ‖<i>F</i>‖ over \
         ‖<i>a<sub>k−1</sub></i>‖ (Jastrzebski et al. 2018). Blocks that refine change little; blocks that represent \
         anew change much. Where gradients are known, the third chart says whether what a block adds points down the loss: \
         above zero it does. Blocks that change the shape have none of these.",
    );
    body += &element::seen(networks, sentence);
    body += &element::legend(networks, has);
    let of = |network: &Measurements, figure: fn(&Influence) -> Estimate| {
        let blocks = network.influence.iter().flat_map(|blocks| numbered(network, blocks));
        blocks.map(|(number, influence)| (number, figure(influence))).collect::<Vec<_>>()
    };
    let turn = Figure { title: "Block influence", y_label: "1 − cos", scale: 1.0, rule: 0.0, is_share: false };
    let size =
        Figure {
            title: "Relative size of the residual", y_label: "‖F‖ / ‖a‖", scale: 1.0, rule: 0.0, is_share: false
        };
    let down = Figure {
        title: "Cosine of the residual with the descent of the loss",
        y_label: "cos(F, −∂L/∂a)",
        scale: 1.0,
        rule: 0.0,
        is_share: false,
    };
    let gradients = |network: &Measurements| {
        let blocks = network.gradients.iter().flat_map(|blocks| numbered(network, blocks));
        blocks.map(|(number, cosine)| (number, *cosine)).collect()
    };
    let figures = [
        turn.chart(networks, |n| of(n, |i| i.block_influence))?,
        size.chart(networks, |n| of(n, |i| i.l2_ratio))?,
        down.chart(networks, gradients)?,
    ];
    body += &element::charts(&figures.into_iter().flatten().collect::<Vec<_>>());
    body += "<h3>Runs of blocks</h3>\n";
    body += &element::prose(
        "Angular distance between what enters a run of successive blocks and what leaves it, arccos(cos)/π (Gromov et \
         al. 2024): the darker, the less the run turns the estimate, and the better it can be spared.",
    );
    for network in networks {
        if networks.len() > 1 {
            body += &format!("<h4>{}</h4>\n", element::escape(&network.target));
        }
        body += &element::charts(&maps(network)?);
    }
    body += &element::numbers("Numbers of every block", table(networks));
    body += &element::numbers("The run of each length that turns the estimate least", least(networks));
    Ok(element::section("influence", "Influence", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let blocks = network.influence.as_ref()?;
    let finite = || blocks.iter().filter(|(_, i)| i.block_influence.value.is_finite());
    let by = |a: &(&String, &Influence), b: &(&String, &Influence)| {
        a.1.block_influence.value.total_cmp(&b.1.block_influence.value)
    };
    let (least, most) = (finite().min_by(by)?, finite().max_by(by)?);
    let shown = |(name, influence): (&String, &Influence)| {
        format!("{name} ({})", number::relative(influence.block_influence.value))
    };
    Some(format!("{} turns the estimate most, {} least.", shown(most), shown(least)))
}

/// First block of the run across, its length upwards.
fn maps(network: &Measurements) -> Result<Vec<String>> {
    let runs = network.runs.as_deref().unwrap_or_default();
    let most = runs.iter().map(|run| run.angular_distance.value).filter(|v| v.is_finite()).fold(0.0, f64::max);
    let labels = ["first block of the run", "blocks"];
    heat_maps(network, labels, &number::relative(most), |stage| {
        let cell = |run: &Run| {
            let (x, y) = (place(stage, &run.first)?, run.blocks as f64 - 0.5);
            Some(Cell { x: (x, x + 1.0), y: (y, y + 1.0), value: run.angular_distance.value / most })
        };
        runs.iter().filter_map(cell).collect()
    })
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new(["network", "<block", "1 − cos", "‖F‖ / ‖a‖", "cos(F, −∂L/∂a)"]);
    for network in networks {
        for (block, influence) in network.influence.iter().flatten() {
            let shown = |e: Estimate| number::plus_minus(e.value, e.ci95);
            table.row([
                network.target.clone(),
                block.clone(),
                shown(influence.block_influence),
                shown(influence.l2_ratio),
                network.gradients.as_ref().and_then(|g| g.get(block)).map_or_else(String::new, |e| shown(*e)),
            ]);
        }
    }
    table
}

fn least(networks: &[Measurements]) -> Table {
    let mut table = Table::new(["network", "blocks", "<first", "<last", "angular distance"]);
    for network in networks {
        let runs = network.runs.as_deref().unwrap_or_default();
        let longest = runs.iter().map(|run| run.blocks).max().unwrap_or(0);
        for blocks in 1..=longest {
            let of_length = runs.iter().filter(|run| run.blocks == blocks);
            let least = of_length.min_by(|a, b| a.angular_distance.value.total_cmp(&b.angular_distance.value));
            let Some(Run { first, last, angular_distance: angle, .. }) = least else { continue };
            let angle = number::plus_minus(angle.value, angle.ci95);
            table.row([network.target.clone(), blocks.to_string(), first.clone(), last.clone(), angle]);
        }
    }
    table
}
