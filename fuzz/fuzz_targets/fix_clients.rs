#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    gateway::fuzz::fix_clients(data, || engine::fuzz::books(gateway::fuzz::BOOKS));
});
