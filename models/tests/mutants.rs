//! The list of `cargo judge-mutants` fits the tree: each mutant applies at one place, and no judge is left
//! out.

#[path = "../mutants/src/list.rs"]
mod list;

use std::collections::BTreeSet;
use std::path::Path;

use list::{Effect, Mutant};

const MUTANTS_MIN: usize = 24;
/// Those of them that make a judge too strict.
const STRICT_MIN: usize = 4;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}

fn text(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn mutants() -> Vec<Mutant> {
    list::read(&text("models/mutants/mutants.toml")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_mutant_applies_at_one_place() {
    let apply = |mutant: &Mutant| mutant.apply(&text(&mutant.file)).err();
    let refused: Vec<String> = mutants().iter().filter_map(apply).collect();
    assert!(refused.is_empty(), "mend models/mutants/mutants.toml:\n{}", refused.join("\n"));
}

#[test]
fn there_are_enough_of_them_and_some_are_too_strict() {
    let mutants = mutants();
    assert!(mutants.len() >= MUTANTS_MIN, "{} mutants", mutants.len());
    let strict = mutants.iter().filter(|mutant| mutant.effect == Effect::Strict).count();
    assert!(strict >= STRICT_MIN, "{strict} are too strict");
    let untold = mutants.iter().find(|mutant| mutant.weakens.is_empty());
    assert!(untold.is_none(), "{untold:?} does not say what it weakens");
}

#[test]
fn every_judge_is_weakened_by_one() {
    let folder = project().join("models/src/oracle");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{error}"));
    let names = entries.map(|entry| entry.expect("a folder that can be read").file_name());
    let sources: BTreeSet<String> = names
        .filter_map(|name| name.into_string().ok().filter(|name| name.ends_with(".rs")))
        .map(|name| format!("models/src/oracle/{name}"))
        .collect();
    assert!(sources.len() > 4, "{sources:?}");
    let named: BTreeSet<String> = mutants().into_iter().map(|mutant| mutant.file).collect();
    let left_out: Vec<&String> = sources.difference(&named).collect();
    assert!(left_out.is_empty(), "no mutant weakens {left_out:?}");
}

#[test]
fn the_table_in_the_documents_is_of_this_list() {
    let table = text("docs/mutants.md");
    for Mutant { name, weakens, effect, .. } in mutants() {
        let line = table.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let line = line.unwrap_or_else(|| panic!("docs/mutants.md has no line for {name}"));
        let effect = format!("| {} |", effect.name());
        assert!(line.contains(&effect) && line.contains(&weakens), "{name}: {line}");
    }
}
