//! Which plugins there are, and switching them in the running app.

use link::{Failure, Term};

use super::{Outcome, map};
use crate::{config::Plugins, host::Node, process::Running};

/// All plugins, those that are named in the file, and the file.
pub(super) fn told(node: &Node) -> Term {
    let plugins = node.plugins();
    let running = plugins.enabled();
    let known = Plugins::known().map(|plugin| {
        map([
            ("name", Term::atom(plugin.name)),
            ("description", Term::text(plugin.description)),
            (
                "needs",
                Term::List(plugin.needs.iter().copied().map(Term::atom).collect()),
            ),
            ("running", Term::Bool(running.contains(plugin.name))),
        ])
    });
    map([
        ("known", Term::List(known.collect())),
        ("explicit", names(&plugins.explicit)),
        (
            "file",
            Term::text(node.config().node.enabled_plugins_file.display().to_string()),
        ),
    ])
}

/// Switches them where the app works; answers what was started and stopped.
pub(super) async fn set(app: &Running, explicit: Vec<String>) -> Outcome {
    let unknown = |name| Failure::Refused(format!("{{:plugins_not_found, [:{name}]}}"));
    let plugins = Plugins::of(explicit).map_err(unknown)?;
    let services = app.services.clone();
    let switched = app.handle.spawn(async move { services.switch(plugins).await }).await;
    let refused = |why: anyhow::Error| Failure::Refused(format!("{why:#}"));
    let switched = switched.map_err(|why| refused(why.into()))?.map_err(refused)?;
    Ok(map([
        ("started", names(&switched.started)),
        ("stopped", names(&switched.stopped)),
    ]))
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> Term {
    Term::List(names.into_iter().map(Term::atom).collect())
}
