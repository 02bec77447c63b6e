//! Which revision of the source is run.

use std::process::{Command, Stdio};

/// The commit of the clone that cargo runs from, with `+` when files differ from it; the version of an
/// installed program.
pub fn revision() -> String {
    let version = || format!("v{}", env!("CARGO_PKG_VERSION"));
    let Some(folder) = std::env::var_os("CARGO_MANIFEST_DIR") else { return version() };
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(&folder).args(words).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let Some(commit) = git(&["rev-parse", "--short=7", "HEAD"]) else { return version() };
    let is_changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|text| !text.is_empty());
    format!("{commit}{}", if is_changed { "+" } else { "" })
}
