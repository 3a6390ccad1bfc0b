use super::element;
use crate::Result;
use crate::report::chart::{Axis, Chart, Colour, Layer, Mark};
use crate::report::result::{Estimation, Measurements, StageOutline};
use crate::report::table::Table;
use crate::report::{number, summary};

/// The paper's Figure 3, and the standard deviation alone.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    if networks.iter().all(|network| network.estimation.is_none()) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "The estimation error of block <i>k</i> is <i>a<sub>k</sub></i> − <i>A</i>, where <i>a<sub>k</sub></i> is the \
         block’s output and <i>A</i> the output of the last block of its stage (paper, Eq. 1 and Figure 3). Mean and \
         standard deviation are taken over the samples for each unit, then averaged over the units. Here both are divided \
         by the standard deviation of <i>A</i>, so that stages and networks share a scale; the numbers below give both forms.",
    );
    body += &element::prose(
        "Points are means, bars reach one standard deviation up and down. A mean near zero says that the block \
         preserves feature identity; bars that shorten say that the estimate is refined. The last block has no \
         error by definition.",
    );
    body += &element::seen(networks, sentence);
    body += &element::legend(networks, |network| network.estimation.is_some());
    let rows = rows(networks);
    // One width for all, so that panels stand in columns.
    let across = rows.iter().map(Vec::len).max().unwrap_or(1);
    let blocks = rows.iter().flatten().map(|panel| panel.stage.blocks.len()).max().unwrap_or(1);
    let width = panel_width(across, blocks);
    for row in &rows {
        body += &element::charts(&row.iter().map(|panel| panel.figure3(row, width)).collect::<Result<Vec<_>>>()?);
    }
    body += "<h3>Standard deviation alone</h3>\n";
    body += &element::prose(
        "Standard deviation of <i>a<sub>k</sub></i> − <i>A</i> over that of <i>A</i>, with 95 % intervals. At 1 the error \
         spreads as widely as the feature itself.",
    );
    body += &deviations(networks)?;
    let errors = networks.iter().filter_map(|network| network.estimation.as_ref()).flat_map(|blocks| blocks.values());
    let figures = errors.flat_map(|error| [error.mean_relative, error.std_relative]);
    body += &element::left_out(figures.filter(|value| !value.is_finite()).count(), "of these figures");
    body += &element::numbers("Numbers of every block", table(networks));
    Ok(element::section("estimation", "Estimation error", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let (falling, steps) = summary::falling_steps(network)?;
    let mut sentence = match steps {
        0 => "Too few blocks to compare standard deviations from block to block.".to_owned(),
        _ => format!("The standard deviation falls from block to block in {falling} of {steps} steps before the last."),
    };
    if let Some((block, mean)) = summary::largest_mean(network.estimation.as_ref()?) {
        sentence +=
            &format!(" The mean furthest from zero is {} (at {block}).", number::relative(mean).replace('-', "−"));
    }
    Some(sentence)
}

/// A stage of a network.
struct Panel<'a> {
    place: usize,
    title: String,
    stage: &'a StageOutline,
    errors: Vec<(usize, &'a Estimation)>,
}

/// Stages of one network side by side, or the networks of one stage.
fn rows(networks: &[Measurements]) -> Vec<Vec<Panel<'_>>> {
    let all: Vec<_> = (0..networks.len()).filter_map(|place| stages(networks, place)).collect();
    if all.len() == 1 {
        return all;
    }
    let deepest = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut rows: Vec<Vec<Panel<'_>>> = (0..deepest).map(|_| Vec::new()).collect();
    for (row, panel) in all.into_iter().flat_map(|stages| stages.into_iter().enumerate()) {
        rows[row].push(panel);
    }
    rows
}

fn stages(networks: &[Measurements], place: usize) -> Option<Vec<Panel<'_>>> {
    let network = &networks[place];
    let blocks = network.estimation.as_ref()?;
    let panel = |stage| {
        let errors: Vec<_> = summary::stage_errors(blocks, stage).map(|(number, _, error)| (number, error)).collect();
        let title = match networks.len() {
            1 => stage.name.clone(),
            _ => format!("{} · {}", network.target, stage.name),
        };
        (!errors.is_empty()).then_some(Panel { place, title, stage, errors })
    };
    Some(network.outline.stages.iter().filter_map(panel).collect())
}

impl Panel<'_> {
    /// Mean and standard deviation, on the same scale as the other panels of its row.
    fn figure3(&self, row: &[Self], width: f64) -> Result<String> {
        let reach = |error: &Estimation| [-1.0, 0.0, 1.0].map(|bars| error.mean_relative + bars * error.std_relative);
        let values = row.iter().flat_map(|panel| &panel.errors).flat_map(|(_, error)| reach(error)).chain([0.0]);
        let bars = self.errors.iter().map(|(number, error)| {
            let [low, _, high] = reach(error);
            (*number as f64, low, high)
        });
        let means = self.errors.iter().map(|(number, error)| (*number as f64, error.mean_relative));
        let colour = Colour::Network(self.place);
        Chart {
            title: self.title.clone(),
            description: format!("Estimation error of the blocks of {}: mean and standard deviation", self.title),
            x_label: "block".into(),
            y_label: "a − A, over std of A".into(),
            x: Axis::numbers(self.stage.blocks.len(), 10),
            y: Axis::covering(values),
            size: (width, 290.0),
            layers: vec![
                Layer::new(Mark::Rule(0.0), Colour::Muted),
                Layer::new(Mark::Whiskers(bars.collect()), colour).faint(0.55),
                Layer::new(Mark::Points(means.collect(), self.place), colour),
            ],
        }
        .figure()
    }
}

/// A stage of three blocks looks lost on the whole width of the page.
fn panel_width(panels: usize, blocks: usize) -> f64 {
    element::width_of(panels).min(280.0 + 24.0 * blocks as f64)
}

/// A panel a stage, all networks in it.
fn deviations(networks: &[Measurements]) -> Result<String> {
    let all: Vec<_> = (0..networks.len()).filter_map(|place| stages(networks, place)).collect();
    let values: Vec<f64> = all.iter().flatten().flat_map(|panel| &panel.errors).map(|(_, e)| e.std_relative).collect();
    let positive = values.iter().copied().filter(|value| *value > 0.0 && value.is_finite());
    let (low, high) = positive.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let logarithmic = high > 30.0 * low;
    let y = if logarithmic { Axis::logarithmic(values) } else { Axis::covering(values.into_iter().chain([0.0])) };
    let deepest = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut figures = Vec::new();
    for index in 0..deepest {
        let panels: Vec<_> = all.iter().filter_map(|stages| stages.get(index)).collect();
        let blocks = panels.iter().map(|panel| panel.stage.blocks.len()).max().unwrap_or(1);
        let name = panels.first().map_or("", |panel| panel.stage.name.as_str());
        figures.push(
            Chart {
                title: name.into(),
                description: format!("Standard deviation of the estimation error of the blocks of {name}"),
                x_label: "block".into(),
                y_label: "std of a − A, over std of A".into(),
                x: Axis::numbers(blocks, 10),
                y: y.clone(),
                size: (panel_width(deepest, blocks), 270.0),
                layers: panels.iter().flat_map(|panel| deviation(panel)).collect(),
            }
            .figure()?,
        );
    }
    let note = "Logarithmic scale; a standard deviation of exactly zero has no place on it.";
    Ok(element::charts(&figures) + &if logarithmic { element::note(note) } else { String::new() })
}

fn deviation(panel: &Panel) -> [Layer; 3] {
    let line: Vec<_> = panel.errors.iter().map(|(number, error)| (*number as f64, error.std_relative)).collect();
    let whiskers = panel.errors.iter().filter(|(_, error)| error.std > 0.0).map(|(number, error)| {
        let half = error.std_ci95 * error.std_relative / error.std;
        (*number as f64, error.std_relative - half, error.std_relative + half)
    });
    let colour = Colour::Network(panel.place);
    [
        Layer::new(Mark::Whiskers(whiskers.collect()), colour),
        Layer::new(Mark::Line(line.clone()), colour).faint(0.7),
        Layer::new(Mark::Points(line, panel.place), colour),
    ]
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new([
        "network",
        "<block",
        "mean",
        "std",
        "rms",
        "mean of a(k) − a(k−1)",
        "mean over std of A",
        "std over std of A",
        "rms over std of A",
    ]);
    for network in networks {
        for (block, e) in network.estimation.iter().flatten() {
            let step = e.step_mean.map(|step| number::plus_minus(step, e.step_mean_ci95.unwrap_or(f64::NAN)));
            table.row([
                network.target.clone(),
                block.clone(),
                number::plus_minus(e.mean, e.mean_ci95),
                number::plus_minus(e.std, e.std_ci95),
                number::plus_minus(e.rms, e.rms_ci95),
                step.unwrap_or_default(),
                number::relative(e.mean_relative),
                number::relative(e.std_relative),
                number::relative(e.rms_relative),
            ]);
        }
    }
    table
}
