//! Who does what is done: told in events as `user_who_performed_action`.
//!
//! Clients of the management API and tools work through many rooms that need not know who they are; their name travels with the
//! task. It decides nothing: what a user may do is judged elsewhere.

use model::UserName;
use std::sync::OnceLock;

/// Who acts where nobody is named: the node itself.
pub const INTERNAL: &str = "rmq-internal";
/// Who acts for the command line.
const CLI: &str = "rmq-cli";

tokio::task_local! {
    static ACTOR: OnceLock<UserName>;
}

/// Does work in the name of somebody who is named on the way, if anybody is.
pub async fn acting<F: Future>(work: F) -> F::Output {
    ACTOR.scope(OnceLock::new(), work).await
}

/// Whoever has asked for this work has proved to be this user.
pub fn acts(user: &UserName) {
    // Outside such work nobody asks for the name, and within it the first counts.
    let _ = ACTOR.try_with(|actor| actor.set(user.clone()));
}

/// Does work for the command line.
pub fn acting_for_cli<R>(work: impl FnOnce() -> R) -> R {
    ACTOR.sync_scope(OnceLock::from(named(CLI)), work)
}

/// In whose name this is done.
pub(in crate::host) fn actor() -> UserName {
    let actor = ACTOR.try_with(|actor| actor.get().cloned());
    actor.ok().flatten().unwrap_or_else(internal)
}

/// The node itself.
pub(super) fn internal() -> UserName {
    named(INTERNAL)
}

fn named(name: &str) -> UserName {
    name.parse().expect("a short name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_the_name_of_whoever_has_proved_it_and_in_the_nodes_own_before() {
        let work = acting(async {
            let before = actor().to_string();
            acts(&named("u"));
            let cli = acting_for_cli(actor).to_string();
            [before, cli, actor().to_string()]
        });
        assert_eq!(work.await, [INTERNAL, CLI, "u"]);
        acts(&named("u"));
        assert_eq!(actor().to_string(), INTERNAL);
    }
}
