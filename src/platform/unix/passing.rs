//! Descriptors that go from one process to another over a socket (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// Sends bytes, and a descriptor with them.
pub(super) fn send(link: &UnixStream, told: &[u8], passed: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [passed];
    control.push(SendAncillaryMessage::ScmRights(&passed));
    // A reader that is gone is an error here, and no signal.
    rustix::net::sendmsg(link, &[IoSlice::new(told)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes what was sent: how many bytes of `told` it fills, 0 at the end, and the descriptor.
pub(super) fn receive(link: &UnixStream, told: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = rustix::net::recvmsg(link, &mut [IoSliceMut::new(told)], &mut control, flags)?;
    let passed = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut all) => all.next(),
        _ => None,
    });
    Ok((got.bytes, passed))
}
