//! Which method means what: every method a client may send once the connection is open.
//!
//! Decides from the channel's own state alone; what needs the node becomes a question.

use model::{DeliveryTag, Refusal, ReplyCode, Scope};
use wire::{AMQPClass, access, basic, channel, connection, exchange, queue, tx};
use wire::{Frame, Kind, Method};

use crate::{
    Ask, Connection, ConsumeRequest, DeclareExchange, DeclareQueue, ExchangeEnds, Host, QueueBinding, Release, Request,
    Settle, Step,
    channel::{Channel, Mode, Stage as ChannelStage},
    confirms::Confirms,
    connection::Progress,
    content::{Content, Envelope, out_of_sequence},
    names::{exchange_name, queue_name, stripped},
    publish::{Committed, REPLY_TO},
    replies::{self, Pending, Reply},
};

/// RabbitMQ's text for a short string that is not UTF-8.
const NOT_TEXT: &str = "Malformed UTF-8 in shortstr";

/// A question on a channel and how its success is told; `None` = nothing more to do.
type Outcome = Result<Option<(Request, Reply)>, Refusal>;

impl Connection {
    /// A frame on channel 0 of an open connection.
    pub(crate) fn on_connection_frame<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        let method = wire::class_method_ids(frame.payload);
        let refuse = |machine: &mut Self, refusal, host: &mut H| machine.refuse(0, refusal, method, host);
        if frame.kind != Kind::Method {
            return self.refuse(0, out_of_sequence(&Content::None, frame.kind), (0, 0), host);
        }
        match wire::decode_method(frame.payload) {
            Err(error) => refuse(self, error.refusal(), host),
            Ok(Method::Other(AMQPClass::Connection(connection::AMQPMethod::Close(_)))) => {
                self.write_confirms(host);
                self.channels.clear();
                self.pending = Some(Pending::CloseConnection);
                Progress::Stop(Step::Ask(Ask::Release(Release::Connection)))
            }
            Ok(Method::Other(AMQPClass::Connection(connection::AMQPMethod::CloseOk(_)))) => Progress::Stop(Step::Close),
            Ok(Method::Other(AMQPClass::Connection(connection::AMQPMethod::UpdateSecret(update)))) => {
                self.pending = Some(Pending::UpdateSecret);
                let secret = update.new_secret.as_bytes().to_vec();
                Progress::Stop(Step::Ask(Ask::UpdateSecret(secret)))
            }
            Ok(_) => {
                let text = "unexpected method in connection state running";
                refuse(self, Refusal::connection(ReplyCode::ChannelError, text), host)
            }
        }
    }

    /// A method on a channel.
    pub(crate) fn on_channel_method<H: Host>(&mut self, frame: Frame<'_>, host: &mut H) -> Progress {
        let (number, ids) = (frame.channel, wire::class_method_ids(frame.payload));
        match self.channels.get(&number).map(|channel| channel.stage) {
            None => self.on_method_without_channel(number, frame.payload, ids, host),
            Some(ChannelStage::Closing) => self.on_method_while_closing(number, ids, host),
            Some(_) => self.on_method_in_sequence(number, frame.payload, ids, host),
        }
    }

    fn on_method_in_sequence<H: Host>(
        &mut self,
        number: u16,
        payload: &[u8],
        ids: (u16, u16),
        host: &mut H,
    ) -> Progress {
        let channel = self.channels.get(&number).expect("looked up by the caller");
        if !matches!(channel.content, Content::None) {
            let refusal = out_of_sequence(&channel.content, Kind::Method);
            return self.refuse(number, refusal, channel.content.culprit(), host);
        }
        match self.on_method(number, payload, ids, host) {
            Ok(progress) => progress,
            // The method's name cannot be trusted where its strings cannot be read.
            Err(refusal) if refusal.code == ReplyCode::FrameError && refusal.text == NOT_TEXT => {
                self.refuse(number, refusal, (0, 0), host)
            }
            Err(refusal) => self.refuse(number, refusal, ids, host),
        }
    }

    fn on_method_without_channel<H: Host>(
        &mut self,
        number: u16,
        payload: &[u8],
        ids: (u16, u16),
        host: &mut H,
    ) -> Progress {
        match wire::decode_method(payload) {
            Err(error) => self.refuse(number, error.refusal(), ids, host),
            Ok(Method::Other(AMQPClass::Channel(channel::AMQPMethod::Open(_)))) => self.open_channel(number, host),
            Ok(_) => {
                let refusal = Refusal::connection(ReplyCode::ChannelError, "expected 'channel.open'");
                self.refuse(number, refusal, ids, host)
            }
        }
    }

    fn open_channel<H: Host>(&mut self, number: u16, host: &mut H) -> Progress {
        let max = self.tuned.channel_max;
        if max != 0 && self.channels.len() >= usize::from(max) {
            let text = format!("number of channels opened ({max}) has reached the negotiated channel_max ({max})");
            return self.refuse(number, Refusal::connection(ReplyCode::NotAllowed, text), (0, 0), host);
        }
        self.channels.insert(number, Box::new(Channel::new()));
        self.pending = Some(Pending::OpenChannel(number));
        Progress::Stop(Step::Ask(Ask::Channel(number, Request::OpenChannel)))
    }

    /// After our `channel.close` everything is dropped but close and close-ok.
    fn on_method_while_closing<H: Host>(&mut self, number: u16, ids: (u16, u16), host: &mut H) -> Progress {
        match ids {
            (20, 40) => replies::write_channel(host.out(), number, channel::AMQPMethod::CloseOk(channel::CloseOk {})),
            (20, 41) => drop(self.channels.remove(&number)),
            _ => {}
        }
        Progress::Next
    }

    fn on_method<H: Host>(
        &mut self,
        number: u16,
        payload: &[u8],
        ids: (u16, u16),
        host: &mut H,
    ) -> Result<Progress, Refusal> {
        let channel = self.channels.get_mut(&number).expect("looked up by the caller");
        let outcome = match wire::decode_method(payload).map_err(|e| e.refusal())? {
            Method::Publish(publish) => {
                channel.content = Content::AwaitHeader(Envelope::of(&publish));
                return Ok(Progress::Next);
            }
            Method::Ack { tag, multiple } => return self.settle(number, tag, multiple, Settle::Ack, host),
            Method::Nack { tag, multiple, requeue } => {
                return self.settle(number, tag, multiple, unwanted(requeue), host);
            }
            Method::Reject { tag, requeue } => return self.settle(number, tag, false, unwanted(requeue), host),
            Method::Qos {
                prefetch_size,
                prefetch_count,
                global,
            } => {
                check_prefetch_size(prefetch_size)?;
                on_qos(channel, number, prefetch_count, global, host)
            }
            Method::Other(AMQPClass::Channel(method)) => return self.on_channel_class(number, method, host),
            Method::Other(AMQPClass::Tx(method)) => return self.on_tx(number, &method, host),
            Method::Other(AMQPClass::Confirm(method)) => return self.on_confirm(number, &method, host),
            Method::Other(AMQPClass::Access(access::AMQPMethod::Request(_))) => {
                let ok = access::AMQPMethod::RequestOk(access::RequestOk {});
                wire::method(host.out(), number, AMQPClass::Access(ok));
                return Ok(Progress::Next);
            }
            Method::Other(AMQPClass::Exchange(method)) => on_exchange(method)?,
            Method::Other(AMQPClass::Queue(method)) => on_queue(channel, method)?,
            Method::Other(AMQPClass::Basic(method)) => self.on_basic(number, method)?,
            Method::Other(_) => return Err(unimplemented_method()),
        };
        let Some((request, reply)) = outcome else {
            return Ok(Progress::Next);
        };
        self.write_confirms(host);
        self.pending = Some(Pending::Method {
            channel: number,
            method: ids,
            reply,
        });
        Ok(Progress::Stop(Step::Ask(Ask::Channel(number, request))))
    }

    fn settle<H: Host>(
        &mut self,
        number: u16,
        tag: u64,
        multiple: bool,
        how: Settle,
        host: &mut H,
    ) -> Result<Progress, Refusal> {
        let held = self
            .channels
            .get(&number)
            .is_some_and(|channel| matches!(channel.mode, Mode::Tx(_)));
        match host.settle(number, DeliveryTag(tag), multiple, how, held) {
            Ok(()) => Ok(Progress::Next),
            Err(unknown) => Err(Refusal::channel(ReplyCode::PreconditionFailed, unknown.to_string())),
        }
    }

    fn on_channel_class<H: Host>(
        &mut self,
        number: u16,
        method: channel::AMQPMethod,
        host: &mut H,
    ) -> Result<Progress, Refusal> {
        match method {
            channel::AMQPMethod::Open(_) => Err(Refusal::connection(
                ReplyCode::ChannelError,
                "second 'channel.open' seen",
            )),
            channel::AMQPMethod::Flow(flow) if flow.active => {
                let ok = channel::AMQPMethod::FlowOk(channel::FlowOk { active: true });
                replies::write_channel(host.out(), number, ok);
                Ok(Progress::Next)
            }
            channel::AMQPMethod::Flow(_) => Err(Refusal::connection(ReplyCode::NotImplemented, "active=false")),
            channel::AMQPMethod::Close(_) => {
                self.write_confirms(host);
                self.pending = Some(Pending::CloseChannel(number));
                Ok(Progress::Stop(Step::Ask(Ask::Release(Release::Channel(number)))))
            }
            // Answers to what this server never asks.
            channel::AMQPMethod::FlowOk(_) | channel::AMQPMethod::CloseOk(_) => Ok(Progress::Next),
            channel::AMQPMethod::OpenOk(_) => Err(unimplemented_method()),
        }
    }

    fn on_confirm<H: Host>(
        &mut self,
        number: u16,
        method: &wire::confirm::AMQPMethod,
        host: &mut H,
    ) -> Result<Progress, Refusal> {
        use wire::confirm;
        let confirm::AMQPMethod::Select(select) = method else {
            return Err(unimplemented_method());
        };
        let channel = self.channels.get_mut(&number).expect("looked up by the caller");
        match channel.mode {
            Mode::Tx(_) => return Err(wrong_mode("cannot switch from tx to confirm mode")),
            Mode::Plain => channel.mode = Mode::Confirm(Confirms::default()),
            Mode::Confirm(_) => {}
        }
        if !select.nowait {
            let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
            wire::method(host.out(), number, AMQPClass::Confirm(ok));
        }
        Ok(Progress::Next)
    }

    fn on_tx<H: Host>(&mut self, number: u16, method: &tx::AMQPMethod, host: &mut H) -> Result<Progress, Refusal> {
        let channel = self.channels.get_mut(&number).expect("looked up by the caller");
        let ok = match (method, &mut channel.mode) {
            (tx::AMQPMethod::Select(_), Mode::Confirm(_)) => {
                return Err(wrong_mode("cannot switch from confirm to tx mode"));
            }
            (tx::AMQPMethod::Select(_), mode) => {
                if matches!(mode, Mode::Plain) {
                    *mode = Mode::Tx(Vec::new());
                }
                tx::AMQPMethod::SelectOk(tx::SelectOk {})
            }
            (tx::AMQPMethod::Commit(_), Mode::Tx(_)) => {
                let committed = self.commit_publishes(number, host)?;
                host.commit_held(number);
                if committed == Committed::Logged {
                    return Ok(self.await_safe(number));
                }
                tx::AMQPMethod::CommitOk(tx::CommitOk {})
            }
            (tx::AMQPMethod::Rollback(_), Mode::Tx(waiting)) => {
                waiting.clear();
                host.return_held(number);
                tx::AMQPMethod::RollbackOk(tx::RollbackOk {})
            }
            (tx::AMQPMethod::Commit(_) | tx::AMQPMethod::Rollback(_), _) => {
                return Err(wrong_mode("channel is not transactional"));
            }
            _ => return Err(unimplemented_method()),
        };
        wire::method(host.out(), number, AMQPClass::Tx(ok));
        Ok(Progress::Next)
    }

    /// A transaction is committed when its publishes are safe.
    fn await_safe(&mut self, number: u16) -> Progress {
        self.pending = Some(Pending::Method {
            channel: number,
            method: (90, 20),
            reply: Reply::Committed,
        });
        Progress::Stop(Step::Ask(Ask::AwaitSafe))
    }

    fn on_basic(&mut self, number: u16, method: basic::AMQPMethod) -> Outcome {
        let channel = self.channels.get_mut(&number).expect("looked up by the caller");
        match method {
            basic::AMQPMethod::Consume(consume) => {
                on_consume(channel, consume, self.limits.consumers_per_channel).map(Some)
            }
            basic::AMQPMethod::Cancel(cancel) => Ok(Some(on_cancel(channel, &cancel))),
            basic::AMQPMethod::Get(get) => {
                let queue = channel.queue_or_last(get.queue.as_str())?;
                Ok(Some((
                    Request::Get {
                        queue,
                        no_ack: get.no_ack,
                    },
                    Reply::Got,
                )))
            }
            basic::AMQPMethod::Recover(recover) => on_recover(recover.requeue, Reply::Recovered),
            basic::AMQPMethod::RecoverAsync(recover) => on_recover(recover.requeue, Reply::Silent),
            // The answer of a client that was told of a cancelled consumer.
            basic::AMQPMethod::CancelOk(_) => Ok(None),
            _ => Err(unimplemented_method()),
        }
    }
}

fn unwanted(requeue: bool) -> Settle {
    if requeue { Settle::Requeue } else { Settle::Reject }
}

fn unimplemented_method() -> Refusal {
    Refusal::connection(ReplyCode::CommandInvalid, "unimplemented method")
}

fn wrong_mode(text: &str) -> Refusal {
    Refusal {
        code: ReplyCode::PreconditionFailed,
        scope: Scope::Channel,
        text: text.to_owned(),
    }
}

fn reply_unless(nowait: bool, reply: Reply) -> Reply {
    if nowait { Reply::Silent } else { reply }
}

fn on_exchange(method: exchange::AMQPMethod) -> Outcome {
    use exchange::AMQPMethod as E;
    let question = match method {
        E::Declare(m) => (
            Request::DeclareExchange(DeclareExchange {
                name: exchange_name(&stripped(m.exchange.as_str()))?,
                kind: m.kind.to_string(),
                passive: m.passive,
                durable: m.durable,
                auto_delete: m.auto_delete,
                internal: m.internal,
                arguments: wire::from_field_table(&m.arguments),
            }),
            reply_unless(m.nowait, Reply::ExchangeDeclared),
        ),
        E::Delete(m) => (
            Request::DeleteExchange {
                name: exchange_name(&stripped(m.exchange.as_str()))?,
                if_unused: m.if_unused,
            },
            reply_unless(m.nowait, Reply::ExchangeDeleted),
        ),
        E::Bind(m) => (
            Request::BindExchange(ExchangeEnds {
                source: exchange_name(m.source.as_str())?,
                destination: exchange_name(m.destination.as_str())?,
                key: m.routing_key.to_string(),
                arguments: wire::from_field_table(&m.arguments),
            }),
            reply_unless(m.nowait, Reply::ExchangeBound),
        ),
        E::Unbind(m) => (
            Request::UnbindExchange(ExchangeEnds {
                source: exchange_name(m.source.as_str())?,
                destination: exchange_name(m.destination.as_str())?,
                key: m.routing_key.to_string(),
                arguments: wire::from_field_table(&m.arguments),
            }),
            reply_unless(m.nowait, Reply::ExchangeUnbound),
        ),
        _ => return Err(unimplemented_method()),
    };
    Ok(Some(question))
}

fn on_queue(channel: &Channel, method: queue::AMQPMethod) -> Outcome {
    use queue::AMQPMethod as Q;
    let question = match method {
        Q::Declare(m) => {
            let name = stripped(m.queue.as_str());
            let request = DeclareQueue {
                name: if name.is_empty() {
                    None
                } else {
                    Some(queue_name(&name)?)
                },
                passive: m.passive,
                durable: m.durable,
                exclusive: m.exclusive,
                auto_delete: m.auto_delete,
                arguments: wire::from_field_table(&m.arguments),
            };
            (
                Request::DeclareQueue(request),
                Reply::QueueDeclared { nowait: m.nowait },
            )
        }
        Q::Bind(m) => {
            let arguments = wire::from_field_table(&m.arguments);
            let binding = binding(
                channel,
                m.queue.as_str(),
                m.exchange.as_str(),
                m.routing_key.as_str(),
                arguments,
            )?;
            (Request::BindQueue(binding), reply_unless(m.nowait, Reply::QueueBound))
        }
        Q::Unbind(m) => {
            let arguments = wire::from_field_table(&m.arguments);
            let binding = binding(
                channel,
                m.queue.as_str(),
                m.exchange.as_str(),
                m.routing_key.as_str(),
                arguments,
            )?;
            (Request::UnbindQueue(binding), Reply::QueueUnbound)
        }
        Q::Purge(m) => (
            Request::PurgeQueue(channel.queue_or_last(m.queue.as_str())?),
            reply_unless(m.nowait, Reply::QueuePurged),
        ),
        Q::Delete(m) => {
            let name = channel.queue_or_last(&stripped(m.queue.as_str()))?;
            let request = Request::DeleteQueue {
                name,
                if_unused: m.if_unused,
                if_empty: m.if_empty,
            };
            (request, reply_unless(m.nowait, Reply::QueueDeleted))
        }
        _ => return Err(unimplemented_method()),
    };
    Ok(Some(question))
}

/// Without queue and key both, the key is the name of the queue last declared.
fn binding(
    channel: &Channel,
    queue: &str,
    exchange: &str,
    key: &str,
    arguments: model::Table,
) -> Result<QueueBinding, Refusal> {
    let name = channel.queue_or_last(queue)?;
    let key = if queue.is_empty() && key.is_empty() {
        name.as_str().to_owned()
    } else {
        key.to_owned()
    };
    Ok(QueueBinding {
        queue: name,
        exchange: exchange_name(exchange)?,
        key,
        arguments,
    })
}

fn check_prefetch_size(size: u32) -> Result<(), Refusal> {
    match size {
        0 => Ok(()),
        _ => Err(Refusal::connection(
            ReplyCode::NotImplemented,
            format!("prefetch_size!=0 ({size})"),
        )),
    }
}

fn on_qos<H: Host>(
    channel: &mut Channel,
    number: u16,
    count: u16,
    global: bool,
    host: &mut H,
) -> Option<(Request, Reply)> {
    if global {
        return Some((Request::ChannelPrefetch(count), Reply::Limited));
    }
    channel.prefetch = count;
    wire::method(
        host.out(),
        number,
        AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})),
    );
    None
}

fn on_consume(channel: &Channel, consume: basic::Consume, max: Option<u32>) -> Result<(Request, Reply), Refusal> {
    let tag = consume.consumer_tag.to_string();
    if channel.consumers.contains(&tag) {
        let text = format!("attempt to reuse consumer tag '{tag}'");
        return Err(Refusal::connection(ReplyCode::NotAllowed, text));
    }
    if let Some(max) = max
        && channel.consumers.len() >= max as usize
    {
        let text = format!("reached maximum ({max}) of consumers per channel");
        return Err(Refusal::connection(ReplyCode::NotAllowed, text));
    }
    let queue = channel.queue_or_last(consume.queue.as_str())?;
    if queue.as_str() == REPLY_TO {
        check_reply_consumer(channel, consume.no_ack)?;
    }
    let request = ConsumeRequest {
        queue,
        tag: (!tag.is_empty()).then_some(tag),
        no_ack: consume.no_ack,
        exclusive: consume.exclusive,
        nowait: consume.nowait,
        prefetch: channel.prefetch,
        arguments: wire::from_field_table(&consume.arguments),
    };
    Ok((Request::Consume(request), Reply::Consuming))
}

fn check_reply_consumer(channel: &Channel, no_ack: bool) -> Result<(), Refusal> {
    let refused = |text: &str| Err(Refusal::channel(ReplyCode::PreconditionFailed, text));
    match (&channel.replies, no_ack) {
        (Some(_), _) => refused("reply consumer already set"),
        (None, false) => refused("reply consumer cannot acknowledge"),
        (None, true) => Ok(()),
    }
}

fn on_cancel(channel: &mut Channel, cancel: &basic::Cancel) -> (Request, Reply) {
    let tag = cancel.consumer_tag.to_string();
    channel.consumers.remove(&tag);
    if channel
        .replies
        .as_ref()
        .is_some_and(|(replies_tag, _)| *replies_tag == tag)
    {
        channel.replies = None;
    }
    let reply = reply_unless(cancel.nowait, Reply::Cancelled(tag.clone()));
    (Request::Cancel(tag), reply)
}

fn on_recover(requeue: bool, reply: Reply) -> Outcome {
    match requeue {
        true => Ok(Some((Request::Recover, reply))),
        false => Err(Refusal::connection(ReplyCode::NotImplemented, "requeue=false")),
    }
}
