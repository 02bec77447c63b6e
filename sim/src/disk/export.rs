//! Writes what the platter holds into a folder of the host, as real files.

use std::io;
use std::path::Path;

use super::model::DiskModel;
use super::names::ROOT;
use super::platter::{FileId, Platter};

impl Platter {
    /// Writes all durable files and directories below `host_dir`, which is created.
    ///
    /// # Errors
    ///
    /// Those of the host, with the path at which they came.
    pub fn export(&self, host_dir: &Path) -> io::Result<()> {
        self.export_dir(ROOT, host_dir)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where a disk leaves the machine")]
    fn export_dir(&self, dir: FileId, host_dir: &Path) -> io::Result<()> {
        let named = |error: io::Error, path: &Path| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        std::fs::create_dir_all(host_dir).map_err(|error| named(error, host_dir))?;
        for (name, node) in self.tree.entries(dir).into_iter().flatten() {
            let path = host_dir.join(name);
            match self.files.get(node) {
                Some(file) => {
                    std::fs::write(&path, file.bytes()).map_err(|error| named(error, &path))?;
                }
                None => self.export_dir(*node, &path)?,
            }
        }
        Ok(())
    }
}

impl DiskModel {
    /// Writes what the platter holds as real files below `host_dir`.
    ///
    /// # Errors
    ///
    /// Those of the host, with the path at which they came.
    pub fn export(&self, host_dir: &Path) -> io::Result<()> {
        self.platter.export(host_dir)
    }
}
