//! A local socket that only this user's processes can talk to.
#![cfg_attr(
    any(target_os = "linux", target_os = "android"),
    expect(unsafe_code, reason = "getsockopt(2), for the user at the other side")
)]

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::events::Handle;

/// A socket that waits for connections. Its file goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Makes the socket's file, mode 0600, in a folder that is this user's alone.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        super::make_private_folders(folder)?;
        if !is_private_folder(folder) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let socket = UnixListener::bind(path)?;
        let listener = Self { socket, path: path.to_owned() };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.socket.set_nonblocking(true)?;
        Ok(listener)
    }

    /// What can be waited for.
    pub(crate) fn handle(&self) -> Handle<'_> {
        self.socket.as_fd()
    }

    /// The next connection, if one waits. One of another user is closed.
    ///
    /// # Errors
    ///
    /// One waits and can't be let in, as where this process has no descriptor left.
    pub(crate) fn accept(&self) -> io::Result<Option<Connection>> {
        loop {
            let stream = match self.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if is_ours(&stream) && stream.set_nonblocking(true).is_ok() {
                return Ok(Some(Connection(stream)));
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// Whether the folder is one, no link, this user's, and closed to others.
fn is_private_folder(folder: &Path) -> bool {
    std::fs::symlink_metadata(folder).is_ok_and(|found| {
        found.is_dir()
            && found.uid() == rustix::process::geteuid().as_raw()
            && super::group_and_others(&found) == 0
    })
}

/// Whether this user's process is at the other side (`SO_PEERCRED`, unix(7)).
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_ours(stream: &UnixStream) -> bool {
    use std::os::fd::AsRawFd as _;
    // Not rustix's: its result has no place for the process number 0, which a peer outside our pid
    // namespace has.
    let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let Ok(mut size) = libc::socklen_t::try_from(size_of::<libc::ucred>()) else { return false };
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // SAFETY: `peer` is as large as `size` says, and both outlive the call.
    let failed = unsafe {
        libc::getsockopt(stream.as_raw_fd(), level, option, (&raw mut peer).cast(), &raw mut size)
    };
    failed == 0 && peer.uid == rustix::process::geteuid().as_raw()
}

/// The folder's mode decides alone here.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_ours(_: &UnixStream) -> bool {
    true
}

/// A connection. Reading and writing do not wait on the side of the listener.
#[derive(Debug)]
pub(crate) struct Connection(UnixStream);

impl Connection {
    /// Connects to a socket. Whoever listens there has `patience` to answer.
    pub(crate) fn to(path: &Path, patience: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        if !is_ours(&stream) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Self(stream))
    }

    /// What can be waited for.
    pub(crate) fn handle(&self) -> Handle<'_> {
        self.0.as_fd()
    }

    /// Reads what is there.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buffer)
    }

    /// Writes what there is room for.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&self.0).write(bytes)
    }

    /// Says that no more will be written.
    pub(crate) fn finish(&self) {
        drop(self.0.shutdown(std::net::Shutdown::Write));
    }
}

/// A name for a folder that holds as long as the folder, whatever path leads to it: its device and inode.
pub(crate) fn folder_identity(folder: &Path) -> io::Result<String> {
    let found = std::fs::metadata(folder)?;
    Ok(format!("{:x}-{:x}", found.dev(), found.ino()))
}

/// Where sockets lie if the environment doesn't say: a folder of this user's in the system's temporary one.
pub(crate) fn default_runtime_folder() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let of_login = PathBuf::from(format!("/run/user/{uid}"));
    if is_private_folder(&of_login) { of_login } else { PathBuf::from(format!("/tmp/vault-{uid}")) }
}
