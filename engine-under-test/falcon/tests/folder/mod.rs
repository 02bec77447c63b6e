//! A folder of the system for one test.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconry_seam::disk::{Disk, StdDisk};

/// A folder that goes when the test is over.
pub struct Folder(PathBuf);

impl Folder {
    /// An empty folder, for one test of this process.
    pub fn new(test: &str) -> Folder {
        let name = format!("falcon-test-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("temporary files can be made");
        Folder(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// It, as a database takes it.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(StdDisk::open(&self.0).expect("the folder is there"))
    }

    /// Every file with all its bytes, but for the one that is only ever locked.
    pub fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.disk().list(Path::new("")).expect("the folder is there");
        let files = names.into_iter().filter(|name| name != "lock");
        files
            .map(|name| (name.clone(), fs::read(self.0.join(name)).expect("it is there")))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("it was made here");
    }
}
