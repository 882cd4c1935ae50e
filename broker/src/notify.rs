//! Telling the service manager how far the node is, in the words of systemd's `sd_notify`: one datagram a state.
//!
//! Nothing depends on it: a manager that cannot be told is named in the log once, and the node goes on.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
};

/// What the manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The node looks for its cluster, and starts.
    Starting,
    /// It serves clients.
    Ready,
    /// It stops.
    Stopping,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Starting => "STATUS=Starting, or waiting for the other nodes of the cluster",
            State::Ready => "READY=1\nSTATUS=Serving clients",
            State::Stopping => "STOPPING=1\nSTATUS=Handing over what the node leads",
        }
    }
}

/// The service manager that has started this process, if one has.
#[derive(Clone, Debug)]
pub struct Manager(Option<String>);

impl Manager {
    /// The one that listens there: a path, or a name after `@`.
    pub fn at(socket: Option<&str>) -> Self {
        Manager(socket.map(str::to_owned))
    }

    /// Tells it.
    pub fn tell(&self, state: State) {
        if let Some(socket) = &self.0
            && let Err(why) = send(socket, state.text())
        {
            tracing::warn!("the service manager at {socket} cannot be told that the node is {state:?}: {why}");
        }
    }
}

fn send(socket: &str, text: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(text.as_bytes(), &address)
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_of_each_state_and_its_absence_harms_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let node = Manager::at(path.to_str());
        node.tell(State::Ready);
        node.tell(State::Stopping);
        let mut heard = [0; 200];
        for begins in ["READY=1\n", "STOPPING=1\n"] {
            let count = manager.recv(&mut heard).unwrap();
            assert!(heard[..count].starts_with(begins.as_bytes()), "{begins}");
        }
        drop(manager);
        node.tell(State::Ready);
        Manager::at(None).tell(State::Ready);
    }
}
