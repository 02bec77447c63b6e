//! Keeps quiet what failures print while they are looked for.
//!
//! # Method
//!
//! Shuttle installs a panic hook with its first run and keeps it; after that run the hook is replaced
//! by one that prints nothing. What it writes to the standard error besides goes to the null device.

use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Until it is dropped nothing comes through the standard error.
pub struct Silence {
    stderr: OwnedFd,
}

impl Silence {
    /// Begins.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn begin() -> io::Result<Silence> {
        Runner::new(RandomScheduler::new_from_seed(0, 1), Config::new()).run(|| ());
        std::panic::set_hook(Box::new(|_| ()));
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        redirect(&File::create("/dev/null")?)?;
        Ok(Silence { stderr })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // Where it cannot be had back there is nowhere to say so.
        let _ = redirect(&self.stderr);
    }
}

/// From here on the standard error is `target`.
fn redirect(target: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: both descriptors are open; the standard error is nobody's to close.
    match unsafe { libc::dup2(target.as_raw_fd(), libc::STDERR_FILENO) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
