//! The base of a mirror: what a leader has is listed when a link stands, and sent when the mirror asks for it.
//!
//! The queue is locked for one portion at a time, so it serves on while a mirror is synchronised; how large that is and what comes between two of
//! them `pace` says. What a message's place is and whether it lives still is asked of the queue, never remembered.

use mirror::{Progress, Word};
use model::{Millis, NodeUuid, PageId, QueueId, Runs, Seq};
use queue::{Copied, Death, PageWanted, Peeked, Portion};
use std::{io, iter::Peekable, sync::Arc};
use store::StoredMessage;
use tokio::sync::oneshot;

use super::super::{
    cell::{Held, QueueCell},
    letters::Dead,
    message::Message,
    node::Node,
};
use super::{Led, Link, stream::Inventory};

/// Runs of a queue that are asked for at once.
const RUNS_MAX: usize = 65_536;

impl Node {
    /// A link stands: every queue led here that has a mirror there attaches it.
    pub(super) fn link_opened(self: &Arc<Self>, link: &Arc<Link>) {
        for led in self.mirrors().all_led() {
            self.attach(&led, link);
        }
    }

    /// A link is cut: nothing goes to the mirrors there.
    pub(super) fn link_closed(&self, link: &Link) {
        let now = self.now();
        for led in self.mirrors().all_led() {
            led.stream.detach(link.to, now);
        }
    }

    /// Another node is known to be gone: nobody waits for what it mirrors.
    pub(in crate::host) fn lose_mirrors(&self, node: NodeUuid) {
        let now = self.now();
        for led in self.mirrors().all_led() {
            led.stream.lose(node, now);
        }
        self.mirrors().attention.notify_one();
    }

    /// Attaches the mirror that is at the other end of a link, if the queue has one there.
    pub(super) fn attach(&self, led: &Led, link: &Arc<Link>) {
        if !led.stream.has_mirror(link.to) {
            return;
        }
        let as_of = self.snapshot().generation();
        let held = led.cell.hold();
        let is_led = held
            .journal
            .stream()
            .is_some_and(|stream| Arc::ptr_eq(stream, &led.stream));
        if held.dead || !is_led {
            return;
        }
        let holds = inventory(&led.cell, &held);
        led.stream
            .attach(link, self.mirrors().next_number(), as_of, &holds, self.now());
    }

    /// A mirror says something of a queue.
    ///
    /// # Errors
    /// It says what only leaders say.
    pub(super) fn on_answer(self: &Arc<Self>, link: &Arc<Link>, queue: QueueId, word: Word<'_>) -> io::Result<()> {
        let Some(led) = self.mirrors().led(queue) else {
            return Ok(());
        };
        match word {
            Word::Ack {
                attachment,
                held,
                durable,
            } => {
                let progress = Progress {
                    held: Some(held),
                    durable,
                };
                led.stream.acked(link, attachment, progress);
            }
            Word::Want { attachment, runs } => {
                if led.stream.hears(link, attachment) {
                    tokio::spawn(send(self.clone(), led, link.clone(), attachment, runs));
                }
            }
            Word::Whole { attachment } => {
                // Locked, so that what it has heard is what the operations so far have told.
                let held = led.cell.hold();
                led.stream.whole(link, attachment, &held.dedup, self.now());
            }
            Word::Lacks { attachment, count } => led.stream.lacks(link, attachment, count),
            Word::Refused { attachment } => {
                if led.stream.hears(link, attachment) {
                    tracing::debug!(queue = queue.0, "a mirror does not know this node as its leader");
                    led.stream.detach(link.to, self.now());
                }
            }
            other => {
                let text = format!("a mirror says {other:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        Ok(())
    }
}

/// What a locked queue holds, dead letters on their way among it: they are told to be gone once they have arrived.
fn inventory(cell: &QueueCell, held: &Held) -> Inventory {
    let queue = &held.queue;
    let mut runs = Runs::default();
    let mut from = Seq(0);
    loop {
        let some = queue.runs(from, RUNS_MAX);
        let Some((_, last)) = some.last() else { break };
        from = last.next();
        some.iter().for_each(|(first, last)| runs.insert(*first, *last));
    }
    cell.letters.stored().for_each(|seq| runs.insert(seq, seq));
    let delivered = (0..=u8::MAX)
        .zip(queue.delivered_to())
        .map(|(level, upto)| (level, *upto));
    Inventory {
        runs: runs.iter().collect(),
        returned: queue.returns(Seq(0), Seq(u64::MAX)),
        delivered: delivered.filter(|(_, upto)| *upto > Seq(0)).collect(),
    }
}

/// Sends what a mirror asked for and still lives; then, that this was all.
async fn send(node: Arc<Node>, led: Led, link: Arc<Link>, attachment: u64, mut wanted: Vec<(Seq, Seq)>) {
    let pace = &node.mirrors().pace;
    while !wanted.is_empty() && led.stream.hears(&link, attachment) {
        link.until_calm().await;
        let (has_sent, peeked) = send_some(&led, &link, &wanted, pace.portion(&node));
        wanted = peeked.later;
        if has_sent || peeked.pages.is_empty() {
            pace.rest(&node).await;
        }
        for page in peeked.pages {
            wanted.extend(send_page(&node, &led, &link, &page).await);
        }
        wanted.sort_unstable();
    }
    if led.stream.hears(&link, attachment) {
        link.say(|out| Word::Sent.encode(led.cell.id, out));
    }
}

/// Sends what is wanted of a page, portion by portion. Returns what is to be asked for again.
async fn send_page(node: &Node, led: &Led, link: &Link, page: &PageWanted) -> Vec<(Seq, Seq)> {
    let pace = &node.mirrors().pace;
    let mut messages = read_page(node, page.page).await;
    messages.retain(|paged| page.holds(paged.seq));
    messages.sort_unstable_by_key(|paged| paged.seq);
    let mut messages = messages.into_iter().peekable();
    let (mut from, mut later) = (Seq(0), Vec::new());
    loop {
        link.until_calm().await;
        let some = portion(&mut messages, pace.portion(node));
        // What was not read belongs to some portion, too: the queue may have it by now.
        let upto = messages.peek().and_then(|_| some.last()).map(|last| last.seq);
        later.extend(send_of_page(
            led,
            link,
            &page.part(from, upto.unwrap_or(Seq(u64::MAX))),
            some,
        ));
        pace.rest(node).await;
        match upto {
            Some(upto) => from = upto.next(),
            None => return later,
        }
    }
}

/// The next messages: at least one, and no more once there are enough.
fn portion<I: Iterator<Item = store::Paged<Message>>>(
    messages: &mut Peekable<I>,
    most: Portion,
) -> Vec<store::Paged<Message>> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while bytes < most.bytes
        && (some.len() as u64) < most.messages
        && let Some(next) = messages.next()
    {
        bytes += queue::Message::body_bytes(&next.message);
        some.push(next);
    }
    some
}

/// Sends what is in memory, up to a limit; whether that was anything. The queue is locked, so what is sent lives, and what leaves it later is
/// told behind it.
fn send_some(led: &Led, link: &Link, wanted: &[(Seq, Seq)], most: Portion) -> (bool, Peeked) {
    let held = led.cell.hold();
    if held.dead {
        return Default::default();
    }
    let mut has_sent = false;
    led.cell.letters.each_stored(|seq, dead| {
        if wanted.iter().any(|(first, last)| (*first..=*last).contains(&seq)) {
            has_sent = true;
            say(led, link, &in_its_place(seq, dead), &dead.message);
        }
    });
    let peeked = held.queue.peek(wanted, most, |copied| {
        has_sent = true;
        say(led, link, &copied, copied.message);
    });
    (has_sent, peeked)
}

/// One that has died is where its letter is. It dies again when another leads before that has arrived.
pub(super) fn in_its_place(seq: Seq, dead: &Dead) -> Copied<Message> {
    let dies_again = dead.why == Death::Expired;
    Copied {
        seq,
        level: 0,
        expires: if dies_again { Millis(0) } else { queue::NEVER },
        delivery_count: 0,
        delivered: true,
        message: dead.message.clone(),
    }
}

/// These messages of a page, those of them that are wanted and still there.
fn send_of_page(led: &Led, link: &Link, page: &PageWanted, messages: Vec<store::Paged<Message>>) -> Vec<(Seq, Seq)> {
    let held = led.cell.hold();
    if held.dead {
        return Vec::new();
    }
    let messages = messages.into_iter().map(|paged| queue::Paged {
        seq: paged.seq,
        expires: paged.expires,
        message: paged.message,
    });
    held.queue
        .peek_page(page, messages, |copied| say(led, link, &copied, &copied.message))
}

fn say<M>(led: &Led, link: &Link, place: &Copied<M>, message: &Message) {
    let content = message.content();
    let entry = mirror::Entry {
        seq: place.seq,
        level: place.level,
        expires: place.expires,
        returns: place.delivery_count,
        persistent: queue::Message::is_persistent(message),
        origin: None,
        exchange: content.exchange,
        routing_key: content.routing_key,
        properties: content.properties,
        body: content.body,
    };
    // A link that is cut will be opened anew, with another base.
    link.say(|out| Word::Old(entry).encode(led.cell.id, out));
}

/// Reads a page without taking it from its queue.
pub async fn read_page(node: &Node, page: PageId) -> Vec<store::Paged<Message>> {
    let (tell, told) = oneshot::channel();
    node.store().read(
        page,
        Box::new(move |messages| {
            // Who asked may be gone.
            let _ = tell.send(messages);
        }),
    );
    // Without an answer the node stops.
    told.await.unwrap_or_default()
}
