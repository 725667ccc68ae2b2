//! A file of JSON or YAML that is imported, whatever is in it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = vault::fuzz::flat(text);
});
