//! The table, and JSON Lines.

use std::fmt::Write;

use crate::Row;
use crate::works::System;

const SIMULATE: bool = cfg!(feature = "simulate");

/// A line a work: the seam's time, and the others' with their ratio to it.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(if SIMULATE {
        "falconry-seam with the feature `simulate`, and no machine\n\n"
    } else {
        "falconry-seam as in production, without the feature `simulate`\n\n"
    });
    let head = ["falconry", "std", "parking_lot"];
    let _ = writeln!(text, "{:<18}  {:>11}  {:>20}  {:>20}", "work", head[0], head[1], head[2]);
    for ours in rows.iter().filter(|row| row.system == System::Falconry) {
        let _ = write!(text, "{:<18}  {:>8.2} ns", ours.work, ours.ns);
        for system in [System::Std, System::ParkingLot] {
            let theirs = rows.iter().find(|row| row.work == ours.work && row.system == system);
            let cell = theirs.map_or(String::from("-"), |row| {
                format!("{:.2} ns {:>7.3}x", row.ns, row.ratio_to_falconry)
            });
            let _ = write!(text, "  {cell:>20}");
        }
        text.push('\n');
    }
    text.push_str(
        "\nx: the other's time over the seam's, the median of paired rounds; 1 is equal\n",
    );
    text
}

/// A line a work and system, in the form of all benchmarks of the project.
pub fn json_lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let system = match row.system {
            System::Falconry => "falconry",
            System::Std => "std",
            System::ParkingLot => "parking_lot",
        };
        // Names are plain words of this program: nothing in them needs escaping.
        let _ = writeln!(
            text,
            "{{\"work\":\"{}\",\"system\":\"{system}\",\"ns\":{:.3},\"ratio_to_falconry\":{:.4},\
             \"simulate\":{SIMULATE}}}",
            row.work, row.ns, row.ratio_to_falconry
        );
    }
    text
}
