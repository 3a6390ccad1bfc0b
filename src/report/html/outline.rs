use std::fmt::Write;

use super::element;
use crate::report::chart::NETWORKS;
use crate::report::number;
use crate::report::result::{BlockOutline, Measurements, Outline, StageOutline};
use crate::report::table::Table;

/// Where the line of the estimate runs.
const LINE: f64 = 46.0;
const END_WIDTH: f64 = 58.0;
const STAGE_GAP: f64 = 26.0;
/// A stage is never narrower than the words below it.
const STAGE_WIDTH: f64 = 118.0;

/// Each network drawn from stem to head.
pub(super) fn section(networks: &[Measurements]) -> String {
    if networks.is_empty() {
        return String::new();
    }
    let mut body = element::prose(
        "From left to right: the stem makes the first estimate, every block takes an estimate and returns another, and \
         the head reads the last one. A stage is a run of blocks of one shape (paper, Section 3). Hollow blocks \
         cannot be left out.",
    );
    let mut table =
        Table::new(["network", "<block", "<wiring", "<body", "<skip", "parameters", "FLOPs", "<can be left out"]);
    for (place, network) in networks.iter().enumerate() {
        let outline = &network.outline;
        let _ = write!(body, "<h3>{}</h3>\n{}", element::escape(&network.target), element::note(&facts(outline)));
        body += &drawing(outline, place % NETWORKS, &[]);
        for block in outline.stages.iter().flat_map(|stage| &stage.blocks) {
            table.row([
                network.target.as_str(),
                block.name(),
                block.wiring.name(),
                &block.body,
                block.shortcut.name(),
                &number::count(block.parameters),
                &number::count(block.flops),
                block.why_not_removable.as_deref().unwrap_or("yes"),
            ]);
        }
    }
    body += &element::numbers("Every block", table);
    element::section("outline", "What the networks are made of", &body)
}

fn facts(outline: &Outline) -> String {
    format!(
        "{}, input {}, {} classes, {} parameters, {} FLOPs a sample",
        outline.name,
        number::shape(&outline.input),
        outline.classes,
        number::count(outline.parameters),
        number::short(outline.flops),
    )
}

/// Where everything stands, so that few blocks do not look lost and many still fit.
struct Layout {
    pitch: f64,
    width: f64,
    height: f64,
}

impl Layout {
    fn new(stages: &[StageOutline]) -> Self {
        let blocks: usize = stages.iter().map(|stage| stage.blocks.len()).sum();
        let room = element::PAGE_WIDTH - 2.0 * END_WIDTH - (stages.len() + 1) as f64 * STAGE_GAP;
        let pitch = (room / blocks.max(1) as f64).clamp(5.0, 22.0);
        let inside: f64 = stages.iter().map(|stage| stage_width(stage, pitch) + STAGE_GAP).sum();
        let height = if stages.iter().all(|stage| in_one_line(stage, pitch)) { 92.0 } else { 146.0 };
        Self { pitch, height, width: 2.0 * END_WIDTH + STAGE_GAP + inside }
    }
}

fn stage_width(stage: &StageOutline, pitch: f64) -> f64 {
    (stage.blocks.len() as f64 * pitch).max(STAGE_WIDTH)
}

/// The network from stem to head; blocks that are left out are dashed.
pub(super) fn drawing(outline: &Outline, colour: usize, left_out: &[String]) -> String {
    let Layout { pitch, width, height } = Layout::new(&outline.stages);
    let label = format!("{} from stem to head", outline.name);
    let mut svg = format!(
        "<div class=\"charts\"><figure class=\"chart\"><div class=\"scroll\" tabindex=\"0\"><svg viewBox=\"0 0 {width:.0} {height}\" \
         style=\"min-width:{width:.0}px;max-width:{width:.0}px\" role=\"img\" aria-label=\"{}\" font-size=\"12\">\n\
         <path d=\"M{END_WIDTH} {LINE}H{:.1}\" stroke=\"var(--muted)\" stroke-width=\"1.5\"/>\n",
        element::escape(&label),
        width - END_WIDTH,
    );
    svg += &end("stem", outline.stem_parameters, 0.0);
    let mut left = END_WIDTH + STAGE_GAP;
    for stage in &outline.stages {
        svg += &stage_drawing(stage, left, pitch, colour, left_out);
        left += stage_width(stage, pitch) + STAGE_GAP;
    }
    svg += &end("head", outline.head_parameters, width - END_WIDTH);
    svg + "</svg></div></figure></div>\n"
}

/// Stem or head.
fn end(name: &str, parameters: u64, left: f64) -> String {
    format!(
        "<rect x=\"{:.1}\" y=\"{}\" width=\"{}\" height=\"32\" rx=\"4\" fill=\"var(--card)\" stroke=\"var(--muted)\"/>\
         <text x=\"{3:.1}\" y=\"{4}\" text-anchor=\"middle\" fill=\"var(--ink)\">{name}</text>\
         <text x=\"{3:.1}\" y=\"82\" text-anchor=\"middle\" fill=\"var(--muted)\">{5}</text>\n",
        left + 0.75,
        LINE - 16.0,
        END_WIDTH - 1.5,
        left + END_WIDTH / 2.0,
        LINE + 4.0,
        number::short(parameters),
    )
}

fn stage_drawing(stage: &StageOutline, left: f64, pitch: f64, colour: usize, left_out: &[String]) -> String {
    let mut svg = format!(
        "<text x=\"{left:.1}\" y=\"14\" fill=\"var(--ink)\" font-weight=\"600\">{}</text>\n",
        element::escape(&stage.name)
    );
    let side = (0.74 * pitch).max(3.2);
    let first = left + (stage_width(stage, pitch) - stage.blocks.len() as f64 * pitch) / 2.0;
    for (index, block) in stage.blocks.iter().enumerate() {
        let is_out = left_out.iter().any(|name| name == block.name());
        let fill = if block.why_not_removable.is_some() || is_out { "card" } else { &format!("n{colour}") };
        let dashes = if is_out { " stroke-dasharray=\"2.5 2.5\"" } else { "" };
        let _ = writeln!(
            svg,
            "<rect x=\"{:.2}\" y=\"{}\" width=\"{side:.2}\" height=\"24\" rx=\"{:.1}\" fill=\"var(--{fill})\" \
             stroke=\"var(--n{colour})\" stroke-width=\"1.2\"{dashes}><title>{}</title></rect>",
            first + index as f64 * pitch + (pitch - side) / 2.0,
            LINE - 12.0,
            (side / 4.0).min(3.0),
            element::escape(&tooltip(block)),
        );
    }
    let parameters = stage.blocks.iter().map(|block| block.parameters).sum();
    let lines = [
        number::counted(stage.blocks.len(), "block"),
        wirings(stage),
        format!("shape {}", number::shape(&stage.shape)),
        format!("{} parameters", number::short(parameters)),
    ];
    if in_one_line(stage, pitch) {
        return svg + &fact(left, 0, &lines.join(" · "));
    }
    let lines = lines.iter().enumerate().map(|(line, text)| fact(left, line, text));
    lines.fold(svg, |svg, line| svg + &line)
}

/// Whether all that is said of a stage fits below it in one line.
fn in_one_line(stage: &StageOutline, pitch: f64) -> bool {
    stage_width(stage, pitch) > 380.0
}

fn fact(left: f64, line: usize, text: &str) -> String {
    let (y, text) = (82 + 18 * line, element::escape(text));
    format!("<text x=\"{left:.1}\" y=\"{y}\" fill=\"var(--muted)\">{text}</text>\n")
}

fn tooltip(block: &BlockOutline) -> String {
    let fixed =
        block.why_not_removable.as_ref().map_or_else(String::new, |reason| format!("; cannot be left out: {reason}"));
    let parameters = number::count(block.parameters);
    format!(
        "{}: {}, {}, skip {}, {parameters} parameters{fixed}",
        block.name(),
        block.wiring,
        block.body,
        block.shortcut.name()
    )
}

/// The wiring, or that there are several.
fn wirings(stage: &StageOutline) -> String {
    let mut names: Vec<_> = stage.blocks.iter().map(|block| block.wiring.name()).collect();
    names.dedup();
    match names[..] {
        [] => number::NONE.into(),
        [one] => one.into(),
        _ => "mixed wirings".into(),
    }
}
