//! Drivers to run on beside the machine's own: Debian's, unpacked under the target folder, so that
//! the system stays as it is.

use std::path::PathBuf;

use crate::Result;
use crate::debian::{Apt, find};

/// A Vulkan driver out of Debian's packages.
pub struct Stack {
    pub name: &'static str,
    packages: &'static [&'static str],
    /// Tells the loader of the driver.
    manifest: &'static str,
    library: &'static str,
}

/// The browser's own: 256 invocations a workgroup, offsets in steps of 256 bytes.
pub const SWIFTSHADER: Stack = Stack {
    name: "swiftshader",
    packages: &["chromium-common"],
    manifest: "vk_swiftshader_icd.json",
    library: "libvk_swiftshader.so",
};

pub const STACKS: [Stack; 2] = [
    Stack {
        name: "lavapipe-backports",
        packages: &["mesa-vulkan-drivers", "libdrm2"],
        manifest: "lvp_icd.json",
        library: "libvulkan_lvp.so",
    },
    SWIFTSHADER,
];

impl Stack {
    /// Unpacks the driver and returns the variables by which the loader finds it and no other.
    pub fn unpack(&self, apt: &Apt) -> Result<[(&'static str, PathBuf); 2]> {
        let folder = apt.unpack(self.name, self.packages)?;
        let missing = |name: &str| format!("{:?} have no {name}", self.packages);
        let manifest = find(&folder, self.manifest)?.ok_or_else(|| missing(self.manifest))?;
        let library = find(&folder, self.library)?.ok_or_else(|| missing(self.library))?;
        let libraries = library.parent().unwrap_or(&folder).to_owned();
        Ok([
            ("VK_DRIVER_FILES", manifest),
            ("LD_LIBRARY_PATH", libraries),
        ])
    }
}
