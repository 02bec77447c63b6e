//! Names of files, as SQLite gives them and as the disk takes them.
//!
//! # Invariant
//!
//! A name that left [`normal`] is relative to the disk's root, has no empty, `.` or `..` component
//! and no NUL, so two spellings of one file are one string, and locks can be kept by it.

use std::path::Path;

/// The longest name that SQLite may hand to a callback, its terminating NUL included.
pub(crate) const NAME_BYTES_MAX: usize = 512;

/// The one spelling of `name`, or `None` when it names no file below the disk's root.
pub(crate) fn normal(name: &str) -> Option<String> {
    let mut normal = String::with_capacity(name.len());
    for part in name.split('/') {
        match part {
            "" | "." => continue,
            ".." => return None,
            _ if part.contains('\0') => return None,
            _ => {
                if !normal.is_empty() {
                    normal.push('/');
                }
                normal.push_str(part);
            }
        }
    }
    let fits = !normal.is_empty() && normal.len() < NAME_BYTES_MAX;
    fits.then_some(normal)
}

/// The directory in which `name` stands; the root is the empty path.
pub(crate) fn directory(name: &str) -> &Path {
    Path::new(name.rsplit_once('/').map_or("", |(directory, _)| directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_file_become_one() {
        for name in ["a/b.db", "/a/b.db", "./a//b.db", "a/./b.db"] {
            assert_eq!(normal(name).as_deref(), Some("a/b.db"), "{name}");
        }
    }

    #[test]
    fn what_names_no_file_below_the_root_is_refused() {
        let long = "x".repeat(NAME_BYTES_MAX);
        for name in ["", "/", ".", "../a", "a/../b", "a\0b", &long] {
            assert_eq!(normal(name), None, "{name:?}");
        }
    }

    #[test]
    fn the_directory_of_a_name() {
        assert_eq!(directory("a.db"), Path::new(""));
        assert_eq!(directory("a/b/c.db"), Path::new("a/b"));
    }
}
