//! The one integration binary. A file that is not listed here fails `rooms`.

mod support;
mod vaults;

mod attacks;
mod attacks_around;
mod attacks_files;
mod django;
mod docs;
mod exit;
mod golden;
mod identity;
mod import_export;
mod init;
mod leaks;
mod process_memory;
mod rooms;
mod run;
mod run_environment;
mod run_key;
mod selftest;
mod set_get;
mod show;
mod signals;
mod values;
mod writing;
