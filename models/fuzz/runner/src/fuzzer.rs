//! One libFuzzer program: built, run for a while, and what came of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::Stop;

/// A run takes milliseconds: a program that is still there so long after its time stands still. libFuzzer
/// itself cannot tell, for its alarms are held back (`hold_back_alarms` in `models/src/fuzz/mod.rs`).
const GRACE: Duration = Duration::from_secs(60);

/// More than an input has a use for: most runs take a few hundred bytes, and mutations that hit none of
/// those are lost.
const RUN_BYTES_MAX: usize = 1024;

/// The folder `models/fuzz`.
pub fn folder() -> PathBuf {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR"));
    runner.parent().expect("the runner lies in the folder").to_path_buf()
}

/// Builds targets.
pub fn build(names: &[&str]) -> Result<(), Stop> {
    for name in names {
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", "build", "--sanitizer", "none", "--no-cfg-fuzzing"]);
        command.arg("--fuzz-dir").arg(folder()).arg(name).stdout(Stdio::null());
        // Cargo says to this program which toolchain runs it; the targets need another one.
        for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTDOC"] {
            command.env_remove(variable);
        }
        let status = command.status().map_err(|error| Stop(70, format!("cargo: {error}")))?;
        if !status.success() {
            let needs =
                "it needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`";
            return Err(Stop(70, format!("target {name} cannot be built; {needs}")));
        }
    }
    Ok(())
}

fn program(target: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    folder().join("target").join(triple).join("release").join(target)
}

/// One call of a target.
pub struct Call<'a> {
    /// The target.
    pub target: &'a str,
    /// Its environment.
    pub environment: Vec<(&'a str, &'a str)>,
    /// For how long.
    pub time: Duration,
    /// The seed of the mutations.
    pub seed: u32,
    /// Inputs to start from, to which those are added that reach something new.
    pub corpus: Option<PathBuf>,
    /// Where a crashing input goes.
    pub artifacts: PathBuf,
}

/// What came of it.
pub struct Outcome {
    /// Inputs that were run.
    pub runs: u64,
    /// Seconds until it ended.
    pub seconds: f64,
    /// What was convicted, in the words of the target; none when the time was over.
    pub found: Option<Found>,
}

/// A conviction.
pub struct Found {
    /// Its first line.
    pub what: String,
    /// Its signature; none when no judge spoke.
    pub signature: Option<String>,
    /// The input.
    pub input: Option<PathBuf>,
}

impl Call<'_> {
    /// Runs it to its end.
    pub fn run(&self) -> Result<Outcome, Stop> {
        let unwritable =
            |error: std::io::Error| Stop(75, format!("{}: {error}", self.artifacts.display()));
        std::fs::create_dir_all(&self.artifacts).map_err(unwritable)?;
        let mut command = Command::new(program(self.target));
        command.args([
            format!("-max_total_time={}", self.time.as_secs().max(1)),
            format!("-seed={}", self.seed),
            format!("-artifact_prefix={}/", self.artifacts.display()),
            "-timeout=0".into(),
            // A run is as long as its choices make it: nothing is gained by short inputs first.
            "-len_control=0".into(),
            "-print_final_stats=1".into(),
        ]);
        if self.corpus.is_none() {
            command.arg(format!("-max_len={RUN_BYTES_MAX}"));
        }
        command.args(&self.corpus).envs(self.environment.iter().copied());
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null());
        let log = self.artifacts.join("log");
        command.stderr(std::fs::File::create(&log).map_err(unwritable)?);
        let begun = Instant::now();
        let status = self.wait(command)?;
        let seconds = begun.elapsed().as_secs_f64();
        let said = std::fs::read(&log).map_err(unwritable)?;
        let said = String::from_utf8_lossy(&said);
        let number = |name: &str| value(&said, name).and_then(|value| value.parse().ok());
        let runs = number("stat::number_of_executed_units:").unwrap_or(0);
        let found = match status {
            Some(status) => (!status.success()).then(|| found(&said)),
            None => {
                Some(Found { what: "an input has no end".into(), signature: None, input: None })
            }
        };
        Ok(Outcome { runs, seconds, found })
    }

    /// Waits for the end of a program; none when it stands still, and was ended.
    fn wait(&self, mut command: Command) -> Result<Option<ExitStatus>, Stop> {
        let told = |error: std::io::Error| Stop(70, format!("{}: {error}", self.target));
        let until = Instant::now() + self.time + GRACE;
        let mut child = command.spawn().map_err(told)?;
        while Instant::now() < until {
            if let Some(status) = child.try_wait().map_err(told)? {
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().and_then(|()| child.wait()).map_err(told)?;
        Ok(None)
    }

    /// Runs one input, and says whether it passes.
    pub fn passes(&self, input: &Path) -> Result<bool, Stop> {
        let mut command = Command::new(program(self.target));
        command.arg(input).envs(self.environment.iter().copied());
        let output =
            command.output().map_err(|error| Stop(70, format!("{}: {error}", self.target)))?;
        Ok(output.status.success())
    }
}

/// What stands behind `name` at the beginning of a line, which may be indented.
fn value<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.trim_start().strip_prefix(name)).map(str::trim)
}

fn found(said: &str) -> Found {
    // Behind the line that says where the target panicked.
    let panicked = said.lines().skip_while(|line| !line.contains("panicked at ")).nth(1);
    let error = || said.lines().find(|line| line.contains("ERROR: libFuzzer"));
    Found {
        what: panicked.or_else(error).unwrap_or("the program ended").trim().into(),
        signature: value(said, "signature  ").map(String::from),
        input: said
            .lines()
            .find_map(|line| line.split_once("Test unit written to ").map(|(_, file)| file.trim()))
            .map(PathBuf::from),
    }
}
