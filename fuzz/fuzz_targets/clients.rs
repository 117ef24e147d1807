#![no_main]

#[path = "../bodies/clients.rs"]
mod body;

use std::sync::LazyLock;

use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::run(FOLDER.path(), bytes));
