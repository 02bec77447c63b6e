//! What happens to a disk while the machine starts.
//!
//! # Method
//!
//! Each boot makes one draw for each of: an old image that comes back, damage at rest, a false claim
//! of the device, a slow device, a battery that charges. The first two need a boot after a power loss: while the page cache
//! lives nobody looks at the platter.

use super::model::{BootState, DiskModel, delivered};
use super::preset::DevicePreset;
use crate::choice::Label;
use crate::env::Env;
use crate::fault::Fault;

/// Earlier states of the platter that are kept.
const IMAGES_MAX: usize = 4;
/// Syncs between two of them.
const IMAGE_SYNCS: u64 = 8;
/// A false claim makes the atomic unit at least this large.
const CLAIM_BYTES: u32 = 16384;

impl DiskModel {
    /// The machine starts: what held until the next boot is over.
    pub fn boot(&mut self, env: &mut Env<'_>) {
        self.boot = BootState::default();
        self.forget_survivors();
        let cold = std::mem::take(&mut self.cold);
        let image = env.faults.comes(env.choices, Label::BOOT_IMAGE, Fault::OldImage);
        if image && cold {
            self.bring_back_image(env);
        }
        const ROT: &[Fault] =
            &[Fault::BitRot, Fault::BadSectorRun, Fault::ZeroedSector, Fault::EioReadSticky];
        let rot = env.faults.pick(env.choices, Label::BOOT_ROT, ROT);
        if let Some(fault) = rot.filter(|_| cold) {
            self.rot(env, fault);
            self.reload();
        }
        if env.faults.comes(env.choices, Label::BOOT_CLAIM, Fault::FalseDeviceClaim) {
            self.claim_more(env);
        }
        if env.faults.comes(env.choices, Label::BOOT_SLOW, Fault::SlowDevice) {
            self.boot.slow = true;
            delivered(env, Fault::SlowDevice, 0, 0, 0);
        }
        // The battery of a controller charges now and then; until it is full writes go through.
        let charges = env.choices.weighted(Label::BOOT_BATTERY, &[15, 1]) == 1;
        self.boot.write_through = charges && self.config.device == DevicePreset::RaidBbu;
        self.push_image(env);
    }

    fn bring_back_image(&mut self, env: &mut Env<'_>) {
        if self.images.is_empty() {
            return;
        }
        // The newest is the boring one.
        let back = env.choices.choose("disk_boot/which_image", self.images.len() as u64) as usize;
        let image = self.images[self.images.len() - 1 - back].clone();
        if image.same_bytes(&self.platter) {
            return;
        }
        self.platter = image;
        self.reload();
        delivered(env, Fault::OldImage, 0, 0, 0);
    }

    /// The device says that it keeps larger writes whole than it does.
    fn claim_more(&mut self, env: &mut Env<'_>) {
        let honest = self.config.device.rules();
        self.device.sector_bytes = honest.sector_bytes.max(4096);
        self.device.atomic_bytes = CLAIM_BYTES.max(honest.untorn_bytes * 4);
        delivered(env, Fault::FalseDeviceClaim, 0, 0, u64::from(self.device.atomic_bytes));
    }

    /// Bytes of a sector as the device really has them.
    pub(super) fn honest_sector_bytes(&self) -> u32 {
        self.config.device.rules().sector_bytes
    }

    /// Keeps the platter as it is now, every few syncs, if it may come back.
    pub(super) fn keep_image(&mut self, env: &Env<'_>) {
        if self.syncs.is_multiple_of(IMAGE_SYNCS) {
            self.push_image(env);
        }
    }

    fn push_image(&mut self, env: &Env<'_>) {
        if env.faults.rate_ppm(Fault::OldImage) > 0 {
            self.images.push_back(self.platter.clone());
            if self.images.len() > IMAGES_MAX {
                self.images.pop_front();
            }
        }
    }
}
