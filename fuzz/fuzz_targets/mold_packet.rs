#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wire::fuzz::mold_packet(data));
