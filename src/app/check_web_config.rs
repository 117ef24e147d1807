//! `check-config --web.config.file`: what a web configuration turns on, or everything that is wrong with it.

use std::io::{self, Write};
use std::path::Path;

use crate::clock::Clock;
use crate::web::ActiveWebConfig;

/// Checks the web configuration at `path` and the files it names, and writes to `out` what was
/// found. `Ok(false)` means that problems were; the command then exits with 64.
///
/// Errors are those of `out`.
pub fn check_web_config(path: &Path, out: &mut dyn Write) -> io::Result<bool> {
    let (edge, warnings) = match ActiveWebConfig::load(path, Clock::system()) {
        Ok(loaded) => loaded,
        Err(problems) => return writeln!(out, "{problems}").map(|()| false),
    };
    let secured = if edge.tls().is_some() {
        "HTTPS"
    } else {
        "HTTP"
    };
    writeln!(out, "{} is valid; it serves {secured}.", path.display())?;
    if !warnings.is_empty() {
        writeln!(out, "\nWarnings:")?;
    }
    warnings
        .iter()
        .try_for_each(|warning| writeln!(out, "  {warning}"))?;
    Ok(true)
}
