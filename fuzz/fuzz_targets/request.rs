#![no_main]

#[path = "../bodies/request.rs"]
mod body;
#[path = "../../tests/it/support/fleet.rs"]
mod fleet;
#[path = "../../tests/it/support/source.rs"]
#[expect(dead_code, reason = "tests want more of it")]
mod source;

thread_local! {
    static EDGE: body::Edge = body::Edge::new();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| EDGE.with(|edge| edge.run(bytes)));
