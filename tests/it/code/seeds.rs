//! The seeds of the fuzz targets, and what fuzzing has found, run through the same code.

#[path = "../../../fuzz/bodies/answer.rs"]
mod answer;
#[path = "../../../fuzz/bodies/clients.rs"]
mod clients;
#[path = "../../../fuzz/bodies/config.rs"]
mod config;
#[path = "../../../fuzz/bodies/issued.rs"]
mod issued;
#[path = "../../../fuzz/bodies/profile.rs"]
mod profile;
#[path = "../../../fuzz/bodies/request.rs"]
mod request;
#[path = "../../../fuzz/bodies/signature.rs"]
mod signature;
#[path = "../../../fuzz/bodies/web_config.rs"]
mod web_config;

use crate::support::{fleet, source};

/// Runs every seed of `target`; how many there are.
fn replay(target: &str, run: impl Fn(&[u8])) -> usize {
    let seeds = std::fs::read_dir(format!("fuzz/seeds/{target}")).expect("seeds");
    seeds
        .map(|seed| run(&std::fs::read(seed.expect("a seed").path()).expect("bytes")))
        .count()
}

/// Every secret of the seeds says of itself that it is to be hidden. (Fuzzing may put the words into
/// an ID, which is not.)
fn assert_hidden(shown: &[String]) {
    assert!(
        shown.iter().all(|text| !text.contains("hidden-in-seed")),
        "{shown:?}"
    );
}

#[test]
fn no_seed_breaks_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let edge = request::Edge::new();
    assert!(replay("answer", answer::run) >= 8);
    assert!(replay("clients", |bytes| clients::run(folder.path(), bytes)) >= 8);
    assert!(replay("config", config::run) >= 8);
    assert!(replay("issued", |bytes| assert_hidden(&issued::run(bytes))) >= 8);
    assert!(replay("profile", |bytes| assert_hidden(&profile::run(bytes))) >= 8);
    assert!(replay("request", |bytes| edge.run(bytes)) >= 8);
    assert!(replay("signature", signature::run) >= 8);
    assert!(replay("web_config", web_config::run) >= 8);
}
