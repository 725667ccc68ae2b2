//! Where `scan` looks: what git tracks, what is staged, every version that there was, or what was named.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Context;
use crate::cli::ui::count;
use crate::error::{Error, Result, reason, shown_path};
use crate::platform;
use crate::process::Surroundings;
use crate::process::git::{Object, Objects, git, git_output, git_parts};
use crate::store::file::{ReadError, read_regular};
use crate::vars::name::shown_bytes;

/// More is not read. A secret that somebody pasted stands in a file that he could open.
const LIMIT: usize = 8 << 20;

/// Where a file is that git keeps as a link or as another repository.
const LINK: &[u8] = b"120000";
const SUBMODULE: &[u8] = b"160000";

/// What a name stands for in git's index.
const REGULAR: [&[u8]; 2] = [b"100644", b"100755"];

/// What one look is at: its path, its bytes, and the first commit that has it, where that is known.
pub(super) struct Look<'a> {
    /// From the root of the repository; where there is none, from the folder.
    pub(super) path: &'a [u8],
    pub(super) bytes: &'a [u8],
    pub(super) commit: Option<&'a str>,
}

/// Who is shown each file.
pub(super) type Each<'e> = &'e mut dyn FnMut(&Look<'_>);

/// The folder that is searched, and the repository round it.
pub(super) struct Ground<'c> {
    context: &'c Context,
    /// Where the search was started, and git is.
    folder: PathBuf,
    /// The root of git's work tree, or why there is none.
    root: Result<PathBuf>,
    /// Something could not be read.
    pub(super) is_incomplete: bool,
}

impl<'c> Ground<'c> {
    /// Finds out.
    pub(super) fn find(context: &'c Context) -> Self {
        let here = &context.outside.folder;
        // In a hook git has said where the repository is, as seen from here.
        let in_hook =
            ["GIT_DIR", "GIT_INDEX_FILE"].iter().any(|name| context.outside.get(name).is_some());
        let named = context.globals.app_root.as_ref().filter(|_| !in_hook);
        let folder = named.map_or_else(|| here.clone(), |named| here.join(named));
        let folder = folder.canonicalize().unwrap_or(folder);
        let around = Surroundings { folder: &folder, environment: &context.outside.environment };
        let root = git_output(&["rev-parse", "--show-toplevel"].map(OsStr::new), &around);
        let root = root.map(|said| {
            let path = PathBuf::from(platform::os_string(
                said.strip_suffix(b"\n").unwrap_or(&said).to_vec(),
            ));
            path.canonicalize().unwrap_or(path)
        });
        Self { context, folder, root, is_incomplete: false }
    }

    /// What paths are told from: the root of the repository, else the folder.
    pub(super) fn root(&self) -> &Path {
        self.root.as_deref().unwrap_or(&self.folder)
    }

    fn around<'s>(&'s self, folder: &'s Path) -> Surroundings<'s> {
        Surroundings { folder, environment: &self.context.outside.environment }
    }

    fn skip(&self, path: &[u8], why: &str) {
        self.context.ui.warn(&format!("{}: {why}, not searched", shown_bytes(path)));
    }

    fn unread(&mut self, path: &[u8], why: &str) {
        self.is_incomplete = true;
        self.context.ui.fail(&format!("{}: can't be read: {why}", shown_bytes(path)));
    }

    /// The files that git tracks, as they are in the work tree; without git all below the folder.
    pub(super) fn tracked(&mut self, each: Each<'_>) -> Result<()> {
        let root = match &self.root {
            Ok(root) => root.clone(),
            Err(error) => {
                self.context.ui.detail(&format!("all files below the folder: {error}"));
                let folder = self.folder.clone();
                self.below(&folder, each);
                return Ok(());
            }
        };
        let words = ["ls-files", "-z", "--stage", "--full-name"].map(OsStr::new);
        let list = git_output(&words, &self.around(&root))?;
        let mut before: &[u8] = &[];
        // The last folder that was seen to be one without links.
        let mut folder = root.clone();
        for entry in list.split(|byte| *byte == 0) {
            // MODE ID STAGE TAB PATH. A file in conflict is there up to three times.
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else { continue };
            let (head, path) = (entry.get(..tab), entry.get(tab + 1..).unwrap_or_default());
            let mode = head.and_then(|head| head.split(|byte| *byte == b' ').next());
            if path == before || !mode.is_some_and(|mode| REGULAR.contains(&mode)) {
                continue;
            }
            before = path;
            let file = root.join(platform::os_string(path.to_vec()));
            let parent = file.parent().unwrap_or(&root);
            if parent != folder {
                if parent.canonicalize().ok().as_deref() != Some(parent) {
                    continue;
                }
                parent.clone_into(&mut folder);
            }
            self.file(&file, path, each);
        }
        Ok(())
    }

    /// What the index has and HEAD has not.
    pub(super) fn staged(&mut self, each: Each<'_>) -> Result<()> {
        const WORDS: [&str; 11] = [
            "-c",
            "diff.relative=false",
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--diff-filter=ACMRT",
        ];
        self.repository("--staged")?;
        let around = self.around(&self.folder);
        let mut ahead = Ahead::start(self, &around, true)?;
        let mut id: Option<String> = None;
        let mut is_path = false;
        let mut words = WORDS.map(OsStr::new).to_vec();
        words.push(OsStr::new("--"));
        git_parts(&words, &around, 0, &mut |part| {
            is_path = !is_path;
            if is_path {
                // :MODE MODE ID ID STATUS, and then the path.
                let fields: Vec<&[u8]> = part.split(|byte| *byte == b' ').collect();
                let [_, mode, _, new, _] = fields[..] else { return Err(strange()) };
                let is_file = mode != LINK && mode != SUBMODULE;
                id = is_file.then(|| String::from_utf8_lossy(new).into_owned());
            } else if let Some(id) = id.take() {
                ahead.ask(&id, part, None, each)?;
            }
            Ok(true)
        })?;
        ahead.rest(each)
    }

    /// Every file of every commit of every ref, each version once, the oldest first.
    pub(super) fn history(&mut self, each: Each<'_>) -> Result<()> {
        const WORDS: [&str; 7] = [
            "rev-list",
            "--objects",
            "--in-commit-order",
            "--topo-order",
            "--reverse",
            // Else git fetches what was left out of this clone.
            "--missing=print",
            "--all",
        ];
        // So many digits name one commit in all but the largest repositories.
        const SHORT: usize = 10;
        let around = self.around(&self.folder);
        let is_shallow = ["rev-parse", "--is-shallow-repository"].map(OsStr::new);
        if let Err(error) = git_output(&["rev-parse", "--git-dir"].map(OsStr::new), &around) {
            return Err(no_repository("--history", &error));
        }
        if git(&is_shallow, &around).as_deref() == Some("true") {
            self.context
                .ui
                .warn("this clone has only the latest commits, and no others were searched");
            self.context.ui.hint("`git fetch --unshallow` brings them");
        }
        let mut ahead = Ahead::start(self, &around, false)?;
        let mut commit: Rc<str> = "".into();
        git_parts(&WORDS.map(OsStr::new), &around, b'\n', &mut |line| {
            if line.starts_with(b"?") {
                ahead.missing += 1;
                return Ok(true);
            }
            let space = line.iter().position(|byte| *byte == b' ');
            let (id, path) = line.split_at(space.unwrap_or(line.len()));
            let id = String::from_utf8_lossy(id);
            match path.get(1..) {
                None => commit = id.chars().take(SHORT).collect::<String>().into(),
                // The root folder of a commit has no name; nor has a file that only a tag names, which is
                // told by its id.
                Some([]) => ahead.ask(&id, id.as_bytes(), None, each)?,
                Some(path) => ahead.ask(&id, path, Some(Rc::clone(&commit)), each)?,
            }
            Ok(true)
        })?;
        ahead.rest(each)
    }

    /// These files, and all below these folders.
    pub(super) fn named(&mut self, paths: &[PathBuf], each: Each<'_>) -> Result<()> {
        let place = |path: &PathBuf| {
            let full = self.context.outside.folder.join(path);
            match full.symlink_metadata() {
                Ok(found) => Ok((full, found)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(Error::not_found(format!("`{}` does not exist", shown_path(path))))
                }
                Err(error) => Err(Error::io("look at", path, &error)),
            }
        };
        let all: Vec<_> = paths.iter().map(place).collect::<Result<_>>()?;
        for (full, found) in all {
            if found.is_dir() {
                self.below(&full.canonicalize().unwrap_or(full), each);
            } else {
                // The folder without links and `..`, and the name as it is.
                let folder = full.parent().and_then(|folder| folder.canonicalize().ok());
                let full = match (folder, full.file_name()) {
                    (Some(folder), Some(name)) => folder.join(name),
                    _ => full,
                };
                let told = self.told(&full);
                if found.is_symlink() {
                    self.skip(&told, "a symbolic link");
                } else {
                    self.file(&full, &told, each);
                }
            }
        }
        Ok(())
    }

    /// All files below a folder, but those of git and of other repositories in it.
    fn below(&mut self, folder: &Path, each: Each<'_>) {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let mut entries: Vec<(OsString, std::fs::FileType)> = Vec::new();
            match std::fs::read_dir(&folder) {
                Ok(found) => {
                    let kind = |entry: std::fs::DirEntry| {
                        Some((entry.file_name(), entry.file_type().ok()?))
                    };
                    entries.extend(found.flatten().filter_map(kind));
                }
                Err(error) => {
                    let told = self.told(&folder);
                    self.unread(&told, &reason(&error));
                }
            }
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            // The last one is the next to be looked into.
            let mut inner = Vec::new();
            for (name, kind) in entries {
                let path = folder.join(&name);
                if name == ".git" {
                    continue;
                }
                if kind.is_dir() && path.join(".git").symlink_metadata().is_err() {
                    inner.push(path);
                } else if kind.is_file() {
                    let told = self.told(&path);
                    self.file(&path, &told, each);
                }
            }
            folders.extend(inner.into_iter().rev());
        }
    }

    /// A path as it is told.
    fn told(&self, full: &Path) -> Vec<u8> {
        let below =
            full.strip_prefix(self.root()).ok().filter(|below| !below.as_os_str().is_empty());
        below.unwrap_or(full).as_os_str().as_encoded_bytes().to_vec()
    }

    /// One file of the disk. A link, a FIFO or the like is passed over, and so is what is no longer there.
    fn file(&mut self, full: &Path, told: &[u8], each: Each<'_>) {
        if !full.symlink_metadata().is_ok_and(|found| found.is_file()) {
            return;
        }
        match read_regular(full, LIMIT) {
            Ok(Some((bytes, _))) => each(&Look { path: told, bytes: &bytes, commit: None }),
            Ok(None) => self.skip(told, "over 8 MiB"),
            Err(ReadError::Io(error)) => self.unread(told, &reason(&error)),
            Err(ReadError::Missing | ReadError::NotRegular) => {}
        }
    }

    fn repository(&self, flag: &str) -> Result<()> {
        self.root.as_ref().map(drop).map_err(|error| no_repository(flag, error))
    }
}

/// Files that git was asked for. It gets the next ones ready while one is searched.
struct Ahead<'g> {
    ground: &'g Ground<'g>,
    objects: Objects,
    /// The paths, and the first commits, of those that were asked for and not answered yet.
    asked: VecDeque<(Vec<u8>, Option<Rc<str>>)>,
    /// Nothing but files is asked for.
    all_files: bool,
    /// How many this clone does not have.
    missing: usize,
}

impl<'g> Ahead<'g> {
    fn start(ground: &'g Ground<'g>, around: &Surroundings<'_>, all_files: bool) -> Result<Self> {
        let objects = Objects::start_without_network(around)?;
        Ok(Self { ground, objects, asked: VecDeque::new(), all_files, missing: 0 })
    }

    fn ask(
        &mut self,
        id: &str,
        path: &[u8],
        commit: Option<Rc<str>>,
        each: Each<'_>,
    ) -> Result<()> {
        if self.objects.ask(id)? {
            self.asked.push_back((path.to_owned(), commit));
        }
        if self.asked.len() >= Objects::AHEAD { self.next(each) } else { Ok(()) }
    }

    fn rest(mut self, each: Each<'_>) -> Result<()> {
        while !self.asked.is_empty() {
            self.next(each)?;
        }
        if self.missing > 0 {
            let missing = count(self.missing, "version");
            self.ground.context.ui.warn(&format!("{missing} left out of this clone, not searched"));
        }
        Ok(())
    }

    fn next(&mut self, each: Each<'_>) -> Result<()> {
        let Some((path, commit)) = self.asked.pop_front() else { return Ok(()) };
        match self.objects.answer(LIMIT)? {
            Object::Blob(bytes) => {
                let commit = commit.as_deref().filter(|commit| !commit.is_empty());
                each(&Look { path: &path, bytes: &bytes, commit });
            }
            Object::Large => self.ground.skip(&path, "over 8 MiB"),
            Object::Other | Object::Missing if self.all_files => return Err(strange()),
            Object::Missing => self.missing += 1,
            Object::Other => {}
        }
        Ok(())
    }
}

fn no_repository(flag: &str, error: &Error) -> Error {
    Error::not_found(format!("`{flag}` needs a git repository: {error}"))
        .hint("go to one, or name files and folders: `vault scan PATH…`")
}

fn strange() -> Error {
    Error::failed("git has told something else than it was asked for")
}
