//! Just enough of Rust's grammar to find where a function begins and ends.
//!
//! # Method
//!
//! [`code_only`] replaces comments and the insides of literals by spaces, so that what is left can be
//! counted brace by brace. [`functions`] takes each `fn` with a name and matches the braces of its
//! body.

/// A function of a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from its `fn` to its closing brace.
    pub lines: usize,
}

/// The source with comments, strings and characters blanked; lines stay where they are.
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = blank_length(bytes, at);
        if length == 0 {
            code.push(bytes[at] as char);
            at += 1;
            continue;
        }
        for byte in &bytes[at..(at + length).min(bytes.len())] {
            code.push(if *byte == b'\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    code
}

/// The length of the comment or literal that begins at `at`, or 0.
fn blank_length(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => string_length(rest),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string_length(rest),
        [b'\'', ..] => character_length(rest),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// 0 for `r#name`, which is a raw identifier.
fn raw_string_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = &rest[2 + hashes..];
    let length = body.windows(end.len()).position(|window| window == end).unwrap_or(body.len());
    2 + hashes + length + end.len()
}

/// 0 for a lifetime.
fn character_length(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => {
            let escaped = &rest[3.min(rest.len())..];
            3 + escaped.iter().position(|byte| *byte == b'\'').map_or(escaped.len(), |end| end + 1)
        }
        [_, first, ..] => {
            let width = match first {
                0xf0.. => 4,
                0xe0.. => 3,
                0xc0.. => 2,
                _ => 1,
            };
            if rest.get(1 + width) == Some(&b'\'') { 2 + width } else { 0 }
        }
        _ => 0,
    }
}

/// The functions that have a body.
pub fn functions(source: &str) -> Vec<Function> {
    let code = code_only(source);
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let in_word = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let after = code[at + 3..].trim_start();
        let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // `fn(` and `Fn(` are types.
        if in_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code, at) {
            let line = 1 + code[..at].matches('\n').count();
            let lines = 1 + code[at..end].matches('\n').count();
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// Where the body of the function at `at` closes; nothing for a declaration.
fn body_end(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '(' | '[' if depth == 0 => brackets += 1,
            ')' | ']' if depth == 0 => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' if brackets == 0 => depth += 1,
            '}' if brackets == 0 => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_kept() {
        let source =
            "a /* { /* } */ */ b // {\n\"{\\\"\" r#\"{\"#\n'{' '\\'' '\\u{1}' 'x 'é' r#fn c";
        let code = code_only(source);
        assert_eq!(code.matches('\n').count(), 2);
        assert!(!code.contains(['{', '}', '"']), "{code}");
        assert!(code.contains("'x") && code.contains("r#fn c"), "{code}");
    }

    #[test]
    fn functions_are_found_with_their_lines() {
        let source = "trait T { fn declared(&self) -> [u8; 4]; }\n\
                      fn one() {}\n\
                      impl T for U {\n    fn two(\n        f: fn(u8),\n    ) -> [u8; 2] {\n        \"}\";\n    }\n}\n";
        let one = Function { name: "one".to_string(), line: 2, lines: 1 };
        let two = Function { name: "two".to_string(), line: 4, lines: 5 };
        assert_eq!(functions(source), [one, two]);
    }
}
