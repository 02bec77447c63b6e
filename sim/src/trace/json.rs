//! A trace as JSON Lines: one event a line, after a first line that names format and version.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::Event;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    v: u32,
}

/// Writes events, the first line being `{"type":"trace","v":1}`.
///
/// # Errors
///
/// Those of `out`; what was written before is complete lines.
pub fn write_json_lines(events: &[Event], mut out: impl Write) -> io::Result<()> {
    let header = Header { kind: "trace".into(), v: VERSION };
    writeln!(out, "{}", serde_json::to_string(&header)?)?;
    for event in events {
        writeln!(out, "{}", serde_json::to_string(event)?)?;
    }
    Ok(())
}

/// Reads what [`write_json_lines`] wrote.
///
/// # Errors
///
/// `InvalidData` with the number of the line that cannot be read, or the version that is not ours.
pub fn read_json_lines(input: impl BufRead) -> io::Result<Vec<Event>> {
    let damaged = |number: usize, what: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {number} of the trace: {what}"))
    };
    let mut lines = input.lines();
    let first = lines.next().ok_or_else(|| damaged(1, &"it is empty"))??;
    let header: Header = serde_json::from_str(&first).map_err(|error| damaged(1, &error))?;
    if header.kind != "trace" || header.v != VERSION {
        let what = format!("'{}' of version {}, not a trace of {VERSION}", header.kind, header.v);
        return Err(damaged(1, &what));
    }
    lines
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(&line?).map_err(|error| damaged(index + 2, &error))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{DiskOp, Trace, What};
    use super::*;
    use crate::fault::Fault;

    fn trace(keep: bool) -> Trace {
        let mut trace = Trace::new(keep);
        trace.time_ns = 77;
        let cause = trace.event(None, What::Boot { number: 1 });
        let disk = What::Disk { op: DiskOp::SyncData, file: 1, offset: 2, len: 3, errno: 5 };
        trace.event(Some(cause), disk);
        trace.event(None, What::Fault { fault: Fault::TornWrite, file: 1, offset: 512, len: 9 });
        trace.event(None, What::Wait { on: "lock".into(), object: 4 });
        trace.event(None, What::Note { lane: "ack".into(), text: "é\n\"".into() });
        trace
    }

    #[test]
    fn what_is_written_is_read_again() {
        let events = trace(true).take();
        let mut text = Vec::new();
        write_json_lines(&events, &mut text).unwrap();
        assert_eq!(read_json_lines(text.as_slice()).unwrap(), events);
        assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), events.len() + 1);
    }

    #[test]
    fn a_damaged_line_is_named() {
        let mut text = Vec::new();
        write_json_lines(&trace(true).take(), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let error = read_json_lines(text.replace("torn_write", "torn").as_bytes()).unwrap_err();
        assert!(
            error.to_string().starts_with("line 4 of the trace: there is no fault 'torn'"),
            "{error}"
        );
        let error = read_json_lines(text.replace("\"v\":1", "\"v\":2").as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 1 of the trace: 'trace' of version 2, not a trace of 1"
        );
    }

    #[test]
    fn the_digest_does_not_depend_on_whether_events_are_kept() {
        assert_eq!(trace(true).digest(), trace(false).digest());
        let mut other = trace(false);
        other.event(None, What::Boot { number: 2 });
        assert_ne!(trace(true).digest(), other.digest());
    }
}
