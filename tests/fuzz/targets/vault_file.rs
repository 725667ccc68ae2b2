//! A vault file, whatever is in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = vault::fuzz::vault_file(text);
});
