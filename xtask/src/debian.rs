//! Debian's packages without installing them: by lists of our own, unpacked where they do not touch the system.

use std::fs;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::Result;

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where drivers are unpacked, below the root.
pub const FOLDER: &str = "target/matrix";

/// The packages that are unpacked beside the named ones.
#[derive(Clone, Copy, PartialEq)]
pub enum With {
    /// None; the named ones are of backports where they have them.
    Nothing,
    /// All that they depend on and the system lacks.
    Dependencies,
    /// All that they depend on, the C library too, of Debian unstable.
    Unstable,
}

/// A folder of this name in `parent` with what the packages hold. What is there already needs no network.
pub fn unpack(
    sh: &Shell,
    parent: impl AsRef<Path>,
    name: &str,
    packages: &[&str],
    with: With,
) -> Result<PathBuf> {
    let parent = sh.create_dir(parent)?;
    let folder = parent.join(name);
    if folder.exists() {
        return Ok(folder);
    }
    let lists = parent.join(if with == With::Unstable {
        "unstable"
    } else {
        "stable"
    });
    let archives = archives(&folder);
    sh.create_dir(archives.join("partial"))?;
    sh.create_dir(lists.join("lists/partial"))?;
    let release = ". /etc/os-release; [ $ID = debian ] && echo $VERSION_CODENAME";
    let codename = cmd!(sh, "sh -c {release}").read();
    let codename = codename.map_err(|_| "only Debian has these packages")?;
    let format = "$(REPO_URI) $(RELEASE)";
    let targets = cmd!(
        sh,
        "apt-get indextargets --format {format} 'Created-By: Packages'"
    )
    .read()?;
    let sources = sources(&targets, &codename, with)
        .ok_or("apt has no lists: `apt-get update` fetches them")?;
    let [list, status] = ["sources.list", "status"].map(|file| lists.join(file));
    sh.write_file(&list, sources)?;
    sh.write_file(&status, "")?;
    let set = |option: &str, path: &Path| format!("-oDir::{option}={}", path.display());
    let mut options = vec![
        set("Etc::SourceParts", Path::new("/dev/null")),
        set("Etc::SourceList", &list),
        set("State::Lists", &lists.join("lists")),
        set("Cache", &lists),
        set("Cache::Archives", &archives),
    ];
    if with == With::Unstable {
        // As of a system on which nothing is installed.
        options.push(set("State::status", &status));
    }
    let _archives = sh.push_dir(&archives);
    // Its own user may not be let into the folder; a package's hash is checked all the same.
    let common = "-qq -oAPT::Sandbox::User=root -oAcquire::Languages=none";
    let apt = || sh.cmd("apt-get").args(&options).args(common.split(' '));
    apt().arg("update").run()?;
    // Nothing is installed, so nothing need be locked.
    let get = match with {
        With::Nothing => "-oAPT::Default-Release=/-backports$/ download",
        _ => "-y -oDebug::NoLocking=1 --no-install-recommends --download-only --reinstall install",
    };
    apt().args(get.split(' ')).args(packages).run()?;
    let partial = folder.with_extension("partial");
    for package in sh.read_dir(".")? {
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            cmd!(sh, "dpkg -x {package} {partial}").run()?;
        }
    }
    fs::rename(partial, &folder)?;
    Ok(folder)
}

fn archives(folder: &Path) -> PathBuf {
    folder.with_extension("debs")
}

/// The version of a package that was unpacked in `folder`.
pub fn version(folder: &Path, package: &str) -> Result<String> {
    let version = |file: String| {
        let rest = file.strip_prefix(package)?.strip_prefix('_')?;
        Some(rest.split(['_', '-']).next()?.to_owned())
    };
    let mut files = fs::read_dir(archives(folder))?.flatten();
    let version = files.find_map(|file| version(file.file_name().into_string().ok()?));
    Ok(version.ok_or_else(|| format!("there is no {package}"))?)
}

/// The lines of a list of sources: of unstable, or of the system's own with backports, both from where the release
/// comes from. `targets` has lines of `URI SUITE`.
fn sources(targets: &str, codename: &str, with: With) -> Option<String> {
    let targets = targets.lines().filter_map(|line| line.split_once(' '));
    let targets = targets.filter(|(_, suite)| suite.starts_with(codename));
    let mut sources: Vec<_> = targets.collect();
    let &(archive, _) = sources.iter().find(|(_, suite)| *suite == codename)?;
    let backports = format!("{codename}-backports");
    match with {
        With::Unstable => sources = vec![(archive, "sid")],
        _ => sources.push((archive, &backports)),
    }
    let line = |(uri, suite)| format!("deb [signed-by={KEYRING}] {uri} {suite} main\n");
    Some(sources.into_iter().map(line).collect())
}

/// The file of this name somewhere in a folder.
pub fn find(sh: &Shell, folder: &Path, name: &str) -> Result<PathBuf> {
    match cmd!(sh, "find {folder} -not -type d -name {name} -print -quit").read()? {
        path if path.is_empty() => Err(format!("{} has no {name}", folder.display()).into()),
        path => Ok(path.into()),
    }
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

/// The one that Dawn takes.
pub const SWIFTSHADER: &Stack = &STACKS[1];

impl Stack {
    /// Unpacks the driver and returns the variables by which the loader finds it and no other.
    pub fn unpack(&self, sh: &Shell) -> Result<[(&'static str, String); 2]> {
        let folder = unpack(sh, FOLDER, self.name, self.packages, With::Nothing)?;
        let library = find(sh, &folder, self.library)?;
        let libraries = library.parent().unwrap_or(&folder);
        let manifest = find(sh, &folder, self.manifest)?;
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
        let sources = |with| {
            let sources = sources(targets, "bookworm", with).unwrap();
            sources.replace(&format!("deb [signed-by={KEYRING}] http://mirror/"), "")
        };
        assert_eq!(sources(With::Unstable), "debian/ sid main\n");
        let all = "debian/ bookworm main\nsecurity/ bookworm-security main\ndebian/ bookworm-backports main\n";
        assert_eq!(sources(With::Nothing), all);
    }
}
