//! The one integration binary. A file that is not listed here fails `rooms`.

mod support;

mod docs;
mod rooms;
mod selftest;
