//! The configuration of a node that runs, read again: on SIGHUP from its files, or from the text that the operator hands over on the admin
//! port, which is what the mounted file will say when the kubelet has brought it.
//!
//! Nothing is taken over from a configuration of which anything is wrong. What may change while a node runs is the table of keys' to say.

use parking_lot::Mutex;
use std::{fmt, path::Path, sync::Arc};

use crate::config::{self, Environment, Instead, Loaded, Problems, Renewed, ServerArgs};

/// Why a text is not taken for the node's configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The node was started without a file of its own choice, so nothing says which file the text stands for.
    #[error("the node was not started with --config, so no one file is its configuration")]
    NoFile,
    /// What is wrong with it.
    #[error("{0}")]
    Wrong(Problems),
}

/// What holds, and where it came from.
pub struct Renewal {
    args: ServerArgs,
    world: Box<dyn Environment + Send + Sync>,
    holds: Mutex<Holds>,
}

struct Holds {
    running: Loaded,
    word: Option<String>,
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal")
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

impl Renewal {
    /// Of a node that was started with these flags in this world.
    pub fn new(args: ServerArgs, world: impl Environment + Send + Sync + 'static, running: Loaded) -> Arc<Self> {
        Arc::new(Renewal {
            args,
            world: Box::new(world),
            holds: Mutex::new(Holds { running, word: None }),
        })
    }

    /// What the files say from now on.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn take_files(&self) -> Result<Renewed, Problems> {
        let fresh = config::load(&self.args, &*self.world)?;
        Ok(self.holds.lock().running.renew(&fresh))
    }

    /// What this text says from now on, in the place of the node's file; it is known by this word.
    ///
    /// # Errors
    /// It cannot be used, and nothing has changed.
    pub fn take_text(&self, text: &str, word: &str) -> Result<Renewed, Unusable> {
        let fresh = self.read(text)?;
        let mut holds = self.holds.lock();
        holds.word = Some(word.to_owned());
        Ok(holds.running.renew(&fresh))
    }

    /// What would come of it.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn judge(&self, text: &str) -> Result<Renewed, Unusable> {
        let fresh = self.read(text)?;
        let mut running = self.holds.lock().running.clone();
        Ok(running.renew(&fresh))
    }

    /// The word of the text that was taken over last; none if none was since the process began.
    pub fn word(&self) -> Option<String> {
        self.holds.lock().word.clone()
    }

    fn read(&self, text: &str) -> Result<Loaded, Unusable> {
        let path: &Path = self.args.config.as_deref().ok_or(Unusable::NoFile)?;
        let world = Instead {
            world: &*self.world,
            path,
            text,
        };
        config::load(&self.args, &world).map_err(Unusable::Wrong)
    }
}

/// What has come of it, in the log.
pub fn tell(renewed: &Renewed) {
    let names = |keys: &[String]| keys.join(", ");
    match renewed.in_force.as_slice() {
        [] => tracing::info!("no setting that may change while the node runs has changed"),
        keys => tracing::info!("changed settings are in force: {}", names(keys)),
    }
    if !renewed.waiting.is_empty() {
        let keys = names(&renewed.waiting);
        tracing::warn!("changed settings wait for the next start of the node: {keys}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fixed;

    const FILE: &str = "/etc/rabbitmq/rabbitmq.conf";

    fn started(text: &str) -> Arc<Renewal> {
        let args = ServerArgs {
            config: Some(FILE.into()),
            ..ServerArgs::default()
        };
        let world = Fixed::new().file(FILE, text);
        let running = config::load(&args, &world).unwrap();
        Renewal::new(args, world, running)
    }

    #[test]
    fn a_text_holds_in_the_place_of_the_file_until_that_is_read_again() {
        let renewal = started("heartbeat = 30");
        let judged = renewal.judge("heartbeat = 20\nnet_ticktime = 7").unwrap();
        assert_eq!(
            (judged.in_force, judged.waiting),
            (vec!["heartbeat".into()], vec!["net_ticktime".into()])
        );
        assert_eq!(renewal.word(), None, "judged is not taken over");
        let taken = renewal.take_text("heartbeat = 20", "w1").unwrap();
        assert_eq!(
            (taken.config.amqp.heartbeat_s, renewal.word().as_deref()),
            (20, Some("w1"))
        );
        assert_eq!(
            renewal.take_text("heartbeat = 20", "w1").unwrap().in_force,
            Vec::<String>::new()
        );
        let again = renewal.take_files().unwrap();
        assert_eq!(again.config.amqp.heartbeat_s, 30);
    }

    #[test]
    fn a_text_of_which_anything_is_wrong_changes_nothing() {
        let renewal = started("heartbeat = 30");
        let wrong = renewal
            .take_text("consumer_timeout = 5000\nheartbeat = often", "w1")
            .unwrap_err();
        assert!(wrong.to_string().contains("heartbeat = often"), "{wrong}");
        assert_eq!(renewal.word(), None);
        let unchanged = renewal.take_text("heartbeat = 30", "w2").unwrap();
        assert_eq!(
            unchanged.in_force,
            Vec::<String>::new(),
            "the timeout was not taken over either"
        );
    }

    #[test]
    fn a_node_whose_files_are_found_by_search_takes_no_text() {
        let world = Fixed::new();
        let args = ServerArgs::default();
        let running = config::load(&args, &world).unwrap();
        let renewal = Renewal::new(args, world, running);
        assert_eq!(renewal.take_text("", "w").unwrap_err(), Unusable::NoFile);
    }
}
