//! What commands share: standard output that may be closed, and the title and the facts of a report.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use unrolled::measure::{Measurements, Metric, Score};
use unrolled::nn::Outline;
use unrolled::ranks::Ranks;
use unrolled::report::{Report, Section, Table, counted, separated, short, text};
use unrolled::{visible, visible_line};

/// The rank of this process among those that share the work. Set once; a process alone is rank 0.
static RANK: OnceLock<usize> = OnceLock::new();

/// Sets the rank of this process. The first one alone prints; errors are printed by all.
pub(super) fn set_rank(ranks: &Ranks) {
    // A process runs one command.
    let _ = RANK.set(ranks.rank());
}

/// Whether this process prints for all that share the work.
pub(super) fn is_first() -> bool {
    RANK.get().is_none_or(|rank| *rank == 0)
}

/// Writes to standard output, where characters that a terminal would obey are shown. A reader that has gone away, as `head` does, ends the program quietly.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    if !is_first() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    match out.write_all(visible(text).as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other.map_err(unrolled::Error::io("standard output"))?),
    }
}

/// Writes a line to standard error; whoever has closed it does not want to know.
pub(super) fn say(line: &str) {
    if is_first() {
        let _ = writeln!(std::io::stderr(), "{}", visible_line(line));
    }
}

/// Says that a file system could not lock what is written, if so.
pub(super) fn say_unlocked(path: &Path, why: Option<&str>) {
    if let Some(why) = why {
        let what = "cannot be locked, so that nothing keeps another process from writing there";
        say(&format!("{}: {what}: {why}", path.display()));
    }
}

/// Writes an error to standard error, with the rank of this process if it is not the first.
pub(super) fn say_error(message: &str) {
    let rank = RANK.get().filter(|rank| **rank > 0).map_or_else(String::new, |rank| format!("rank {rank}: "));
    let _ = writeln!(std::io::stderr(), "{rank}error: {}", visible_line(message));
}

/// The version of the form of JSON documents, unless they have one of their own.
const JSON_VERSION: u64 = 3;

/// Returns a JSON document that begins with the version of its form and the command that made it. Of a list, each item does.
pub(super) fn json_document(value: &impl serde::Serialize) -> anyhow::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    let command = serde_json::to_string(&command())?;
    let version = format!("\"version\": {JSON_VERSION},");
    let mut document = String::new();
    let mut lines = text.lines().peekable();
    // Lines are inserted: numbers that pass through another form may be printed in another way.
    let opening = if text.starts_with('[') { "  {" } else { "{" };
    while let Some(line) = lines.next() {
        document += line;
        document.push('\n');
        if line == opening {
            let indent = " ".repeat(opening.len() + 1);
            let own = lines.next_if(|next| next.trim_start().starts_with("\"version\": "));
            document +=
                &format!("{indent}{}\n{indent}\"command\": {command},\n", own.map_or(version.as_str(), str::trim));
        }
    }
    Ok(visible(&document).into_owned())
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&json_document(value)?)
}

/// Prints measured networks: their report as text, and the directory in which it was written where that is given, or one JSON
/// document, a list where there are several.
///
/// # Errors
/// After that, where the loss of a whole network is not finite.
pub(super) fn print_measured(
    page: &Report,
    measured: &[Measurements],
    out: Option<&Path>,
    is_json: bool,
) -> anyhow::Result<()> {
    let without_pictures = |network: &Measurements| network.clone().without_pictures();
    let written = out.map_or_else(String::new, |out| format!("\n{}\n", out.join("report.html").display()));
    match measured {
        _ if !is_json => print(&(text(page, width()) + &written)),
        [one] => print_json(&without_pictures(one)),
        all => print_json(&all.iter().map(without_pictures).collect::<Vec<_>>()),
    }?;
    Ok(measured.iter().try_for_each(|network| network.baseline.check_finite(&network.target))?)
}

/// Returns the last part of a path, which names a network in a line that has to be short.
pub(super) fn short_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The arguments of the program, without its name. Set once.
static ARGUMENTS: OnceLock<Vec<String>> = OnceLock::new();

/// Sets the arguments that reports and JSON documents name, the first of which is the name of the program.
pub(super) fn set_arguments(arguments: &[OsString]) {
    let own = arguments.iter().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    // A process runs one command.
    let _ = ARGUMENTS.set(own);
}

/// Returns the command of this process.
fn command() -> String {
    format!("unrolled {}", ARGUMENTS.get().map_or_else(String::new, |arguments| arguments.join(" ")))
}

/// The width of the terminal that standard output leads to, in columns; 100 where it is none.
pub(super) fn width() -> usize {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(100, |(width, _)| usize::from(width.0))
}

/// Returns the title of a report about some networks; a path stands in it by its last part.
pub(super) fn title(measured: &[Measurements]) -> String {
    match measured {
        [one] => {
            format!("How {} refines its estimates", short_name(Path::new(&one.target)))
        }
        all => format!("{} networks side by side", all.len()),
    }
}

/// Returns a score in one line. It begins with the perplexity where that is the metric of the network.
pub(super) fn score(score: &Score, outline: &Outline) -> String {
    let interval = |[low, high]: [f64; 2], unit: &str| format!("95 % interval {low:.2} to {high:.2}{unit}");
    let perplexity = match Metric::of(outline) {
        metric @ Metric::Perplexity => {
            format!("perplexity {:.2} ({}), ", metric.value(score), interval(metric.range(score), ""))
        }
        Metric::Accuracy | Metric::Distance(_) => String::new(),
    };
    let accuracy = Metric::Accuracy;
    let loss_interval = if score.loss_ci95.is_nan() { String::new() } else { format!(" ± {:.4}", score.loss_ci95) };
    let samples = counted(score.samples as usize, "sample");
    let count = score.positions.map(|positions| format!("{} of {samples}", counted(positions as usize, "position")));
    format!(
        "{perplexity}accuracy {:.2} % ({}), loss {:.4}{loss_interval} nats, {}\n",
        accuracy.value(score),
        interval(accuracy.range(score), " %"),
        score.loss,
        count.unwrap_or(samples),
    )
}

/// Returns an outline as text: what the whole network is, and a table of its parts.
pub(crate) fn outline(outline: &Outline, table: Table) -> String {
    let blocks = outline.blocks().count();
    let section = Section { tables: vec![table], ..Section::default() };
    let page = Report { sections: vec![section], ..Report::default() };
    let sides: Vec<String> = outline.input.iter().map(usize::to_string).collect();
    format!(
        "{}\ninput {}, {}, {}, {}, {} parameters, {} FLOPs a sample\n\n{}",
        outline.name,
        sides.join("×"),
        outline.answer.describe(outline.classes),
        counted(outline.stages.len(), "stage"),
        counted(blocks, "block"),
        separated(outline.parameters as f64),
        short(outline.flops),
        text(&page, width()).trim_start_matches('\n'),
    )
}

/// The facts that close a report about work that several processes may have shared.
pub(super) fn facts_of_ranks(begun: Instant, ranks: &Ranks) -> Vec<(String, String)> {
    let mut facts = facts(begun);
    if ranks.size() > 1 {
        let sent = ranks.bytes_sent() as f64 / 1e6;
        facts.push(("processes".into(), format!("{}, of which the first sent {sent:.1} MB", ranks.size())));
    }
    facts
}

/// The facts that close a report.
pub(super) fn facts(begun: Instant) -> Vec<(String, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = format!("{} {}, {threads} threads", std::env::consts::ARCH, std::env::consts::OS);
    [
        ("command", command()),
        ("version", format!("unrolled {}", env!("CARGO_PKG_VERSION"))),
        ("machine", machine),
        ("date", today()),
        ("seconds", format!("{:.1}", begun.elapsed().as_secs_f64())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// The day in UTC, such as `2026-11-24`.
fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    civil(since.as_secs() / 86_400)
}

/// The date of a day counted from 1970-01-01: years are counted from March, so that the leap day comes last.
fn civil(days: u64) -> String {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month <= 2))
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let dates = [(0, "1970-01-01"), (11_016, "2000-02-29"), (11_017, "2000-03-01"), (20_781, "2026-11-24")];
        dates.iter().for_each(|(days, date)| assert_eq!(civil(*days), *date));
    }
}
