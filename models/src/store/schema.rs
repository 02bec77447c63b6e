//! The tables of the results file, and what is checked before it is touched.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours: `FLCN`.
const APPLICATION: i64 = 0x464C_434E;

/// Version of the tables.
const VERSION: i64 = 1;

/// What [`marks`] says of a file that nobody has written to.
const EMPTY: [i64; 3] = [0, 0, 0];

/// Another process may be writing its results for a moment.
const BUSY: Duration = Duration::from_secs(10);

const TABLES: &str = "
CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    ended_s INTEGER NOT NULL,
    command TEXT NOT NULL,
    revision TEXT NOT NULL,
    plan TEXT NOT NULL,
    first_seed TEXT NOT NULL
) STRICT;
CREATE INDEX runs_of_plan ON runs (plan, run);
CREATE TABLE parts (
    run INTEGER NOT NULL REFERENCES runs,
    position INTEGER NOT NULL,
    engine TEXT NOT NULL,
    scenario TEXT NOT NULL,
    seeds INTEGER NOT NULL,
    tally TEXT NOT NULL,
    PRIMARY KEY (run, position)
) STRICT;
CREATE TABLE signatures (
    signature TEXT NOT NULL,
    engine TEXT NOT NULL,
    sentence TEXT NOT NULL,
    expected INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_revision TEXT NOT NULL,
    first_s INTEGER NOT NULL,
    last_s INTEGER NOT NULL,
    last_run INTEGER NOT NULL REFERENCES runs,
    PRIMARY KEY (signature, engine)
) STRICT;
CREATE TABLE sightings (
    run INTEGER NOT NULL REFERENCES runs,
    signature TEXT NOT NULL,
    engine TEXT NOT NULL,
    seed TEXT NOT NULL,
    count INTEGER NOT NULL,
    kase TEXT NOT NULL,
    finding TEXT NOT NULL
) STRICT;
CREATE INDEX sightings_of_signature ON sightings (signature, run);
CREATE INDEX sightings_of_seed ON sightings (seed, run);
";

/// Refuses what is no place for a file, and says why in the system's words.
pub fn check_place(path: &Path) -> Result<(), String> {
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    if metadata.is_dir() {
        return Err("this is a folder, not a file".into());
    }
    if !metadata.is_file() {
        // A device: it says best itself what it makes of a write.
        let write = OpenOptions::new().write(true).open(path).and_then(|mut f| f.write_all(b"\n"));
        return Err(write.err().map_or("this is no regular file".into(), |e| e.to_string()));
    }
    Ok(())
}

/// Makes the tables in an empty file, and refuses any file that is not ours or newer.
///
/// Looking and making are one transaction that nobody else can begin meanwhile: of two programs that
/// start together on a new file, the second finds the tables of the first.
pub fn prepare(connection: &mut Connection) -> Result<(), String> {
    let text = |error: rusqlite::Error| error.to_string();
    connection.busy_timeout(BUSY).map_err(text)?;
    // A look is one transaction too, or it would see the half of what another one makes. It takes no
    // lock that a file which cannot be written would refuse.
    let look = connection.transaction().map_err(text)?;
    let found = marks(&look)?;
    drop(look);
    if found != EMPTY {
        return check(found);
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(text)?;
    if marks(&transaction)? == EMPTY {
        let create = format!(
            "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {TABLES}"
        );
        transaction.execute_batch(&create).map_err(text)?;
    }
    check(marks(&transaction)?)?;
    transaction.commit().map_err(text)
}

/// Application, version and number of tables of a file.
fn marks(connection: &Connection) -> Result<[i64; 3], String> {
    let number = |name: &str| connection.query_row(name, [], |row| row.get::<_, i64>(0));
    let marks =
        ["PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"]
            .map(|name| number(name).map_err(|error| error.to_string()));
    let [application, version, tables] = marks;
    Ok([application?, version?, tables?])
}

/// Refuses a file that is not ours, or newer.
fn check(marks: [i64; 3]) -> Result<(), String> {
    match marks {
        [APPLICATION, VERSION, _] => Ok(()),
        [APPLICATION, newer, _] if newer > VERSION => Err(format!(
            "version {newer} of the file; this program reads version {VERSION}: use a newer program, \
             or another file with --store"
        )),
        _ => Err("this is another program's database: choose another file with --store".into()),
    }
}
