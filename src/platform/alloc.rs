//! An allocator that wipes what it frees.
//!
//! `age`, `toml` and `Command` copy secrets into buffers of their own and drop them unwiped. Wiping on
//! free is the one thing that reaches all of them. It costs a few nanoseconds for each allocation.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout};

#[cfg(target_env = "musl")]
use self::small::Beneath;
#[cfg(not(target_env = "musl"))]
use std::alloc::System as Beneath;

/// What gives the memory where the system's own allocator is musl's: that asks the kernel for a page, and
/// gives it back, at every other block. A run had 250 such calls, and a fault for each page.
#[cfg(target_env = "musl")]
mod small {
    use std::alloc::{GlobalAlloc, Layout};
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use dlmalloc::Dlmalloc;

    static MEMORY: Mutex<Dlmalloc> = Mutex::new(Dlmalloc::new());

    pub(super) struct Beneath;

    /// The library's own lock is the C library's, which takes as long as the allocation.
    fn memory() -> MutexGuard<'static, Dlmalloc> {
        MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // SAFETY: one allocator has all the blocks, and gets them back with the caller's own arguments. The lock is a
    // futex on Linux, which allocates nothing.
    unsafe impl GlobalAlloc for Beneath {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: any size, and an alignment that is a power of two.
            unsafe { memory().malloc(layout.size(), layout.align()) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as above.
            unsafe { memory().calloc(layout.size(), layout.align()) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller had the block from here, with this layout.
            unsafe { memory().free(block, layout.size(), layout.align()) }
        }
    }
}

/// The system's allocator, with every block set to zero before it is given back. Reallocation is an
/// allocation, a copy and a free (the trait's own default), so that no old copy stays behind.
#[derive(Debug)]
pub struct WipingAllocator;

// SAFETY: every call goes to the system's allocator with the caller's own arguments, so its contract
// holds. `dealloc` writes only inside the block, which the caller owns until it is freed.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { Beneath.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { Beneath.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` points to `layout.size()` bytes that are ours to write until they are freed.
        unsafe { block.write_bytes(0, layout.size()) };
        // The optimiser may not drop the write as dead: it must assume that the memory is looked at here.
        std::hint::black_box(block);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { Beneath.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_block_has_been_wiped() {
        // A block of a large size class is taken back from the system's list as it was left there, but
        // for the first words, in which the list itself is kept.
        let layout = Layout::from_size_align(4000, 8).unwrap();
        // SAFETY: the block is used inside its bounds and freed once; the second allocation is a new
        // block, read through its own pointer after `alloc_zeroed` or a write made it initialised.
        unsafe {
            let first = WipingAllocator.alloc(layout);
            first.write_bytes(0xAB, 4000);
            WipingAllocator.dealloc(first, layout);
            let second = Beneath.alloc(layout);
            assert_eq!(first, second, "the system's allocator hands the block out again");
            let marked = (64..4000).filter(|at| second.add(*at).read_volatile() == 0xAB).count();
            Beneath.dealloc(second, layout);
            assert_eq!(marked, 0);
        }
    }
}
