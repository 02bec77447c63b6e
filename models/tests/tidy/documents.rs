//! Rules for documents: titles, links, paths that are named, the changelog, the table of dependencies.

use super::tree::{TextFile, Tree};

/// Headings that a section of the changelog may have.
const CHANGES: &[&str] = &["Added", "Changed", "Fixed", "Removed"];

/// Folders at the top of the tree; a path in backticks that begins with one must exist.
const TOP: &[&str] = &[
    "sim/",
    "engine-under-test/",
    "models/",
    "snapshots/",
    "docs/",
    ".ci/",
    ".cargo/",
    ".config/",
];

/// What is wrong with a document.
pub fn complaints(file: &TextFile, tree: &Tree) -> Vec<String> {
    let prose = without_code_blocks(&file.text);
    let mut found = title_complaints(&file.path, &prose);
    for (number, line) in prose.lines().enumerate() {
        let place = format!("{}:{}", file.path, number + 1);
        for target in links(line) {
            if !link_leads_somewhere(&file.path, &target, tree) {
                found.push(format!("{place}: the link to '{target}' leads nowhere"));
            }
        }
        for path in named_paths(line) {
            if !tree.has(path) {
                found.push(format!("{place}: there is no `{path}`"));
            }
        }
    }
    found
}

fn title_complaints(path: &str, prose: &str) -> Vec<String> {
    let titles = prose.lines().filter(|line| line.starts_with("# ")).count();
    let first = prose.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    match (titles, first.starts_with("# ")) {
        (1, true) => Vec::new(),
        (1, false) => vec![format!("{path}: its title is not its first line")],
        (count, _) => vec![format!("{path}: {count} titles (`# …`), not one")],
    }
}

/// The text with the lines of fenced blocks emptied.
fn without_code_blocks(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::new();
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if !fence && !inside {
            prose.push_str(line);
        }
        prose.push('\n');
        inside ^= fence;
    }
    prose
}

/// The targets of the links of a line.
fn links(line: &str) -> Vec<String> {
    line.match_indices("](")
        .filter_map(|(at, _)| line[at + 2..].split_once(')'))
        .map(|(target, _)| target.to_string())
        .collect()
}

fn link_leads_somewhere(from: &str, target: &str, tree: &Tree) -> bool {
    if target.starts_with("https://") || target.starts_with("http://") {
        return true;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if path.is_empty() { from.to_string() } else { joined(folder, path) };
    if anchor.is_empty() {
        return tree.has(&path);
    }
    tree.get(&path).is_some_and(|text| {
        without_code_blocks(text).lines().any(|line| line.starts_with('#') && slug(line) == anchor)
    })
}

fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The anchor that a heading gets where Markdown is shown.
fn slug(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// What stands in backticks and looks like a path of this repository.
fn named_paths(line: &str) -> Vec<&str> {
    let is_path = |text: &&str| {
        TOP.iter().any(|top| text.starts_with(top)) && !text.contains([' ', '*', '<', '{', '…'])
    };
    line.split('`').skip(1).step_by(2).filter(is_path).collect()
}

/// What is wrong with the changelog.
pub fn changelog_complaints(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.lines().next() != Some("# Changelog") {
        found.push("CHANGELOG.md: does not begin with `# Changelog`".to_string());
    }
    let versions: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    if versions.first() != Some(&"Unreleased") {
        found.push("CHANGELOG.md: its first section is not `## Unreleased`".to_string());
    }
    for version in versions.iter().skip(1).filter(|version| !is_release(version)) {
        found.push(format!("CHANGELOG.md: `## {version}` is not `## 1.2.3 - 2030-12-31`"));
    }
    for kind in text.lines().filter_map(|line| line.strip_prefix("### ")) {
        if !CHANGES.contains(&kind) {
            found.push(format!("CHANGELOG.md: `### {kind}` is none of {CHANGES:?}"));
        }
    }
    for block in text.split("\n### ").skip(1) {
        let title = block.lines().next().unwrap_or("");
        if !block.lines().skip(1).any(|line| line.starts_with("- ")) {
            found.push(format!("CHANGELOG.md: nothing stands under `### {title}`"));
        }
    }
    found
}

fn is_release(heading: &str) -> bool {
    let numbers = |text: &str, separator: char| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
    };
    heading.split_once(" - ").is_some_and(|(version, date)| {
        numbers(version, '.') && numbers(date, '-') && date.len() == "2030-12-31".len()
    })
}

/// Whether the README shows, word for word, the report of a failure that a snapshot holds.
pub fn report_complaints(readme: &str, snapshot: &str) -> Vec<String> {
    let body = snapshot.splitn(3, "---\n").nth(2).unwrap_or("").trim();
    match !body.is_empty() && readme.contains(body) {
        true => Vec::new(),
        false => vec![format!(
            "README.md: its failure report is not the program's; `INSTA_UPDATE=always cargo test -p \
             falconry --test help` writes it:\n{body}"
        )],
    }
}

/// Dependencies of the workspace without a line in the README's table, and lines without one.
pub fn dependency_complaints(manifest: &str, readme: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML, or nothing was built");
    let declared = manifest["workspace"]["dependencies"].as_table().expect("a table");
    let is_foreign = |value: &toml::Value| value.get("path").is_none();
    let declared: Vec<&str> = declared
        .iter()
        .filter(|(_, value)| is_foreign(value))
        .map(|(name, _)| name.as_str())
        .collect();
    let section = readme.split("\n## ").find(|section| section.starts_with("Dependencies"));
    let Some(section) = section else {
        return vec!["README.md: no section `## Dependencies`".to_string()];
    };
    let rows: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .flat_map(|line| line.split('|').next().unwrap_or("").split('`').skip(1).step_by(2))
        .collect();
    let missing = declared.iter().filter(|name| !rows.contains(name));
    let stale = rows.iter().filter(|name| !declared.contains(name));
    missing
        .map(|name| format!("README.md: no reason for the dependency `{name}` under Dependencies"))
        .chain(stale.map(|name| format!("README.md: `{name}` is no dependency of the workspace")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("docs/a.md", text),
            ("b.md", "# B\n\n## Its part, two\n"),
            ("sim/x.rs", ""),
        ]);
        let file = TextFile { path: "docs/a.md".to_string(), text: text.to_string() };
        complaints(&file, &tree)
    }

    #[test]
    fn a_tidy_document_passes() {
        let text = "# A\n\n[b](../b.md) [part](../b.md#its-part-two) [self](#a) [far](https://e.org)\n\
                    `sim/x.rs` but not `cargo run` nor `sim/<name>`\n```\n# no title [x](y)\n```\n";
        assert_eq!(judge(text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_of_documents_can_fail() {
        let bad = [
            ("text\n", "0 titles"),
            ("# A\n\n# B\n", "2 titles"),
            ("text\n# A\n", "not its first line"),
            ("# A\n[x](../c.md)\n", "docs/a.md:2: the link to '../c.md'"),
            ("# A\n[x](../b.md#other)\n", "'../b.md#other' leads nowhere"),
            ("# A\n`sim/gone.rs`\n", "there is no `sim/gone.rs`"),
        ];
        for (text, expected) in bad {
            let found = judge(text);
            assert_eq!(found.len(), 1, "{expected}: {found:?}");
            assert!(found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn each_rule_of_the_changelog_can_fail() {
        let good = "# Changelog\n\n## Unreleased\n\n### Added\n\n- A.\n\n## 0.1.0 - 2026-01-31\n";
        assert_eq!(changelog_complaints(good), Vec::<String>::new());
        let bad = [
            (good.replace("# Changelog", "# Changes"), "does not begin"),
            (good.replace("Unreleased", "0.2.0 - 2026-02-01"), "is not `## Unreleased`"),
            (good.replace(" - 2026-01-31", ""), "`## 0.1.0` is not"),
            (good.replace("Added", "New"), "`### New` is none of"),
            (good.replace("- A.", ""), "nothing stands under `### Added`"),
        ];
        for (text, expected) in bad {
            let found = changelog_complaints(&text);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn a_report_that_the_program_does_not_write_is_seen() {
        let snapshot = "---\nsource: a.rs\n---\nFAIL  a\n  b --- c\n";
        assert!(report_complaints("text\n```\nFAIL  a\n  b --- c\n```\n", snapshot).is_empty());
        assert_eq!(report_complaints("FAIL  a\n", snapshot).len(), 1);
        assert_eq!(report_complaints("FAIL  a\n", "").len(), 1);
    }

    #[test]
    fn a_dependency_needs_its_line_and_a_line_its_dependency() {
        let manifest =
            "[workspace.dependencies]\nours = { path = \"x\" }\nlibc = \"1\"\ntoml = \"1\"\n";
        let readme = "# R\n\n## Dependencies\n\n| crate | why |\n|---|---|\n| `libc` | calls |\n";
        let found = dependency_complaints(manifest, readme);
        assert_eq!(found, ["README.md: no reason for the dependency `toml` under Dependencies"]);
        let found =
            dependency_complaints(manifest, &format!("{readme}| `toml`, `gone` | files |\n"));
        assert_eq!(found, ["README.md: `gone` is no dependency of the workspace"]);
        assert_eq!(dependency_complaints(manifest, "# R\n").len(), 1);
    }
}
