//! The threads that compute, also in a process that was forked.
//!
//! A fork copies the calling thread alone. The threads that computed before are missing in the child, and work that is
//! handed to them never ends. So in a child every thread that computes gets threads of its own.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::ThreadPoolBuilder;
use unrolled::{Error, Result};

/// The process that the threads of all belong to; 0 before there are any.
static COMMON: AtomicU32 = AtomicU32::new(0);
/// The process that the threads of the engine of graphs belong to; 0 before there are any.
static OF_GRAPHS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The process in which this thread got threads of its own; 0 where it uses those of all.
    static OWN: Cell<u32> = const { Cell::new(0) };
}

/// Makes sure that there are threads to compute with.
///
/// # Errors
/// [`Error::Unsupported`] in the fork of a fork, where both have computed, and where no thread can be started.
pub(crate) fn ensure() -> Result<()> {
    let here = std::process::id();
    if belongs_to(&COMMON, here) || OWN.get() == here {
        return Ok(());
    }
    if OWN.get() != 0 {
        return Err(forked("one that had computed and was forked itself"));
    }
    let made = ThreadPoolBuilder::new().use_current_thread().build();
    let pool = made.map_err(|_| forked("one that had computed, and no thread can be started"))?;
    // Its threads end when it is dropped, and this thread stays in it until the process ends.
    std::mem::forget(pool);
    OWN.set(here);
    Ok(())
}

/// Makes sure that the engine of graphs has its threads, of which there is one set.
///
/// # Errors
/// [`Error::Unsupported`] in a fork of a process that had run a graph.
pub(crate) fn ensure_for_graphs() -> Result<()> {
    if belongs_to(&OF_GRAPHS, std::process::id()) {
        return Ok(());
    }
    Err(forked("one that had run an ONNX file, which can be run in one of them"))
}

/// Returns whether threads belong to this process; they do from now on where there were none.
fn belongs_to(owner: &AtomicU32, here: u32) -> bool {
    owner.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed).map_or_else(|owner| owner == here, |_| true)
}

fn forked(from: &str) -> Error {
    let why = format!("was forked from {from}; start processes by multiprocessing.get_context(\"spawn\")");
    Error::unsupported("this process", why)
}
