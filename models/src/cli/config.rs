//! The config file: `.config/falconry.toml` in this folder or the nearest one above it.
//!
//! It says what flags and environment leave open. A key that is unknown, or a value that a flag would
//! refuse, is refused here with the place in the file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::exit::Stop;
use super::output::ProgressStyle;
use super::typed::Color;
use super::values::{Partition, SeedRange, Span};
use crate::run::Profile;

/// Where it is, below some folder.
const PLACE: &str = ".config/falconry.toml";

/// What the file may say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// As `--engine`.
    pub engine: Option<String>,
    /// As `--scenario`.
    pub scenario: Option<String>,
    /// As `--faults`.
    pub faults: Option<Profile>,
    /// As `--seeds`.
    #[serde(deserialize_with = "as_typed")]
    pub seeds: Option<SeedRange>,
    /// As `--for`.
    #[serde(rename = "for", deserialize_with = "as_typed")]
    pub duration: Option<Span>,
    /// As `--jobs`.
    pub jobs: Option<std::num::NonZeroU16>,
    /// As `--partition`.
    #[serde(deserialize_with = "as_typed")]
    pub partition: Option<Partition>,
    /// As `--store`; relative to the folder that holds `.config`.
    pub store: Option<PathBuf>,
    /// As `--color`.
    pub color: Option<Color>,
    /// As `--progress`.
    pub progress: Option<ProgressStyle>,
}

fn as_typed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = String>,
{
    let word = String::deserialize(deserializer)?;
    word.parse().map(Some).map_err(de::Error::custom)
}

impl Config {
    /// Reads the file that governs `folder`, or none.
    ///
    /// # Errors
    ///
    /// Names the file, the line and what is wrong there.
    pub fn find(folder: &Path) -> Result<Config, Stop> {
        for folder in folder.ancestors() {
            let file = folder.join(PLACE);
            if file.is_file() {
                let unusable = |what: String| Stop::Usage(format!("{}: {what}", file.display()));
                let text = std::fs::read_to_string(&file).map_err(|e| unusable(e.to_string()))?;
                let mut config = Config::read(&text).map_err(unusable)?;
                config.store = config.store.map(|store| folder.join(store));
                return Ok(config);
            }
        }
        Ok(Config::default())
    }

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_as_its_flag_is() {
        let config = Config::read(
            "engine = 'redb'\nscenario = 'kv'\nfaults = 'hostile'\nseeds = '0..1k'\nfor = '8h'\n\
             jobs = 2\npartition = '1/2'\nstore = 'a.sqlite'\ncolor = 'never'\nprogress = 'none'\n",
        );
        let config = config.expect("a sound file");
        assert_eq!(config.seeds, Some(SeedRange { from: 0, until: 1_000 }));
        assert_eq!(config.duration, Some(Span(std::time::Duration::from_secs(28_800))));
        assert_eq!(config.faults, Some(Profile::Hostile));
        assert_eq!(config.partition, Some(Partition { slice: 1, slices: 2 }));
    }

    #[test]
    fn what_a_flag_would_refuse_is_refused_with_its_line() {
        for (text, part) in [
            ("engine = 'redb'\njobs = 0\n", "line 2"),
            ("seeds = '5'\n", "'5' is no range of seeds"),
            ("enginge = 'redb'\n", "unknown field `enginge`"),
        ] {
            let refusal = Config::read(text).expect_err(text);
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }
}
