#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| feed::fuzz::books(data));
