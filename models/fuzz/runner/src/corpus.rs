//! Inputs to start from: runs that pass, as bytes, one file each.

use std::path::PathBuf;

use falconry::fuzz::{self, Target, Which};

use crate::{Stop, fuzzer};

/// The targets of those names, or all.
pub fn targets(names: &[String]) -> Result<Vec<&'static Target>, Stop> {
    if names.is_empty() {
        return Ok(fuzz::TARGETS.iter().collect());
    }
    let find = |name: &String| {
        let known: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
        let what = || format!("there is no fuzz target '{name}'; there are {}", known.join(", "));
        fuzz::find(name).ok_or_else(|| Stop(2, what()))
    };
    names.iter().map(find).collect()
}

/// Where a target's inputs are, as cargo-fuzz has them.
pub fn folder(target: &Target) -> PathBuf {
    fuzzer::folder().join("corpus").join(target.name)
}

/// Writes the inputs of targets.
pub fn run(names: &[String], count: usize) -> Result<u8, Stop> {
    for target in targets(names)? {
        let files = write(target, count)?;
        println!("{:<16} {files} inputs in {}", target.name, folder(target).display());
    }
    Ok(0)
}

/// Writes a target's inputs; says how many.
pub fn write(target: &Target, count: usize) -> Result<usize, Stop> {
    let folder = folder(target);
    let unwritable = |error: std::io::Error| Stop(75, format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(unwritable)?;
    // Runs of mended specimens: none of theirs convicts.
    let which = Which { specimen: None, mended: true };
    let inputs = fuzz::seeds(target, which, count).map_err(|what| Stop(70, what))?;
    for (index, input) in inputs.iter().enumerate() {
        std::fs::write(folder.join(format!("recorded-{index:03}")), input).map_err(unwritable)?;
    }
    Ok(inputs.len())
}
