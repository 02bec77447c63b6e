//! The list of mutants, and how one is applied to a source text.
//!
//! # Invariant
//!
//! A mutant changes one line, at a place that its file has exactly once.

use serde::Deserialize;

/// What a mutant makes of the code that it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A judge convicts less than it must.
    Blind,
    /// The simulated machine does less harm than it says.
    Kind,
    /// A judge convicts, or the machine harms, where nothing allows it: a false alarm.
    Strict,
}

impl Effect {
    /// The word in the list and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Blind => "blind",
            Effect::Kind => "kind",
            Effect::Strict => "strict",
        }
    }
}

/// One change of one line.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name.
    pub name: String,
    /// The file that it changes, from the root of the repository.
    pub file: String,
    /// What it makes of it.
    pub effect: Effect,
    /// What is no longer noticed, or no longer happens.
    pub weakens: String,
    /// The text that is replaced; further lines may stand in it to tell the place.
    pub was: String,
    /// What stands there instead.
    pub becomes: String,
}

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// The mutants of a list, in its order.
///
/// # Errors
///
/// What is wrong with the text, or a name that comes twice.
pub fn read(text: &str) -> Result<Vec<Mutant>, String> {
    let list: List = toml::from_str(text).map_err(|error| error.to_string())?;
    for (index, mutant) in list.mutant.iter().enumerate() {
        if list.mutant[..index].iter().any(|other| other.name == mutant.name) {
            return Err(format!("two mutants are called '{}'", mutant.name));
        }
    }
    Ok(list.mutant)
}

impl Mutant {
    /// The source text with the change in it.
    ///
    /// # Errors
    ///
    /// When the text to replace is not there, is there more than once, or differs in several lines.
    pub fn apply(&self, source: &str) -> Result<String, String> {
        if !self.is_one_line() {
            return Err(format!("{}: it does not change exactly one line", self.name));
        }
        match source.matches(&self.was).count() {
            1 => Ok(source.replacen(&self.was, &self.becomes, 1)),
            0 => Err(format!("{}: {} does not have its text", self.name, self.file)),
            count => Err(format!("{}: {} has its text {count} times", self.name, self.file)),
        }
    }

    fn is_one_line(&self) -> bool {
        let (was, becomes): (Vec<&str>, Vec<&str>) =
            (self.was.lines().collect(), self.becomes.lines().collect());
        let same = was.iter().zip(&becomes).take_while(|(a, b)| a == b).count();
        let (was, becomes) = (&was[same..], &becomes[same..]);
        let ends = was.iter().rev().zip(becomes.iter().rev()).take_while(|(a, b)| a == b).count();
        let (gone, new) = (was.len() - ends, becomes.len() - ends);
        gone <= 1 && new <= 1 && gone + new > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(was: &str, becomes: &str) -> Mutant {
        Mutant {
            name: "m".into(),
            file: "a.rs".into(),
            effect: Effect::Blind,
            weakens: "it".into(),
            was: was.into(),
            becomes: becomes.into(),
        }
    }

    #[test]
    fn one_line_at_one_place_is_changed() {
        let source = "one\ntwo\none\nthree\n";
        assert_eq!(mutant("two", "2").apply(source).unwrap(), "one\n2\none\nthree\n");
        let told_apart = mutant("one\nthree", "1\nthree");
        assert_eq!(told_apart.apply(source).unwrap(), "one\ntwo\n1\nthree\n");
        assert_eq!(mutant("two\none", "one").apply(source).unwrap(), "one\none\nthree\n");
        for (was, becomes) in [("one", "1"), ("four", "4"), ("two", "two"), ("two\none", "2\n1")] {
            assert!(mutant(was, becomes).apply(source).is_err(), "{was:?} to {becomes:?}");
        }
    }

    #[test]
    fn a_list_is_read_and_a_name_comes_once() {
        let one = "[[mutant]]\nname = \"m\"\nfile = \"a.rs\"\neffect = \"kind\"\nweakens = \"it\"\n\
                   was = 'a'\nbecomes = 'b'\n";
        let list = read(one).unwrap();
        assert_eq!((list.len(), list[0].effect.name()), (1, "kind"));
        assert!(read(&one.repeat(2)).is_err());
        assert!(read(&one.replace("weakens", "weekens")).is_err());
    }
}
