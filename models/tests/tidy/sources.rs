//! Rules for source files: lengths, headers, attributes, and words that stay out of every file.

use super::lexer;

const FILE_LINES_MAX: usize = 800;
/// Files that promise to be shorter: whoever reads the canary should see its bug at once.
const SHORTER: &[(&str, usize)] = &[("engine-under-test/canary/src/lib.rs", 144)];
const FUNCTION_LINES_MAX: usize = 70;

/// Folders whose code works inside of a run, although its crate as a whole stands outside.
const INSIDE_A_RUN: &[&str] =
    &["models/src/oracle/", "models/src/workload/", "models/src/specimen/", "models/src/engine/"];

/// What would let something else than the seed decide there.
const OUTSIDE_OF_THE_SEED: &[&str] = &[
    "std::time::Instant",
    "Instant::now",
    "SystemTime::now",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
];

/// Marks of work left, each in two halves so that this file does not trip over itself.
const MARKS: &[(&str, &str)] = &[("TO", "DO"), ("FIX", "ME"), ("XX", "X"), ("HA", "CK")];

/// Roots of one machine's file system, likewise.
const ROOTS: &[(&str, &str)] = &[("/ho", "me/"), ("/ro", "ot/"), ("/wo", "rk/"), ("/tmp/", "wk")];

/// What is wrong with the source file `path`.
pub fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    let shorter = SHORTER.iter().find(|(file, _)| *file == path);
    let lines_max = shorter.map_or(FILE_LINES_MAX, |(_, lines_max)| *lines_max);
    if lines > lines_max {
        found.push(format!("{path}: {lines} lines, at most {lines_max}: it is two ideas"));
    }
    if !text.starts_with("//! ") {
        found.push(format!("{path}: does not begin with a line (`//! …`) that says what it is"));
    }
    for function in lexer::functions(text) {
        if function.lines > FUNCTION_LINES_MAX {
            let (name, line, lines) = (function.name, function.line, function.lines);
            found.push(format!(
                "{path}:{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}"
            ));
        }
    }
    let code = lexer::code_only(text);
    for (number, line) in code.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        if line.contains("#[ignore") {
            found.push(format!("{place}: an ignored test is no test"));
        }
        if INSIDE_A_RUN.iter().any(|folder| path.starts_with(folder)) {
            // The seam's own clocks bear std's names, and are virtual in a run.
            let has_the_seam = code.contains("use falconry_seam::time::");
            let is_clock = |name: &str| name.ends_with("::now") && has_the_seam;
            let outside = OUTSIDE_OF_THE_SEED.iter().filter(|name| line.contains(**name));
            for name in outside.filter(|name| !is_clock(name)) {
                found.push(format!("{place}: {name} inside of a run, which obeys its seed alone"));
            }
        }
    }
    found
}

/// What is wrong with the root of a library.
pub fn root_complaints(path: &str, text: &str) -> Vec<String> {
    match text.lines().any(|line| line.trim() == "#![deny(missing_docs)]") {
        true => Vec::new(),
        false => vec![format!("{path}: no `#![deny(missing_docs)]`")],
    }
}

/// Marks of work left, and paths of one machine.
pub fn stray_words(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        for (first, second) in MARKS {
            let mark = format!("{first}{second}");
            if has_word(line, &mark) {
                found.push(format!("{place}: {mark}; do it, or open an issue"));
            }
        }
        for (first, second) in ROOTS {
            let root = format!("{first}{second}");
            if begins_path(line, &root) {
                found.push(format!("{place}: {root} is a path of one machine"));
            }
        }
    }
    found
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let letter = |c: char| c.is_alphanumeric();
        !line[..at].ends_with(letter) && !line[at + word.len()..].starts_with(letter)
    })
}

/// Whether `root` stands in the line other than in the middle of a longer path.
fn begins_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "//! One idea.\n\nfn short() {}\n";

    #[test]
    fn a_tidy_source_passes() {
        assert_eq!(complaints("models/src/oracle/a.rs", GOOD), Vec::<String>::new());
        assert_eq!(stray_words("a.rs", GOOD), Vec::<String>::new());
    }

    #[test]
    fn the_clock_of_the_seam_is_none_of_the_machine() {
        let text =
            |import: &str| format!("//! One.\nuse {import};\nfn now() {{ Instant::now(); }}\n");
        let path = "models/src/specimen/a.rs";
        assert_eq!(complaints(path, &text("falconry_seam::time::Instant")), Vec::<String>::new());
        assert_eq!(complaints(path, &text("elsewhere::Instant")).len(), 1);
    }

    #[test]
    fn each_rule_of_sources_can_fail() {
        let long_function = format!("//! One.\nfn long() {{\n{}}}\n", "    work();\n".repeat(69));
        let bad = [
            ("a.rs", format!("//! One.\n{}", "// line\n".repeat(800)), "801 lines"),
            (
                SHORTER[0].0,
                format!("//! One.\n{}", "// line\n".repeat(144)),
                "145 lines, at most 144",
            ),
            ("a.rs", "fn headless() {}\n".to_string(), "does not begin"),
            ("a.rs", long_function, "a.rs:2: fn long has 71 lines"),
            ("a.rs", "//! One.\n#[ignore]\n".to_string(), "a.rs:2: an ignored test"),
            ("models/src/oracle/a.rs", "//! One.\nuse std::fs;\n".to_string(), "std::fs inside"),
        ];
        for (path, text, expected) in bad {
            let found = complaints(path, &text);
            assert_eq!(found.len(), 1, "{expected}: {found:?}");
            assert!(found[0].contains(expected), "{expected}: {found:?}");
        }
        assert_eq!(complaints("models/src/swarm.rs", "//! One.\nuse std::fs;\n").len(), 0);
        assert_eq!(root_complaints("a/lib.rs", GOOD).len(), 1);
        assert_eq!(root_complaints("a/lib.rs", "//! A.\n#![deny(missing_docs)]\n").len(), 0);
    }

    #[test]
    fn each_stray_word_is_seen_and_look_alikes_are_not() {
        for (first, second) in MARKS.iter().chain(ROOTS) {
            let line = format!("see {first}{second} here");
            assert_eq!(stray_words("a.md", &line).len(), 1, "{line}");
        }
        let longer = format!("models{}{}x and an{}{}X", "/wo", "rk/", "XX", "X");
        assert_eq!(stray_words("a.md", &longer), Vec::<String>::new());
    }
}
