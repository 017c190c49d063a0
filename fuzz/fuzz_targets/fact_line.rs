//! `fact_line`, for libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitops_brain_fuzz::fact_line(data));
