//! What commands share: progress bars, standard output that may be closed, and the facts at the end of a report.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Writes to standard output. A reader that has gone away, as `head` does, ends the program quietly.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other.map_err(unrolled::Error::io("standard output"))?),
    }
}

/// Writes a line to standard error; whoever has closed it does not want to know.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints one JSON document.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    print(&(serde_json::to_string_pretty(value)? + "\n"))
}

/// A bar on standard error, hidden where that is no terminal; it shows the time left.
pub(super) fn bar(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {percent:>3} %  {per_sec} · {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The facts that close a report.
pub(super) fn facts(begun: Instant) -> Vec<(String, String)> {
    let arguments = std::env::args_os().skip(1);
    let command: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let machine = format!("{} {}, {threads} threads", std::env::consts::ARCH, std::env::consts::OS);
    [
        ("command", format!("unrolled {}", command.join(" "))),
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
