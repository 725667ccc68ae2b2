//! A home, a project and an environment of a test's own. Programs started from
//! here see nothing of the person who runs the tests.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::processes;
use super::run::Run;

/// When every commit of a test was made.
const WHEN: &str = "2024-01-02T03:04:05Z";

/// One person's view of a temporary directory: `home`, `run`, `tmp` and the
/// project in which commands start.
pub(crate) struct Sandbox {
    ground: Arc<Ground>,
    user: String,
    home: PathBuf,
    run: PathBuf,
    tmp: PathBuf,
    project: PathBuf,
}

/// What all people of one test share; goes away with the last of them.
struct Ground {
    /// Without symbolic links, so that it equals what programs print.
    root: PathBuf,
    _directory: TempDir,
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A failed test must not leave a supervisor running behind its back.
        processes::kill_all(&processes::of_sandbox(&self.root));
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let directory =
            tempfile::Builder::new().prefix("vault-it-").tempdir().expect("a temporary directory");
        let root = directory.path().canonicalize().expect("its real path");
        let ground = Arc::new(Ground { root: root.clone(), _directory: directory });
        let project = root.join("project");
        std::fs::create_dir(&project).expect("project/");
        Self::furnish(ground, "tester", &root, project)
    }

    /// Another person on the same machine: an own home, run and tmp under
    /// `people/NAME`, and to begin with the same project.
    pub(crate) fn another_home(&self, name: &str) -> Self {
        let place = self.ground.root.join("people").join(name);
        Self::furnish(Arc::clone(&self.ground), name, &place, self.project.clone())
    }

    /// The same person, at work in the directory `rel`, which is made if it is
    /// not there: the place for a clone.
    pub(crate) fn with_project(mut self, rel: impl AsRef<Path>) -> Self {
        self.project = self.path(rel);
        std::fs::create_dir_all(&self.project).expect("the project's directory");
        self
    }

    fn furnish(ground: Arc<Ground>, user: &str, place: &Path, project: PathBuf) -> Self {
        let (home, run, tmp) = (place.join("home"), place.join("run"), place.join("tmp"));
        for directory in [&home.join(".config"), &home.join(".local/state"), &run, &tmp] {
            std::fs::create_dir_all(directory).expect("a directory of the sandbox");
        }
        // What the specification of XDG_RUNTIME_DIR demands, and the keyring checks.
        std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o700))
            .expect("mode of run/");
        let user = user.to_owned();
        Self { ground, user, home, run, tmp, project }
    }

    /// The directory that holds everything.
    pub(crate) fn root(&self) -> &Path {
        &self.ground.root
    }

    /// `rel` as seen from the root: `project/x`, `home/.config/x`.
    pub(crate) fn path(&self, rel: impl AsRef<Path>) -> PathBuf {
        self.ground.root.join(rel)
    }

    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Writes a file, and the directories above it.
    #[track_caller]
    pub(crate) fn write(&self, rel: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(rel);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        std::fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }

    #[track_caller]
    pub(crate) fn read(&self, rel: impl AsRef<Path>) -> String {
        let path = self.path(rel);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// The permission bits, as in `0o600`.
    #[track_caller]
    pub(crate) fn mode(&self, rel: impl AsRef<Path>) -> u32 {
        let path = self.path(rel);
        let meta = path.symlink_metadata();
        let meta = meta.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        meta.permissions().mode() & 0o7777
    }

    /// Everything there is now, to compare with later.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.collect(&self.ground.root, &self.ground.root);
        snapshot
    }

    /// Fails and names each difference when a file has come, gone or changed.
    #[track_caller]
    pub(crate) fn assert_unchanged_since(&self, before: &Snapshot) {
        let differences = before.differences(&self.snapshot());
        assert!(differences.is_empty(), "files have changed:\n{differences}");
    }

    /// Fails when `marker` stands in any file, file name or link.
    #[track_caller]
    pub(crate) fn assert_nowhere(&self, marker: impl AsRef<[u8]>) {
        let snapshot = self.snapshot();
        let places = snapshot.places_of(marker.as_ref());
        assert!(places.is_empty(), "the marker stands in {places:?}");
    }

    /// Fails when something that was started here still runs (Linux only).
    /// Processes need a moment to vanish, so this waits, within a bound.
    #[track_caller]
    pub(crate) fn assert_no_process_left(&self) {
        let mut left = Vec::new();
        let gone = super::barrier::holds_within(super::barrier::PATIENCE, || {
            left = processes::of_sandbox(&self.ground.root);
            left.is_empty()
        });
        let names: Vec<String> = left.iter().map(|pid| processes::describe(*pid)).collect();
        assert!(gone, "still running: {names:#?}");
    }

    /// The built `vault`, in the project.
    pub(crate) fn vault(&self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Run {
        self.program(env!("CARGO_BIN_EXE_vault"), args)
    }

    /// Any program, found in PATH, with the environment and place of `vault`.
    pub(crate) fn program(
        &self,
        name: impl AsRef<OsStr>,
        args: impl IntoIterator<Item: AsRef<OsStr>>,
    ) -> Run {
        let root = self.ground.root.clone();
        Run::new(name.as_ref(), self.environment(), &self.project, root).args(args)
    }

    pub(crate) fn sh(&self, script: impl AsRef<OsStr>) -> Run {
        self.program("sh", [OsStr::new("-c"), script.as_ref()])
    }

    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let address = format!("{}@example.org", self.user);
        let paths = [
            ("HOME", self.home.clone()),
            ("XDG_CONFIG_HOME", self.home.join(".config")),
            ("XDG_STATE_HOME", self.home.join(".local/state")),
            ("XDG_RUNTIME_DIR", self.run.clone()),
            ("TMPDIR", self.tmp.clone()),
            // The temporary directory may itself lie in somebody's repository.
            ("GIT_CEILING_DIRECTORIES", self.ground.root.clone()),
        ];
        let texts = [
            ("LANG", "C.UTF-8"),
            ("TERM", "dumb"),
            ("NO_COLOR", "1"),
            ("USER", &self.user),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_AUTHOR_NAME", &self.user),
            ("GIT_AUTHOR_EMAIL", &address),
            ("GIT_AUTHOR_DATE", WHEN),
            ("GIT_COMMITTER_NAME", &self.user),
            ("GIT_COMMITTER_EMAIL", &address),
            ("GIT_COMMITTER_DATE", WHEN),
        ];
        let search = std::env::var_os("PATH").map(|path| (OsString::from("PATH"), path));
        paths
            .into_iter()
            .map(|(name, path)| (name.into(), path.into_os_string()))
            .chain(texts.map(|(name, text)| (name.into(), text.into())))
            .chain(search)
            .collect()
    }
}

/// Every file, link and directory by its path below the root.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, Entry>);

#[derive(PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: u32,
    pub(crate) content: Content,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Content {
    File(Vec<u8>),
    Link(PathBuf),
    Directory,
    /// A socket or a FIFO, which must not be opened, or a file closed to us.
    Opaque,
}

impl Snapshot {
    pub(crate) fn get(&self, rel: impl AsRef<Path>) -> Option<&Entry> {
        self.0.get(rel.as_ref())
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// One line for each path that is not the same in `later`; empty if none.
    pub(crate) fn differences(&self, later: &Self) -> String {
        let mut text = String::new();
        for (path, entry) in &self.0 {
            let now = later.0.get(path);
            let path = path.display();
            match now {
                None => writeln!(text, "- {path} is gone"),
                Some(now) if now.content != entry.content => {
                    writeln!(text, "- {path} has other content")
                }
                Some(now) if now.mode != entry.mode => {
                    writeln!(text, "- {path} had mode {:o}, has {:o}", entry.mode, now.mode)
                }
                Some(_) => Ok(()),
            }
            .expect("a String takes all text");
        }
        for path in later.0.keys().filter(|path| !self.0.contains_key(*path)) {
            writeln!(text, "- {} is new", path.display()).expect("a String takes all text");
        }
        text
    }

    /// The paths whose name, link target or content holds `marker`.
    pub(crate) fn places_of(&self, marker: &[u8]) -> Vec<&Path> {
        assert!(!marker.is_empty(), "an empty marker stands everywhere");
        let within = |bytes: &[u8]| bytes.windows(marker.len()).any(|part| part == marker);
        let holds = |(path, entry): &(&PathBuf, &Entry)| {
            within(path.as_os_str().as_bytes())
                || match &entry.content {
                    Content::File(bytes) => within(bytes),
                    Content::Link(target) => within(target.as_os_str().as_bytes()),
                    Content::Directory | Content::Opaque => false,
                }
        };
        self.0.iter().filter(holds).map(|(path, _)| path.as_path()).collect()
    }

    fn collect(&mut self, root: &Path, directory: &Path) {
        for entry in std::fs::read_dir(directory).expect("a readable directory") {
            let path = entry.expect("an entry").path();
            let meta = path.symlink_metadata().expect("an entry's mode");
            let content = if meta.is_dir() {
                self.collect(root, &path);
                Content::Directory
            } else if meta.is_symlink() {
                Content::Link(std::fs::read_link(&path).expect("a link's target"))
            } else if meta.is_file() {
                std::fs::read(&path).map_or(Content::Opaque, Content::File)
            } else {
                Content::Opaque
            };
            let name = path.strip_prefix(root).expect("below the root").to_owned();
            let mode = meta.permissions().mode() & 0o7777;
            self.0.insert(name, Entry { mode, content });
        }
    }
}
