//! File secrets while a command runs: a process of its own, the holder, keeps them in memory, and the command
//! gets paths.
//!
//! A path is `/proc/PID/fd/N` of the holder: it can be opened by every process of this user, however far down
//! and whatever descriptors that one has closed, which `/proc/self/fd/N` can't. For that the holder has to be
//! open to its user, and so it is this program started anew, with an empty environment and nothing of our
//! memory. It goes when the process that it was started for has ended, in whatever way; exec(2) is no end.
#![expect(clippy::disallowed_types, reason = "the start of the holder, which is this program")]
#![expect(unsafe_code, reason = "fork(2) while there is one thread, and descriptors of nobody")]

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::process::{DumpableBehavior, PidfdFlags, Resource};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::memory_folder::{self, MemoryFolder};
use super::passing;
use crate::platform::{FilePlace, Interest, StepRefused};

/// The holder is known by the name that it is started under, which `ps` shows.
const NAME: &str = "vault: file secrets";
/// What it is called where only 15 letters are shown.
const SHORT_NAME: &std::ffi::CStr = c"vault-files";

/// A file in memory: the answer is the number of its descriptor there.
const FILE: u8 = b'f';
/// A folder, to be removed in the end.
const FOLDER: u8 = b'd';
/// The process whose end is that of the holder. Nothing is told after this.
const LIFE: u8 = b'l';

/// Hands files over to a holder, whose life is that of this process, and gives their paths.
///
/// # Errors
///
/// The system refuses a step. Nothing is left then.
pub(crate) fn hold_files(
    files: &[(&str, &[u8])],
    place: FilePlace<'_>,
) -> Result<Vec<PathBuf>, StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    let mut holder = Holder::start().map_err(at("start of the holder"))?;
    let paths = match place {
        FilePlace::Memory => files
            .iter()
            .map(|(_, content)| {
                let file = sealed(content).map_err(at("memfd_create"))?;
                let number = holder.give(FILE, &file).map_err(at("handing over of a file"))?;
                let path = PathBuf::from(format!("/proc/{}/fd/{number}", holder.pid));
                check(&path, &file).map_err(at("open through /proc"))?;
                Ok(path)
            })
            .collect::<Result<_, _>>()?,
        FilePlace::Folder { runtime } => {
            let folder = MemoryFolder::make(runtime)?;
            let given = holder.give(FOLDER, &folder);
            given.inspect_err(|_| folder.remove()).map_err(at("handing over of a folder"))?;
            // From here on the holder removes it, whatever happens.
            files
                .iter()
                .map(|(name, content)| write(&folder.path().join(name), content))
                .collect::<io::Result<_>>()
                .map_err(at("write on a tmpfs"))?
        }
    };
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(|error| at("pidfd_open")(error.into()))?;
    holder.give(LIFE, &own).map_err(at("pidfd_open"))?;
    Ok(paths)
}

/// The holder, seen from the process that it is for.
struct Holder {
    link: UnixStream,
    pid: i32,
}

impl Holder {
    fn start() -> io::Result<Self> {
        let (link, theirs) = UnixStream::pair()?;
        let mut first = Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // It only starts the holder, which so is no child of the command. Where the ends of children are
        // ignored, there is none to wait for.
        drop(first.wait());
        let mut holder = Self { link, pid: 0 };
        holder.pid = holder.answer()?;
        Ok(holder)
    }

    fn give(&mut self, what: u8, passed: &impl std::os::fd::AsFd) -> io::Result<i32> {
        passing::send(&self.link, &[what], passed.as_fd())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<i32> {
        let mut answer = [0; 4];
        self.link.read_exact(&mut answer)?;
        Ok(i32::from_ne_bytes(answer))
    }
}

/// A file without a name, in memory, that nobody can change any more.
fn sealed(content: &[u8]) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match rustix::fs::memfd_create(c"vault", flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(rustix::io::Errno::INVAL) => rustix::fs::memfd_create(c"vault", flags),
        made => made,
    };
    let mut file = File::from(made?);
    file.write_all(content)?;
    rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, all)?;
    Ok(file)
}

/// Whether the path leads to the file, for a process of this user.
fn check(path: &Path, file: &File) -> io::Result<()> {
    let (found, meant) = (File::open(path)?.metadata()?, file.metadata()?);
    if (found.dev(), found.ino()) == (meant.dev(), meant.ino()) {
        return Ok(());
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn write(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    Ok(path.to_owned())
}

/// What this process is, if it was started as a holder: gives its status at its end. To be called first of all.
pub(crate) fn hold_if_asked() -> Option<ExitCode> {
    if std::env::args_os().next()? != NAME {
        return None;
    }
    Some(if hold().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn hold() -> io::Result<()> {
    close_what_was_inherited()?;
    let link = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    super::guard::leave_standard_streams();
    // Away from the terminal. The second process can never get one.
    rustix::process::setsid()?;
    // SAFETY: there is one thread, so the child's copy of this process is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => keep(link),
        _ => Ok(()),
    }
}

/// Keeps what it is given, until the process that gave it has ended.
fn keep(mut link: UnixStream) -> io::Result<()> {
    open_to_this_user();
    super::events::ignore_requests_to_end();
    // The limit is what may be held at once.
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    let answer = |link: &mut UnixStream, number: i32| link.write_all(&number.to_ne_bytes());
    answer(&mut link, rustix::process::getpid().as_raw_nonzero().get())?;
    let (mut files, mut folder) = (Vec::new(), None);
    let mut what = [0];
    while let (1, Some(passed)) = passing::receive(&link, &mut what)? {
        match what[0] {
            FILE => {
                answer(&mut link, passed.as_raw_fd())?;
                files.push(passed);
            }
            FOLDER => {
                folder = Some(passed);
                answer(&mut link, 0)?;
            }
            _ => {
                // It may exec before it has read this.
                drop(answer(&mut link, 0));
                drop(link);
                let ended = || super::wait_for(&[(passed.as_fd(), Interest::Read)], None);
                while ended()?.first() == Some(&false) {}
                break;
            }
        }
    }
    if let Some(folder) = folder {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
        memory_folder::remove(&path);
    }
    Ok(())
}

/// The folder of our descriptors is open to those of the same user who have no more rights than we have
/// (ptrace(2), access mode checks). So we have none.
fn open_to_this_user() {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // Giving up is always allowed. Closed it is where the file of this program can't be read.
    let _ = rustix::thread::set_capabilities(None, none);
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
    let _ = rustix::thread::set_name(SHORT_NAME);
}

/// Whoever waits for the end of a pipe or a lock of his must not wait for us.
fn close_what_was_inherited() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?.flatten();
    let open: Vec<i32> = open.filter_map(|one| one.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // SAFETY: nothing in this process has opened anything yet but the folder of that list, and that is
        // closed by now, so nobody else owns it. A number that is none is of no harm.
        unsafe {
            if libc::fcntl(number, libc::F_GETFD) >= 0 {
                drop(OwnedFd::from_raw_fd(number));
            }
        }
    }
    Ok(())
}
