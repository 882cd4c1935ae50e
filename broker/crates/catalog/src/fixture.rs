//! A small broker for tests: two users, one virtual host, requests written as lines.
//! Every line becomes a request of a client, is decided and applied; the answer comes back as text.

use crate::{
    Answer, Catalog, Client, Command, Conditions, Decision, DeclareExchange, DeclareQueue, Definitions, Event, Request,
    decide,
};
use access::{HashAlgorithm, PasswordHash, PermissionTexts, User, UserLimits};
use model::{ConnectionId, Scope, Table, Value};
use routing::{Binding, Destination};

pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) events: Vec<Event>,
    pub(crate) client: Client,
    generated: u64,
}

pub(crate) fn user(name: &str) -> User {
    let password = PasswordHash::none(HashAlgorithm::Sha256);
    User {
        name: name.parse().unwrap(),
        password,
        tags: vec![],
        limits: UserLimits::default(),
    }
}

pub(crate) fn texts(configure: &str, write: &str, read: &str) -> PermissionTexts {
    PermissionTexts {
        configure: configure.into(),
        write: write.into(),
        read: read.into(),
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let first = Definitions::first("/".parse().unwrap(), user("ann"), texts(".*", ".*", ".*"));
        let client = Client {
            user: "ann".parse().unwrap(),
            vhost: "/".parse().unwrap(),
            connection: ConnectionId(1),
            node: "n@h".into(),
        };
        let mut fixture = Fixture {
            catalog: Catalog::default(),
            events: vec![],
            client,
            generated: 0,
        };
        let commands = first.commands(&fixture.catalog, &fixture.client.node, &fixture.client.user);
        commands.into_iter().for_each(|command| drop(fixture.apply(command)));
        fixture
    }

    pub(crate) fn apply(&mut self, command: Command) -> Answer {
        self.catalog.apply(command, &mut self.events).unwrap()
    }

    pub(crate) fn on_connection(&mut self, connection: u64) -> &mut Self {
        self.client.connection = ConnectionId(connection);
        self
    }

    /// Gives bob these permissions and lets him ask from now on.
    pub(crate) fn as_bob(&mut self, configure: &str, write: &str, read: &str) -> &mut Self {
        self.apply(Command::PutUser(user("bob")));
        let (vhost, user) = (self.client.vhost.clone(), "bob".parse().unwrap());
        self.apply(Command::SetPermissions {
            vhost,
            user,
            permissions: texts(configure, write, read),
        });
        self.client.user = "bob".parse().unwrap();
        self
    }

    /// `ok`, `created`, `absent`, `conditions` or the refusal with its scope.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.generated += 1;
        let request = request(line, self.generated);
        let decision = match decide(&self.catalog, &self.client, request) {
            Ok(decision) => decision,
            Err(refusal) => {
                let scope = if refusal.scope == Scope::Channel { "CH" } else { "CONN" };
                return format!("{scope} {refusal}");
            }
        };
        let answer = match decision {
            Decision::Unchanged(answer) => answer,
            // What was decided on this very snapshot must be accepted.
            Decision::Commit(command) => self.apply(command),
            Decision::CommitIf(..) => return "conditions".into(),
        };
        match answer {
            Answer::Created | Answer::Queue { created: true, .. } => "created".into(),
            Answer::Done | Answer::Queue { created: false, .. } => "ok".into(),
            Answer::Absent => "absent".into(),
            Answer::Mirrors(_) => unreachable!("no client proposes mirrors"),
        }
    }

    /// Asks line by line and compares: `request => answer`.
    pub(crate) fn check(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (question, expected) = line.split_once(" => ").unwrap_or((line, "created"));
            assert_eq!(self.ask(question), expected, "{question}");
        }
    }
}

/// `VERB NAME [word…]`; a word is a flag or an argument `key=value`, where digits make a number. A name written `''` is
/// the empty one.
pub(crate) fn request(line: &str, generated: u64) -> Request {
    let words: Vec<&str> = line
        .split(' ')
        .map(|word| if word == "''" { "" } else { word })
        .collect();
    let has = |flag: &str| words[2..].contains(&flag);
    match words[0] {
        "queue" => Request::DeclareQueue(DeclareQueue {
            name: words[1].parse().unwrap(),
            generated: format!("amq.gen-{generated}").parse().unwrap(),
            passive: has("passive"),
            durable: has("durable"),
            exclusive: has("exclusive"),
            auto_delete: has("auto_delete"),
            arguments: arguments(&words[2..]),
        }),
        "exchange" => Request::DeclareExchange(DeclareExchange {
            name: words[1].parse().unwrap(),
            kind: words[2].into(),
            passive: has("passive"),
            durable: has("durable"),
            auto_delete: has("auto_delete"),
            internal: has("internal"),
            arguments: arguments(&words[3..]),
        }),
        "delete-queue" => Request::DeleteQueue {
            name: words[1].parse().unwrap(),
            conditions: Conditions {
                if_unused: has("if_unused"),
                if_empty: has("if_empty"),
            },
        },
        "delete-exchange" => Request::DeleteExchange {
            name: words[1].parse().unwrap(),
            if_unused: has("if_unused"),
        },
        "bind" => Request::Bind(binding(&words)),
        "unbind" => Request::Unbind(binding(&words)),
        other => panic!("{other}"),
    }
}

/// `VERB SOURCE q:NAME|x:NAME KEY [key=value…]`
fn binding(words: &[&str]) -> Binding {
    let destination = match words[2].split_once(':').unwrap() {
        ("q", name) => Destination::Queue(name.parse().unwrap()),
        (_, name) => Destination::Exchange(name.parse().unwrap()),
    };
    Binding::new(
        words[1].parse().unwrap(),
        destination,
        words[3].as_bytes(),
        arguments(&words[4..]),
    )
}

fn arguments(words: &[&str]) -> Table {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    let value = |text: &str| match (text.parse::<i32>(), text.parse::<bool>()) {
        (Ok(number), _) => Value::I32(number),
        (_, Ok(on)) => Value::Bool(on),
        _ => Value::from(text),
    };
    Table(pairs.map(|(key, text)| (key.to_owned(), value(text))).collect())
}
