//! A Procfile, whatever is in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = vault::fuzz::procfile(text);
});
