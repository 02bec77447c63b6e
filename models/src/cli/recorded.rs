//! A recording knows its case: what was run stands in its properties.

use falconry_sim::choice::Recording;
use falconry_sim::fault::Fault;

use super::command::profile_name;
use super::values::{FaultRate, Setting};
use crate::run::{Case, Profile};

const PROFILES: [Profile; 4] =
    [Profile::None, Profile::Realistic, Profile::Accelerated, Profile::Hostile];

/// Writes the case into the properties of its recording.
pub fn label(recording: &mut Recording, case: &Case, revision: &str) {
    let mut properties = vec![
        ("engine", case.engine.clone()),
        ("scenario", case.scenario.clone()),
        ("seed", case.seed.to_string()),
        ("faults", profile_name(case.faults).into()),
    ];
    let rates = case.fault_ppm.iter().map(|(fault, ppm)| format!("{fault}={ppm}"));
    properties.extend(rates.map(|rate| ("fault", rate)));
    if case.beyond_budget {
        properties.push(("beyond_budget", "yes".into()));
    }
    if case.break_sync {
        properties.push(("break_sync", "yes".into()));
    }
    properties.extend(case.planted.iter().map(|bug| ("plant", bug.clone())));
    properties.extend(case.settings.iter().map(|(name, value)| ("set", format!("{name}={value}"))));
    properties.push(("revision", revision.into()));
    recording.properties =
        properties.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
}

/// The case that a recording tells.
///
/// # Errors
///
/// Names the property that is missing or cannot be read.
pub fn case_of(recording: &Recording) -> Result<Case, String> {
    let needed = |name: &str| {
        let value = recording.property(name).map(String::from);
        value.ok_or_else(|| format!("the recording does not say its {name}"))
    };
    let unreadable = |name: &str, value: &str| format!("its {name} '{value}' cannot be read");
    let seed = needed("seed")?;
    let faults = needed("faults")?;
    let profile = PROFILES.into_iter().find(|profile| profile_name(*profile) == faults);
    let mut case = Case {
        engine: needed("engine")?,
        scenario: needed("scenario")?,
        seed: seed.parse().map_err(|_| unreadable("seed", &seed))?,
        faults: profile.ok_or_else(|| unreadable("faults", &faults))?,
        fault_ppm: Vec::new(),
        beyond_budget: false,
        break_sync: false,
        planted: Vec::new(),
        settings: Vec::new(),
    };
    for (name, value) in &recording.properties {
        match name.as_str() {
            "fault" => {
                let rate: FaultRate = value.parse()?;
                let rate: (Fault, u32) = (rate.fault, rate.ppm);
                case.fault_ppm.push(rate);
            }
            "beyond_budget" => case.beyond_budget = value == "yes",
            "break_sync" => case.break_sync = value == "yes",
            "plant" => case.planted.push(value.clone()),
            "set" => {
                let Setting { name, value } = value.parse()?;
                case.settings.push((name, value));
            }
            _ => {}
        }
    }
    Ok(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_comes_back_from_its_recording() {
        let case = Case {
            engine: "redb".into(),
            scenario: "kv/bank".into(),
            seed: u64::MAX,
            faults: Profile::Hostile,
            fault_ppm: vec![(Fault::TornWrite, 5), (Fault::Enospc, 0)],
            beyond_budget: true,
            break_sync: true,
            planted: vec!["a".into(), "b".into()],
            settings: vec![("durability".into(), "none".into())],
        };
        let mut recording = Recording::default();
        label(&mut recording, &case, "3f9c1d2");
        let text = recording.to_text();
        let read = Recording::from_text(&text).expect("its own text");
        assert_eq!(case_of(&read), Ok(case));
        assert_eq!(read.property("revision"), Some("3f9c1d2"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = case_of(&Recording::default()).expect_err("nothing is said");
        assert_eq!(error, "the recording does not say its seed");
    }
}
