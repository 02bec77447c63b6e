//! Rules for the workspace: who imports whom, and its one program.
//!
//! # Method
//!
//! What each manifest declares is read from `cargo metadata` without resolving anything, so the rules
//! hold on every platform and need no network.

use cargo_metadata::{DependencyKind, MetadataCommand, TargetKind};
use std::path::Path;

/// What the rules need to know of a crate.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The root of its library, from the repository's root.
    pub library: Option<String>,
    /// Names of its programs.
    pub programs: Vec<String>,
    /// What it links: its normal and build dependencies.
    pub imports: Vec<String>,
    /// What its tests link besides.
    pub test_imports: Vec<String>,
}

/// What a crate may import.
struct Rule {
    name: &'static str,
    /// Crates of ours.
    ours: &'static [&'static str],
    /// Crates of ours that its tests may use besides.
    ours_in_tests: &'static [&'static str],
    /// Foreign crates, where these are limited.
    foreign: Option<&'static [&'static str]>,
}

const SEAM: &[&str] = &["falconry-seam"];
const MACHINE: &[&str] = &["falconry-sim", "falconry-ambient"];

/// A crate that is not here may not be in the workspace: its rule comes with it.
const RULES: &[Rule] = &[
    Rule { name: "falconry-seam", ours: &[], ours_in_tests: &[], foreign: None },
    Rule { name: "falconry-sim", ours: SEAM, ours_in_tests: &[], foreign: None },
    Rule { name: "falconry-ambient", ours: SEAM, ours_in_tests: &["falconry-sim"], foreign: None },
    adapter("falconry-canary", &[]),
    adapter("falcon", &["crc32c", "rustc-hash"]),
    adapter("falconry-redb", &["redb"]),
    adapter("falconry-sqlite", &["libsqlite3-sys"]),
    Rule {
        name: "falconry",
        ours: &[
            "falcon",
            "falconry-seam",
            "falconry-sim",
            "falconry-ambient",
            "falconry-canary",
            "falconry-redb",
            "falconry-sqlite",
        ],
        ours_in_tests: &[],
        foreign: None,
    },
    Rule { name: "falconry-loom", ours: &[], ours_in_tests: &[], foreign: Some(&[]) },
];

/// An adapter links the seam and its engine; its tests may boot a machine.
const fn adapter(name: &'static str, engine: &'static [&'static str]) -> Rule {
    Rule { name, ours: SEAM, ours_in_tests: MACHINE, foreign: Some(engine) }
}

/// What an adapter may use besides its engine: neither threads nor files nor randomness.
const TOOLS: &[&str] = &["crc32fast", "libc", "thiserror"];

/// Each runs programs its own way, or stands in for libc as the ambient crate does.
const NEVER: &[&str] = &["loom", "shuttle", "madsim", "turmoil", "tokio"];

/// What nobody links, but for tests that are about it. Shuttle schedules its own programs on
/// its own primitives and takes no symbol of libc's, so that beside the machine it is in nobody's way;
/// and the specimens, which the comparison is about, are of this crate. The models have a crate of their
/// own, that links nothing.
const APART: &[(&str, &str)] = &[("falconry", "shuttle"), ("falconry-loom", "loom")];

/// The crates of the workspace at `root`.
pub fn packages(root: &Path) -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_string()])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    metadata.packages.iter().map(|package| read(package, root)).collect()
}

fn read(package: &cargo_metadata::Package, root: &Path) -> Package {
    let with_kind =
        |kind: TargetKind| package.targets.iter().filter(move |target| target.kind.contains(&kind));
    let library = with_kind(TargetKind::Lib).next().map(|target| {
        let path = target.src_path.as_std_path();
        let path = path.strip_prefix(root).expect("a member lies in the repository");
        path.to_string_lossy().replace('\\', "/")
    });
    let programs = with_kind(TargetKind::Bin).map(|target| target.name.clone()).collect();
    let imports = |of_tests: bool| {
        package
            .dependencies
            .iter()
            .filter(|dependency| (dependency.kind == DependencyKind::Development) == of_tests)
            .map(|dependency| dependency.name.clone())
            .collect()
    };
    Package {
        name: package.name.to_string(),
        library,
        programs,
        imports: imports(false),
        test_imports: imports(true),
    }
}

/// Who imports what it may not.
pub fn import_complaints(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            found.push(format!("{name}: there is no rule for what it may import; add it to RULES"));
            continue;
        };
        for import in &package.imports {
            if !may_import(rule, import, packages) {
                found.push(format!("{name} may not import {import}"));
            }
        }
        for import in &package.test_imports {
            let in_tests = rule.ours_in_tests.contains(&import.as_str());
            let is_ours = packages.iter().any(|package| package.name == *import);
            let allowed = in_tests || !is_ours || rule.ours.contains(&import.as_str());
            let is_apart = APART.contains(&(name.as_str(), import.as_str()));
            if !allowed || NEVER.contains(&import.as_str()) && !is_apart {
                found.push(format!("{name}'s tests may not import {import}"));
            }
        }
    }
    found
}

fn may_import(rule: &Rule, import: &str, packages: &[Package]) -> bool {
    if packages.iter().any(|package| package.name == import) {
        return rule.ours.contains(&import);
    }
    let free = |foreign: &[&str]| foreign.contains(&import) || TOOLS.contains(&import);
    !NEVER.contains(&import) && rule.foreign.is_none_or(free)
}

/// More programs than one, and default members.
pub fn shape_complaints(packages: &[Package], manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let programs: Vec<&String> = packages.iter().flat_map(|package| &package.programs).collect();
    if programs != ["falconry"] {
        found.push(format!("the programs are {programs:?}: plain `cargo run` needs just falconry"));
    }
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML, or nothing was built");
    if manifest["workspace"].get("default-members").is_some() {
        found.push("Cargo.toml: default-members would hide tests from `cargo test`".to_string());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, imports: &[&str], test_imports: &[&str]) -> Package {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        Package {
            name: name.to_string(),
            imports: owned(imports),
            test_imports: owned(test_imports),
            ..Package::default()
        }
    }

    #[test]
    fn what_may_be_imported_passes() {
        let packages = [
            package("falconry-seam", &["libc"], &["proptest"]),
            package("falconry-sim", &["falconry-seam", "libc"], &[]),
            package(
                "falconry-redb",
                &["falconry-seam", "redb", "thiserror"],
                &["falconry-sim", "proptest"],
            ),
            package("falconry", &["falconry-sim", "falconry-redb"], &["insta", "shuttle"]),
        ];
        assert_eq!(import_complaints(&packages), Vec::<String>::new());
    }

    #[test]
    fn each_rule_of_imports_can_fail() {
        let bad = [
            (package("falconry-seam", &["falconry-sim"], &[]), "falconry-seam may not import"),
            (package("falconry-sim", &["falconry-redb"], &[]), "falconry-sim may not import"),
            (package("falconry-redb", &["rusqlite"], &[]), "falconry-redb may not import rusqlite"),
            (package("falconry-redb", &["falconry-sim"], &[]), "falconry-redb may not import"),
            (package("falconry-redb", &[], &["falconry"]), "tests may not import falconry"),
            (package("falconry", &["loom"], &[]), "falconry may not import loom"),
            (package("falconry", &["shuttle"], &[]), "falconry may not import shuttle"),
            (package("falconry", &[], &["madsim"]), "tests may not import madsim"),
            (package("falconry-sim", &[], &["shuttle"]), "tests may not import shuttle"),
            (package("falconry-sim", &[], &["tokio"]), "tests may not import tokio"),
            (package("falconry-new", &[], &[]), "no rule"),
        ];
        let others = ["falconry-seam", "falconry-sim", "falconry-redb", "falconry"];
        for (wrong, expected) in bad {
            let mut packages = vec![wrong.clone()];
            let others = others.iter().filter(|name| **name != wrong.name);
            packages.extend(others.map(|name| package(name, &[], &[])));
            let found = import_complaints(&packages);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_second_program_and_default_members_are_seen() {
        let mut one = package("falconry", &[], &[]);
        one.programs = vec!["falconry".to_string()];
        let manifest = "[workspace]\nmembers = []\n";
        assert_eq!(shape_complaints(&[one.clone()], manifest), Vec::<String>::new());
        assert_eq!(shape_complaints(&[one.clone(), one.clone()], manifest).len(), 1);
        let manifest = "[workspace]\ndefault-members = []\n";
        assert_eq!(shape_complaints(&[one], manifest).len(), 1);
    }
}
