use super::*;

#[test]
fn classes_waste_little_and_do_not_overlap() {
    let mut last = SizeClass::of_size(MIN_BLOCK).unwrap();
    for size in (MIN_BLOCK..MIN_BLOCK * 40).step_by(977) {
        let class = SizeClass::of_size(size).unwrap();
        assert!(class.size >= size && class.size <= size + size / 7, "{size} {class:?}");
        assert!(class.index >= last.index && class.size >= last.size);
        assert_eq!(class.index == last.index, class.size == last.size, "{size}");
        assert_eq!(SizeClass::of_index(class.index), class, "{size}");
        last = class;
    }
    assert!(SizeClass::of_size(MIN_BLOCK - 1).is_none() && SizeClass::of_size(usize::MAX / 4).is_none());
}

#[test]
fn what_is_kept_has_a_bound() {
    let cache = Cache::new();
    let mib = |mib: usize| SizeClass::of_size(mib << 20).unwrap();
    let (small, large) = (mib(3), mib(4));
    let kept = |class: SizeClass| cache.free[class.index].lock().unwrap().count;
    let first = cache.limit_cache(7 << 20);
    assert!(cache.keep(small, small.allocate()) && cache.keep(small, small.allocate()));
    assert_eq!([kept(small), kept(large)], [2, 0]);
    // The blocks of one size make room for those of another.
    assert!(cache.keep(large, large.allocate()));
    assert_eq!([kept(small), kept(large)], [0, 1]);
    let block = cache.take(large).unwrap();
    let second = cache.limit_cache(3 << 20);
    drop(first);
    assert!(!cache.keep(large, block), "a block above the bound is not kept");
    // The bound ends with what asked for it.
    drop(second);
    assert!(cache.keep(large, block));
    drop(cache.limit_cache(0));
    assert_eq!(cache.bytes.load(Ordering::Relaxed), 0);
}

/// An abort has nothing to do with memory that a thread was refused and did without.
#[test]
fn a_refused_request_explains_an_abort_of_its_thread_soon_after_it() {
    // The compiler may do without a block that is not used.
    let layout = Layout::from_size_align(std::hint::black_box(isize::MAX as usize / 2), 8).unwrap();
    let now = Instant::now();
    assert!(!is_out_of_memory(now));
    // SAFETY: the layout has a size.
    assert!(unsafe { std::hint::black_box(CachingAllocator.alloc(layout)) }.is_null());
    assert!(is_out_of_memory(now) && !is_out_of_memory(Instant::now() + TO_ABORT));
    assert!(!std::thread::spawn(|| is_out_of_memory(Instant::now())).join().unwrap());
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
