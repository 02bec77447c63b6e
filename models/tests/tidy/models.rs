//! Protocols between threads that are made by hand, and their loom models.
//!
//! # Method
//!
//! A file in Falcon's `lockfree` folder is a protocol, and has to be among the files that `models/loom/`
//! includes. How many models there are, that of the seam's `half` among them, is written down here, so that
//! none can go unnoticed.

use super::tree::Tree;

const PROTOCOLS: &str = "engine-under-test/falcon/src/lockfree/";
const INCLUDED: &str = "models/loom/tests/loomed/";
const MODELS: &str = "models/loom/tests/";

/// Models there are: tests of `models/loom/`.
const MODEL_COUNT: usize = 13;

/// Protocols without a model, protocols that reach round `super::sync`, and a number of models that is
/// not the one above.
pub fn complaints(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let includes: Vec<_> =
        tree.files_ending(".rs").filter(|file| file.path.starts_with(INCLUDED)).collect();
    for file in tree.files_ending(".rs").filter(|file| file.path.starts_with(PROTOCOLS)) {
        if file.path.ends_with("/mod.rs") {
            continue;
        }
        let path = format!("../../../../{}\"", file.path);
        if !includes.iter().any(|include| include.text.contains(&path)) {
            found.push(format!("{}: no loom model includes it", file.path));
        }
        found.extend(reaches_round(&file.path, &file.text));
    }
    let models: usize = tree
        .files_ending(".rs")
        .filter(|file| file.path.starts_with(MODELS))
        .map(|file| file.text.lines().filter(|line| line.trim() == "#[test]").count())
        .sum();
    if models != MODEL_COUNT {
        found.push(format!("{MODELS}: {models} models, where there should be {MODEL_COUNT}"));
    }
    found
}

/// Lines that name what loom could not put itself in the place of.
fn reaches_round(path: &str, text: &str) -> Vec<String> {
    let names = ["std::sync", "std::thread", "core::sync", "falconry_seam"];
    let reaches = |line: &&str| names.iter().any(|name| line.contains(name));
    let lines = text.lines().filter(reaches);
    lines.map(|line| format!("{path}: `{}` goes round super::sync", line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: (&str, &str) = ("engine-under-test/falcon/src/lockfree/half.rs", "struct Half;\n");

    fn told_of(files: &[(&str, &str)]) -> Vec<String> {
        complaints(&Tree::of(files))
    }

    #[test]
    fn a_protocol_without_a_model_and_a_model_that_is_gone_are_noticed() {
        let path = format!("#[path = \"../../../../{}\"]\nmod half;\n", HALF.0);
        let models = "#[test]\n".repeat(MODEL_COUNT);
        let include = ("models/loom/tests/loomed/mod.rs", path.as_str());
        assert_eq!(told_of(&[HALF, include, ("models/loom/tests/a.rs", &models)]), [""; 0]);
        assert_eq!(told_of(&[HALF, ("models/loom/tests/a.rs", &models)]).len(), 1);
        let fewer = "#[test]\n".repeat(MODEL_COUNT - 1);
        assert_eq!(told_of(&[HALF, include, ("models/loom/tests/a.rs", &fewer)]).len(), 1);
    }

    #[test]
    fn a_name_that_loom_cannot_replace_is_noticed() {
        assert_eq!(reaches_round("a", "use super::sync::Mutex;\n").len(), 0);
        assert_eq!(reaches_round("a", "use std::sync::Mutex;\n").len(), 1);
    }
}
