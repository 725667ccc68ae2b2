//! The stack, which no allocator wipes.
//!
//! A value that is moved leaves its bytes where it was, and so do ciphers in their own frames. All of that
//! lies below the frame of whoever called, and is overwritten there when the work is done.

use std::hint::black_box;

/// One step of the way down.
const STEP: usize = 8 << 10;
/// How far down secrets have been seen is a fifth of this, in a build without optimisation.
const DEPTH: usize = 256 << 10;

/// Overwrites what calls have left on the stack below the frame that holds it, when it is dropped there.
pub(crate) struct WipedStack;

impl Drop for WipedStack {
    fn drop(&mut self) {
        // Arguments and environment may take a quarter of the stack, and the end must not be a crash.
        overwrite(DEPTH.min(super::stack_limit() / 4) / STEP);
    }
}

#[inline(never)]
fn overwrite(steps: usize) {
    let mut step = [0_u8; STEP];
    black_box(&mut step);
    if steps > 1 {
        overwrite(steps - 1);
    }
    // Used after the call, so that the call needs a frame below this one.
    black_box(&step);
}
