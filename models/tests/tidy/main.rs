//! The tree holds its own rules: who imports whom, lengths, links and titles, words that stay out.
//!
//! # Method
//!
//! A rule is a function from text (or from `cargo metadata`) to complaints, one sentence each, with
//! the place. The tests at the end of each module give every rule something that breaks it: a check
//! that cannot fail is worth nothing.

mod dependencies;
mod documents;
mod lexer;
mod models;
mod sources;
mod tree;

use tree::{Tree, repository};

/// Fails with all complaints at once.
fn hold(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn sources_are_tidy() {
    let tree = Tree::read(&repository());
    let sources: Vec<_> = tree.files_ending(".rs").collect();
    assert!(sources.len() > 20, "only {} sources were found", sources.len());
    hold(sources.iter().flat_map(|file| sources::complaints(&file.path, &file.text)).collect());
}

#[test]
fn documents_are_tidy() {
    let tree = Tree::read(&repository());
    let documents: Vec<_> = tree.files_ending(".md").collect();
    assert!(!documents.is_empty(), "no document was found");
    hold(documents.iter().flat_map(|file| documents::complaints(file, &tree)).collect());
}

#[test]
fn nothing_speaks_of_one_machine_or_of_work_left() {
    let tree = Tree::read(&repository());
    hold(tree.files().flat_map(|file| sources::stray_words(&file.path, &file.text)).collect());
}

#[test]
fn the_readme_shows_a_report_that_the_program_writes() {
    let tree = Tree::read(&repository());
    let snapshot = tree.text("snapshots/report-canary-clone.snap");
    hold(documents::report_complaints(&tree.text("README.md"), &snapshot));
}

#[test]
fn the_changelog_is_in_form() {
    let tree = Tree::read(&repository());
    hold(documents::changelog_complaints(&tree.text("CHANGELOG.md")));
}

#[test]
fn crates_import_what_they_may() {
    let packages = dependencies::packages(&repository());
    hold(dependencies::import_complaints(&packages));
}

#[test]
fn every_protocol_has_its_loom_model() {
    hold(models::complaints(&Tree::read(&repository())));
}

#[test]
fn the_workspace_has_one_program_and_no_default_members() {
    let tree = Tree::read(&repository());
    let packages = dependencies::packages(&repository());
    hold(dependencies::shape_complaints(&packages, &tree.text("Cargo.toml")));
}

#[test]
fn every_library_denies_missing_docs() {
    let tree = Tree::read(&repository());
    let packages = dependencies::packages(&repository());
    let roots: Vec<_> = packages.iter().filter_map(|package| package.library.clone()).collect();
    assert_eq!(roots.len(), packages.len(), "a crate without a library");
    hold(roots.iter().flat_map(|root| sources::root_complaints(root, &tree.text(root))).collect());
}

#[test]
fn every_dependency_has_its_reason_in_the_readme() {
    let tree = Tree::read(&repository());
    hold(documents::dependency_complaints(&tree.text("Cargo.toml"), &tree.text("README.md")));
}
