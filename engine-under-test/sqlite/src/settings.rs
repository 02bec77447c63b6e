//! The settings of a database that bear on what survives a crash.
//!
//! # Method
//!
//! Each setting has SQLite's own name and words, so that what a person types, what a report shows and
//! what SQLite is told are the same. [`Settings::set`] takes a name and a word, and an error says
//! which words there are.

use std::fmt;

/// How changes are made undoable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalMode {
    /// Old pages go to a journal, whose removal commits.
    Delete,
    /// Old pages go to a journal, and cutting it to nothing commits.
    Truncate,
    /// Old pages go to a journal, and overwriting its head with zeros commits.
    Persist,
    /// New pages go to a log, and a commit is a mark in it.
    Wal,
}

/// Whether a connection gives its locks back after each transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockingMode {
    /// It does.
    Normal,
    /// It keeps them until it is closed: no other connection gets in.
    Exclusive,
}

/// How much is synced, from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// As `Full`, and the directory after a journal was removed.
    Extra,
    /// Each commit.
    Full,
    /// At the most critical moments only.
    Normal,
    /// Never.
    Off,
}

/// Whether free pages are given back to the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoVacuum {
    /// They stay in the file.
    None,
    /// At each commit.
    Full,
    /// When asked.
    Incremental,
}

/// The settings of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `journal_mode`.
    pub journal_mode: JournalMode,
    /// `locking_mode`.
    pub locking_mode: LockingMode,
    /// `synchronous`.
    pub synchronous: Synchronous,
    /// `page_size` in bytes: a power of two from 512 to 65,536. Holds for a database from its creation.
    pub page_size: u32,
    /// `cache_size` in pages, at least 1. A small one spills dirty pages before the commit.
    pub cache_size: u32,
    /// `auto_vacuum`. Holds for a database from its creation.
    pub auto_vacuum: AutoVacuum,
    /// `wal_autocheckpoint`: pages in the log at which a commit copies them into the database; 0 never.
    pub wal_autocheckpoint: u32,
    /// `busy_timeout` in milliseconds: how long to ask again when another connection is in the way.
    pub busy_timeout_ms: u32,
}

impl Default for Settings {
    /// SQLite's own defaults, but for `busy_timeout`, which SQLite leaves at 0.
    fn default() -> Self {
        Settings {
            journal_mode: JournalMode::Delete,
            locking_mode: LockingMode::Normal,
            synchronous: Synchronous::Full,
            page_size: 4096,
            cache_size: 2000,
            auto_vacuum: AutoVacuum::None,
            wal_autocheckpoint: 1000,
            busy_timeout_ms: 5000,
        }
    }
}

/// A setting that SQLite does not have, or a value that it does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    message: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadSetting {}

/// The words of a setting, each with its value.
pub trait Words: Copy + PartialEq + 'static {
    /// All of them.
    const ALL: &'static [(&'static str, Self)];

    /// The word of a value.
    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }

    /// The value of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(w, _)| *w == word).map(|(_, value)| *value)
    }
}

impl Words for JournalMode {
    const ALL: &'static [(&'static str, Self)] = &[
        ("delete", JournalMode::Delete),
        ("truncate", JournalMode::Truncate),
        ("persist", JournalMode::Persist),
        ("wal", JournalMode::Wal),
    ];
}

impl Words for LockingMode {
    const ALL: &'static [(&'static str, Self)] =
        &[("normal", LockingMode::Normal), ("exclusive", LockingMode::Exclusive)];
}

impl Words for Synchronous {
    const ALL: &'static [(&'static str, Self)] = &[
        ("extra", Synchronous::Extra),
        ("full", Synchronous::Full),
        ("normal", Synchronous::Normal),
        ("off", Synchronous::Off),
    ];
}

impl Words for AutoVacuum {
    const ALL: &'static [(&'static str, Self)] = &[
        ("none", AutoVacuum::None),
        ("full", AutoVacuum::Full),
        ("incremental", AutoVacuum::Incremental),
    ];
}

impl Settings {
    /// The names that [`Settings::set`] knows.
    pub const NAMES: &'static [&'static str] = &[
        "journal_mode",
        "locking_mode",
        "synchronous",
        "page_size",
        "cache_size",
        "auto_vacuum",
        "wal_autocheckpoint",
        "busy_timeout",
    ];

    /// Sets one by name.
    ///
    /// # Errors
    ///
    /// When there is no such name, or it does not take the value; nothing is changed.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), BadSetting> {
        match name {
            "journal_mode" => self.journal_mode = word(name, value)?,
            "locking_mode" => self.locking_mode = word(name, value)?,
            "synchronous" => self.synchronous = word(name, value)?,
            "auto_vacuum" => self.auto_vacuum = word(name, value)?,
            "page_size" => self.page_size = page_size(value)?,
            "cache_size" => self.cache_size = number(name, value, 1)?,
            "wal_autocheckpoint" => self.wal_autocheckpoint = number(name, value, 0)?,
            "busy_timeout" => self.busy_timeout_ms = number(name, value, 0)?,
            _ => {
                let names = Self::NAMES.join(", ");
                return Err(bad(format!("SQLite has no setting '{name}'; there are {names}")));
            }
        }
        Ok(())
    }

    /// What SQLite is told, in the order in which it must hear it.
    pub(crate) fn pragmas(&self) -> Vec<Pragma> {
        let journal_mode = self.journal_mode.word();
        let locking_mode = self.locking_mode.word();
        vec![
            // Nothing but the database, its journals and its log reaches the disk.
            Pragma::told("temp_store", "memory"),
            // These two hold from the creation of the file, so they come before anything writes.
            Pragma::told("page_size", self.page_size),
            Pragma::told("auto_vacuum", self.auto_vacuum.word()),
            // Before the journal mode: the log of an exclusive connection needs no shared memory.
            Pragma::answered("locking_mode", locking_mode),
            Pragma::answered("journal_mode", journal_mode),
            Pragma::told("synchronous", self.synchronous.word()),
            Pragma::told("cache_size", self.cache_size),
            Pragma::told("wal_autocheckpoint", self.wal_autocheckpoint),
        ]
    }
}

/// One setting as SQLite hears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pragma {
    name: &'static str,
    value: String,
    /// What SQLite answers when the setting holds, where it answers.
    pub(crate) answer: Option<&'static str>,
}

impl Pragma {
    /// The statement.
    pub(crate) fn sql(&self) -> String {
        format!("PRAGMA {} = {}", self.name, self.value)
    }

    fn told(name: &'static str, value: impl ToString) -> Pragma {
        Pragma { name, value: value.to_string(), answer: None }
    }

    fn answered(name: &'static str, word: &'static str) -> Pragma {
        Pragma { name, value: word.into(), answer: Some(word) }
    }
}

fn bad(message: String) -> BadSetting {
    BadSetting { message }
}

fn word<T: Words>(name: &str, value: &str) -> Result<T, BadSetting> {
    T::from_word(value).ok_or_else(|| {
        let words: Vec<_> = T::ALL.iter().map(|(word, _)| *word).collect();
        bad(format!("{name} is not '{value}'; it is one of {}", words.join(", ")))
    })
}

fn number(name: &str, value: &str, least: u32) -> Result<u32, BadSetting> {
    let parsed = value.parse().ok().filter(|number| (least..=i32::MAX as u32).contains(number));
    parsed.ok_or_else(|| {
        bad(format!("{name} is not '{value}'; it is a whole number from {least} to {}", i32::MAX))
    })
}

fn page_size(value: &str) -> Result<u32, BadSetting> {
    let parsed: Option<u32> = value.parse().ok();
    parsed.filter(|size| size.is_power_of_two() && (512..=65_536).contains(size)).ok_or_else(|| {
        bad(format!("page_size is not '{value}'; it is a power of two from 512 to 65536"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_known_by_its_name() {
        let values = ["wal", "exclusive", "off", "512", "7", "full", "0", "100"];
        let mut settings = Settings::default();
        for (name, value) in Settings::NAMES.iter().zip(values) {
            settings.set(name, value).unwrap();
        }
        let expected = Settings {
            journal_mode: JournalMode::Wal,
            locking_mode: LockingMode::Exclusive,
            synchronous: Synchronous::Off,
            page_size: 512,
            cache_size: 7,
            auto_vacuum: AutoVacuum::Full,
            wal_autocheckpoint: 0,
            busy_timeout_ms: 100,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_wrong_setting_is_named_with_the_way_out() {
        let rows = [
            ("journal_mode", "memory", "it is one of delete, truncate, persist, wal"),
            ("page_size", "1000", "it is a power of two from 512 to 65536"),
            ("cache_size", "0", "it is a whole number from 1 to 2147483647"),
            ("wal_autocheckpoint", "-1", "it is a whole number from 0 to 2147483647"),
            ("journal", "delete", "SQLite has no setting 'journal'; there are journal_mode, "),
        ];
        for (name, value, expected) in rows {
            let mut settings = Settings::default();
            let message = settings.set(name, value).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert_eq!(settings, Settings::default());
        }
    }
}
