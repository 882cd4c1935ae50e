//! What goes back to the client once the node has answered: one reply method per question.
//!
//! `nowait` silences success only; a refusal still closes, as in RabbitMQ.

use model::{QueueName, Refusal};
use wire::{AMQPClass, basic, channel, connection, exchange, queue, tx};

use crate::{Answer, Connection, Host, Step, channel::Stage as ChannelStage, close, connection::Progress};

/// The question that is open.
#[derive(Debug)]
pub(crate) enum Pending {
    LogIn {
        mechanism: String,
    },
    EnterVhost,
    UpdateSecret,
    OpenChannel(u16),
    /// A method on a channel, named for error frames.
    Method {
        channel: u16,
        method: (u16, u16),
        reply: Reply,
    },
    /// The client closes a channel.
    CloseChannel(u16),
    /// The client closes the connection.
    CloseConnection,
    /// We close the connection.
    Fail {
        refusal: Refusal,
        method: (u16, u16),
        deaf: bool,
    },
    /// Nothing more to say.
    Nothing,
}

/// How success is told.
#[derive(Debug)]
pub(crate) enum Reply {
    /// `nowait`, or a method without a reply.
    Silent,
    ExchangeDeclared,
    ExchangeDeleted,
    ExchangeBound,
    ExchangeUnbound,
    QueueDeclared {
        nowait: bool,
    },
    QueueBound,
    QueueUnbound,
    QueuePurged,
    QueueDeleted,
    Consuming,
    Cancelled(String),
    Got,
    Recovered,
    Limited,
    Committed,
}

pub(crate) fn write_connection_close_ok(out: &mut Vec<u8>) {
    let ok = connection::AMQPMethod::CloseOk(connection::CloseOk {});
    wire::method(out, 0, AMQPClass::Connection(ok));
}

pub(crate) fn write_blocked(out: &mut Vec<u8>, reason: &str) {
    let blocked = connection::AMQPMethod::Blocked(connection::Blocked { reason: reason.into() });
    wire::method(out, 0, AMQPClass::Connection(blocked));
}

pub(crate) fn write_unblocked(out: &mut Vec<u8>) {
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    wire::method(out, 0, AMQPClass::Connection(unblocked));
}

pub(crate) fn write_channel(out: &mut Vec<u8>, number: u16, method: channel::AMQPMethod) {
    wire::method(out, number, AMQPClass::Channel(method));
}

impl Connection {
    pub(crate) fn on_answer<H: Host>(&mut self, pending: Pending, answer: Answer, host: &mut H) -> Progress {
        match pending {
            Pending::LogIn { mechanism } => self.on_login_answer(&mechanism, answer, host),
            Pending::EnterVhost => self.on_vhost_answer(answer, host),
            Pending::UpdateSecret => self.on_secret_answer(answer, host),
            Pending::OpenChannel(number) => self.on_channel_answer(number, answer, host),
            Pending::Method { channel, method, reply } => match answer {
                Answer::Refused(refusal) => self.refuse(channel, refusal, method, host),
                answer => {
                    self.write_reply(channel, reply, answer, host);
                    Progress::Next
                }
            },
            Pending::CloseChannel(number) => {
                self.channels.remove(&number);
                write_channel(host.out(), number, channel::AMQPMethod::CloseOk(channel::CloseOk {}));
                Progress::Next
            }
            Pending::CloseConnection => {
                write_connection_close_ok(host.out());
                Progress::Stop(self.await_end())
            }
            Pending::Fail { refusal, method, deaf } => {
                close::write_connection_close(host.out(), &refusal, method);
                let patience = if deaf {
                    close::SILENCE
                } else {
                    close::patience(self.tuned.heartbeat)
                };
                Progress::Stop(Step::Linger { patience, deaf })
            }
            Pending::Nothing => Progress::Next,
        }
    }

    fn on_secret_answer<H: Host>(&mut self, answer: Answer, host: &mut H) -> Progress {
        match answer {
            Answer::Refused(refusal) => self.refuse(0, refusal, (10, 70), host),
            _ => {
                let ok = connection::AMQPMethod::UpdateSecretOk(connection::UpdateSecretOk {});
                wire::method(host.out(), 0, AMQPClass::Connection(ok));
                Progress::Next
            }
        }
    }

    fn on_channel_answer<H: Host>(&mut self, number: u16, answer: Answer, host: &mut H) -> Progress {
        if let Answer::Refused(refusal) = answer {
            self.channels.remove(&number);
            return self.refuse(number, refusal, (0, 0), host);
        }
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.stage = ChannelStage::Open;
        }
        write_channel(host.out(), number, channel::AMQPMethod::OpenOk(channel::OpenOk {}));
        Progress::Next
    }

    fn write_reply<H: Host>(&mut self, number: u16, reply: Reply, answer: Answer, host: &mut H) {
        use {basic::AMQPMethod as B, exchange::AMQPMethod as E, queue::AMQPMethod as Q};
        let method = match reply {
            Reply::Silent => return,
            Reply::ExchangeDeclared => AMQPClass::Exchange(E::DeclareOk(exchange::DeclareOk {})),
            Reply::ExchangeDeleted => AMQPClass::Exchange(E::DeleteOk(exchange::DeleteOk {})),
            Reply::ExchangeBound => AMQPClass::Exchange(E::BindOk(exchange::BindOk {})),
            Reply::ExchangeUnbound => AMQPClass::Exchange(E::UnbindOk(exchange::UnbindOk {})),
            Reply::QueueDeclared { nowait } => return self.on_queue_declared(number, nowait, answer, host),
            Reply::QueueBound => AMQPClass::Queue(Q::BindOk(queue::BindOk {})),
            Reply::QueueUnbound => AMQPClass::Queue(Q::UnbindOk(queue::UnbindOk {})),
            Reply::QueuePurged => AMQPClass::Queue(Q::PurgeOk(queue::PurgeOk {
                message_count: count(&answer),
            })),
            Reply::QueueDeleted => AMQPClass::Queue(Q::DeleteOk(queue::DeleteOk {
                message_count: count(&answer),
            })),
            Reply::Consuming => return self.on_consuming(number, answer),
            Reply::Cancelled(tag) => AMQPClass::Basic(B::CancelOk(basic::CancelOk {
                consumer_tag: tag.into(),
            })),
            Reply::Got if matches!(answer, Answer::Written) => return,
            Reply::Got => AMQPClass::Basic(B::GetEmpty(basic::GetEmpty {})),
            Reply::Recovered => AMQPClass::Basic(B::RecoverOk(basic::RecoverOk {})),
            Reply::Committed => AMQPClass::Tx(tx::AMQPMethod::CommitOk(tx::CommitOk {})),
            Reply::Limited => AMQPClass::Basic(B::QosOk(basic::QosOk {})),
        };
        wire::method(host.out(), number, method);
    }

    fn on_queue_declared<H: Host>(&mut self, number: u16, nowait: bool, answer: Answer, host: &mut H) {
        let Answer::Queue { name, ready, consumers } = answer else {
            return;
        };
        self.remember_queue(number, &name);
        if !nowait {
            let ok = queue::DeclareOk {
                queue: name.as_str().into(),
                message_count: ready,
                consumer_count: consumers,
            };
            wire::method(host.out(), number, AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)));
        }
    }

    fn remember_queue(&mut self, number: u16, name: &QueueName) {
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.last_queue = Some(name.clone());
        }
    }

    fn on_consuming(&mut self, number: u16, answer: Answer) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        match answer {
            Answer::Consuming(tag) => {
                channel.consumers.insert(tag);
            }
            Answer::ReplyConsumer { tag, address } => {
                channel.consumers.insert(tag.clone());
                channel.replies = Some((tag, address));
            }
            _ => {}
        }
    }
}

fn count(answer: &Answer) -> u32 {
    match answer {
        Answer::Count(count) => *count,
        _ => 0,
    }
}
