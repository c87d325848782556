//! A Unix socket that is listened on: its file has its rights before anybody sees it, and goes with its owner.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use shared::config::GatewaySettings;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// A listening Unix socket.
#[derive(Debug)]
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    /// Its file, if it was made here.
    file: Option<SocketFile>,
}

/// A socket's file, removed when dropped unless another process has put its own there.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl UnixSocket {
    /// Binds a path. The file of a process that is gone is replaced; that of one which listens only with
    /// `gateway.reuse_port`: from then on, new connections come here.
    pub(super) fn bind(path: &Path, settings: &GatewaySettings) -> io::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "a file that is no socket is there",
                ));
            }
            Ok(_) if !settings.reuse_port && std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            _ => {}
        }
        let made = path.with_extension(format!("{}.new", std::process::id()));
        let _ = std::fs::remove_file(&made);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(&made)?)?;
        let ready = std::fs::set_permissions(&made, Permissions::from_mode(settings.socket_mode))
            .and_then(|()| socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX)))
            .and_then(|()| socket.set_nonblocking(true))
            .and_then(|()| std::fs::metadata(&made))
            .and_then(|found| std::fs::rename(&made, path).map(|()| (found.dev(), found.ino())));
        let inode = ready.inspect_err(|_| {
            let _ = std::fs::remove_file(&made);
        })?;
        let file = Some(SocketFile { path: path.to_owned(), inode });
        Ok(Self { listener: UnixListener::from_std(socket.into())?, file })
    }

    /// One that somebody else has bound.
    pub(super) fn handed_over(socket: Socket) -> io::Result<Self> {
        Ok(Self { listener: UnixListener::from_std(socket.into())?, file: None })
    }

    /// As in `gateway.listen`.
    pub(super) fn name(&self) -> String {
        let own = self.file.as_ref().map(|file| file.path.clone());
        let path = own.or_else(|| Some(self.listener.local_addr().ok()?.as_pathname()?.to_owned()));
        format!("unix:{}", path.unwrap_or_default().display())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
