#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::fuzz::soup_session(data, || engine::fuzz::books(gateway::fuzz::BOOKS));
});
