//! Progress bars, and interrupting long work.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use unrolled::measure::Progress;

/// Whether Ctrl-C was pressed. A signal handler can tell it nowhere else.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether work is under way that asks for it.
static CAN_STOP: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C end work that has a [`Bar`] at the next batch, so that what is finished is kept. Pressed again, or where there is
/// no such work, it ends the program at once.
pub(super) fn stop_on_interrupt() {
    // Without a handler the program ends at once, as any other does.
    let _ = ctrlc::set_handler(|| {
        if !CAN_STOP.load(Ordering::Relaxed) || IS_INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// A bar on standard error, hidden where that is no terminal; it shows the time left. While it lives Ctrl-C stops the work.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &str) -> Self {
        CAN_STOP.store(true, Ordering::Relaxed);
        Self(bar(0, what))
    }

    pub(super) fn finish(&self) {
        CAN_STOP.store(false, Ordering::Relaxed);
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn update(&mut self, done: u64, total: u64) -> ControlFlow<()> {
        self.0.set_length(total);
        self.0.set_position(done);
        if IS_INTERRUPTED.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Returns a bar over so many steps.
pub(super) fn bar(total: u64, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {percent:>3} %  {per_sec} · {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
    bar.set_style(style);
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
