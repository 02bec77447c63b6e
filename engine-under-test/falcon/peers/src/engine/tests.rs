//! Each engine does what a work asks of it, and finds it again.

use super::*;
use crate::rows::value;

fn put(key: u64, version: u64) -> Put {
    Put { key, value: value(key, version), is_new: version == 0 }
}

#[test]
fn each_engine_keeps_its_rows_in_order() {
    for kind in ALL {
        let dir = crate::test_folder(&format!("keeps-{kind}"));
        let setup = Setup { cache_bytes: 4 << 20, keeps_log: false };
        let engine = kind.open(&dir, setup).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let rows: Vec<Put> = (0..300).map(|key| put(key * 2, 0)).collect();
        engine.commit(&rows).unwrap_or_else(|error| panic!("{kind}: {error}"));
        engine.commit(&[put(10, 1)]).unwrap_or_else(|error| panic!("{kind}: {error}"));
        engine.close().unwrap_or_else(|error| panic!("{kind}: {error}"));

        let engine = kind.open(&dir, setup).unwrap_or_else(|error| panic!("{kind}: {error}"));
        engine.read(&[598, 10, 0]).unwrap_or_else(|error| panic!("{kind}: {error}"));
        let told = engine.read(&[0, 11]).expect_err("nobody wrote it").to_string();
        assert_eq!(told, "key 11 is missing", "{kind}");
        let seen = |from, count| engine.scan(from, count).expect("all rows are whole");
        assert_eq!((seen(0, 1_000), seen(501, 1_000), seen(501, 7)), (300, 49, 7), "{kind}");
        engine.close().unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(Kind::named(&kind.to_string()), Some(kind));
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
