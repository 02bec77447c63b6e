//! Threads that write for checkpoints.

use std::fmt;
use std::io;
use std::sync::Arc;

use falconry_seam::thread::{self, JoinHandle};

use super::Cache;
use crate::{Error, Result};

/// The I/O threads of a cache. They end when this is dropped, after the run that each of them writes.
pub struct IoThreads {
    cache: Arc<Cache>,
    threads: Vec<JoinHandle<()>>,
}

impl IoThreads {
    /// Starts so many threads. Without any, checkpoints write by themselves.
    ///
    /// # Errors
    ///
    /// [`Error::Thread`] when the system refuses one; those before it have ended again.
    pub fn start(cache: &Arc<Cache>, count: usize) -> Result<IoThreads> {
        let mut all = IoThreads { cache: Arc::clone(cache), threads: Vec::new() };
        for number in 0..count {
            let cache = Arc::clone(cache);
            let name = format!("falcon-io-{number}");
            let thread = thread::Builder::new()
                .name(name.clone())
                .spawn(move || while cache.write_next_run(true) {});
            let refused = |error: io::Error| Error::Thread { name, source: Arc::new(error) };
            all.threads.push(thread.map_err(refused)?);
        }
        Ok(all)
    }
}

impl Drop for IoThreads {
    fn drop(&mut self) {
        self.cache.stop_io();
        for thread in self.threads.drain(..) {
            // One that panicked has said so already, and a destructor says nothing.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for IoThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThreads").field("count", &self.threads.len()).finish_non_exhaustive()
    }
}
