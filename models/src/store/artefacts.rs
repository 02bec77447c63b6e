//! The files of a run: recordings, reports and traces, in a folder with the run's number.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of one run's artefacts, made when the first is written.
pub struct Artefacts {
    runs: PathBuf,
    run: String,
}

impl Artefacts {
    /// For run `run` of the results file `store`: `runs/RUN` beside it.
    pub fn new(store: &Path, run: u64) -> Artefacts {
        let beside = store.parent().unwrap_or(Path::new(""));
        Artefacts { runs: beside.join("runs"), run: run.to_string() }
    }

    /// Writes one file; returns its path.
    ///
    /// # Errors
    ///
    /// As the system refuses.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let folder = self.runs.join(&self.run);
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Points the link `latest` at this run.
    ///
    /// # Errors
    ///
    /// As the system refuses.
    pub fn link_latest(&self) -> io::Result<()> {
        std::fs::create_dir_all(self.runs.join(&self.run))?;
        // A rename replaces the link at once, so nobody ever sees none.
        let fresh = self.runs.join(format!(".latest-{}", self.run));
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(&self.run, &fresh)?;
        std::fs::rename(&fresh, self.runs.join("latest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_leads_to_the_run_written_last() {
        let folder =
            std::env::temp_dir().join(format!("falconry-artefacts-{}", std::process::id()));
        let store = folder.join("results.sqlite");
        for run in [8, 9] {
            let artefacts = Artefacts::new(&store, run);
            artefacts.write("a.txt", &format!("run {run}")).expect("a folder to write to");
            artefacts.link_latest().expect("a link");
        }
        let text = std::fs::read_to_string(folder.join("runs/latest/a.txt"));
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
        assert_eq!(text.ok().as_deref(), Some("run 9"));
    }
}
