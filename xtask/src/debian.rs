//! Debian's packages without installing them: by lists of our own, unpacked where they do not touch the
//! system.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::command::run;

/// A list of installed packages, which is empty.
const STATUS: &str = "status";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's packages, backports among them, by lists of its own.
pub struct Apt {
    folder: PathBuf,
    codename: String,
    unstable: bool,
    has_lists: Cell<bool>,
}

impl Apt {
    /// Keeps everything in `folder`. What is unpacked there already needs no lists, and no network.
    pub fn new(folder: &Path) -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Ok(Self {
            folder: folder.to_owned(),
            codename: codename(&release)
                .ok_or("only Debian has these packages")?
                .to_owned(),
            unstable: false,
            has_lists: Cell::new(false),
        })
    }

    /// The packages of Debian unstable, as of a system on which nothing is installed: what is unpacked with
    /// dependencies then has its own C library.
    pub fn of_unstable(folder: &Path) -> Result<Self> {
        let mut apt = Self::new(folder)?;
        apt.unstable = true;
        Ok(apt)
    }

    fn fetch_lists(&self) -> Result<()> {
        if self.has_lists.get() {
            return Ok(());
        }
        let mut targets = Command::new("apt-get");
        targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"]);
        let targets = targets.arg("Created-By: Packages").output()?;
        let targets = String::from_utf8_lossy(&targets.stdout);
        let sources = match self.unstable {
            true => unstable(&targets, &self.codename),
            false => sources(&targets, &self.codename),
        };
        let sources = sources.ok_or("apt has no lists: `apt-get update` fetches them")?;
        fs::create_dir_all(self.folder.join("lists/partial"))?;
        fs::create_dir_all(self.folder.join("packages"))?;
        fs::create_dir_all(self.folder.join("archives/partial"))?;
        fs::write(self.folder.join("sources.list"), sources)?;
        fs::write(self.folder.join(STATUS), "")?;
        run(self.command().arg("update"))?;
        self.has_lists.set(true);
        Ok(())
    }

    fn command(&self) -> Command {
        let mut apt = Command::new("apt-get");
        for (option, value) in [
            ("Dir::Etc::SourceParts", PathBuf::from("/dev/null")),
            ("Dir::Etc::SourceList", self.folder.join("sources.list")),
            ("Dir::State::Lists", self.folder.join("lists")),
            ("Dir::Cache", self.folder.clone()),
        ] {
            apt.arg(format!("-o{option}={}", value.display()));
        }
        if self.unstable {
            let status = self.folder.join(STATUS);
            apt.arg(format!("-oDir::State::status={}", status.display()));
        }
        // Its own user may not be let into the folder; a package's hash is checked all the same.
        apt.args([
            "-qq",
            "-oAPT::Sandbox::User=root",
            "-oAcquire::Languages=none",
        ]);
        apt
    }

    /// A folder of this name with what the packages hold.
    pub fn unpack(&self, name: &str, packages: &[&str]) -> Result<PathBuf> {
        self.unpacked(name, || self.download(packages))
    }

    /// The same with all that they depend on and the system lacks.
    pub fn unpack_with_dependencies(&self, name: &str, packages: &[&str]) -> Result<PathBuf> {
        self.unpacked(name, || self.download_with_dependencies(packages))
    }

    /// The version of a package that was unpacked with its dependencies.
    pub fn version(&self, package: &str) -> Result<String> {
        let prefix = format!("{package}_");
        let archives = self.folder.join("archives");
        let file = fs::read_dir(&archives)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .find(|file| file.starts_with(&prefix));
        let file = file.ok_or_else(|| format!("there is no {package}"))?;
        let version = file[prefix.len()..].split(['_', '-']).next();
        Ok(version.unwrap_or_default().to_owned())
    }

    fn unpacked(
        &self,
        name: &str,
        packages: impl FnOnce() -> Result<Vec<PathBuf>>,
    ) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        if !folder.exists() {
            self.fetch_lists()?;
            let partial = folder.with_extension("partial");
            for package in packages()? {
                run(Command::new("dpkg").arg("-x").arg(package).arg(&partial))?;
            }
            fs::rename(partial, &folder)?;
        }
        Ok(folder)
    }

    /// The newest of each package, of backports where they have it.
    fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("packages");
        let mut files = Vec::new();
        for package in packages {
            let mut download = self.command();
            download.args(["-oAPT::Default-Release=/-backports$/", "download", package]);
            run(download.current_dir(&folder))?;
            let prefix = format!("{package}_");
            let file = fs::read_dir(&folder)?
                .flatten()
                .find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
                .ok_or_else(|| format!("apt-get brought no {package}"))?;
            files.push(file.path());
        }
        Ok(files)
    }

    /// The release's own packages, and what they lack.
    fn download_with_dependencies(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let mut download = self.command();
        // Nothing is installed, so nothing need be locked.
        download.args([
            "-y",
            "-oDebug::NoLocking=1",
            "--no-install-recommends",
            "--download-only",
            "--reinstall",
            "install",
        ]);
        run(download.args(packages))?;
        let mut files = Vec::new();
        for entry in fs::read_dir(self.folder.join("archives"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// Debian's name of the release in `/etc/os-release`.
fn codename(release: &str) -> Option<&str> {
    let value = |name: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_matches('"'))
    };
    value("ID=")
        .filter(|&id| id == "debian")
        .and_then(|_| value("VERSION_CODENAME="))
}

/// A source's line.
fn line(uri: &str, suite: &str) -> String {
    format!("deb [signed-by={KEYRING}] {uri} {suite} main\n")
}

/// Unstable, from where the release comes from.
fn unstable(targets: &str, codename: &str) -> Option<String> {
    let release = targets.lines().filter_map(|line| line.split_once(' '));
    let (archive, _) = release.into_iter().find(|(_, suite)| *suite == codename)?;
    Some(line(archive, "sid"))
}

/// The system's sources, lines of `URI SUITE`, and backports from where the release comes from.
fn sources(targets: &str, codename: &str) -> Option<String> {
    let targets: Vec<_> = targets
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let &(archive, _) = targets.iter().find(|(_, suite)| *suite == codename)?;
    let debian = targets
        .iter()
        .filter(|(_, suite)| suite.starts_with(codename));
    let own: String = debian.map(|(uri, suite)| line(uri, suite)).collect();
    Some(own + &line(archive, &format!("{codename}-backports")))
}

/// The file of this name somewhere in a folder.
pub fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            find(&entry.path(), name)?
        } else {
            (entry.file_name() == name).then(|| entry.path())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backports_come_from_where_the_release_does() {
        let targets = "\
http://mirror/debian/ bookworm
http://mirror/security/ bookworm-security
http://elsewhere/ nodistro
";
        let sources = sources(targets, "bookworm").unwrap();
        let sources: Vec<_> = sources
            .lines()
            .map(|line| line.split_once("] ").unwrap().1)
            .collect();
        assert_eq!(
            sources,
            [
                "http://mirror/debian/ bookworm main",
                "http://mirror/security/ bookworm-security main",
                "http://mirror/debian/ bookworm-backports main",
            ]
        );
        assert_eq!(super::sources("", "bookworm"), None);
        let unstable = unstable(targets, "bookworm").unwrap();
        assert!(
            unstable.ends_with("http://mirror/debian/ sid main\n"),
            "{unstable}"
        );
    }

    #[test]
    fn only_debian_has_a_codename() {
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(release), Some("bookworm"));
        assert_eq!(codename("ID=ubuntu\nVERSION_CODENAME=noble\n"), None);
    }
}
