//! The settings of one run: each is one labelled choice, and each can be fixed by the user.
//!
//! # Invariant
//!
//! A setting that is fixed is drawn all the same, so that fixing one moves no other choice.

use falconry_sim::choice::Choices;

use super::{Concurrency, Contract};
use crate::run::CaseError;

/// The settings of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    values: Vec<(String, String)>,
    /// What the engine promises under them.
    pub contract: Contract,
    /// How clients are interleaved.
    pub concurrency: Concurrency,
}

impl Settings {
    /// The settings that were drawn, what is promised under them, and how clients are interleaved.
    pub fn new(
        values: Vec<(String, String)>,
        contract: Contract,
        concurrency: Concurrency,
    ) -> Self {
        Settings { values, contract, concurrency }
    }

    /// The value of a setting that [`super::Engine::draw`] drew. Panics if it drew none of that name.
    pub fn text(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(n, _)| n == name);
        &found.unwrap_or_else(|| panic!("no setting '{name}' was drawn")).1
    }

    /// The same as a number. Panics if it is none.
    pub fn number(&self, name: &str) -> u64 {
        let text = self.text(name);
        text.parse().unwrap_or_else(|_| panic!("setting '{name}' is '{text}', not a number"))
    }

    /// The same as a truth. Panics if it is none.
    pub fn flag(&self, name: &str) -> bool {
        let text = self.text(name);
        text.parse().unwrap_or_else(|_| panic!("setting '{name}' is '{text}', not true or false"))
    }

    /// All of them, in the order in which they were drawn.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What the clients of a run may ask for at most: an engine's memory and log must have room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of a key and its value.
    pub pair_bytes_max: usize,
    /// Bytes of all pairs that a transaction writes.
    pub transaction_bytes_max: usize,
}

impl Default for Room {
    /// Of a large workload.
    fn default() -> Self {
        Room { pair_bytes_max: 72 << 10, transaction_bytes_max: 4 << 20 }
    }
}

/// Draws the settings of one run, honouring those that the user fixed.
pub struct SettingsDraw<'a> {
    choices: &'a mut Choices,
    room: Room,
    engine: String,
    forced: &'a [(String, String)],
    values: Vec<(String, String)>,
}

impl<'a> SettingsDraw<'a> {
    /// For `engine`; `forced` are the settings that the user fixed.
    pub fn new(
        choices: &'a mut Choices,
        engine: &str,
        forced: &'a [(String, String)],
    ) -> SettingsDraw<'a> {
        let (engine, room) = (engine.into(), Room::default());
        SettingsDraw { choices, room, engine, forced, values: Vec::new() }
    }

    /// The same for clients that ask for no more than this.
    #[must_use]
    pub fn with_room(self, room: Room) -> SettingsDraw<'a> {
        SettingsDraw { room, ..self }
    }

    /// What clients may ask for.
    pub fn room(&self) -> Room {
        self.room
    }

    /// A number that follows from others, unless the user fixes it to another one.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] when the user fixed it to something else than a number from 1.
    pub fn derived(&mut self, name: &'static str, value: u64) -> Result<u64, CaseError> {
        self.number_or(name, 1, u64::from(u32::MAX), value)
    }

    /// One of `options` by weight, the boring one first. An option of weight 0 is taken only when the
    /// user asks for it.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] when the user fixed it to something else.
    pub fn word(
        &mut self,
        name: &'static str,
        options: &[(&str, u32)],
    ) -> Result<String, CaseError> {
        let weights: Vec<u32> = options.iter().map(|(_, weight)| *weight).collect();
        let index = self.choices.weighted("settings/engine", &weights);
        let value = match self.fixed(name) {
            Some(fixed) if options.iter().any(|(option, _)| *option == fixed) => fixed,
            Some(fixed) => {
                let known: Vec<&str> = options.iter().map(|(option, _)| *option).collect();
                return Err(self.refuse(name, &fixed, &format!("it takes {}", known.join(", "))));
            }
            None => options[index].0.to_string(),
        };
        self.values.push((name.into(), value.clone()));
        Ok(value)
    }

    /// A number in `low..=high`, small ones as likely as large ones.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] when the user fixed it to something else.
    pub fn number(&mut self, name: &'static str, low: u64, high: u64) -> Result<u64, CaseError> {
        let drawn = self.choices.log_uniform("settings/engine", low, high);
        self.number_or(name, low, high, drawn)
    }

    fn number_or(
        &mut self,
        name: &'static str,
        low: u64,
        high: u64,
        drawn: u64,
    ) -> Result<u64, CaseError> {
        let value = match self.fixed(name) {
            Some(fixed) => match fixed.parse::<u64>() {
                Ok(number) if (low..=high).contains(&number) => number,
                _ => {
                    let takes = format!("it takes a number from {low} to {high}");
                    return Err(self.refuse(name, &fixed, &takes));
                }
            },
            None => drawn,
        };
        self.values.push((name.into(), value.to_string()));
        Ok(value)
    }

    /// As [`SettingsDraw::number`], but mostly small: first how large it may be, then itself.
    ///
    /// # Errors
    ///
    /// As for [`SettingsDraw::number`].
    pub fn small_number(
        &mut self,
        name: &'static str,
        low: u64,
        high: u64,
    ) -> Result<u64, CaseError> {
        self.small_number_to(name, low, high, high)
    }

    /// As [`SettingsDraw::small_number`], but drawn up to `most` alone, for what would be dear with what was drawn
    /// before; who fixes it may go up to `high`.
    ///
    /// # Errors
    ///
    /// As for [`SettingsDraw::number`].
    pub fn small_number_to(
        &mut self,
        name: &'static str,
        low: u64,
        most: u64,
        high: u64,
    ) -> Result<u64, CaseError> {
        let most = self.choices.log_uniform("settings/engine", low, most);
        let drawn = self.choices.log_uniform("settings/engine", low, most);
        self.number_or(name, low, high, drawn)
    }

    /// True at `ppm` millionths.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] when the user fixed it to something else.
    pub fn flag(&mut self, name: &'static str, ppm: u32) -> Result<bool, CaseError> {
        let rest = falconry_sim::choice::PPM - ppm;
        Ok(self.word(name, &[("false", rest), ("true", ppm)])? == "true")
    }

    /// The refusal of a value that the user fixed, for combinations that do not fit.
    pub fn refuse(&self, name: &str, value: &str, what: &str) -> CaseError {
        CaseError::BadSetting {
            engine: self.engine.clone(),
            name: name.into(),
            value: value.into(),
            what: what.into(),
        }
    }

    fn fixed(&self, name: &str) -> Option<String> {
        let found = self.forced.iter().rev().find(|(n, _)| n == name);
        found.map(|(_, value)| value.clone())
    }

    /// What was drawn.
    ///
    /// # Errors
    ///
    /// [`CaseError::BadSetting`] for a setting that the user fixed and nobody drew.
    pub fn finish(self) -> Result<Vec<(String, String)>, CaseError> {
        let unknown =
            self.forced.iter().find(|(name, _)| self.values.iter().all(|(drawn, _)| drawn != name));
        if let Some((name, value)) = unknown {
            let known: Vec<&str> = self.values.iter().map(|(drawn, _)| drawn.as_str()).collect();
            let what = format!("there is no such setting; there are {}", known.join(", "));
            return Err(self.refuse(name, value, &what));
        }
        Ok(self.values)
    }
}
