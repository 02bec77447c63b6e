//! Failures that are kept: each test's capsules in a folder, run before its seeds.
//!
//! # Method
//!
//! The first failure of a test is made small for a few seconds and written as `NAME-SEED.capsule`. From then
//! on it is run first, as long as the file is there: it belongs into version control, beside the test. It
//! fails the test until the bug is mended, and again when it comes back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Once, Sim};
use crate::choice::{Capsule, Choices, Exception};
use crate::machine::Machine;
use crate::shrink::{Subject, reduce};

/// How long a failure is made small.
const SHRINK_FOR: Duration = Duration::from_secs(5);

/// A test's failure that is being made small.
struct Failure<'a, F> {
    sim: &'a Sim,
    body: &'a F,
    signature: String,
    until: Instant,
}

impl<F: Fn(&mut Machine) + Sync> Subject for Failure<'_, F> {
    fn run(&self, exceptions: &[Exception]) -> Option<Vec<Exception>> {
        let once = self.sim.once(|| Choices::from_exceptions(exceptions), false, self.body);
        let failed = once.result.err()?;
        (signature(&failed) == self.signature).then_some(once.anchored?.exceptions)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// What a failure says without the numbers of its run.
fn signature(failed: &str) -> String {
    let first = failed.lines().next().unwrap_or("");
    let mut text = String::new();
    for c in first.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

/// The capsules of a test, sorted by name.
fn files(folder: &Path, test: &str) -> io::Result<BTreeMap<String, PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let seed = name.strip_prefix(test).and_then(|rest| rest.strip_prefix('-'));
        let seed = seed.and_then(|rest| rest.strip_suffix(".capsule"));
        if seed.is_some_and(|seed| seed.bytes().all(|byte| byte.is_ascii_digit())) {
            files.insert(name, path);
        }
    }
    Ok(files)
}

/// Runs the capsules of a test; the first that fails, as a report.
pub(super) fn judge(
    sim: &Sim,
    folder: &Path,
    body: &(impl Fn(&mut Machine) + Sync),
) -> Result<(), String> {
    let told = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    for path in files(folder, &sim.name).map_err(|error| told(folder, &error))?.values() {
        let text = std::fs::read_to_string(path).map_err(|error| told(path, &error))?;
        let capsule = Capsule::from_text(&text).map_err(|error| told(path, &error))?;
        let once = sim.once(|| Choices::from_exceptions(&capsule.exceptions), true, body);
        let met =
            once.anchored.as_ref().map_or(0, |all| all.met.iter().filter(|met| **met).count());
        if let Err(what) = once.result {
            let of = capsule.exceptions.len();
            let file = path.display();
            let last = format!("  kept        {file}, {met} of {of} choices have their place");
            return Err(format!("{}{last}", sim.told_of(&what, "small case", &once.events)));
        }
    }
    Ok(())
}

/// Makes the failure of a seed small and keeps it; says where, or why not.
pub(super) fn keep(
    sim: &Sim,
    folder: &Path,
    seed: u64,
    body: &(impl Fn(&mut Machine) + Sync),
) -> String {
    let Once { result: Err(what), anchored: Some(anchored), .. } =
        sim.once(|| Choices::from_seed_anchored(seed), false, body)
    else {
        return "not kept: it did not fail once more".into();
    };
    let until = Instant::now() + SHRINK_FOR;
    let failure = Failure { sim, body, signature: signature(&what), until };
    let Some(reduced) = reduce(&failure, &anchored.exceptions, 1) else {
        return "not kept: it does not fail by its choices alone".into();
    };
    let (before, after) = (anchored.exceptions.len(), reduced.exceptions.len());
    let end = if reduced.is_minimal { "nothing more can be left out" } else { "time was up" };
    let capsule = Capsule {
        remarks: vec![
            what.lines().next().unwrap_or("").into(),
            format!("shrunk: {before} to {after} choices: {end}"),
        ],
        properties: vec![("test".into(), sim.name.clone()), ("seed".into(), seed.to_string())],
        exceptions: reduced.exceptions,
    };
    let path = folder.join(format!("{}-{seed}.capsule", sim.name));
    let written =
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, capsule.to_text()));
    match written {
        Ok(()) => format!("{}, {before} to {after} choices: {end}", path.display()),
        Err(error) => format!("not kept: {}: {error}", path.display()),
    }
}
