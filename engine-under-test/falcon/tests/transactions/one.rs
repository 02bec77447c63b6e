//! One transaction after the other, against a model.
//!
//! # Method
//!
//! Random statements on few keys, so that most meet rows that are there; each answer is compared with the
//! model's, and now and then everything is. Transactions commit or roll back, and the database is closed
//! and opened again.
//!
//! # Invariant
//!
//! The model holds what is committed, and what the transaction under way has done, apart.

use std::sync::Arc;

use falcon::Database;
use falconry_seam::disk::Disk;
use falconry_sim::check::Sim;

use crate::model::{self, Model};
use crate::{people, small};

#[test]
fn every_answer_is_that_of_the_model() {
    Sim::new("every_answer_is_that_of_the_model").seeds(0..40).run(|machine| {
        machine.run(|ctx| {
            let disk: Arc<dyn Disk> = ctx.disk();
            let mut database = Database::create(&disk, &small()).expect("no fault");
            database.create_table(&people()).expect("no fault");
            let mut model = Model::default();
            for turn in 0..12 {
                let table = database.table("people").expect("it is there");
                let mut txn = database.begin();
                let before = model.clone();
                for _ in 0..ctx.choose("one/statements", 12) {
                    let statement = model::draw();
                    let answer = model::ask(&mut txn, &table, &statement).expect("nobody else");
                    model.expect(&statement, &answer);
                }
                if ctx.choose("one/rollback", 4) == 0 {
                    txn.rollback();
                    model = before;
                } else {
                    txn.commit().expect("no fault");
                }
                if turn % 4 == 3 {
                    let report = database.verify().expect("no fault");
                    assert_eq!(report.problems, Vec::<String>::new());
                    database.close().expect("no fault");
                    database = Database::open(&disk, &small()).expect("no fault");
                }
            }
            database.close().expect("no fault");
        });
    });
}
