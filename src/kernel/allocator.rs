//! An allocator that keeps freed blocks for later requests.
//!
//! A training step requests the same large arrays again and again. If they went back to the system, each would cost a page
//! fault for every 4 KiB at the next request, which is two fifths of the step of a small network.
//!
//! Blocks serve requests of their own size class alone. Work of another kind, with arrays of other sizes, finds none; so the sum of
//! what is kept has a bound, and where it is reached, all is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::tuning::allocation::{CACHE_LINE, LARGE_PAGE, MAX_FREE, MIN_BLOCK, STEPS_PER_POWER};

/// The number of size classes: from [`MIN_BLOCK`] to 4 GiB. Larger blocks go back to the system.
const CLASSES: usize = STEPS_PER_POWER as usize * 16;

/// A global allocator that keeps freed blocks of 64 KiB and more. It suits programs that train; a library leaves the choice
/// to the program:
///
/// ```ignore
/// #[global_allocator]
/// static ALLOCATOR: unrolled::kernel::CachingAllocator = unrolled::kernel::CachingAllocator;
/// ```
pub struct CachingAllocator;

/// The blocks that the process keeps.
static CACHE: Cache = Cache::new();

/// Freed blocks.
struct Cache {
    free: [Mutex<FreeList>; CLASSES],
    /// The bytes of all of them.
    bytes: AtomicUsize,
    /// The most bytes that are kept: the least of the bounds.
    most: AtomicUsize,
    bounds: Mutex<Vec<usize>>,
}

/// The free blocks of one size class, as addresses.
struct FreeList {
    blocks: [usize; MAX_FREE],
    count: usize,
}

impl CachingAllocator {
    /// Bounds the bytes of freed blocks that the process keeps, as long as the returned value lives; of several bounds the least
    /// holds. No result depends on it.
    pub fn limit_cache(bytes: usize) -> CacheLimit<'static> {
        CACHE.limit_cache(bytes)
    }
}

/// A limit on the freed memory that the process keeps, which holds until it is dropped.
#[must_use = "the limit ends where this is dropped"]
pub struct CacheLimit<'a> {
    cache: &'a Cache,
    bytes: usize,
}

impl Drop for CacheLimit<'_> {
    fn drop(&mut self) {
        self.cache.change_bounds(|bounds| {
            if let Some(place) = bounds.iter().position(|&bytes| bytes == self.bytes) {
                bounds.swap_remove(place);
            }
        });
    }
}

impl Cache {
    const fn new() -> Self {
        let free = [const { Mutex::new(FreeList { blocks: [0; MAX_FREE], count: 0 }) }; CLASSES];
        Self { free, bytes: AtomicUsize::new(0), most: AtomicUsize::new(usize::MAX), bounds: Mutex::new(Vec::new()) }
    }

    fn limit_cache(&self, bytes: usize) -> CacheLimit<'_> {
        self.change_bounds(|bounds| bounds.push(bytes));
        CacheLimit { cache: self, bytes }
    }

    fn change_bounds(&self, change: impl FnOnce(&mut Vec<usize>)) {
        let mut bounds = self.bounds.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut bounds);
        let most = bounds.iter().copied().min().unwrap_or(usize::MAX);
        self.most.store(most, Ordering::Relaxed);
        if self.bytes.load(Ordering::Relaxed) > most {
            self.release();
        }
    }

    /// Takes a block of a class, if there is one.
    fn take(&self, class: SizeClass) -> Option<*mut u8> {
        let mut free = self.free[class.index].lock().ok()?;
        free.count = free.count.checked_sub(1)?;
        self.bytes.fetch_sub(class.size, Ordering::Relaxed);
        Some(free.blocks[free.count] as *mut u8)
    }

    /// Keeps a block of a class, and returns whether there is room for it.
    fn keep(&self, class: SizeClass, block: *mut u8) -> bool {
        let most = self.most.load(Ordering::Relaxed);
        if class.size > most {
            return false;
        }
        if self.bytes.load(Ordering::Relaxed).saturating_add(class.size) > most {
            self.release();
        }
        match self.free[class.index].lock() {
            Ok(mut free) if free.count < MAX_FREE => {
                let count = free.count;
                free.blocks[count] = block as usize;
                free.count += 1;
                self.bytes.fetch_add(class.size, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }

    /// Gives all blocks back to the system.
    fn release(&self) {
        for index in 0..CLASSES {
            let class = SizeClass::of_index(index);
            while let Some(block) = self.take(class) {
                // SAFETY: blocks of the class were allocated by the system with the layout of the class.
                unsafe { System.dealloc(block, class.layout()) }
            }
        }
    }
}

/// A range of sizes that blocks of one size serve. Sizes are rounded up to eighths of powers of two.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SizeClass {
    index: usize,
    /// The size of its blocks, bytes.
    size: usize,
}

impl SizeClass {
    /// Returns the class that serves a layout, or `None` if the system does.
    fn of(layout: &Layout) -> Option<Self> {
        Self::of_size(layout.size()).filter(|_| layout.align() <= CACHE_LINE)
    }

    fn of_size(size: usize) -> Option<Self> {
        if size < MIN_BLOCK {
            return None;
        }
        let power = (size - 1).ilog2();
        let step = 1usize << power >> STEPS_PER_POWER.ilog2();
        let steps = size.div_ceil(step);
        let steps_below = (power - (MIN_BLOCK - 1).ilog2()) as usize * STEPS_PER_POWER as usize;
        let index = steps_below + (steps - STEPS_PER_POWER as usize - 1);
        (index < CLASSES).then_some(Self { index, size: steps * step })
    }

    /// Returns the class at a place of the list of classes.
    fn of_index(index: usize) -> Self {
        let steps_per_power = STEPS_PER_POWER as usize;
        let smallest = MIN_BLOCK << (index / steps_per_power);
        let size = (smallest >> 1) + (smallest >> 1) / steps_per_power * (index % steps_per_power + 1);
        Self { index, size }
    }

    /// Returns the layout with which its blocks are requested from the system.
    fn layout(self) -> Layout {
        let align = if self.size < LARGE_PAGE { CACHE_LINE } else { LARGE_PAGE };
        Layout::from_size_align(self.size, align).expect("a size below 4 GiB and a power of two")
    }

    /// Requests a block from the system.
    fn allocate(self) -> *mut u8 {
        // SAFETY: a class has no blocks of size zero.
        let block = unsafe { System.alloc(self.layout()) };
        #[cfg(target_os = "linux")]
        if self.size >= LARGE_PAGE && !block.is_null() {
            // A system without large pages refuses, and the block has small ones.
            // SAFETY: the range is the block that was just allocated, and the advice changes nothing in it.
            let _ = unsafe { libc::madvise(block.cast(), self.size, libc::MADV_HUGEPAGE) };
        }
        block
    }
}

/// The longest time from a request that was refused to the abort for want of it. Rust prints a message between, perhaps with a backtrace.
const TO_ABORT: Duration = Duration::from_secs(5);

thread_local! {
    /// When the system refused a request of this thread last.
    static REFUSED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Takes note of a request that the system refused.
fn noted(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        // A thread that ends has nothing to say any more.
        let _ = REFUSED.try_with(|refused| refused.set(Some(Instant::now())));
    }
    block
}

/// Returns whether an abort of this thread is for want of memory. A thread can do without memory that was refused, and be aborted later
/// for another reason.
fn is_out_of_memory(now: Instant) -> bool {
    let refused = REFUSED.try_with(Cell::get).ok().flatten();
    refused.is_some_and(|refused| now.duration_since(refused) < TO_ABORT)
}

/// Lets a program whose allocator is [`CachingAllocator`] end with an error, exit code 1, where memory cannot be had. Rust ends
/// such a program by a signal otherwise, as if it had crashed.
pub fn fail_without_memory() {
    #[cfg(target_os = "linux")]
    // SAFETY: the handler calls nothing but what a handler may call.
    unsafe {
        libc::signal(libc::SIGABRT, on_abort as extern "C" fn(libc::c_int) as libc::sighandler_t);
    }
}

/// Ends the program. Where memory was refused to this thread just before, that is why.
#[cfg(target_os = "linux")]
extern "C" fn on_abort(_: libc::c_int) {
    const MESSAGE: &[u8] = b"error: out of memory; use smaller batches or a smaller network\n";
    // SAFETY: the functions may be called by a handler of signals, and so may the clock.
    unsafe {
        if is_out_of_memory(Instant::now()) {
            libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len());
            libc::_exit(1);
        }
        // The signal comes again when the handler returns, and ends the program.
        libc::signal(libc::SIGABRT, libc::SIG_DFL);
    }
}

// SAFETY: a free block is in one list and is taken out before it is handed out. It has the size of its class, which is at
// least the size of the layout, and at least the alignment of the layout. The class depends on the layout alone, so that
// a block is freed by the one that allocated it.
unsafe impl GlobalAlloc for CachingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = SizeClass::of(&layout) else {
            // SAFETY: the caller promises a layout of nonzero size.
            return noted(unsafe { System.alloc(layout) });
        };
        if let Some(block) = CACHE.take(class) {
            return block;
        }
        noted(class.allocate())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = SizeClass::of(&layout) else {
            // SAFETY: a block of this layout was allocated by the system with it.
            return unsafe { System.dealloc(block, layout) };
        };
        if CACHE.keep(class, block) {
            return;
        }
        // SAFETY: blocks of the class were allocated by the system with the layout of the class.
        unsafe { System.dealloc(block, class.layout()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if SizeClass::of(&layout).is_none() {
            // SAFETY: the caller promises a layout of nonzero size.
            return noted(unsafe { System.alloc_zeroed(layout) });
        }
        // SAFETY: the caller promises a layout of nonzero size. The block has at least the size of the layout.
        unsafe {
            let block = self.alloc(layout);
            if !block.is_null() {
                block.write_bytes(0, layout.size());
            }
            block
        }
    }
}

#[cfg(test)]
mod tests;
