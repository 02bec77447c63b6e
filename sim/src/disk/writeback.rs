//! Writeback: what comes to the platter without a sync, for space and by time.
//!
//! # Method
//!
//! Above the dirty limit the oldest operations of a chosen file are written. By time it is what has
//! been pending for longer than the delay: marks are set among the operations as time goes by, and
//! where one is old enough each file chooses how much of what lies before it goes. Marks are looked
//! at when a call begins and when the power goes, so nothing is late that could be seen.
//!
//! # Invariant
//!
//! A file is written in the order of its calls, a call as a whole, and where the file system has one
//! order for everything, so is all the rest: what stays pending is always younger. Names go by time
//! only after all data before them.

use std::collections::VecDeque;

use super::file::Micro;
use super::model::DiskModel;
use super::platter::FileId;
use super::preset::DataOrder;
use crate::choice::Label;
use crate::env::Env;

/// A mark is set when a quarter of the delay has passed since the last one.
const MARKS_A_DELAY: u64 = 4;

/// What will come to the platter by time.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    /// Time of a mark, and the first operation after it.
    marks: VecDeque<(u64, u64)>,
    /// When the device lets go of what a lie held back, and the first operation it did not hold.
    held: VecDeque<(u64, u64)>,
}

impl Ages {
    /// The device holds back what was flushed before `upto` until `until_ns`.
    pub(super) fn hold(&mut self, until_ns: u64, upto: u64) {
        self.held.push_back((until_ns, upto));
    }

    /// The operation up to which everything is old enough at `now_ns`, if there is any.
    fn expired(&mut self, now_ns: u64, delay_ns: u64, next_seq: u64) -> Option<u64> {
        let mut upto = None;
        let age_ns = delay_ns.saturating_add(delay_ns / MARKS_A_DELAY);
        while self.marks.front().is_some_and(|(at, _)| at.saturating_add(age_ns) <= now_ns) {
            self.marks.pop_front();
            upto = Some(self.marks.front().map_or(next_seq, |(_, seq)| *seq));
        }
        match self.marks.back_mut() {
            Some((at, seq)) if *seq == next_seq => *at = now_ns,
            Some((at, _)) if now_ns - *at < delay_ns / MARKS_A_DELAY => {}
            _ => self.marks.push_back((now_ns, next_seq)),
        }
        upto
    }
}

impl DiskModel {
    /// Time has passed: what is old enough comes to the platter.
    #[inline]
    pub(super) fn age(&mut self, env: &mut Env<'_>) {
        if self.config.writeback_ns.is_some() || !self.ages.held.is_empty() {
            self.age_by(env);
        }
    }

    #[cold]
    fn age_by(&mut self, env: &mut Env<'_>) {
        let now_ns = env.trace.time_ns();
        let mut upto = None;
        while let Some((_, seq)) = self.ages.held.pop_front_if(|(until, _)| *until <= now_ns) {
            upto = Some(seq);
        }
        if let Some(upto) = upto.filter(|_| !self.boot.gone) {
            self.flush_device(env, upto);
        }
        let Some(delay_ns) = self.config.writeback_ns else { return };
        let Some(upto) = self.ages.expired(now_ns, delay_ns, self.next_seq) else { return };
        let pending = self.pending_ops > 0 || !self.pending_names.is_empty();
        if pending && !self.boot.gone && !self.boot.read_only && !self.is_overfull(env) {
            self.write_back_expired(env, upto);
        }
    }

    fn write_back_expired(&mut self, env: &mut Env<'_>, upto: u64) {
        let mut all = true;
        if self.fs.data == DataOrder::Prefix {
            all = env.choices.weighted(Label::DISK_EXPIRED, &[3, 1]) == 0;
            while let Some(file) = self.oldest_dirty(upto).filter(|_| all) {
                self.write_back_file(env, file, upto, 1);
            }
        } else {
            for file in self.dirty.iter().copied().collect::<Vec<FileId>>() {
                let some = env.choices.weighted(Label::DISK_EXPIRED, &[5, 1, 1, 1]);
                let ops = [u64::MAX, 0, self.nodes[&file].live / 2, 1][some];
                self.write_back_file(env, file, upto, ops);
                all &= some == 0;
            }
        }
        // One journal holds all names; the worst case has none.
        let names = self.pending_names.partition_point(|name| name.seq < upto);
        if all && self.fs.names_in_order && names > 0 {
            self.commit_names(|index, _| index < names);
        }
    }

    /// The file with the oldest pending operation before `upto`.
    fn oldest_dirty(&self, upto: u64) -> Option<FileId> {
        let oldest = self.dirty.iter().filter_map(|file| Some((self.nodes[file].oldest()?, *file)));
        oldest.min().filter(|(seq, _)| *seq < upto).map(|(_, file)| file)
    }

    /// Keeps pending operations below their bound: the oldest of a chosen file are written back.
    #[inline]
    pub(super) fn write_back(&mut self, env: &mut Env<'_>) {
        while self.pending_ops > self.config.pending_max() {
            self.write_back_some(env);
        }
    }

    #[cold]
    fn write_back_some(&mut self, env: &mut Env<'_>) {
        const FILES_MAX: u64 = 8;
        const BATCH_OPS: u64 = 32;
        let batch = self.config.pending_max().div_ceil(8).min(BATCH_OPS);
        if self.fs.data == DataOrder::Prefix {
            let file = self.oldest_dirty(u64::MAX).expect("pending operations belong to a file");
            let oldest = self.nodes[&file].oldest().expect("a dirty file has an operation");
            let others = self.dirty.iter().filter(|other| **other != file);
            let upto = others.filter_map(|other| self.nodes[other].oldest()).min();
            // Names are in the same order.
            let names = self.pending_names.partition_point(|name| name.seq < oldest);
            if names > 0 {
                self.commit_names(|index, _| index < names);
            }
            let name = self.pending_names.front().map_or(u64::MAX, |name| name.seq);
            self.write_back_file(env, file, upto.unwrap_or(u64::MAX).min(name), batch);
            return;
        }
        let files = (self.dirty.len() as u64).min(FILES_MAX);
        let index = env.choices.choose(Label::DISK_WRITEBACK, files) as usize;
        let file =
            *self.dirty.iter().nth(index).expect("pending operations belong to a dirty file");
        self.write_back_file(env, file, u64::MAX, batch);
    }

    /// Writes the oldest operations of a file: those before `upto`, at most about `ops_max`, and no
    /// call in part.
    fn write_back_file(&mut self, env: &mut Env<'_>, file: FileId, upto: u64, ops_max: u64) {
        let (mut done, mut call) = (0, None);
        while let Some(node) = self.nodes.get_mut(&file) {
            node.trim();
            let Some(front) = node.log.front().filter(|front| front.seq < upto) else { break };
            if done >= ops_max && call != Some(front.call) {
                break;
            }
            let is_new = call != Some(front.call);
            (done, call) = (done + 1, Some(front.call));
            let op = node.take(0);
            // A write begins with its data.
            node.written_back += u64::from(is_new && matches!(op.micro, Micro::Data(_)));
            self.commit(env, file, op);
        }
        self.tidy(file);
    }
}
