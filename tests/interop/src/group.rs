//! Child processes with everything they start. Each child leads a process group, so that ending it ends its own
//! children too, and a signal to this program ends all of them. It decides nothing about what the children do.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The groups that are running now, and whether new ones may start.
struct Running {
    groups: Vec<Pid>,
    stopping: bool,
}

static RUNNING: Mutex<Running> = Mutex::new(Running {
    groups: Vec::new(),
    stopping: false,
});

fn running() -> MutexGuard<'static, Running> {
    // A poisoned list of process ids is still a list of process ids.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills every group and lets no other start, so that whoever waits for them comes to an end.
pub(crate) fn kill_all() {
    let mut running = running();
    running.stopping = true;
    for group in running.groups.drain(..) {
        // The group may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// A child and its descendants, killed when dropped.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
    group: Pid,
}

impl Group {
    /// Starts `command` as the leader of a new group.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut running = running();
        if running.stopping {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.process_group(0).spawn()?;
        let group = Pid::from_child(&child);
        running.groups.push(group);
        Ok(Self { child, group })
    }

    /// The child that leads the group.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for the leader's end, at most until `deadline`; `None` if it is still running then.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks the group to end (SIGTERM) and waits for its leader, at most `patience`.
    pub(crate) fn terminate(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        // It may have ended by itself, which the wait below tells.
        let _ = kill_process_group(self.group, Signal::TERM);
        self.wait_until(Instant::now() + patience)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        running().groups.retain(|group| *group != self.group);
        // Both fail only for what has ended already.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}
