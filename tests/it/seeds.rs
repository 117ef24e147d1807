//! The seeds of the fuzz targets, and what fuzzing has found, run through the same code.

#[path = "../../fuzz/bodies/issued.rs"]
mod issued;
#[path = "../../fuzz/bodies/profile.rs"]
mod profile;
#[path = "../../fuzz/bodies/web_config.rs"]
mod web_config;

/// Runs every seed of `target`; how many there are.
fn replay(target: &str, run: fn(&[u8])) -> usize {
    let seeds = std::fs::read_dir(format!("fuzz/seeds/{target}")).expect("seeds");
    seeds.map(|seed| run(&std::fs::read(seed.expect("a seed").path()).expect("bytes"))).count()
}

#[test]
fn no_seed_breaks_anything() {
    assert!(replay("profile", profile::run) >= 8);
    assert!(replay("issued", issued::run) >= 8);
    assert!(replay("web_config", web_config::run) >= 8);
}
