//! `rabbitmq-plugins`: which plugins a node has, switched on and off while it runs, or in its file while it does not.
//!
//! What is switched on is worked out here from what is known of the plugins; the node starts and stops what differs.

use crate::client::{self, Client};
use crate::command::{ANY, Command, Output, Plugin, Plugins, Scene, Session, flag};
use crate::commands::VERSION;
use crate::commands::status::{at, items, shown};
use crate::format::{self, Format};
use crate::node::Target;
use crate::options::{Kind, Options, short};
use crate::problem::{DATA, Problem, SOFTWARE, UNAVAILABLE, USAGE};
use crate::run::Tool;
use link::{Failure, Request, Term};
use serde_json::json;
use std::collections::BTreeSet;

const MANAGEMENT: &str = "Plugin Management";
const MONITORING: &str = "Monitoring, observability and health checks";
const CHANGE: &str = "<plugin1> [ <plugin2>] | --all [--offline] [--online]";
const TOOLS: &[Tool] = &[Tool::Plugins];

pub(super) const COMMANDS: &[Command] = &[
    Command::new("directories", never)
        .help(
            "[--offline] [--online]",
            "Displays plugin directory and enabled plugin file paths",
        )
        .with(&[flag("offline"), flag("online")])
        .banner(|target, options, _| match options.flag("offline") {
            true => "Listing plugin directories inferred from local environment...".to_owned(),
            false => format!("Listing plugin directories used by node {}", target.name),
        })
        .by_itself(directories)
        .of(TOOLS)
        .under(MONITORING),
    Command::new("is_enabled", never)
        .help(
            "<plugin1> [ <plugin2>] [--offline] [--online]",
            "Health check that exits with a non-zero code if provided plugins are not enabled on target node",
        )
        .takes(1, ANY)
        .with(&[flag("offline"), flag("online")])
        .banner(asking)
        .by_itself(is_enabled)
        .of(TOOLS)
        .under(MONITORING),
    Command::new("disable", never)
        .help(CHANGE, "Disables one or more plugins")
        .takes(0, ANY)
        .with(&[flag("offline"), flag("online"), flag("all")])
        .checked(names_or_all)
        .banner(|target, options, names| changing("Disabling", target, options, names))
        .by_itself(disable)
        .of(TOOLS)
        .under(MANAGEMENT),
    Command::new("enable", never)
        .help(CHANGE, "Enables one or more plugins")
        .takes(0, ANY)
        .with(&[flag("offline"), flag("online"), flag("all")])
        .checked(names_or_all)
        .banner(|target, options, names| changing("Enabling", target, options, names))
        .by_itself(enable)
        .of(TOOLS)
        .under(MANAGEMENT),
    Command::new("list", never)
        .help(
            "[pattern] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]",
            "Lists plugins and their state",
        )
        .takes(0, 1)
        .with(&[
            short("verbose", 'v', Kind::Flag),
            short("minimal", 'm', Kind::Flag),
            short("enabled", 'E', Kind::Flag),
            short("implicitly-enabled", 'e', Kind::Flag),
        ])
        .checked(|options, _| match options.flag("verbose") && options.flag("minimal") {
            true => Err(Problem::arguments(
                DATA,
                "Bad argument: Cannot set both verbose and minimal",
            )),
            false => Ok(()),
        })
        .banner(|_, _, args| format!("Listing plugins with pattern \"{}\" ...", pattern(args)))
        .by_itself(list)
        .of(TOOLS)
        .under(MANAGEMENT),
    Command::new("set", never)
        .help(
            "<plugin1> [ <plugin2>] [--offline] [--online]",
            "Enables one or more plugins, disables the rest",
        )
        .takes(0, ANY)
        .with(&[flag("offline"), flag("online")])
        .banner(|target, options, names| changing("Enabling", target, options, names))
        .by_itself(set)
        .of(TOOLS)
        .under(MANAGEMENT),
];

/// `Enabling plugins on node …`, with their names.
fn changing(what: &str, target: &Target, options: &Options, names: &[String]) -> String {
    let node = &target.name;
    match options.flag("all") {
        true => format!("{what} ALL plugins on node {node}"),
        false => format!("{what} plugins on node {node}:\n{}", names.join("\n")),
    }
}

/// `Asking node … if plugins … are enabled...`
fn asking(target: &Target, options: &Options, names: &[String]) -> String {
    let (noun, verb) = plural(names.len());
    let (noun, names) = (noun.to_lowercase(), names.join(", "));
    match options.flag("offline") {
        true => format!("Inferring if {noun} {names} {verb} from local environment..."),
        false => format!("Asking node {} if {noun} {names} {verb} enabled...", target.name),
    }
}

/// Which plugins are to be listed.
fn pattern(arguments: &[String]) -> &str {
    arguments.first().map_or(".*", String::as_str)
}

/// These commands are done by themselves and never come to this.
pub(super) fn never(session: &mut Session<'_>) -> Result<Output, Problem> {
    let text = format!("{} looks for the node itself", session.command.name);
    Err(Problem::error(SOFTWARE, text))
}

fn names_or_all(options: &Options, arguments: &[String]) -> Result<(), Problem> {
    match (options.flag("all"), arguments.is_empty()) {
        (false, true) => Err(Problem::arguments(USAGE, "not enough arguments.")),
        (true, false) => {
            let text = "Bad argument: Cannot set both --all and a list of plugins";
            Err(Problem::arguments(DATA, text))
        }
        _ => Ok(()),
    }
}

/// Plugins as a node tells them, or as the file says where no node runs.
struct World {
    plugins: Plugins,
    /// The node, when it is there and its app runs.
    node: Option<Client>,
}

impl World {
    /// Asks the node unless `--offline`; without one the file is looked at, unless `--online`.
    fn look(scene: &Scene<'_>) -> Result<Self, Problem> {
        let at_rest = || -> Result<World, Problem> {
            let plugins = (scene.offline.plugins)().map_err(|why| Problem::error(UNAVAILABLE, why))?;
            Ok(World { plugins, node: None })
        };
        if scene.options.flag("offline") {
            return at_rest();
        }
        match World::of_node(scene) {
            Err(_) if !scene.options.flag("online") => at_rest(),
            world => world,
        }
    }

    fn of_node(scene: &Scene<'_>) -> Result<Self, Problem> {
        let cookie = client::cookie(scene.options.text("erlang-cookie"))?;
        let mut node = Client::connect(scene.target, &cookie)?;
        let told = node.ask(&Request::Plugins, |_| Ok(()))??;
        let plugins = Plugins {
            known: items(&told, "known").iter().map(plugin).collect(),
            explicit: items(&told, "explicit").iter().map(format::text).collect(),
            file: shown(&told, &["file"]),
        };
        Ok(World {
            plugins,
            node: Some(node),
        })
    }

    fn is_known(&self, name: &str) -> bool {
        self.plugins.known.iter().any(|plugin| plugin.name == name)
    }

    /// Those with this name or any that needs it.
    fn with_dependents<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let needs = move |plugin: &&Plugin| plugin.name == name || plugin.needs.iter().any(|need| need == name);
        self.plugins
            .known
            .iter()
            .filter(needs)
            .map(|plugin| plugin.name.as_str())
    }

    /// These and what they bring along.
    fn closure(&self, explicit: &[String]) -> BTreeSet<String> {
        let known = self.plugins.known.iter();
        let brought = known.filter(|plugin| explicit.contains(&plugin.name));
        let brought = brought.flat_map(|plugin| plugin.needs.iter().cloned());
        explicit.iter().cloned().chain(brought).collect()
    }

    /// Puts these into the file, and into effect where a node runs.
    fn change(&mut self, scene: &Scene<'_>, explicit: &[String]) -> Result<Change, Problem> {
        let (before, set) = (self.closure(&self.plugins.explicit), self.closure(explicit));
        let mut change = Change {
            enabled: set.difference(&before).cloned().collect(),
            disabled: before.difference(&set).cloned().collect(),
            set: set.into_iter().collect(),
            started: Vec::new(),
            stopped: Vec::new(),
            is_online: self.node.is_some(),
        };
        match &mut self.node {
            None => {
                let written = (scene.offline.enable_plugins)(explicit);
                written.map_err(|why| Problem::error(UNAVAILABLE, why))?;
            }
            Some(node) => {
                let request = Request::SetPlugins {
                    explicit: explicit.to_vec(),
                };
                let told = node.ask(&request, |_| Ok(()))?.map_err(not_changed)?;
                change.started = items(&told, "started").iter().map(format::text).collect();
                change.stopped = items(&told, "stopped").iter().map(format::text).collect();
            }
        }
        Ok(change)
    }
}

fn not_changed(failure: Failure) -> Problem {
    match failure {
        Failure::Refused(why) => Problem::error(UNAVAILABLE, why),
        other => other.into(),
    }
}

fn plugin(told: &Term) -> Plugin {
    Plugin {
        name: shown(told, &["name"]),
        description: shown(told, &["description"]),
        needs: items(told, "needs").iter().map(format::text).collect(),
        is_running: at(told, &["running"]) == Some(&Term::Bool(true)),
    }
}

/// What became of a change.
struct Change {
    enabled: Vec<String>,
    disabled: Vec<String>,
    set: Vec<String>,
    started: Vec<String>,
    stopped: Vec<String>,
    is_online: bool,
}

impl Change {
    /// What took effect, in RabbitMQ's words.
    fn effect(&self) -> Vec<String> {
        let some =
            |word: &str, names: &[String]| (!names.is_empty()).then(|| format!("{word} {} plugins.", names.len()));
        if !self.is_online {
            return vec![some("set", &self.set).unwrap_or_else(|| "nothing to do".to_owned())];
        }
        let lines: Vec<String> = some("started", &self.started)
            .into_iter()
            .chain(some("stopped", &self.stopped))
            .collect();
        match lines.is_empty() {
            true => vec!["Plugin configuration unchanged.".to_owned()],
            false => lines,
        }
    }

    /// The same with the plugins that changed before it.
    fn effect_on(&self, word: &str, names: &[String]) -> Vec<String> {
        if names.is_empty() {
            return vec!["Plugin configuration unchanged.".to_owned()];
        }
        let mut lines = vec![format!("The following plugins have been {word}:")];
        lines.extend(names.iter().map(|name| format!("  {name}")));
        lines.push(String::new());
        lines.extend(self.effect());
        if !self.is_online {
            lines.push("Offline change; changes will take effect at broker restart.".to_owned());
        }
        lines
    }

    fn as_json(&self, changed: Option<(&str, &[String])>) -> Output {
        let list = |names: &[String]| Term::List(names.iter().map(Term::text).collect());
        let mode = if self.is_online { "online" } else { "offline" };
        let mut pairs: Vec<(&str, Term)> = changed.into_iter().map(|(key, names)| (key, list(names))).collect();
        pairs.extend([("mode", Term::text(mode)), ("set", list(&self.set))]);
        if self.is_online {
            pairs.extend([("started", list(&self.started)), ("stopped", list(&self.stopped))]);
        }
        let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        tell!(
            "[\n{}\n,{}\n]",
            format::json(&list(&self.set)),
            format::json(&Term::Map(pairs))
        );
        Output::Printed
    }
}

fn configured(scene: &Scene<'_>, change: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    match change.set.is_empty() {
        true => lines.push("All plugins have been disabled.".to_owned()),
        false => lines.push("The following plugins have been configured:".to_owned()),
    }
    lines.extend(change.set.iter().map(|name| format!("  {name}")));
    lines.push(format!("Applying plugin configuration to {}...", scene.target.name));
    lines
}

fn told(scene: &Scene<'_>, change: &Change, changed: Option<(&str, &[String])>) -> Output {
    if scene.format == Format::Json {
        return change.as_json(changed);
    }
    let mut lines = configured(scene, change);
    lines.extend(match changed {
        Some((word, names)) => change.effect_on(word, names),
        None => change.effect(),
    });
    Output::Text(lines.join("\n"))
}

fn unknown<'a>(world: &World, names: &'a [String]) -> Vec<&'a str> {
    let names = names.iter().map(String::as_str);
    names.filter(|name| !world.is_known(name)).collect()
}

fn enable(scene: &Scene<'_>) -> Result<Output, Problem> {
    let mut world = World::look(scene)?;
    scene.begin();
    let missing = unknown(&world, scene.arguments);
    if !missing.is_empty() {
        let missing: Vec<String> = missing.iter().map(|name| format!(":{name}")).collect();
        let text = format!("{{:plugins_not_found, [{}]}}", missing.join(", "));
        return Err(Problem::error(SOFTWARE, text));
    }
    let all = world.plugins.known.iter().map(|plugin| plugin.name.clone());
    let mut explicit: BTreeSet<String> = world.plugins.explicit.iter().cloned().collect();
    match scene.options.flag("all") {
        true => explicit.extend(all),
        false => explicit.extend(scene.arguments.iter().cloned()),
    }
    let change = world.change(scene, &explicit.into_iter().collect::<Vec<_>>())?;
    Ok(told(scene, &change, Some(("enabled", &change.enabled))))
}

/// With a plugin go those that need it. What is not there is not enabled either.
fn disable(scene: &Scene<'_>) -> Result<Output, Problem> {
    let mut world = World::look(scene)?;
    scene.begin();
    let gone: BTreeSet<&str> = scene
        .arguments
        .iter()
        .flat_map(|name| world.with_dependents(name))
        .collect();
    let explicit = world.plugins.explicit.iter();
    let kept = explicit.filter(|name| !scene.options.flag("all") && !gone.contains(name.as_str()));
    let kept: Vec<String> = kept.cloned().collect();
    let change = world.change(scene, &kept)?;
    Ok(told(scene, &change, Some(("disabled", &change.disabled))))
}

fn set(scene: &Scene<'_>) -> Result<Output, Problem> {
    let mut world = World::look(scene)?;
    scene.begin();
    let missing = unknown(&world, scene.arguments);
    if !missing.is_empty() {
        let text = format!("The following plugins were not found: {}", missing.join(", "));
        return Err(Problem::error(DATA, text));
    }
    let change = world.change(scene, scene.arguments)?;
    Ok(told(scene, &change, None))
}

fn is_enabled(scene: &Scene<'_>) -> Result<Output, Problem> {
    let node = &scene.target.name;
    let is_offline = scene.options.flag("offline");
    let needs_node = |_| Problem::state("this command requires the target node to be running.");
    let world = match is_offline {
        true => World::look(scene)?,
        false => World::of_node(scene).map_err(needs_node)?,
    };
    let names = scene.arguments.join(", ");
    let (noun, verb) = plural(scene.arguments.len());
    let on_node = if is_offline {
        String::new()
    } else {
        format!(" on node {node}")
    };
    scene.begin();
    let enabled = world.closure(&world.plugins.explicit);
    let missing: Vec<&str> = scene.arguments.iter().map(String::as_str).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|name| !enabled.contains(*name)).collect();
    if missing.is_empty() {
        let text = format!("{noun} {names} {verb} enabled{on_node}");
        let pairs = [("message", text.clone()), ("result", "ok".to_owned())];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), Term::text(value)));
        return Ok(Output::Both(text, Term::Map(pairs.to_vec())));
    }
    let (noun, verb) = plural(missing.len());
    let enabled: Vec<String> = enabled.into_iter().collect();
    Err(Problem::error(
        UNAVAILABLE,
        format!(
            "{noun} {} {verb} not enabled{on_node}. Enabled plugins and dependencies: {}",
            missing.join(", "),
            enabled.join(", ")
        ),
    ))
}

fn plural(count: usize) -> (&'static str, &'static str) {
    match count {
        1 => ("Plugin", "is"),
        _ => ("Plugins", "are"),
    }
}

fn directories(scene: &Scene<'_>) -> Result<Output, Problem> {
    let world = World::look(scene)?;
    scene.begin();
    let none = "none, plugins are part of the broker";
    let file = world.plugins.file;
    let pairs = [
        ("plugins_dist_dir", Term::text(none)),
        ("plugins_expand_dir", Term::text(none)),
        ("enabled_plugins_file", Term::text(&file)),
    ];
    let pairs = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let text =
        format!("Plugin archives directory: {none}\nPlugin expansion directory: {none}\nEnabled plugins file: {file}");
    Ok(Output::Both(text, Term::Map(pairs)))
}

/// A plugin with how it is switched on.
struct Row<'a> {
    plugin: &'a Plugin,
    /// `enabled`, `implicit` or `not_enabled`.
    state: &'static str,
}

fn list(scene: &Scene<'_>) -> Result<Output, Problem> {
    let pattern = pattern(scene.arguments);
    let wanted = regex::Regex::new(pattern);
    let wanted = wanted.map_err(|error| Problem::error(UNAVAILABLE, format!("invalid pattern {pattern}: {error}")))?;
    let world = World::look(scene)?;
    let all = world.closure(&world.plugins.explicit);
    let state = |name: &String| match (world.plugins.explicit.contains(name), all.contains(name)) {
        (true, _) => "enabled",
        (false, true) => "implicit",
        (false, false) => "not_enabled",
    };
    let rows = world
        .plugins
        .known
        .iter()
        .filter(|plugin| wanted.is_match(&plugin.name));
    let rows = rows.map(|plugin| Row {
        plugin,
        state: state(&plugin.name),
    });
    let only = |row: &Row<'_>| match (scene.options.flag("enabled"), scene.options.flag("implicitly-enabled")) {
        (true, _) => row.state == "enabled",
        (false, true) => row.state != "not_enabled",
        (false, false) => true,
    };
    let rows: Vec<Row<'_>> = rows.filter(only).collect();
    match scene.format {
        Format::Json => tell!("{}", as_json(scene, &rows, world.node.is_some())),
        _ => {
            let lines = page(scene, &rows, world.node.is_some());
            lines.iter().for_each(|line| tell!("{line}"));
        }
    }
    Ok(Output::Printed)
}

fn page(scene: &Scene<'_>, rows: &[Row<'_>], has_node: bool) -> Vec<String> {
    let (quiet, minimal) = (scene.options.quiet(), scene.options.flag("minimal"));
    let mut lines = Vec::new();
    if !quiet {
        lines.push(scene.banner.clone());
    }
    if !quiet && !minimal {
        let node = &scene.target.name;
        lines.push(" Configured: E = explicitly enabled; e = implicitly enabled".to_owned());
        lines.push(match has_node {
            true => format!(" | Status: * = running on {node}"),
            false => format!(" | Status: [failed to contact {node} - status not shown]"),
        });
        lines.push(" |/".to_owned());
    }
    let width = rows.iter().map(|row| row.plugin.name.len()).max().unwrap_or(0);
    for Row { plugin, state } in rows {
        let mark = match *state {
            "enabled" => 'E',
            "implicit" => 'e',
            _ => ' ',
        };
        let runs = if plugin.is_running { '*' } else { ' ' };
        let name = &plugin.name;
        match (minimal, scene.options.flag("verbose")) {
            (true, _) => lines.push(name.clone()),
            (false, false) => lines.push(format!("[{mark}{runs}] {name:width$} {VERSION}")),
            (false, true) => lines.extend([
                format!("[{mark}{runs}] {name}"),
                format!("     Version:     \t{VERSION}"),
                format!("     Dependencies:\t[{}]", plugin.needs.join(",")),
                format!("     Description: \t{}", plugin.description),
            ]),
        }
    }
    lines
}

/// What runs has the version that is there; nothing else runs.
fn as_json(scene: &Scene<'_>, rows: &[Row<'_>], has_node: bool) -> serde_json::Value {
    let is_minimal = scene.options.flag("minimal");
    let row = |Row { plugin, state }: &Row<'_>| match is_minimal {
        true => json!({"name": plugin.name}),
        false => json!({"enabled": state, "name": plugin.name, "running": plugin.is_running,
            "running_version": plugin.is_running.then_some(VERSION), "version": VERSION}),
    };
    let format = match (is_minimal, scene.options.flag("verbose")) {
        (true, _) => "minimal",
        (false, true) => "verbose",
        (false, false) => "normal",
    };
    let status = if has_node { "running" } else { "node_down" };
    json!({"format": format, "plugins": rows.iter().map(row).collect::<Vec<_>>(), "status": status})
}
