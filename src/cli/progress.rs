//! Progress bars, and interrupting long work.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use unrolled::measure::Progress;
use unrolled::visible_line;

use super::output;

/// Whether Ctrl-C was pressed. A signal handler can tell it nowhere else.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether work is under way that asks for it.
static CAN_STOP: AtomicBool = AtomicBool::new(false);
/// What to say where Ctrl-C ends the program at once: how to go on.
static ADVICE: Mutex<Option<String>> = Mutex::new(None);

/// Lets Ctrl-C end work that has a [`Bar`] at the next batch, so that what is finished is kept. Pressed again, or where there is
/// no such work, it ends the program at once.
pub(super) fn stop_on_interrupt() {
    // Without a handler the program ends at once, as any other does.
    let _ = ctrlc::set_handler(|| {
        if !CAN_STOP.load(Ordering::Relaxed) || IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            if let Some(advice) = ADVICE.lock().ok().and_then(|mut advice| advice.take()) {
                output::say("");
                output::say(&advice);
            }
            std::process::exit(130);
        }
    });
}

/// Sets what is said where Ctrl-C ends the program at once; `None` for nothing.
pub(super) fn set_advice(advice: Option<String>) {
    if let Ok(mut current) = ADVICE.lock() {
        *current = advice;
    }
}

/// A line on standard error: what is under way, a bar, the finished share, the time left. It is hidden where standard error is
/// no terminal, and shortened to the width of the window.
pub(super) struct Meter {
    bar: ProgressBar,
    begun: Instant,
    /// The work that was finished before `begun`.
    before: u64,
    message: String,
}

impl Meter {
    pub(super) fn new() -> Self {
        let target =
            if output::is_first() { ProgressDrawTarget::stderr_with_hz(8) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{wide_msg} {bar:10} {percent:>3} %{prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        // The bar starts a thread, and would panic where none can be started.
        let can_start = || std::thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok());
        if output::is_first() && can_start() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar, begun: Instant::now(), before: 0, message: String::new() }
    }

    /// Shows that `done` of `total` is finished.
    pub(super) fn show(&mut self, message: &str, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.message != message {
            message.clone_into(&mut self.message);
            self.bar.set_message(visible_line(message).into_owned());
        }
        let left = time_left(self.begun.elapsed(), done.saturating_sub(self.before), total.saturating_sub(done));
        self.bar.set_prefix(left.map_or_else(String::new, |left| format!(" · {:#} left", HumanDuration(left))));
    }

    /// Begins another piece of work, of which `done` is finished already: the time left follows from what comes after.
    pub(super) fn restart(&mut self, done: u64) {
        self.begun = Instant::now();
        self.before = done;
    }

    /// Counts `done` as finished before this process began.
    pub(super) fn set_before(&mut self, done: u64) {
        self.before = done;
    }

    /// Writes a line above the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| output::say(line));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Returns the time that the remaining work takes at the speed so far; `None` before anything is finished.
fn time_left(elapsed: Duration, done: u64, remaining: u64) -> Option<Duration> {
    let seconds = elapsed.as_secs_f64() * remaining as f64 / done as f64;
    Duration::try_from_secs_f64(seconds).ok().filter(|_| done > 0)
}

/// The progress of measurements. Until [`Bar::finish`], Ctrl-C stops the work.
pub(super) struct Bar {
    meter: Meter,
    network: String,
    message: String,
    /// The finished work that was done before.
    restored: u64,
}

impl Bar {
    /// A bar for the network of this short name.
    pub(super) fn new(network: &str) -> Self {
        CAN_STOP.store(true, Ordering::Relaxed);
        let message = format!("{network}: whole network");
        Self { meter: Meter::new(), network: network.to_owned(), message, restored: 0 }
    }

    pub(super) fn finish(&self) {
        CAN_STOP.store(false, Ordering::Relaxed);
        self.meter.finish();
    }
}

impl Progress for Bar {
    fn update(&mut self, done: u64, total: u64) -> ControlFlow<()> {
        self.meter.show(&self.message, done, total);
        if IS_INTERRUPTED.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn restored(&mut self, work: u64) {
        self.restored += work;
        self.meter.set_before(self.restored);
    }

    fn started(&mut self, name: &str, number: usize, count: usize) {
        self.message = format!("{}: {name}, {number} of {count} measurements", self.network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_from_the_work_of_this_process() {
        let elapsed = Duration::from_secs(10);
        assert_eq!(time_left(elapsed, 20, 60), Some(Duration::from_secs(30)));
        assert_eq!(time_left(elapsed, 0, 60), None);
        let mut meter = Meter::new();
        meter.show("resumed", 900, 1000);
        meter.restart(900);
        assert_eq!(meter.before, 900);
    }
}
