//! A world for an editor in which nothing that is written reaches a disk: a mount namespace
//! (`mount_namespaces(7)`) whose file systems are read-only, but for some that live in memory.
//!
//! It is kept by a process of its own, the keeper, which starts the editor as often as it is told to. When
//! the keeper ends, for whatever reason, all that was written in that world is gone. Where the system gives
//! no such world, the keeper stands behind a fence instead (see `fence`).
#![expect(clippy::disallowed_types, reason = "the start of the editor, called by process/ only")]
#![expect(
    unsafe_code,
    reason = "fork(2), unshare(2) and mount_setattr(2), while there is one thread"
)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, inotify};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::WaitOptions;

use super::memory_folder::MemoryFolder;
use super::{Signals, passing};
use crate::platform::{EditorEnd, EditorPlan, Exit, Interest, Signal, StepRefused, Wall};

/// The folder of the world in which the text lies.
const FOLDER: &str = "/tmp/vault-edit";
/// Where programs write what they take for temporary.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// A world, seen from outside. When this is dropped, it ends.
#[derive(Debug)]
pub(crate) struct World {
    link: Option<UnixStream>,
    folder: OwnedFd,
    keeper: rustix::process::Pid,
    /// The folder behind a fence, which does not go by itself.
    left: Option<MemoryFolder>,
}

impl World {
    /// Builds a world, in which `plan.argv` can be started.
    ///
    /// To be called while there is one thread, and before any secret is in memory.
    ///
    /// # Errors
    ///
    /// The system refuses a step. Nothing is left of the others.
    pub(crate) fn build(plan: &EditorPlan, wall: Wall) -> Result<Self, StepRefused> {
        let left = match wall {
            Wall::Namespace => None,
            Wall::Landlock => Some(MemoryFolder::make(plan.runtime.as_deref())?),
        };
        let place = left.as_ref().map_or(Path::new(FOLDER), MemoryFolder::path).to_owned();
        let mut built = Self::with_keeper(plan, &place, wall);
        match &mut built {
            Ok(built) => built.left = left,
            Err(_) => left.iter().for_each(MemoryFolder::remove),
        }
        built
    }

    fn with_keeper(plan: &EditorPlan, place: &Path, wall: Wall) -> Result<Self, StepRefused> {
        let at = |step| move |error: io::Error| StepRefused { step, error };
        let (outer, inner) = UnixStream::pair().map_err(at("socketpair"))?;
        // SAFETY: there is one thread, so the child's copy of this process is whole.
        match unsafe { libc::fork() } {
            -1 => Err(at("fork")(io::Error::last_os_error())),
            0 => {
                drop(outer);
                keep(inner, plan, place, wall);
                // SAFETY: nothing of the copy may be unwound or run at exit a second time.
                unsafe { libc::_exit(0) }
            }
            child => {
                drop(inner);
                let keeper = rustix::process::Pid::from_raw(child)
                    .ok_or_else(|| at("fork")(io::ErrorKind::Other.into()))?;
                let folder = receive(&outer);
                match folder {
                    Ok(folder) => Ok(Self { link: Some(outer), folder, keeper, left: None }),
                    Err(refused) => {
                        drop(outer);
                        let _ = rustix::process::waitpid(Some(keeper), WaitOptions::empty());
                        Err(refused)
                    }
                }
            }
        }
    }

    /// Writes the text that the editor will see.
    pub(crate) fn write(&self, name: &str, text: &[u8]) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.folder, name, flags, Mode::from_raw_mode(0o600))?;
        File::from(file).write_all(text)
    }

    /// What the editor has left. None if it is gone.
    pub(crate) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A buffer that grows leaves copies behind.
        let mut text = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        file.take(limit).read_to_end(&mut text)?;
        Ok(Some(text))
    }

    /// Starts the editor on the text, and waits for its end.
    ///
    /// A signal that ends this process kills the editor first, and puts the terminal back. `in_background` is
    /// called once the editor itself has ended and others of it have not.
    pub(crate) fn edit(&mut self, in_background: &dyn Fn()) -> io::Result<EditorEnd> {
        let mut link = self.link.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        let signals = Signals::catch(&[Signal::Hup, Signal::Term])?;
        let terminal = super::Terminal::as_it_is();
        link.write_all(&[GO])?;
        loop {
            let handles = [(link.as_fd(), Interest::Read), (signals.handle(), Interest::Read)];
            let ready = super::wait_for(&handles, None)?;
            if let Some(caught) = signals.take().first() {
                // The keeper ends all of it then.
                let _ = rustix::net::shutdown(link, rustix::net::Shutdown::Both);
                let _ = rustix::process::waitpid(Some(self.keeper), WaitOptions::empty());
                self.forget_left();
                if let Some(terminal) = &terminal {
                    terminal.put_back();
                }
                super::end_by_signal(super::events::number(caught.signal));
            }
            if ready.first() != Some(&true) {
                continue;
            }
            let mut answer = [0; ANSWER];
            link.read_exact(&mut answer)?;
            let number = i32::from_ne_bytes([answer[1], answer[2], answer[3], answer[4]]);
            let opened = answer[5] != 0;
            return Ok(match answer[0] {
                EXITED => EditorEnd::Exited { exit: Exit::Code(number), opened },
                SIGNALED => EditorEnd::Exited { exit: Exit::Signal(number), opened },
                IN_BACKGROUND => {
                    in_background();
                    continue;
                }
                _ => EditorEnd::NotStarted(io::Error::from_raw_os_error(number)),
            });
        }
    }

    /// Removes the folder behind a fence.
    fn forget_left(&self) {
        if let Some(left) = &self.left {
            left.remove();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.link = None;
        let _ = rustix::process::waitpid(Some(self.keeper), WaitOptions::empty());
        self.forget_left();
    }
}

/// Start the editor.
const GO: u8 = 1;
const EXITED: u8 = 0;
const SIGNALED: u8 = 1;
const NOT_STARTED: u8 = 2;
/// No answer yet: others of the editor go on.
const IN_BACKGROUND: u8 = 3;
/// They are told of if they go on so long.
const GRACE: Duration = Duration::from_millis(300);
/// The kind of end, a number in four bytes, and whether anybody opened the text.
const ANSWER: usize = 6;

/// The keeper: builds the world, then starts the editor whenever it is told to.
///
/// When the other side goes, it hears that on the link, and ends all of the editor: what is started in the
/// background would outlive a keeper that is just killed.
fn keep(mut link: UnixStream, plan: &EditorPlan, place: &Path, wall: Wall) {
    let folder = match enclose(plan, place, wall) {
        Ok(folder) => folder,
        Err(refused) => {
            let number = refused.error.raw_os_error().unwrap_or(0);
            let mut told = number.to_ne_bytes().to_vec();
            told.extend_from_slice(refused.step.as_bytes());
            // The other side may be gone.
            drop(link.write_all(&told));
            return;
        }
    };
    if passing::send(&link, &[0; 4], folder.as_fd()).is_err() {
        return;
    }
    drop(folder);
    super::adopt_orphans();
    leave_no_core();
    let mut order = [0];
    while link.read_exact(&mut order).is_ok() && order[0] == GO {
        let Some(answer) = run_editor(&mut link, plan, place, wall) else { return };
        if link.write_all(&answer).is_err() {
            return;
        }
    }
}

/// No core of an editor that crashes, with the text in it. The wall does not stop one: a core handler
/// (`core_pattern` with a `|`, core(5)) runs outside of it and is not kept off by a limit of 0. The limit of
/// one byte keeps the kernel from either, from starting that handler and from writing a file.
fn leave_no_core() {
    let one = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
    // A hard limit of 0 can't be raised: no file is written then, but a handler is started.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, one);
}

fn answer(kind: u8, number: i32, opened: bool) -> [u8; ANSWER] {
    let [a, b, c, d] = number.to_ne_bytes();
    [kind, a, b, c, d, u8::from(opened)]
}

/// Starts the editor, and waits until nobody is left of it: some hand the text to another process of
/// theirs and end. None where nobody waits for the answer: then all of them are killed.
fn run_editor(
    link: &mut UnixStream,
    plan: &EditorPlan,
    place: &Path,
    wall: Wall,
) -> Option<[u8; ANSWER]> {
    let failed =
        |error: &io::Error| Some(answer(NOT_STARTED, error.raw_os_error().unwrap_or(0), false));
    let signals = match Signals::catch(&[Signal::Child]) {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let watch = watch(&place.join(&plan.name));
    let mut command = Command::new(&plan.program);
    let Some((name, arguments)) = plan.argv.split_first() else {
        return Some(answer(NOT_STARTED, libc::EINVAL, false));
    };
    command.arg0(name).args(arguments);
    if wall == Wall::Landlock {
        command.args(&plan.silencing);
    }
    command.arg(&plan.name).current_dir(place).env_clear();
    command.envs(plan.environment.iter().map(|(name, value)| (name, value)));
    match wall {
        Wall::Namespace => drop(command.env("TMPDIR", TEMPORARY[0])),
        // Where programs keep what they remember can't be written, so they get another place.
        Wall::Landlock => {
            for name in ["TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
                command.env(name, place);
            }
        }
    }
    let keeper = rustix::process::getpid();
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated or locked.
    unsafe {
        command.pre_exec(move || {
            super::children::die_with(keeper)?;
            super::events::heed_requests_to_end();
            Ok(())
        });
    }
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(&error),
    };
    let pid = super::Pid::try_from(child.id()).unwrap_or(super::Pid::MAX);
    let exit = wait_for_all(link, &signals, pid)?;
    let opened = watch.is_none_or(|watch| was_opened(&watch));
    Some(match exit {
        Exit::Code(code) => answer(EXITED, code, opened),
        Exit::Signal(number) => answer(SIGNALED, number, opened),
    })
}

/// Waits until there is no child, adopted ones included, and says how `editor` has ended.
fn wait_for_all(link: &mut UnixStream, signals: &Signals, editor: super::Pid) -> Option<Exit> {
    let (mut exit, mut tell_at) = (None, None);
    loop {
        loop {
            match super::children::reap_while_any() {
                Ok(Some((pid, how))) if pid == editor => {
                    exit = Some(how);
                    tell_at = Some(Instant::now() + GRACE);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return exit,
            }
        }
        if tell_at.is_some_and(|at| Instant::now() >= at) {
            tell_at = None;
            // Where it is gone, that is heard of next.
            drop(link.write_all(&answer(IN_BACKGROUND, 0, true)));
        }
        let patience = tell_at.map(|at| at.saturating_duration_since(Instant::now()));
        let handles = [(signals.handle(), Interest::Read), (link.as_fd(), Interest::Closed)];
        let Ok([_, false]) = super::wait_for(&handles, patience).as_deref() else {
            // Nobody is there to take the text any more, or this can't be watched.
            super::children::kill_all();
            return None;
        };
        drop(signals.take());
    }
}

/// Notes from now on whether the text is opened. None where the system has no such watch left.
fn watch(text: &Path) -> Option<OwnedFd> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let watch = inotify::init(flags).ok()?;
    inotify::add_watch(&watch, text, inotify::WatchFlags::OPEN).ok()?;
    Some(watch)
}

fn was_opened(watch: &OwnedFd) -> bool {
    let mut events = [0; 512];
    rustix::io::read(watch, &mut events[..]).is_ok_and(|count| count > 0)
}

/// Puts this process behind the wall, and gives the folder for the text.
fn enclose(plan: &EditorPlan, place: &Path, wall: Wall) -> Result<OwnedFd, StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    super::events::ignore_requests_to_end();
    match wall {
        Wall::Namespace => furnish(plan)?,
        Wall::Landlock => super::fence::fence(place)?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(place, flags, Mode::empty())
        .map_err(|error| at("open of the folder")(error.into()))
}

/// Builds the world around this process.
fn furnish(plan: &EditorPlan) -> Result<(), StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    super::userns::enter_user_namespace(rustix::thread::UnshareFlags::NEWNS)?;
    let errno = |step| move |error: rustix::io::Errno| StepRefused { step, error: error.into() };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(errno("mount of / as private"))?;
    // What will be hidden is opened before.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let program = rustix::fs::open(&plan.program, flags, Mode::empty())
        .map_err(errno("open of the editor"))?;
    let home = plan.home.as_deref().filter(|home| is_our_folder(home));
    let lower = home
        .map(|home| {
            rustix::fs::open(
                home,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
        })
        .transpose()
        .map_err(errno("open of the home folder"))?;
    set_read_only("/", true, true).map_err(at("mount_setattr of /"))?;
    for place in ["/proc", "/dev"] {
        set_read_only(place, false, false).map_err(at("mount_setattr of /proc and /dev"))?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let temporary = TEMPORARY.iter().map(PathBuf::from).chain(plan.temporary.clone());
    for place in temporary.filter(|place| place.is_dir()) {
        mount("ramfs", &place, "ramfs", flags, Some(c"mode=700"))
            .map_err(errno("mount of a ramfs"))?;
    }
    let made = std::fs::create_dir_all(FOLDER).and_then(|()| {
        std::fs::set_permissions(FOLDER, std::os::unix::fs::PermissionsExt::from_mode(0o700))
    });
    made.map_err(at("mkdir in the ramfs"))?;
    if let (Some(home), Some(lower)) = (home, lower) {
        overlay(home, &lower)?;
    }
    show_again(&plan.program, &program)
}

/// An editor that lies below a folder for temporary files is hidden now: its file is put back.
fn show_again(path: &Path, program: &OwnedFd) -> Result<(), StepRefused> {
    let at = |step| move |error: io::Error| StepRefused { step, error };
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(at("mkdir in the ramfs"))?;
    }
    File::create(path).map_err(at("mkdir in the ramfs"))?;
    let source = format!("/proc/self/fd/{}", program.as_raw_fd());
    rustix::mount::mount_bind(source, path)
        .map_err(|error| at("bind mount of the editor")(error.into()))
}

/// Lays memory over the home folder: what an editor writes there is seen by it, and gone afterwards.
fn overlay(home: &Path, lower: &OwnedFd) -> Result<(), StepRefused> {
    let errno = |step| move |error: rustix::io::Errno| StepRefused { step, error: error.into() };
    let at = |step| move |error: io::Error| StepRefused { step, error };
    // A tmpfs: renames fail on an overlay over a ramfs.
    let scratch = "/tmp/vault-home";
    std::fs::create_dir_all(scratch).map_err(at("mkdir in the ramfs"))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", scratch, "tmpfs", flags, Some(c"mode=700"))
        .map_err(errno("mount of a tmpfs"))?;
    for name in ["upper", "work"] {
        std::fs::create_dir(Path::new(scratch).join(name)).map_err(at("mkdir in the tmpfs"))?;
    }
    // It may lie below a folder that is hidden now.
    std::fs::create_dir_all(home).map_err(at("mkdir of the home folder"))?;
    // By descriptor: a comma or colon in the path would break the options.
    let options = format!(
        "lowerdir=/proc/self/fd/{},upperdir={scratch}/upper,workdir={scratch}/work,userxattr",
        lower.as_raw_fd()
    );
    let options =
        CString::new(options).map_err(|_| at("overlay")(io::ErrorKind::InvalidInput.into()))?;
    mount("overlay", home, "overlay", flags, Some(options.as_c_str()))
        .map_err(errno("mount of an overlay over the home folder"))
}

/// Whether it is a folder of this user's, and not the root of everything.
fn is_our_folder(path: &Path) -> bool {
    path.is_absolute()
        && path != Path::new("/")
        && path
            .metadata()
            .is_ok_and(|found| found.is_dir() && super::owner(&found) == super::Owner::Us)
}

/// `struct mount_attr` of `mount_setattr(2)`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Makes a mount, and with `recursive` those below it, read-only or writable again.
fn set_read_only(path: &str, read_only: bool, recursive: bool) -> io::Result<()> {
    /// `MOUNT_ATTR_RDONLY` of linux/mount.h.
    const RDONLY: u64 = 1;
    /// `AT_RECURSIVE` of linux/fcntl.h.
    const RECURSIVE: libc::c_uint = 0x8000;
    let attributes = MountAttributes {
        set: if read_only { RDONLY } else { 0 },
        clear: if read_only { 0 } else { RDONLY },
        propagation: 0,
        userns: 0,
    };
    let path = CString::new(path)?;
    let flags = if recursive { RECURSIVE } else { 0 };
    // SAFETY: path and attributes outlive the call, which reads them, and the size is theirs.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the folder, or hears which step was refused.
fn receive(link: &UnixStream) -> Result<OwnedFd, StepRefused> {
    let failed = |error: io::Error| StepRefused { step: "fork", error };
    let mut told = [0; 128];
    let (count, folder) = passing::receive(link, &mut told).map_err(failed)?;
    if let Some(folder) = folder {
        return Ok(folder);
    }
    let (number, step) = told
        .get(..count)
        .and_then(|told| told.split_first_chunk::<4>())
        .ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
    let error = io::Error::from_raw_os_error(i32::from_ne_bytes(*number));
    let step = STEPS.into_iter().find(|known| known.as_bytes() == step).unwrap_or("fork");
    Err(StepRefused { step, error })
}

/// The names of the steps, which go over the wire as text.
const STEPS: [&str; 18] = [
    "unshare",
    "setgroups",
    "uid_map",
    "gid_map",
    "mount of / as private",
    "open of the home folder",
    "mount_setattr of /",
    "mount_setattr of /proc and /dev",
    "mount of a ramfs",
    "mkdir in the ramfs",
    "mount of a tmpfs",
    "mount of an overlay over the home folder",
    "mkdir of the home folder",
    "mkdir in the tmpfs",
    "landlock",
    "open of the editor",
    "bind mount of the editor",
    "open of the folder",
];
