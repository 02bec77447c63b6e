//! A database in a folder: made, written, read, closed.
//!
//! ```text
//! cargo run -p falcon --example embed [-- DIR]
//! ```
//!
//! # Method
//!
//! The first run makes the database and its table; a later one in the same folder finds both. Without a folder
//! it takes one among the temporary files, and removes it.
//!
//! # Invariant
//!
//! What `commit` has returned for is there the next time, however the program ends.

#![allow(clippy::disallowed_methods, reason = "a program for a real machine, which no run is in")]

use std::error::Error;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falcon::page::key::KeyValue;
use falcon::tree::Direction;
use falcon::{Database, Options, TableSpec};
use falconry_seam::disk::{Disk, StdDisk};

fn main() -> Result<(), Box<dyn Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let own = std::env::temp_dir().join(format!("falcon-embed-{}", std::process::id()));
    let dir = given.clone().unwrap_or(own);
    std::fs::create_dir_all(&dir)?;
    let done = embed(&dir);
    if given.is_none() {
        std::fs::remove_dir_all(&dir)?;
    }
    done
}

fn embed(dir: &Path) -> Result<(), Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::open(dir)?);
    let is_there = Database::exists(&*disk)?;
    let open = if is_there { Database::open } else { Database::create };
    let database = open(&disk, &Options::default())?;
    println!("{} a database in {}", if is_there { "opened" } else { "created" }, dir.display());

    // Two columns, name and wingspan; no two rows have the same name.
    let birds = match database.table("birds") {
        Some(birds) => birds,
        None => database.create_table(&TableSpec::new("birds", 2).index("by_name", &[0], true))?,
    };
    let by_name = birds.index("by_name").ok_or("the table is another one")?;

    let mut transaction = database.begin();
    for (name, wingspan_cm) in [("gyrfalcon", 130), ("kestrel", 75), ("peregrine", 105)] {
        let row = [KeyValue::Text(name.into()), KeyValue::U64(wingspan_cm)];
        if transaction.get_for_update(&by_name, &row[..1])?.is_none() {
            transaction.insert(&birds, &row)?;
            println!("inserted {name}");
        }
    }
    transaction.commit()?;

    let transaction = database.begin();
    let key = [KeyValue::Text("kestrel".into())];
    if let Some((record, row)) = transaction.get(&by_name, &key)? {
        println!("read record {}: {row:?}", record.0);
    }
    let from = [KeyValue::Text("h".into())];
    for found in
        transaction.range(&by_name, Bound::Included(&from), Bound::Unbounded, Direction::Forward)?
    {
        let (_, row) = found?;
        println!("from h on: {row:?}");
    }
    transaction.commit()?;
    Ok(database.close()?)
}
