//! What a command is: name, usage, help, arguments, columns and what it does. One value per command.
//!
//! Nothing here runs; `run` does, with what is said here.

use crate::client::Client;
use crate::format::Format;
use crate::node::Target;
use crate::options::{Kind, Options, Switch, switch};
use crate::problem::{Problem, TIMEOUT};
use crate::run::Tool;
use link::{Cookie, Failure, Request, Term};

/// What a command works with.
pub(crate) struct Session<'a> {
    pub(crate) client: &'a mut Client,
    pub(crate) target: &'a Target,
    pub(crate) options: &'a Options,
    /// Arguments after the command's name.
    pub(crate) arguments: &'a [String],
    pub(crate) command: &'static Command,
    pub(crate) cookie_hash: String,
}

impl Session<'_> {
    /// The argument at this place, which was counted before.
    pub(crate) fn argument(&self, place: usize) -> String {
        self.arguments.get(place).cloned().unwrap_or_default()
    }

    /// The virtual host.
    pub(crate) fn vhost(&self) -> String {
        self.options.vhost().to_owned()
    }

    /// Asks the node for something that is no list.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Term, Problem> {
        self.ask_or(request, Problem::from)
    }

    /// As `ask`, with words of its own for the node's failures.
    pub(crate) fn ask_or(
        &mut self,
        request: &Request,
        words: impl FnOnce(Failure) -> Problem,
    ) -> Result<Term, Problem> {
        let answer = self.client.ask(request, |_| Ok(()));
        answer.map_err(|problem| self.timed_out(problem))?.map_err(words)
    }

    /// Asks for a list.
    pub(crate) fn list(
        &mut self,
        request: &Request,
        each: impl FnMut(Vec<Term>) -> Result<(), Problem>,
    ) -> Result<Result<Term, Failure>, Problem> {
        let answer = self.client.ask(request, each);
        answer.map_err(|problem| self.timed_out(problem))
    }

    /// A timeout names command, node and the value that was used.
    fn timed_out(&self, problem: Problem) -> Problem {
        match problem.exit {
            TIMEOUT => timeout(self.command, self.target, self.options),
            _ => problem,
        }
    }
}

/// What is said of an operation that took too long.
pub(crate) fn timeout(command: &Command, target: &Target, options: &Options) -> Problem {
    let value = options.number("timeout").or(command.timeout).unwrap_or_default();
    let text = format!(
        "Error: operation {} on node {} timed out. Timeout value used: {value}",
        command.name, target.name
    );
    Problem::plain(TIMEOUT, text)
}

/// What is to be told, or exit code and complaint.
pub type Told = Result<String, (u8, String)>;

/// What is done to the files of a node that does not run: by the server's code, which this crate does not know.
#[derive(Clone, Copy, Debug)]
pub struct Offline {
    /// Gives the node another name: its old and its new one.
    pub rename: fn(from: &str, to: &str) -> Told,
    /// Who belongs to its cluster.
    pub members: fn() -> Result<Members, (u8, String)>,
    /// Has its next start remove another node from the cluster, and go on without the rest.
    pub forget: fn(name: &str) -> Told,
    /// The plugins that there are, with what the file says of them.
    pub plugins: fn() -> Result<Plugins, String>,
    /// Writes the file of enabled plugins.
    pub enable_plugins: fn(explicit: &[String]) -> Result<(), String>,
}

/// Who belongs to the cluster of a node that does not run, as far as it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The node itself.
    pub own: String,
    /// It may decide.
    pub is_disc: bool,
    /// All, by name.
    pub all: Vec<String>,
}

/// The plugins of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugins {
    /// All that there are, in order of name.
    pub known: Vec<Plugin>,
    /// Those that the file names.
    pub explicit: Vec<String>,
    /// The file.
    pub file: String,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// What it is, in a few words.
    pub description: String,
    /// The plugins that it brings along.
    pub needs: Vec<String>,
    /// Whether it runs.
    pub is_running: bool,
}

/// What a command shows when it is done.
pub(crate) enum Output {
    /// Nothing.
    Nothing,
    /// A sentence.
    Text(String),
    /// A sentence, and as JSON these values instead.
    Both(String, Term),
    /// These values, and for people a text.
    Values(String, Term),
    /// One value, which JSON shows in an object with the node.
    Value {
        /// For people.
        text: String,
        /// The value.
        term: Term,
    },
    /// The same in each format that differs.
    Formats {
        /// For people.
        text: String,
        /// For machines.
        json: Term,
        /// For Erlang's tools.
        erlang: String,
    },
    /// Rows were printed already.
    Printed,
}

/// What a command works with that finds out for itself whether there is a node to ask.
pub(crate) struct Scene<'a> {
    pub(crate) offline: &'a Offline,
    pub(crate) target: &'a Target,
    pub(crate) options: &'a Options,
    /// Arguments after the command's name.
    pub(crate) arguments: &'a [String],
    pub(crate) format: Format,
    /// The command's informational line.
    pub(crate) banner: String,
}

impl Scene<'_> {
    /// Says what is going to happen, unless that is not wanted.
    pub(crate) fn begin(&self) {
        if !self.banner.is_empty() && !self.options.quiet() && !self.format.is_for_machines() {
            tell!("{}", self.banner);
        }
    }
}

/// What such a command does.
pub(crate) type ByItself = fn(&Scene<'_>) -> Result<Output, Problem>;
/// What an offline command does with its arguments.
pub(crate) type OfflineRun = fn(&Offline, &[String]) -> Result<Output, Problem>;
/// What a command does without a connection: node, secret, options and arguments are given; nothing means that the
/// node does it.
pub(crate) type Alone = fn(&Target, &Cookie, &Options, &[String]) -> Result<Option<Output>, Problem>;

/// In which state of the node's app a command makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// It runs.
    Running,
    /// It is stopped, and the process is there.
    Stopped,
    /// Either; or the command looks itself.
    Either,
}

/// A command of one or more tools.
#[derive(Clone, Copy)]
pub(crate) struct Command {
    /// Name.
    pub(crate) name: &'static str,
    /// What stands after the name in usage lines.
    pub(crate) usage: &'static str,
    /// One sentence.
    pub(crate) help: &'static str,
    /// Under which heading the help lists it.
    pub(crate) section: &'static str,
    /// The tools that have it.
    pub(crate) tools: &'static [Tool],
    /// Fewest and most arguments.
    pub(crate) counts: (usize, usize),
    /// Options of its own.
    pub(crate) switches: &'static [Switch],
    /// Columns that may be asked for, with the number of those that are shown unasked; they come first.
    pub(crate) columns: Option<(&'static [&'static str], usize)>,
    /// Seconds that it may take, unless said otherwise.
    pub(crate) timeout: Option<i64>,
    /// What the node's app must do meanwhile.
    pub(crate) app: App,
    /// Done before anything is connected to; a command that is done by it needs no node.
    pub(crate) alone: Option<Alone>,
    /// What is wrong with the arguments, if anything.
    pub(crate) check: fn(&Options, &[String]) -> Result<(), Problem>,
    /// Informational lines before it begins.
    pub(crate) banner: fn(&Target, &Options, &[String]) -> String,
    /// Does it to the files of a node that does not run, instead of `run`.
    pub(crate) offline: Option<OfflineRun>,
    /// Does it with or without a node, instead of `run`.
    pub(crate) by_itself: Option<ByItself>,
    /// The option without which that is not done.
    pub(crate) by_itself_with: Option<&'static str>,
    /// Does it.
    pub(crate) run: fn(&mut Session<'_>) -> Result<Output, Problem>,
}

/// Most arguments of a command that takes any number.
pub(crate) const ANY: usize = usize::MAX;

impl Command {
    /// A command without arguments; the rest is said by the methods below.
    pub(crate) const fn new(name: &'static str, run: fn(&mut Session<'_>) -> Result<Output, Problem>) -> Self {
        Command {
            name,
            usage: "",
            help: "",
            section: "",
            tools: &[Tool::Ctl],
            counts: (0, 0),
            switches: &[],
            columns: None,
            timeout: None,
            app: App::Running,
            alone: None,
            check: |_, _| Ok(()),
            banner: |_, _, _| String::new(),
            offline: None,
            by_itself: None,
            by_itself_with: None,
            run,
        }
    }

    /// Usage and one sentence of help.
    pub(crate) const fn help(mut self, usage: &'static str, help: &'static str) -> Self {
        self.usage = usage;
        self.help = help;
        self
    }

    /// How many arguments it takes.
    pub(crate) const fn takes(mut self, fewest: usize, most: usize) -> Self {
        self.counts = (fewest, most);
        self
    }

    /// Options of its own.
    pub(crate) const fn with(mut self, switches: &'static [Switch]) -> Self {
        self.switches = switches;
        self
    }

    /// Columns, of which the first `shown` are the default.
    pub(crate) const fn columns(mut self, columns: &'static [&'static str], shown: usize) -> Self {
        self.columns = Some((columns, shown));
        self.counts = (0, ANY);
        self.timeout = Some(60);
        self
    }

    /// Informational lines.
    pub(crate) const fn banner(mut self, banner: fn(&Target, &Options, &[String]) -> String) -> Self {
        self.banner = banner;
        self
    }

    /// A check of the arguments.
    pub(crate) const fn checked(mut self, check: fn(&Options, &[String]) -> Result<(), Problem>) -> Self {
        self.check = check;
        self
    }

    /// It works on the files of a node that does not run.
    pub(crate) const fn offline(mut self, run: OfflineRun) -> Self {
        self.offline = Some(run);
        self
    }

    /// In which state of the app it makes sense; most need a running one.
    pub(crate) const fn app(mut self, app: App) -> Self {
        self.app = app;
        self
    }

    /// What it does without a connection.
    pub(crate) const fn alone(mut self, alone: Alone) -> Self {
        self.alone = Some(alone);
        self
    }

    /// `rabbitmqctl` and `rabbitmq-diagnostics` have it.
    pub(crate) const fn in_both(self) -> Self {
        self.of(&[Tool::Ctl, Tool::Diagnostics])
    }

    /// Only `rabbitmq-diagnostics` has it.
    pub(crate) const fn in_diagnostics(self) -> Self {
        self.of(&[Tool::Diagnostics])
    }

    /// The tools that have it; `rabbitmqctl` alone unless said.
    pub(crate) const fn of(mut self, tools: &'static [Tool]) -> Self {
        self.tools = tools;
        self
    }

    /// With this option it finds out for itself whether there is a node to ask.
    pub(crate) const fn by_itself_with(mut self, option: &'static str, run: ByItself) -> Self {
        self.by_itself_with = Some(option);
        self.by_itself(run)
    }

    /// It finds out for itself whether there is a node to ask.
    pub(crate) const fn by_itself(mut self, run: ByItself) -> Self {
        self.by_itself = Some(run);
        self
    }

    /// Seconds that it may take, unless said otherwise.
    pub(crate) const fn within(mut self, seconds: i64) -> Self {
        self.timeout = Some(seconds);
        self
    }

    /// Under which heading the help lists it.
    pub(crate) const fn under(mut self, section: &'static str) -> Self {
        self.section = section;
        self
    }
}

/// Separate columns come as arguments, split at commas and spaces.
pub(crate) fn asked_columns(arguments: &[String]) -> Vec<String> {
    let words = arguments.iter().flat_map(|argument| argument.split([',', ' ']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// `--limit` and the like.
pub(crate) const fn number(name: &'static str) -> Switch {
    switch(name, Kind::Number)
}

/// `--description` and the like.
pub(crate) const fn text(name: &'static str) -> Switch {
    switch(name, Kind::Text)
}

/// `--global` and the like.
pub(crate) const fn flag(name: &'static str) -> Switch {
    switch(name, Kind::Flag)
}
