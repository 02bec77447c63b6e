//! Runs the program as its users do: arguments in, an exit code and two texts out.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder of one test, removed at its end, in which the program runs.
pub struct Room {
    /// Where it is.
    pub folder: PathBuf,
}

/// What a call of the program came to.
pub struct Call {
    /// The exit code.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Room {
    /// A fresh folder for the test of that name.
    pub fn new(test: &str) -> Room {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("cargo's folder for tests can be written");
        Room { folder }
    }

    /// The program in this folder, as an installed one, with nothing of our environment that it reads.
    pub fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_falconry"));
        let ours = |name: &str| name.starts_with("FALCONRY_") || name.starts_with("CARGO");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(ours) {
                command.env_remove(name);
            }
        }
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM", "COLUMNS", "RUST_BACKTRACE"]
        {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Calls the program and waits for its end.
    pub fn call(&self, arguments: &[&str]) -> Call {
        let output = self.program(arguments).output().expect("the program can be started");
        Call::of(&output)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Call {
    /// What a process left.
    pub fn of(output: &Output) -> Call {
        Call {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into(),
            stderr: String::from_utf8_lossy(&output.stderr).into(),
        }
    }
}
