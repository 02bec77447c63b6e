//! Assertion sites that ask to be reached.

use std::collections::BTreeSet;

use falconry_seam::assert::{Site, SiteKind, sites};

/// The names of all `sometimes!` and `reachable!` sites of this program that are not in `reached`.
pub fn never_reached<'a>(reached: impl Iterator<Item = &'a String>) -> Vec<String> {
    let reached: BTreeSet<&str> = reached.map(String::as_str).collect();
    let names: BTreeSet<&'static str> = wanted().collect();
    names.into_iter().filter(|name| !reached.contains(name)).map(String::from).collect()
}

fn wanted() -> impl Iterator<Item = &'static str> {
    let asks = |site: &&Site| matches!(site.kind, SiteKind::Sometimes | SiteKind::Reachable);
    sites().into_iter().filter(asks).map(|site| site.name)
}
