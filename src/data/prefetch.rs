//! An iterator whose items worker threads prepare in advance.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

type Make<T> = Arc<dyn Fn(usize) -> T + Send + Sync>;

/// An iterator over the results of a function for the numbers of a range, in order.
///
/// Of `n` workers, worker `w` computes every `n`-th result from the `w`-th on and sends them through a queue of its own.
/// Receiving from the queues in turn gives the results in order. A queue holds one result and its worker one more, so
/// that at most `2 n` results wait to be received.
pub(super) struct Prefetcher<T> {
    next: usize,
    end: usize,
    make: Make<T>,
    workers: Vec<Worker<T>>,
    /// The worker that has the next result.
    next_worker: usize,
}

struct Worker<T> {
    results: Receiver<T>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Prefetcher<T> {
    /// Starts the workers. With 0 workers, or if the system provides no threads, each result is computed when it is asked
    /// for.
    pub(super) fn new(
        next: usize,
        end: usize,
        workers: usize,
        make: impl Fn(usize) -> T + Send + Sync + 'static,
    ) -> Self {
        let make: Make<T> = Arc::new(make);
        let workers = workers.min(end.saturating_sub(next));
        let started: io::Result<Vec<_>> =
            (0..workers).map(|worker| Worker::start(Arc::clone(&make), next + worker, end, workers)).collect();
        let workers = started.unwrap_or_default();
        Self { next, end, make, workers, next_worker: 0 }
    }

    /// Returns the number of results that remain.
    pub(super) fn len(&self) -> usize {
        self.end.saturating_sub(self.next)
    }
}

impl<T: Send + 'static> Worker<T> {
    fn start(make: Make<T>, first: usize, end: usize, step: usize) -> io::Result<Self> {
        let (sender, results): (SyncSender<T>, _) = sync_channel(1);
        let run = move || {
            for number in (first..end).step_by(step) {
                if sender.send(make(number)).is_err() {
                    // The receiver was dropped.
                    return;
                }
            }
        };
        let thread = Builder::new().name("unrolled-data".to_owned()).spawn(run)?;
        Ok(Self { results, thread })
    }
}

impl<T: Send + 'static> Iterator for Prefetcher<T> {
    type Item = T;

    /// # Panics
    /// If the function panicked, with its message.
    fn next(&mut self) -> Option<T> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next;
        self.next += 1;
        let Some(worker) = self.workers.get(self.next_worker) else {
            return Some((self.make)(number));
        };
        match worker.results.recv() {
            Ok(result) => {
                self.next_worker = (self.next_worker + 1) % self.workers.len();
                Some(result)
            }
            // A worker ends before its last result only if it panicked.
            Err(_) => {
                self.next = self.end;
                match self.workers.swap_remove(self.next_worker).thread.join() {
                    Err(payload) => std::panic::resume_unwind(payload),
                    Ok(()) => None,
                }
            }
        }
    }
}

impl<T> Drop for Prefetcher<T> {
    fn drop(&mut self) {
        // All queues are closed before the first thread is joined, so that the workers stop at the same time.
        let (queues, threads): (Vec<_>, Vec<_>) = self.workers.drain(..).map(|w| (w.results, w.thread)).unzip();
        drop(queues);
        for thread in threads {
            // A panic in a result that was not asked for is ignored.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_order_does_not_depend_on_the_number_of_workers() {
        for workers in [0, 1, 2, 3, 7, 100] {
            let slow_first = |i: usize| {
                std::thread::sleep(Duration::from_micros(300 * (20 - i as u64) / 20));
                i * i
            };
            let mut results = Prefetcher::new(2, 20, workers, slow_first);
            assert_eq!(results.len(), 18);
            assert_eq!(results.next(), Some(4));
            assert_eq!(results.len(), 17);
            assert!(results.eq((3..20).map(|i| i * i)));
        }
        assert_eq!(Prefetcher::new(3, 3, 2, |i| i).next(), None);
        assert_eq!(Prefetcher::new(4, 3, 2, |i| i).len(), 0);
    }

    #[test]
    fn workers_wait_for_the_receiver_and_stop_when_it_is_dropped() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let mut results = Prefetcher::new(0, 1_000_000, 2, move |_| counter.fetch_add(1, Ordering::SeqCst));
        assert!(results.next().is_some());
        std::thread::sleep(Duration::from_millis(30));
        drop(results);
        // One received; for each worker one queued and one waiting; one more begun when the queue became free.
        assert!(made.load(Ordering::SeqCst) <= 5);
        // The threads have ended: none of them holds the function.
        assert_eq!(Arc::strong_count(&made), 1);
    }

    #[test]
    fn a_panic_reaches_the_receiver() {
        for workers in [0, 1, 2, 5] {
            let mut results = Prefetcher::new(0, 9, workers, |i| match i {
                4 => panic!("the fourth"),
                _ => i,
            });
            assert!((0..4).all(|i| results.next() == Some(i)));
            let payload = catch_unwind(AssertUnwindSafe(|| results.next())).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"the fourth"));
        }
    }
}
