//! Phase 2: pages become what the log's end has of them.

use std::borrow::Cow;

use falconry_seam::planted;

use super::RecoveryReport;
use super::incarnation::Fate;
use super::inventory::{Inventory, broken, changes};
use crate::Result;
use crate::log::{LogTail, Record};
use crate::store::code::PageChange;
use crate::store::op::{Content, PageOp, Source};
use crate::store::{Store, record};

pub(super) fn redo(
    store: &Store,
    inventory: &mut Inventory,
    tail: LogTail,
    report: &mut RecoveryReport,
) -> Result<()> {
    for record in store.log().records(tail.recovery_start) {
        let record = record?;
        if record.kind() != record::PAGE_CHANGE {
            continue;
        }
        let changes = changes(store.page_size(), &record)?;
        let fates = inventory.pages.meet(&changes);
        // What these refer to may be before the start of recovery, and needed no more.
        if record.lsn() < inventory.durable_until {
            report.skipped_durable += changes.len() as u64;
            continue;
        }
        for (change, fate) in changes.into_iter().zip(fates) {
            redo_page(store, &record, change, fate, report)?;
        }
    }
    Ok(())
}

fn redo_page(
    store: &Store,
    record: &Record,
    change: PageChange<'_>,
    fate: Fate,
    report: &mut RecoveryReport,
) -> Result<()> {
    let id = change.page;
    let mut page = match fate {
        Fate::Dead => {
            report.skipped_dead += 1;
            return Ok(());
        }
        Fate::Born => store.cache().create(id, record.end())?,
        Fate::Live => store.cache().write_as(id, change.ops.first().and_then(PageOp::kind))?,
    };
    let has_it = page.lsn() >= record.end() && !planted!("redo_ignores_page_lsn");
    if fate == Fate::Live && has_it {
        report.skipped_newer += 1;
        // What a failed sync has lost may look as if it were there: the page is written again.
        page.change(record.end());
        return Ok(());
    }
    let lsn = if planted!("redo_stamps_log_end") { report.to } else { record.end() };
    for op in change.ops {
        let op = resolve(store, op)?;
        let applied = op.apply(id, page.change(lsn));
        applied.map_err(|misfit| {
            let what = format!("the log's change at {} does not fit: {misfit}", record.lsn());
            store.damaged(id, what)
        })?;
    }
    report.redone += 1;
    Ok(())
}

/// Gives an operation the content that the log has elsewhere.
fn resolve<'a>(store: &Store, op: PageOp<'a>) -> Result<PageOp<'a>> {
    Ok(match op {
        PageOp::PutRecord { line, tail, content } => {
            PageOp::PutRecord { line, tail, content: found(store, content)? }
        }
        PageOp::FormatOverflow { section, next, content } => {
            PageOp::FormatOverflow { section, next, content: found(store, content)? }
        }
        other => other,
    })
}

fn found<'a>(store: &Store, content: Content<'a>) -> Result<Content<'a>> {
    let Some(Source { lsn, from, bytes }) = content.source else { return Ok(content) };
    let record = store.log().read(lsn)?;
    let range = from as usize..from as usize + bytes as usize;
    let stored = record.bytes().get(range).ok_or_else(|| {
        broken(&record, format!("{bytes} bytes from {from} are meant, and it is shorter"))
    })?;
    Ok(Content { bytes: Cow::Owned(stored.to_vec()), ..content })
}
