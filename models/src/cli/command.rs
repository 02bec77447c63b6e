//! The commands that the program prints: copyable, on one line, with every flag that changes the run.

use crate::run::{Case, Profile};

/// How the program was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// From a clone, by cargo.
    Cargo,
    /// As an installed program.
    Installed,
}

impl Form {
    /// How this process was called: cargo tells the programs that it runs about itself.
    pub fn of_this_process() -> Form {
        let told = |name| std::env::var_os(name).is_some();
        if told("CARGO") && told("CARGO_MANIFEST_DIR") { Form::Cargo } else { Form::Installed }
    }

    fn program(self) -> &'static str {
        match self {
            Form::Cargo => "cargo run --release --",
            Form::Installed => "falconry",
        }
    }
}

/// Who is spoken to: what a printed command must carry here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// How the program was called.
    pub form: Form,
    /// Whether environment or config file name a profile of faults, so that the default one must be
    /// said too.
    pub says_faults: bool,
}

impl Caller {
    /// A command without the flags of a case.
    pub fn plain(self, words: &[&str]) -> String {
        let mut text = self.form.program().to_string();
        for word in words {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        text
    }

    /// A command that does `verb` to the seed of `case`, with the same flags.
    pub fn of_case(self, verb: &str, case: &Case) -> String {
        let seed = case.seed.to_string();
        let flags = self.flags(case);
        let words = [verb, &seed].into_iter().chain(flags.iter().map(String::as_str));
        self.plain(&words.collect::<Vec<_>>())
    }

    /// The line that runs `case` as a test.
    pub fn as_test(self, case: &Case) -> String {
        let mut text = String::new();
        for (name, value) in self.environment(case) {
            text.push_str(&format!("{name}={} ", quoted(&value)));
        }
        text + "cargo test -p falconry --test regressions"
    }

    fn must_say(self, faults: Profile) -> bool {
        self.says_faults || faults != Profile::default()
    }

    /// The flags that lead to `case`, but for its seed.
    fn flags(self, case: &Case) -> Vec<String> {
        let mut flags = vec!["--engine".into(), case.engine.clone()];
        flags.extend(["--scenario".into(), case.scenario.clone()]);
        if self.must_say(case.faults) {
            flags.extend(["--faults".into(), profile_name(case.faults).into()]);
        }
        for (fault, ppm) in &case.fault_ppm {
            flags.extend(["--fault".into(), format!("{fault}={ppm}")]);
        }
        if case.beyond_budget {
            flags.push("--beyond-budget".into());
        }
        if case.break_sync {
            flags.push("--break-sync".into());
        }
        for bug in &case.planted {
            flags.extend(["--plant".into(), bug.clone()]);
        }
        for (name, value) in &case.settings {
            flags.extend(["--set".into(), format!("{name}={value}")]);
        }
        flags
    }

    /// The same as environment variables, seed first.
    fn environment(self, case: &Case) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("FALCONRY_SEED", case.seed.to_string()),
            ("FALCONRY_ENGINE", case.engine.clone()),
            ("FALCONRY_SCENARIO", case.scenario.clone()),
        ];
        if self.must_say(case.faults) {
            pairs.push(("FALCONRY_FAULTS", profile_name(case.faults).into()));
        }
        let rates = case.fault_ppm.iter().map(|(fault, ppm)| format!("{fault}={ppm}"));
        let settings = case.settings.iter().map(|(name, value)| format!("{name}={value}"));
        let lists = [
            ("FALCONRY_FAULT", rates.collect::<Vec<_>>()),
            ("FALCONRY_PLANT", case.planted.clone()),
            ("FALCONRY_SET", settings.collect()),
        ];
        pairs.extend(
            lists.into_iter().filter(|(_, l)| !l.is_empty()).map(|(name, l)| (name, l.join(","))),
        );
        let switches = [
            ("FALCONRY_BEYOND_BUDGET", case.beyond_budget),
            ("FALCONRY_BREAK_SYNC", case.break_sync),
        ];
        pairs.extend(
            switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true".into())),
        );
        pairs
    }
}

/// The word for a profile.
pub fn profile_name(profile: Profile) -> &'static str {
    match profile {
        Profile::None => "none",
        Profile::Realistic => "realistic",
        Profile::Accelerated => "accelerated",
        Profile::Hostile => "hostile",
    }
}

/// `word` as a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use falconry_sim::fault::Fault;

    const CLONE: Caller = Caller { form: Form::Cargo, says_faults: false };
    const INSTALLED: Caller = Caller { form: Form::Installed, says_faults: false };

    fn case() -> Case {
        Case {
            engine: "canary".into(),
            scenario: "my files/a.toml".into(),
            seed: 7,
            faults: Profile::Hostile,
            fault_ppm: vec![(Fault::TornWrite, 200), (Fault::Enospc, 0)],
            beyond_budget: true,
            break_sync: true,
            planted: vec!["late_flush".into()],
            settings: vec![("journal_mode".into(), "wal".into())],
        }
    }

    #[test]
    fn a_command_carries_every_flag_that_changes_the_run() {
        assert_eq!(
            CLONE.of_case("replay", &case()),
            "cargo run --release -- replay 7 --engine canary --scenario 'my files/a.toml' \
             --faults hostile --fault torn_write=200 --fault enospc=0 --beyond-budget --break-sync \
             --plant late_flush --set journal_mode=wal"
        );
        assert_eq!(
            CLONE.as_test(&case()),
            "FALCONRY_SEED=7 FALCONRY_ENGINE=canary FALCONRY_SCENARIO='my files/a.toml' \
             FALCONRY_FAULTS=hostile FALCONRY_FAULT=torn_write=200,enospc=0 \
             FALCONRY_PLANT=late_flush FALCONRY_SET=journal_mode=wal FALCONRY_BEYOND_BUDGET=true \
             FALCONRY_BREAK_SYNC=true cargo test -p falconry --test regressions"
        );
    }

    #[test]
    fn an_ordinary_case_needs_few_words() {
        let case = Case {
            faults: Profile::Accelerated,
            fault_ppm: Vec::new(),
            beyond_budget: false,
            break_sync: false,
            planted: Vec::new(),
            settings: Vec::new(),
            scenario: "kv/bank".into(),
            ..case()
        };
        assert_eq!(
            INSTALLED.of_case("replay", &case),
            "falconry replay 7 --engine canary --scenario kv/bank"
        );
        // Where something else would choose the profile, the default one is said as well.
        let told = Caller { says_faults: true, ..INSTALLED };
        assert!(told.of_case("replay", &case).ends_with(" --faults accelerated"));
    }
}
