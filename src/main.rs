//! The program. Everything is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: vault::WipingAllocator = vault::WipingAllocator;

fn main() -> ExitCode {
    vault::main()
}
