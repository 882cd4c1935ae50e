//! One connection's questions answered: log-in, virtual host, and every method that needs the node.
//!
//! Each answer is one decision on the published catalogue, and one command where something changes.

use catalog::{Command, Conditions, QueueRecord};
use model::{ConsumerId, QueueName, Refusal, ReplyCode, UserName, Value, VhostName};
use queue::{Fetched, Got, SubscribeError, Subscription};
use session::{Answer, Ask, ConsumeRequest, Credentials, DeclareQueue, Release, Request};
use std::{collections::BTreeMap, sync::Arc};

use super::{
    attempts::Way,
    cell::{Consumer, Leads, QueueCell},
    client::Profile,
    connection::Task,
    consumers::Subscribed,
    direct_reply::PREFIX,
    events::Subscriber,
    message::Message,
    names, notes,
    outbox::Place,
    quorum,
};

/// So often a queue is declared that others delete meanwhile.
const DECLARE_TRIES: u32 = 100;
/// The pseudo-queue of direct replies.
const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// Who has logged in, and where.
#[derive(Clone, Debug)]
pub struct Login {
    user: UserName,
    mechanism: String,
    client_properties: model::Table,
    client: Option<catalog::Client>,
}

impl Login {
    /// Of a client that has logged in at another node.
    pub fn elsewhere(client: catalog::Client) -> Self {
        Login {
            user: client.user.clone(),
            mechanism: String::new(),
            client_properties: model::Table::default(),
            client: Some(client),
        }
    }
}

/// An answer, or a refusal to be told.
type Outcome = Result<Answer, Refusal>;

/// A declared queue and its place on this node, if this node leads it.
type Declared = (Arc<QueueRecord>, Option<Arc<QueueCell>>);

impl Task {
    /// Answers a question.
    pub(super) async fn perform(&mut self, ask: Ask) -> Answer {
        match ask {
            Ask::LogIn {
                mechanism,
                credentials,
                client_properties,
            } => self.log_in(mechanism, credentials, client_properties),
            Ask::EnterVhost(vhost) => self.enter_vhost(&vhost).unwrap_or_else(Answer::Refused),
            // Passwords do not expire: there is nothing to renew, and RabbitMQ's internal users are told so too.
            Ask::UpdateSecret(_) => Answer::Done,
            Ask::AwaitSafe => self.await_safe().await,
            Ask::CatchUp(generation) => {
                self.over |= !self.node.catch_up(generation).await;
                Answer::Done
            }
            Ask::Channel(number, request) => loop {
                self.on_safe_ground().await;
                self.ask_again = false;
                let outcome = self.on_request(number, request.clone()).await;
                if !self.ask_again || self.client.outbox().is_dead() {
                    break outcome.unwrap_or_else(Answer::Refused);
                }
            },
            Ask::Release(what) => {
                self.release(what).await;
                Answer::Done
            }
        }
    }

    fn log_in(&mut self, mechanism: String, credentials: Credentials, client_properties: model::Table) -> Answer {
        self.client.introduce(&client_properties);
        notes::named(&self.client);
        let from = self.client.peer.ip();
        let (said, found) = match credentials {
            Credentials::Password { user, password } => {
                let found = self.node.log_in(&user, &password, from);
                (user, found)
            }
            Credentials::External => {
                let certificate = self.client.outbox().socket.peer_certificate();
                let found = self.node.log_in_by_certificate(certificate.as_deref(), from);
                (
                    found
                        .as_ref()
                        .map_or_else(|_| String::new(), |user| user.name.to_string()),
                    found,
                )
            }
        };
        self.node.note_attempt(Way::Amqp, (&said, from), found.is_ok());
        let refused = found.as_ref().err().map(String::as_str);
        self.node.tell_login(&self.client, &said, &mechanism, refused);
        match found {
            Ok(found) => {
                let impersonator = found.has_tag("impersonator");
                let user = found.name.clone();
                self.client.logged_in(&user);
                self.login = Some(Login {
                    user: user.clone(),
                    mechanism,
                    client_properties,
                    client: None,
                });
                Answer::LoggedIn(session::LoginOutcome {
                    user: user.to_string(),
                    impersonator,
                })
            }
            Err(reason) => Answer::LoginFailed { reason },
        }
    }

    fn enter_vhost(&mut self, vhost: &str) -> Outcome {
        let login = self.login.as_mut().expect("the machine asks after log-in only");
        let missing = || Refusal::connection(ReplyCode::NotAllowed, format!("vhost {vhost} not found"));
        let vhost: VhostName = vhost.parse().map_err(|_| missing())?;
        self.node.admit(&login.user, &vhost)?;
        login.client = Some(catalog::Client {
            user: login.user.clone(),
            vhost: vhost.clone(),
            connection: self.client.id,
            node: self.node.name().clone(),
        });
        let profile = Profile {
            user: login.user.clone(),
            vhost: vhost.clone(),
            mechanism: login.mechanism.clone(),
            tuned: self.machine.tuned(),
            client_properties: login.client_properties.clone(),
        };
        self.client
            .opened(profile, self.machine.client_can("consumer_cancel_notify"));
        if let Some(counters) = self.node.snapshot().vhost_counters(&vhost) {
            self.client.count_for(counters);
        }
        self.node.counters().connections_opened.add(1);
        self.batch.enter(login.client.clone().expect("just set"));
        self.node.tell_connected(&self.client);
        notes::granted(&self.client);
        Ok(Answer::Done)
    }

    pub(super) fn identity(&self) -> &catalog::Client {
        let login = self.login.as_ref().and_then(|login| login.client.as_ref());
        login.expect("the machine asks on channels only once the connection is open")
    }

    async fn on_request(&mut self, number: u16, request: Request) -> Outcome {
        match request {
            Request::OpenChannel => self.open_channel(number),
            Request::DeclareExchange(d) => {
                self.change(catalog::Request::DeclareExchange(catalog::DeclareExchange {
                    name: d.name,
                    kind: d.kind,
                    passive: d.passive,
                    durable: d.durable,
                    auto_delete: d.auto_delete,
                    internal: d.internal,
                    arguments: d.arguments,
                }))
                .await
            }
            Request::DeleteExchange { name, if_unused } => {
                self.change(catalog::Request::DeleteExchange { name, if_unused }).await
            }
            Request::BindExchange(ends) => self.change(catalog::Request::Bind(exchange_binding(ends))).await,
            Request::UnbindExchange(ends) => self.change(catalog::Request::Unbind(exchange_binding(ends))).await,
            Request::BindQueue(binding) => self.change(catalog::Request::Bind(queue_binding(binding))).await,
            Request::UnbindQueue(binding) => self.change(catalog::Request::Unbind(queue_binding(binding))).await,
            Request::DeclareQueue(declare) => self.declare_queue(number, declare).await,
            Request::DeleteQueue {
                name,
                if_unused,
                if_empty,
            } => {
                self.delete_queue(number, name, Conditions { if_unused, if_empty })
                    .await
            }
            Request::PurgeQueue(name) => self.purge(number, &name).await,
            Request::Consume(consume) if consume.queue.as_str() == REPLY_TO => {
                Ok(self.consume_replies(number, consume))
            }
            Request::Consume(consume) => {
                let wish = self.node.events().wanted().then(|| consume.clone());
                let outcome = self.consume(number, consume).await;
                if let (Some(wish), Ok(Answer::Consuming(tag))) = (wish, &outcome) {
                    let who = self.subscriber(number, tag, wish.queue.as_str());
                    self.node.tell_consumer_created(&who, &wish);
                }
                outcome
            }
            Request::Cancel(tag) => {
                self.cancel(number, &tag).await;
                self.delete_retiring_queues().await;
                Ok(Answer::Done)
            }
            Request::Get { queue, no_ack } => self.get(number, &queue, no_ack).await,
            Request::Recover => {
                self.recover(number);
                Ok(Answer::Done)
            }
            Request::ChannelPrefetch(limit) => {
                if let Some(out) = self.client.outbox().lock().channel(number) {
                    out.ledger.set_prefetch(limit);
                }
                self.limit_far(number, limit);
                self.batch.wake_parked(number);
                Ok(Answer::Done)
            }
        }
    }

    fn open_channel(&mut self, number: u16) -> Outcome {
        let counts_flows = self.node.counts_flows();
        if self.is_leg() {
            self.client.outbox().lock().open_channel(number, counts_flows);
            return Ok(Answer::Done);
        }
        self.node.admit_channel(&self.identity().user)?;
        self.client.outbox().lock().open_channel(number, counts_flows);
        self.node.counters().channels_opened.add(1);
        self.node.tell_channel_opened(&self.client, number);
        Ok(Answer::Done)
    }

    async fn change(&mut self, request: catalog::Request) -> Outcome {
        let client = self.identity().clone();
        self.node.request(&client, request).await.map(|_| Answer::Done)
    }

    async fn declare_queue(&mut self, number: u16, declare: DeclareQueue) -> Outcome {
        if let Some(name) = &declare.name
            && (name.as_str() == REPLY_TO || name.as_str().starts_with(PREFIX))
        {
            return self.look_at_reply_address(name);
        }
        self.owns_queues |= declare.exclusive;
        let generated = short(names::drawn("amq.gen-"));
        let request = catalog::DeclareQueue {
            name: declare.name.unwrap_or_else(|| short(String::new())),
            generated,
            passive: declare.passive,
            durable: declare.durable,
            exclusive: declare.exclusive,
            auto_delete: declare.auto_delete,
            arguments: declare.arguments,
        };
        let (record, cell) = match self.declared(&request).await? {
            None => return Ok(Answer::Done),
            Some((record, None)) => return self.look_far(number, &record).await,
            Some((record, Some(cell))) => (record, cell),
        };
        let counts = self.batch.on_cell(&cell, |work| {
            work.queue.touch(work.now);
            work.queue.counts()
        });
        let ready = u32::try_from(counts.ready.messages).unwrap_or(u32::MAX);
        Ok(Answer::Queue {
            name: record.name.clone(),
            ready,
            consumers: counts.consumers as u32,
        })
    }

    /// Declares, and again where another client deletes the queue at the same moment.
    async fn declared(&mut self, request: &catalog::DeclareQueue) -> Result<Option<Declared>, Refusal> {
        let client = self.identity().clone();
        let mut tries_left = DECLARE_TRIES;
        loop {
            tries_left -= 1;
            let asked = catalog::Request::DeclareQueue(request.clone());
            let catalog::Answer::Queue { record, .. } = self.node.request(&client, asked).await? else {
                return Ok(None);
            };
            if self.node.snapshot().is_remote(&record) {
                return Ok(Some((record, None)));
            }
            match self.node.cell(&record) {
                Err(_) if tries_left > 0 => {}
                // It is led elsewhere, and that is published in a moment.
                Ok(cell) if self.has_moved(&cell).await => tries_left += 1,
                // About to be deleted by somebody else: this waits until it is.
                Ok(cell) if cell.hold().dead && tries_left > 0 => {
                    self.node.commit(Command::DeleteQueue(record.id)).await?;
                }
                found => return found.map(|cell| Some((record, Some(cell)))),
            }
        }
    }

    /// A responder may ask whether the requester is still there.
    fn look_at_reply_address(&self, name: &QueueName) -> Outcome {
        let is_elsewhere = || self.node.snapshot().requester_node(name.as_str()).is_some();
        if name.as_str() == REPLY_TO || self.node.direct_replies().is_known(name.as_str()) || is_elsewhere() {
            return Ok(Answer::Queue {
                name: name.clone(),
                ready: 0,
                consumers: 1,
            });
        }
        let vhost = &self.identity().vhost;
        Err(Refusal::channel(
            ReplyCode::NotFound,
            format!("no queue '{name}' in vhost '{vhost}'"),
        ))
    }

    /// The queue behind a name, if this client may read it.
    fn readable(&self, name: &QueueName) -> Result<Arc<QueueRecord>, Refusal> {
        catalog::check_read(&self.node.snapshot().catalog, self.identity(), name)
    }

    async fn delete_queue(&mut self, number: u16, name: QueueName, conditions: Conditions) -> Outcome {
        if let Some(record) = self.remote(&name) {
            return self.delete_far(number, &record, conditions).await;
        }
        let client = self.identity().clone();
        self.node.delete_queue(&client, name, conditions).await.map(count)
    }

    /// A purge is answered once it is durable: what the client was told is gone does not come back.
    async fn purge(&mut self, number: u16, name: &QueueName) -> Outcome {
        let record = self.readable(name)?;
        if self.node.snapshot().is_remote(&record) {
            return self.purge_far(number, &record).await;
        }
        let cell = self.node.cell(&record)?;
        let purged = self.batch.on_cell(&cell, |work| work.queue.purge(&mut work.sink));
        self.ask_again |= purged == 0 && self.has_moved(&cell).await;
        self.batch.settle_down();
        self.node.until_durable(self.node.store().end()).await;
        Ok(count(purged))
    }

    /// Takes the head of the queue, wherever it is.
    async fn fetch(&mut self, cell: &Arc<QueueCell>, no_ack: bool) -> Option<Got<Message>> {
        loop {
            let mut came = std::pin::pin!(cell.page_came.notified());
            // Before the look, so that a page that comes right after it is not missed.
            came.as_mut().enable();
            let fetched = self.batch.on_cell(cell, |work| match cell.leads() {
                Leads::Leaving => Fetched::Loading,
                // A queue whose letters nobody takes hands out nothing.
                Leads::Here | Leads::Elsewhere if cell.letters.are_full() => Fetched::Empty,
                Leads::Here | Leads::Elsewhere => work.queue.get(work.now, no_ack, &mut work.sink),
            });
            match fetched {
                Fetched::Got(got) => return Some(got),
                Fetched::Empty => return None,
                Fetched::Loading => {
                    self.batch.settle_down();
                    came.await;
                    self.batch.begin();
                }
            }
        }
    }

    async fn get(&mut self, number: u16, name: &QueueName, no_ack: bool) -> Outcome {
        let record = self.readable(name)?;
        quorum::check_get(&record)?;
        if self.node.snapshot().is_remote(&record) {
            return self.get_far(number, &record, no_ack).await;
        }
        let cell = self.node.cell(&record)?;
        let got = self.fetch(&cell, no_ack).await;
        self.ask_again |= got.is_none() && self.has_moved(&cell).await;
        let Some(got) = got else {
            if let Some(out) = self.client.outbox().lock().channel(number) {
                out.counts.get_empty += 1;
                out.count_from(cell.id, |counts| counts.get_empty += 1);
            }
            return Ok(Answer::Empty);
        };
        let now = self.batch.now();
        let counted = cell.counted(got.message.properties(), &got.delivery);
        let mut state = self.client.outbox().lock();
        let Some(out) = state.channel(number) else {
            return Ok(Answer::Written);
        };
        let tag = out.book_got(&cell, got.delivery, now);
        wire::get_ok(
            state.buffer(),
            &wire::GetOk {
                channel: number,
                delivery_tag: tag.0,
                redelivered: got.delivery.redelivered,
                exchange: got.message.exchange(),
                routing_key: got.message.routing_key(),
                message_count: u32::try_from(got.ready_left).unwrap_or(u32::MAX),
                properties: counted.as_deref().unwrap_or(got.message.properties()),
                body: got.message.body(),
                frame_max: self.client.frame_max(),
            },
        );
        drop(state);
        self.batch.write_replies();
        self.batch
            .trace_get(&cell, number, got.message, got.delivery.redelivered);
        Ok(Answer::Written)
    }

    async fn consume(&mut self, number: u16, mut consume: ConsumeRequest) -> Outcome {
        let record = self.readable(&consume.queue)?;
        if record.is_quorum() {
            let mut outbox = self.client.outbox().lock();
            let limit = outbox.channel(number).map_or(0, |out| out.ledger.prefetch());
            drop(outbox);
            quorum::check_limit(&record, limit)?;
            // RabbitMQ's quorum queues take no notice of it.
            consume.exclusive = false;
        }
        if self.node.snapshot().is_remote(&record) {
            return self.consume_far(number, &record, consume).await;
        }
        let cell = self.node.cell(&record)?;
        let tag = consume.tag.clone().unwrap_or_else(|| names::drawn("amq.ctag-"));
        let id = self.node.next_consumer();
        let (says_ok, consume) = (!consume.nowait, Arc::new(consume));
        let subscribed = self.subscribe_here(number, &cell, &tag, id, &consume, says_ok);
        self.ask_again |= subscribed.is_err() && self.has_moved(&cell).await;
        subscribed.map(|()| Answer::Consuming(tag))
    }

    /// Subscribes to a queue of this node.
    pub(super) fn subscribe_here(
        &mut self,
        number: u16,
        cell: &Arc<QueueCell>,
        tag: &str,
        id: ConsumerId,
        consume: &Arc<ConsumeRequest>,
        says_ok: bool,
    ) -> Result<(), Refusal> {
        let priority = consumer_priority(cell, &consume.arguments)?;
        let consumer = Arc::new(Consumer {
            id,
            tag: tag.into(),
            channel: number,
            client: self.client.clone(),
            no_ack: consume.no_ack,
            confirm_subscription: says_ok,
            wish: consume.clone(),
        });
        let subscription = Subscription {
            id,
            handle: consumer,
            no_ack: consume.no_ack,
            prefetch: consume.prefetch,
            exclusive: consume.exclusive,
            priority,
        };
        self.batch.on_cell(cell, |work| match work.dead {
            true => Err(gone(cell)),
            false => work
                .queue
                .subscribe(work.now, subscription, &mut work.sink)
                .map_err(|why| refused(cell, why)),
        })?;
        self.consumers
            .insert(number, tag.to_owned(), Subscribed::To(cell.clone(), id));
        Ok(())
    }

    fn consume_replies(&mut self, number: u16, consume: ConsumeRequest) -> Answer {
        let tag = consume.tag.unwrap_or_else(|| names::drawn("amq.ctag-"));
        let address =
            self.node
                .direct_replies()
                .enter(self.node.identity().node, self.client.clone(), number, tag.clone());
        self.consumers
            .insert(number, tag.clone(), Subscribed::ToReplies(address.clone()));
        if !consume.nowait {
            let ok = wire::basic::ConsumeOk {
                consumer_tag: tag.as_str().into(),
            };
            let class = wire::AMQPClass::Basic(wire::basic::AMQPMethod::ConsumeOk(ok));
            wire::method(self.client.outbox().lock().buffer(), number, class);
            self.batch.write_replies();
        }
        Answer::ReplyConsumer { tag, address }
    }

    fn subscriber<'a>(&'a self, channel: u16, tag: &'a str, queue: &'a str) -> Subscriber<'a> {
        Subscriber {
            client: &self.client,
            channel,
            tag,
            queue,
        }
    }

    /// A consumer of this client has ended.
    pub(super) fn tell_consumer_gone(&self, channel: u16, tag: &str, subscribed: &Subscribed) {
        if let Some(queue) = subscribed.queue()
            && !self.is_leg()
        {
            self.node.tell_consumer_deleted(&self.subscriber(channel, tag, queue));
        }
    }

    async fn cancel(&mut self, number: u16, tag: &str) {
        let subscribed = self.consumers.remove(number, tag);
        subscribed
            .iter()
            .for_each(|subscribed| self.tell_consumer_gone(number, tag, subscribed));
        match subscribed {
            Some(Subscribed::To(cell, id)) => {
                self.batch
                    .on_cell(&cell, |work| drop(work.queue.cancel(work.now, id, &mut work.sink)));
                self.client.outbox().lock().forget_parked(number, id);
            }
            Some(Subscribed::There(leg, ..)) => self.cancel_far(number, tag, &leg).await,
            Some(Subscribed::ToReplies(address)) => self.node.direct_replies().leave(&address),
            None => {}
        }
    }

    fn recover(&mut self, number: u16) {
        let mut places = Vec::new();
        if let Some(out) = self.client.outbox().lock().channel(number) {
            // Taking all that there is cannot name an unknown tag.
            let _ = out
                .ledger
                .take(model::DeliveryTag(0), true, |unacked| places.push(unacked.item));
        }
        self.batch.requeue(number, places);
        self.batch.wake_parked(number);
    }

    /// Gives back what a channel or the whole connection holds.
    pub(super) async fn release(&mut self, what: Release) {
        let channel = match what {
            Release::Channel(number) => Some(number),
            Release::Connection => None,
        };
        let mut leaving = Leaving::default();
        for ((number, tag), subscribed) in self.consumers.remove_all(channel) {
            self.tell_consumer_gone(number, &tag, &subscribed);
            match subscribed {
                Subscribed::To(cell, id) => leaving.of(&cell).consumers.push(id),
                // Goes with its channel there.
                Subscribed::There(..) => {}
                Subscribed::ToReplies(address) => self.node.direct_replies().leave(&address),
            }
        }
        for place in self.unacked(channel) {
            if let Place::Here { cell, slot } = place {
                leaving.of(&cell).slots.push(slot);
            }
        }
        for left in leaving.0.into_values() {
            self.batch.on_cell(&left.cell, |work| {
                let slots = left.slots.iter().copied();
                work.queue.depart(work.now, &left.consumers, slots, &mut work.sink);
            });
        }
        self.release_far(what).await;
        self.delete_retiring_queues().await;
        if what == Release::Connection {
            self.drop_exclusive_queues().await;
        }
    }

    fn unacked(&self, channel: Option<u16>) -> Vec<Place> {
        let mut places = Vec::new();
        let mut state = self.client.outbox().lock();
        let numbers: Vec<u16> = match channel {
            Some(number) => vec![number],
            None => state.channels().map(|(number, _)| number).collect(),
        };
        for number in numbers {
            if let Some(mut out) = state.close_channel(number) {
                if !self.is_leg() {
                    self.node.counters().channels_closed.add(1);
                    self.node.tell_channel_closed(&self.client, number);
                }
                out.ledger.take_all(|unacked| places.push(unacked.item));
            }
        }
        places
    }

    async fn drop_exclusive_queues(&mut self) {
        if !std::mem::take(&mut self.owns_queues) {
            return;
        }
        let Some(client) = self.login.as_ref().and_then(|login| login.client.clone()) else {
            return;
        };
        self.node.connection_closed(&client).await;
    }

    /// Queues that this client leaves unused are gone before it is answered, as in RabbitMQ.
    async fn delete_retiring_queues(&mut self) {
        self.batch.settle_down();
        let asked = self.batch.take_retiring();
        self.node.retire(asked).await;
    }
}

/// What leaves one queue.
struct Left {
    cell: Arc<QueueCell>,
    consumers: Vec<ConsumerId>,
    slots: Vec<queue::Slot>,
}

/// What leaves, by queue.
#[derive(Default)]
struct Leaving(BTreeMap<model::QueueId, Left>);

impl Leaving {
    fn of(&mut self, cell: &Arc<QueueCell>) -> &mut Left {
        let empty = || Left {
            cell: cell.clone(),
            consumers: Vec::new(),
            slots: Vec::new(),
        };
        self.0.entry(cell.id).or_insert_with(empty)
    }
}

fn count(messages: u64) -> Answer {
    Answer::Count(u32::try_from(messages).unwrap_or(u32::MAX))
}

/// Names that the node makes are short.
fn short(name: String) -> QueueName {
    QueueName::try_from(name).expect("at most 30 octets")
}

fn title(cell: &QueueCell) -> String {
    format!("queue '{}' in vhost '{}'", cell.name, cell.vhost)
}

fn gone(cell: &QueueCell) -> Refusal {
    Refusal::channel(ReplyCode::NotFound, format!("no {}", title(cell)))
}

fn refused(cell: &QueueCell, why: SubscribeError) -> Refusal {
    match why {
        SubscribeError::ExclusiveUse => {
            Refusal::channel(ReplyCode::AccessRefused, format!("{} in exclusive use", title(cell)))
        }
        SubscribeError::IdInUse(id) => {
            Refusal::connection(ReplyCode::InternalError, format!("consumer id {} is in use", id.0))
        }
    }
}

/// The consumer's priority, after all arguments that RabbitMQ checks have been checked.
fn consumer_priority(cell: &QueueCell, arguments: &model::Table) -> Result<i32, Refusal> {
    let invalid = |text: String| Err(Refusal::channel(ReplyCode::PreconditionFailed, text));
    if arguments.get("x-stream-offset").is_some() {
        return invalid(format!(
            "invalid arg 'x-stream-offset' for {} of queue type rabbit_classic_queue",
            title(cell)
        ));
    }
    if let Some(other) = arguments
        .get("x-cancel-on-ha-failover")
        .filter(|value| !matches!(value, Value::Bool(_)))
    {
        let why = format!("{{unacceptable_type,{}}}", other.type_name());
        return invalid(format!(
            "invalid arg 'x-cancel-on-ha-failover' for {}: {why}",
            title(cell)
        ));
    }
    match arguments.get("x-priority").map(|value| (value, value.as_integer())) {
        None => Ok(0),
        Some((_, Some(number))) => Ok(number.clamp(i32::MIN.into(), i32::MAX.into()) as i32),
        Some((other, None)) => {
            let kind = Value::type_name(other);
            invalid(format!(
                "invalid arg 'x-priority' for {}: \"expected integer, got {kind}\"",
                title(cell)
            ))
        }
    }
}

fn exchange_binding(ends: session::ExchangeEnds) -> routing::Binding {
    let destination = routing::Destination::Exchange(ends.destination);
    routing::Binding::new(ends.source, destination, ends.key.as_bytes(), ends.arguments)
}

fn queue_binding(binding: session::QueueBinding) -> routing::Binding {
    let destination = routing::Destination::Queue(binding.queue);
    routing::Binding::new(binding.exchange, destination, binding.key.as_bytes(), binding.arguments)
}
