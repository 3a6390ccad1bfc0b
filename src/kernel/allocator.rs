//! An allocator that keeps freed blocks for later requests.
//!
//! A training step requests the same large arrays again and again. If they went back to the system, each would cost a page
//! fault for every 4 KiB at the next request, which is two fifths of the step of a small network.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;

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

/// The free blocks of one size class, as addresses.
struct FreeList {
    blocks: [usize; MAX_FREE],
    count: usize,
}

static FREE: [Mutex<FreeList>; CLASSES] = [const { Mutex::new(FreeList { blocks: [0; MAX_FREE], count: 0 }) }; CLASSES];

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

// SAFETY: a free block is in one list and is taken out before it is handed out. It has the size of its class, which is at
// least the size of the layout, and at least the alignment of the layout. The class depends on the layout alone, so that
// a block is freed by the one that allocated it.
unsafe impl GlobalAlloc for CachingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = SizeClass::of(&layout) else {
            // SAFETY: the caller promises a layout of nonzero size.
            return unsafe { System.alloc(layout) };
        };
        if let Ok(mut free) = FREE[class.index].lock()
            && free.count > 0
        {
            free.count -= 1;
            return free.blocks[free.count] as *mut u8;
        }
        class.allocate()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = SizeClass::of(&layout) else {
            // SAFETY: a block of this layout was allocated by the system with it.
            return unsafe { System.dealloc(block, layout) };
        };
        if let Ok(mut free) = FREE[class.index].lock()
            && free.count < MAX_FREE
        {
            let count = free.count;
            free.blocks[count] = block as usize;
            free.count += 1;
            return;
        }
        // SAFETY: blocks of the class were allocated by the system with the layout of the class.
        unsafe { System.dealloc(block, class.layout()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if SizeClass::of(&layout).is_none() {
            // SAFETY: the caller promises a layout of nonzero size.
            return unsafe { System.alloc_zeroed(layout) };
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
mod tests {
    use super::*;

    #[test]
    fn classes_waste_little_and_do_not_overlap() {
        let mut last = SizeClass::of_size(MIN_BLOCK).unwrap();
        for size in (MIN_BLOCK..MIN_BLOCK * 40).step_by(977) {
            let class = SizeClass::of_size(size).unwrap();
            assert!(class.size >= size && class.size <= size + size / 7, "{size} {class:?}");
            assert!(class.index >= last.index && class.size >= last.size);
            assert_eq!(class.index == last.index, class.size == last.size, "{size}");
            last = class;
        }
        assert!(SizeClass::of_size(MIN_BLOCK - 1).is_none() && SizeClass::of_size(usize::MAX / 4).is_none());
    }

    #[test]
    fn blocks_are_aligned_and_zeroed_on_request() {
        let layout = Layout::from_size_align(MIN_BLOCK + 5, 4).unwrap();
        // SAFETY: blocks are written within their layout and freed once.
        unsafe {
            let first = CachingAllocator.alloc(layout);
            assert_eq!(first as usize % CACHE_LINE, 0);
            first.write_bytes(7, layout.size());
            CachingAllocator.dealloc(first, layout);
            let second = CachingAllocator.alloc_zeroed(layout);
            assert!((0..layout.size()).all(|i| *second.add(i) == 0));
            CachingAllocator.dealloc(second, layout);
        }
    }
}
