//! An allocator that keeps what is freed.
//!
//! A training step asks for the same large arrays again and again. Given back to the system, each costs a page fault for
//! every 4 KiB the next time; that is two fifths of the step of a small network.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;

/// Smaller pieces are left to the system's allocator, which keeps those itself.
const SMALLEST: usize = 64 * 1024;
/// Every piece begins at a cache line.
const ALIGN: usize = 64;
/// Pieces of this size and larger begin at a large page of the processor's, and the system is asked to map them by such:
/// small ones cost a miss of the address cache for every 4 KiB that a kernel walks through.
const LARGE: usize = 2 << 20;
/// Sizes are rounded up to eighths of powers of two, so that few are wasted and many fit again.
const STEPS: u32 = 8;
/// Free pieces of one size that are kept.
const KEPT: usize = 256;
/// Sizes from [`SMALLEST`] to 4 GiB; larger pieces go back.
const CLASSES: usize = (STEPS * 16) as usize;

/// The allocator. A program, not a library, chooses it:
///
/// ```ignore
/// #[global_allocator]
/// static ALLOCATOR: unrolled::kernel::Keeping = unrolled::kernel::Keeping;
/// ```
pub struct CachingAllocator;

struct Class {
    free: [usize; KEPT],
    count: usize,
}

static FREE: [Mutex<Class>; CLASSES] = [const { Mutex::new(Class { free: [0; KEPT], count: 0 }) }; CLASSES];

/// Which class serves a size, and the size that all of the class have.
fn class(size: usize) -> Option<(usize, usize)> {
    if size < SMALLEST {
        return None;
    }
    let power = (size - 1).ilog2();
    let step = 1usize << power >> STEPS.ilog2();
    let steps = size.div_ceil(step);
    let rounded = steps * step;
    let place = (power - (SMALLEST - 1).ilog2()) as usize * STEPS as usize + (steps - STEPS as usize - 1);
    (place < CLASSES).then_some((place, rounded))
}

/// The layout by which a piece of a class is had from the system.
fn whole(rounded: usize) -> Layout {
    Layout::from_size_align(rounded, if rounded < LARGE { ALIGN } else { LARGE }).expect("a size that fits")
}

/// A new piece of a class.
///
/// # Safety
/// The size is not zero.
unsafe fn fresh(rounded: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    let piece = unsafe { System.alloc(whole(rounded)) };
    #[cfg(target_os = "linux")]
    if rounded >= LARGE && !piece.is_null() {
        // A wish: a system that does not know it says so, and all goes on as before.
        // SAFETY: the range is that of the piece.
        let _ = unsafe { libc::madvise(piece.cast(), rounded, libc::MADV_HUGEPAGE) };
    }
    piece
}

// SAFETY: a piece is given out once, by this list or by the system, with at least the size and alignment asked for; the
// class of a layout depends on the layout alone, so that it goes back to where it came from.
unsafe impl GlobalAlloc for CachingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((place, rounded)) = class(layout.size()).filter(|_| layout.align() <= ALIGN) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc(layout) };
        };
        if let Ok(mut class) = FREE[place].lock()
            && class.count > 0
        {
            class.count -= 1;
            return class.free[class.count] as *mut u8;
        }
        // SAFETY: the size is not zero.
        unsafe { fresh(rounded) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some((place, rounded)) = class(layout.size()).filter(|_| layout.align() <= ALIGN) else {
            // SAFETY: it came from there.
            return unsafe { System.dealloc(piece, layout) };
        };
        if let Ok(mut class) = FREE[place].lock()
            && class.count < KEPT
        {
            let count = class.count;
            class.free[count] = piece as usize;
            class.count += 1;
            return;
        }
        // SAFETY: it came from there with this layout.
        unsafe { System.dealloc(piece, whole(rounded)) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((_, rounded)) = class(layout.size()).filter(|_| layout.align() <= ALIGN) else {
            // SAFETY: the caller's layout.
            return unsafe { System.alloc_zeroed(layout) };
        };
        let _ = rounded;
        // SAFETY: the caller's layout; what comes has room for it.
        unsafe {
            let piece = self.alloc(layout);
            if !piece.is_null() {
                piece.write_bytes(0, layout.size());
            }
            piece
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_tight_and_apart() {
        let mut last = class(SMALLEST).unwrap();
        for size in (SMALLEST..SMALLEST * 40).step_by(977) {
            let (place, rounded) = class(size).unwrap();
            assert!(rounded >= size && rounded <= size + size / 7, "{size} {rounded}");
            assert!(place >= last.0 && rounded >= last.1);
            assert_eq!(place == last.0, rounded == last.1, "{size}");
            last = (place, rounded);
        }
        assert!(class(SMALLEST - 1).is_none() && class(usize::MAX / 4).is_none());
    }

    #[test]
    fn pieces_come_again_aligned_and_zeroed_where_asked() {
        let layout = Layout::from_size_align(SMALLEST + 5, 4).unwrap();
        // SAFETY: pieces are written within their layout and given back once.
        unsafe {
            let first = CachingAllocator.alloc(layout);
            assert_eq!(first as usize % ALIGN, 0);
            first.write_bytes(7, layout.size());
            CachingAllocator.dealloc(first, layout);
            let second = CachingAllocator.alloc_zeroed(layout);
            assert!((0..layout.size()).all(|i| *second.add(i) == 0));
            CachingAllocator.dealloc(second, layout);
        }
    }
}
