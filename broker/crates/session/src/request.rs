//! Questions that a connection asks its node and the answers it gets: the control plane.
//!
//! While a question is open no further octet of this connection is looked at, so order is kept by itself.

use model::{ExchangeName, Generation, QueueName, Refusal, Table};

use crate::credentials::Credentials;

/// A question to the node.
#[derive(Debug)]
pub enum Ask {
    /// Who is this? Answer: `LoggedIn` or `LoginFailed`.
    LogIn {
        /// How it was proven: one of the mechanisms offered.
        mechanism: String,
        /// What the client proved with.
        credentials: Credentials,
        /// The client's self-description.
        client_properties: Table,
    },
    /// May the connection work in this virtual host? Answer: `Done` or `Refused`.
    EnterVhost(String),
    /// A new secret for the logged-in user. Answer: `Done` or `Refused`.
    UpdateSecret(Vec<u8>),
    /// Something on a channel.
    Channel(u16, Request),
    /// When is all that this connection has published safe? Answer: `Done`, as soon as it is, or `Refused` where another
    /// node has refused some of it.
    AwaitSafe,
    /// What follows relies on this state of the catalogue. Answer: `Done`, as soon as the node has it.
    CatchUp(Generation),
    /// Give back what a channel or the connection holds. Answer: `Done`.
    Release(Release),
}

/// What is to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Consumers and unacknowledged deliveries of one channel.
    Channel(u16),
    /// All channels and the exclusive queues.
    Connection,
}

/// A question on a channel.
#[derive(Clone, Debug)]
pub enum Request {
    /// The channel opens. Answer: `Done` or `Refused`.
    OpenChannel,
    /// `exchange.declare`. Answer: `Done` or `Refused`.
    DeclareExchange(DeclareExchange),
    /// `exchange.delete`. Answer: `Done` or `Refused`.
    DeleteExchange {
        /// Which.
        name: ExchangeName,
        /// Refuse while it has outgoing bindings.
        if_unused: bool,
    },
    /// `exchange.bind`. Answer: `Done` or `Refused`.
    BindExchange(ExchangeEnds),
    /// `exchange.unbind`. Answer: `Done` or `Refused`.
    UnbindExchange(ExchangeEnds),
    /// `queue.declare`. Answer: `Queue` or `Refused`.
    DeclareQueue(DeclareQueue),
    /// `queue.delete`. Answer: `Count` of ready messages, or `Refused`.
    DeleteQueue {
        /// Which.
        name: QueueName,
        /// Refuse while it has consumers.
        if_unused: bool,
        /// Refuse while it has ready messages.
        if_empty: bool,
    },
    /// `queue.bind`. Answer: `Done` or `Refused`.
    BindQueue(QueueBinding),
    /// `queue.unbind`. Answer: `Done` or `Refused`.
    UnbindQueue(QueueBinding),
    /// `queue.purge`. Answer: `Count` or `Refused`.
    PurgeQueue(QueueName),
    /// `basic.consume`. Answer: `Consuming` (the node has written consume-ok itself, before the first
    /// delivery, unless nowait) or `Refused`.
    Consume(ConsumeRequest),
    /// `basic.cancel`. Answer: `Done`, also for an unknown tag.
    Cancel(String),
    /// `basic.get`. Answer: `Written` (the node has written get-ok), `Empty` or `Refused`.
    Get {
        /// From which queue.
        queue: QueueName,
        /// Settled by delivery.
        no_ack: bool,
    },
    /// `basic.recover`: all unacknowledged deliveries of the channel go back. Answer: `Done`.
    Recover,
    /// `basic.qos` with the global flag: one limit for the channel, 0 = none. Answer: `Done`.
    ChannelPrefetch(u16),
}

/// `exchange.declare`.
#[derive(Clone, Debug)]
pub struct DeclareExchange {
    /// Name.
    pub name: ExchangeName,
    /// Type as sent.
    pub kind: String,
    /// Only look.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Closed to publishers.
    pub internal: bool,
    /// Arguments.
    pub arguments: Table,
}

/// `queue.declare`.
#[derive(Clone, Debug)]
pub struct DeclareQueue {
    /// Name; `None` asks for one of the node's making.
    pub name: Option<QueueName>,
    /// Only look.
    pub passive: bool,
    /// Survives a restart.
    pub durable: bool,
    /// For this connection alone.
    pub exclusive: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Arguments.
    pub arguments: Table,
}

/// Both ends of an exchange-to-exchange binding.
#[derive(Clone, Debug)]
pub struct ExchangeEnds {
    /// Where messages come from.
    pub source: ExchangeName,
    /// Where they go.
    pub destination: ExchangeName,
    /// Binding key.
    pub key: String,
    /// Arguments.
    pub arguments: Table,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug)]
pub struct QueueBinding {
    /// Where messages go.
    pub queue: QueueName,
    /// Where they come from.
    pub exchange: ExchangeName,
    /// Binding key.
    pub key: String,
    /// Arguments.
    pub arguments: Table,
}

/// `basic.consume`.
#[derive(Clone, Debug)]
pub struct ConsumeRequest {
    /// From which queue.
    pub queue: QueueName,
    /// Consumer tag; `None` asks for one of the node's making.
    pub tag: Option<String>,
    /// Settled by delivery.
    pub no_ack: bool,
    /// Nobody else may consume.
    pub exclusive: bool,
    /// Write no consume-ok.
    pub nowait: bool,
    /// Unacknowledged deliveries at most, 0 = no limit.
    pub prefetch: u16,
    /// Consumer arguments.
    pub arguments: Table,
}

/// What the node says about a log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginOutcome {
    /// User name.
    pub user: String,
    /// May set `user_id` to another's name.
    pub impersonator: bool,
}

/// The node's answer.
#[derive(Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not done.
    Refused(Refusal),
    /// Log-in accepted.
    LoggedIn(LoginOutcome),
    /// Log-in refused; the reason is for the log only.
    LoginFailed {
        /// Why, for the log.
        reason: String,
    },
    /// A queue as declared.
    Queue {
        /// Its name.
        name: QueueName,
        /// Ready messages.
        ready: u32,
        /// Consumers.
        consumers: u32,
    },
    /// Messages purged or deleted.
    Count(u32),
    /// The consumer exists under this tag.
    Consuming(String),
    /// The consumer of direct replies exists under this tag; replies are sent to this name.
    ReplyConsumer {
        /// Consumer tag.
        tag: String,
        /// `amq.rabbitmq.reply-to.…`
        address: String,
    },
    /// The reply has been written by the node.
    Written,
    /// Nothing to get.
    Empty,
}
