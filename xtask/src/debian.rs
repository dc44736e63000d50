//! Debian's packages without installing them: by lists of our own, unpacked where they do not touch the system.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::{output, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where drivers are unpacked, below the root.
pub const FOLDER: &str = "target/matrix";

/// A release's packages, by lists in a folder.
pub struct Apt {
    folder: PathBuf,
    unstable: bool,
    has_lists: Cell<bool>,
}

/// The packages that are unpacked.
#[derive(Clone, Copy, PartialEq)]
pub enum With {
    /// The named ones, of backports where they have them.
    Nothing,
    /// All that they depend on too and the system lacks.
    Dependencies,
}

impl Apt {
    /// The system's release and its backports. What is unpacked in `folder` already needs no lists, and no network.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            unstable: false,
            has_lists: Cell::new(false),
        }
    }

    /// The packages of Debian unstable, as of a system on which nothing is installed: what is unpacked with
    /// dependencies then has its own C library.
    pub fn of_unstable(folder: &Path) -> Self {
        let mut apt = Self::new(folder);
        apt.unstable = true;
        apt
    }

    /// A folder of this name with what the packages hold.
    pub fn unpack(&self, name: &str, packages: &[&str], with: With) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            return Ok(folder);
        }
        self.fetch_lists()?;
        let archives = self.archives(name);
        fs::create_dir_all(archives.join("partial"))?;
        let mut apt = self.command();
        apt.arg(format!("-oDir::Cache::Archives={}", archives.display()));
        match with {
            With::Nothing => apt.args(["-oAPT::Default-Release=/-backports$/", "download"]),
            // Nothing is installed, so nothing need be locked.
            With::Dependencies => apt.args([
                "-y",
                "-oDebug::NoLocking=1",
                "--no-install-recommends",
                "--download-only",
                "--reinstall",
                "install",
            ]),
        };
        run(apt.args(packages).current_dir(&archives))?;
        let partial = folder.with_extension("partial");
        for entry in fs::read_dir(&archives)? {
            let package = entry?.path();
            if package
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                run(Command::new("dpkg").arg("-x").arg(package).arg(&partial))?;
            }
        }
        fs::rename(partial, &folder)?;
        Ok(folder)
    }

    /// The version of a package that was unpacked in the folder of this name.
    pub fn version(&self, name: &str, package: &str) -> Result<String> {
        let version = |file: String| {
            let rest = file.strip_prefix(package)?.strip_prefix('_')?;
            Some(rest.split(['_', '-']).next()?.to_owned())
        };
        let mut files = fs::read_dir(self.archives(name))?.flatten();
        let version = files.find_map(|file| version(file.file_name().into_string().ok()?));
        Ok(version.ok_or_else(|| format!("there is no {package}"))?)
    }

    fn archives(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.debs"))
    }

    fn fetch_lists(&self) -> Result {
        if self.has_lists.get() {
            return Ok(());
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = codename(&release).ok_or("only Debian has these packages")?;
        let mut targets = Command::new("apt-get");
        targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"]);
        let targets = output(targets.arg("Created-By: Packages"))?;
        let sources = sources(&targets, codename, self.unstable)
            .ok_or("apt has no lists: `apt-get update` fetches them")?;
        fs::create_dir_all(self.folder.join("lists/partial"))?;
        fs::write(self.folder.join("sources.list"), sources)?;
        fs::write(self.folder.join("status"), "")?;
        run(self.command().arg("update"))?;
        self.has_lists.set(true);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut apt = Command::new("apt-get");
        let mut set = |option: &str, path: &Path| {
            apt.arg(format!("-oDir::{option}={}", path.display()));
        };
        set("Etc::SourceParts", Path::new("/dev/null"));
        set("Etc::SourceList", &self.folder.join("sources.list"));
        set("State::Lists", &self.folder.join("lists"));
        set("Cache", &self.folder);
        if self.unstable {
            set("State::status", &self.folder.join("status"));
        }
        // Its own user may not be let into the folder; a package's hash is checked all the same.
        apt.args([
            "-qq",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
        ]);
        apt
    }
}

/// Debian's name of the release in `/etc/os-release`.
fn codename(release: &str) -> Option<&str> {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_matches('"'))
    };
    value("ID=").filter(|&id| id == "debian")?;
    value("VERSION_CODENAME=")
}

/// The lines of a list of sources: of unstable, or of the system's own with backports, both from where the release
/// comes from. `targets` has lines of `URI SUITE`.
fn sources(targets: &str, codename: &str, unstable: bool) -> Option<String> {
    let targets = targets.lines().filter_map(|line| line.split_once(' '));
    let mut sources: Vec<_> = targets
        .filter(|(_, suite)| suite.starts_with(codename))
        .collect();
    let &(archive, _) = sources.iter().find(|(_, suite)| *suite == codename)?;
    let backports = format!("{codename}-backports");
    match unstable {
        true => sources = vec![(archive, "sid")],
        false => sources.push((archive, &backports)),
    }
    let line = |(uri, suite)| format!("deb [signed-by={KEYRING}] {uri} {suite} main\n");
    Some(sources.into_iter().map(line).collect())
}

/// The file of this name somewhere in a folder.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == name {
                return Ok(entry.path());
            }
        }
    }
    Err(format!("{} has no {name}", folder.display()).into())
}

/// A Vulkan driver out of Debian's packages.
pub struct Stack {
    pub name: &'static str,
    packages: &'static [&'static str],
    /// Tells the loader of the driver.
    manifest: &'static str,
    library: &'static str,
}

/// Drivers to run on beside the machine's own.
pub const STACKS: [Stack; 2] = [
    Stack {
        name: "lavapipe-backports",
        packages: &["mesa-vulkan-drivers", "libdrm2"],
        manifest: "lvp_icd.json",
        library: "libvulkan_lvp.so",
    },
    // The browser's own: 256 invocations a workgroup, offsets in steps of 256 bytes.
    Stack {
        name: "swiftshader",
        packages: &["chromium-common"],
        manifest: "vk_swiftshader_icd.json",
        library: "libvk_swiftshader.so",
    },
];

/// How the loader finds a driver that Dawn takes.
pub fn swiftshader(apt: &Apt) -> Result<[(&'static str, String); 2]> {
    STACKS[1].unpack(apt)
}

impl Stack {
    /// Unpacks the driver and returns the variables by which the loader finds it and no other.
    pub fn unpack(&self, apt: &Apt) -> Result<[(&'static str, String); 2]> {
        let folder = apt.unpack(self.name, self.packages, With::Nothing)?;
        let library = find(&folder, self.library)?;
        let libraries = library.parent().unwrap_or(&folder);
        let manifest = find(&folder, self.manifest)?;
        Ok([
            ("VK_DRIVER_FILES", manifest.display().to_string()),
            ("LD_LIBRARY_PATH", libraries.display().to_string()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_and_unstable_come_from_where_the_release_does() {
        let targets = "\
http://mirror/debian/ bookworm
http://mirror/security/ bookworm-security
http://elsewhere/ nodistro
";
        let sources = |unstable| {
            let sources = sources(targets, "bookworm", unstable).unwrap();
            sources.replace(&format!("deb [signed-by={KEYRING}] http://mirror/"), "")
        };
        assert_eq!(sources(true), "debian/ sid main\n");
        assert_eq!(
            sources(false),
            "debian/ bookworm main\nsecurity/ bookworm-security main\ndebian/ bookworm-backports main\n"
        );
    }

    #[test]
    fn only_debian_has_a_codename() {
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(release), Some("bookworm"));
        assert_eq!(codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
    }
}
