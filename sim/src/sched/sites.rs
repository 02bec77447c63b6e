//! Which assertion sites of the engine a run reached.

#![expect(
    clippy::disallowed_types,
    reason = "the process has one of it, for all machines: taken outside of any machine"
)]

use falconry_seam::assert::{Site, SiteKind};

use crate::choice::{Choices, PPM};

/// A quarter of the sites where an engine offers its rare path is switched on in a run, as in
/// FoundationDB.
const BUGGIFY_ON_PPM: u32 = PPM / 4;

#[derive(Debug, Default)]
pub(crate) struct Sites {
    reached: Vec<&'static Site>,
    /// Buggify sites met so far: name, whether it is switched on, and its stream's label.
    buggify: Vec<(&'static str, bool, &'static str)>,
}

impl Sites {
    /// A site held; `true` when it is the first time in this run.
    pub(super) fn reach(&mut self, site: &'static Site) -> bool {
        let known = self.reached.iter().any(|known| known.name == site.name);
        if !known {
            self.reached.push(site);
        }
        !known
    }

    /// Names of the sites that were reached, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.reached.iter().map(|site| site.name.to_string()).collect();
        names.sort();
        names
    }

    /// Whether the engine takes the rare path of `site` now.
    pub(super) fn buggify(&mut self, choices: &mut Choices, site: &'static Site, ppm: u32) -> bool {
        assert_eq!(site.kind, SiteKind::Buggify, "{} is no place for it", site.name);
        let known = self.buggify.iter().find(|(name, ..)| *name == site.name).copied();
        let (_, on, label) = known.unwrap_or_else(|| {
            let label = label_of(site.name);
            let entry = (site.name, choices.chance(label, BUGGIFY_ON_PPM), label);
            self.buggify.push(entry);
            entry
        });
        choices.chance(label, if on { ppm } else { 0 })
    }
}

/// `buggify/NAME/fire`, made once for each site of the process: a component of its own. A site may be named by
/// a sentence, and a line of a capsule has its label up to the first blank.
fn label_of(name: &'static str) -> &'static str {
    use std::sync::Mutex;
    static LABELS: Mutex<Vec<(&str, &str)>> = Mutex::new(Vec::new());
    falconry_seam::hook::outside(|| {
        let mut labels = LABELS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, label)) = labels.iter().find(|(known, _)| *known == name) {
            return *label;
        }
        let label = format!("buggify/{}/fire", word_of(name));
        let label: &'static str = Box::leak(label.into_boxed_str());
        labels.push((name, label));
        label
    })
}

/// A name without what would end a label.
fn word_of(name: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/-_.".contains(char);
    name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What broke: a site that is named by a sentence gave a label with blanks, and its capsule could not be read.
    #[test]
    fn a_sentence_makes_one_word() {
        assert_eq!(word_of("tree/a parent is left untold"), "tree/a_parent_is_left_untold");
        assert_eq!(word_of("a=b #1@c"), "a_b__1_c");
    }
}
