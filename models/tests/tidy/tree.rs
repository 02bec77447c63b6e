//! The repository's text files, read once, in the order of their paths.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours, those of a fuzzer among them.
const SKIPPED: &[&str] = &["target", ".git", "artifacts", "corpus", "coverage"];

/// One text file.
#[derive(Clone, Debug)]
pub struct TextFile {
    /// Path from the repository's root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// All text files, and the names of all files and folders.
pub struct Tree {
    files: BTreeMap<String, TextFile>,
    names: Vec<String>,
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR"));
    models.parent().expect("the crate lies in the repository").to_path_buf()
}

impl Tree {
    /// Reads what lies under `root`; a file that is not UTF-8 has a name but no text.
    pub fn read(root: &Path) -> Tree {
        let mut tree = Tree { files: BTreeMap::new(), names: Vec::new() };
        tree.read_folder(root, "");
        tree
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("{folder:?}: {error}"));
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().unwrap_or_else(|error| panic!("{path}: {error}"));
            if SKIPPED.contains(&name.as_str()) || kind.is_symlink() {
                continue;
            }
            self.names.push(path.clone());
            if kind.is_dir() {
                self.read_folder(&entry.path(), &format!("{path}/"));
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                self.files.insert(path.clone(), TextFile { path, text });
            }
        }
    }

    /// A tree out of thin air, to judge the judges with.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file = |&(path, text): &(&str, &str)| {
            (path.to_string(), TextFile { path: path.to_string(), text: text.to_string() })
        };
        let names = files.iter().map(|(path, _)| path.to_string()).collect();
        Tree { files: files.iter().map(file).collect(), names }
    }

    /// Every text file.
    pub fn files(&self) -> impl Iterator<Item = &TextFile> {
        self.files.values()
    }

    /// The text files whose name ends so.
    pub fn files_ending(&self, end: &'static str) -> impl Iterator<Item = &TextFile> {
        self.files.values().filter(move |file| file.path.ends_with(end))
    }

    /// The text of a file that must exist.
    pub fn text(&self, path: &str) -> String {
        let file = self.files.get(path);
        file.unwrap_or_else(|| panic!("there is no text file {path}")).text.clone()
    }

    /// The text of a file, if there is one.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    /// Whether a file or folder has this path.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.names.iter().any(|name| name == path)
    }
}
