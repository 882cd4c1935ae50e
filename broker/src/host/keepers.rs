//! Exchanges that keep messages: delayed ones hand them on later, those with a history give them to new bindings.
//!
//! The router names them; here they get the message. Neither costs a publish anything that meets none of them.

use catalog::{Event, ExchangeRecord};
use model::{ExchangeKind, ExchangeName, Millis, Refusal, ReplyCode, VhostName};
use routing::{Binding, Destination};
use session::Publication;
use smallvec::smallvec;
use std::sync::Arc;

use super::{
    client::Client, content, dead_letter::Landed, delayed, errands::Errand, legs::Arrival, node::Node, node::Snapshot,
    recent_history, route::Route, stored::Stored,
};

/// An exchange, by name. A new one of the same name begins empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Home {
    /// Virtual host.
    pub vhost: VhostName,
    /// Name in it.
    pub exchange: ExchangeName,
}

/// What an exchange on the way does with the message.
#[derive(Clone, Debug)]
pub enum Keeper {
    /// Holds it for its delay.
    Delays(Home),
    /// Remembers it.
    Remembers(Home),
}

/// Delayed messages handed on before the timer looks at the queues again.
const RELEASED_AT_ONCE_MAX: usize = 1000;

impl Keeper {
    /// The router's word with its virtual host.
    pub fn new(keeper: routing::Keeper, vhost: &VhostName) -> Self {
        let home = |exchange| Home {
            vhost: vhost.clone(),
            exchange,
        };
        match keeper {
            routing::Keeper::Delays(exchange) => Keeper::Delays(home(exchange)),
            routing::Keeper::Remembers(exchange) => Keeper::Remembers(home(exchange)),
        }
    }
}

impl Home {
    fn of(record: &ExchangeRecord) -> Self {
        Home {
            vhost: record.vhost.clone(),
            exchange: record.name.clone(),
        }
    }
}

impl Node {
    /// Gives a message to the keepers on its way; true if one of them will hand it on later.
    ///
    /// # Errors
    /// No delayed message can be held any more.
    pub fn keep(&self, route: &Route, publication: &Publication<'_>) -> Result<bool, Refusal> {
        if route.keepers.is_empty() {
            return Ok(false);
        }
        let headers = content::headers(publication);
        let mut delayed = false;
        for keeper in &route.keepers {
            match (keeper, delayed::delay_ms(&headers)) {
                (Keeper::Delays(home), Some(delay_ms)) => {
                    self.delay(home, publication, delay_ms)?;
                    delayed = true;
                }
                (Keeper::Remembers(home), _) if recent_history::is_remembered(&headers) => {
                    self.histories().remember(home, Stored::keep(publication));
                }
                _ => {}
            }
        }
        Ok(delayed)
    }

    fn delay(&self, home: &Home, publication: &Publication<'_>, delay_ms: u64) -> Result<(), Refusal> {
        let at = Millis(self.now().0.saturating_add(delay_ms));
        let held = self.delayed().hold(home, at, delayed::turned(publication, delay_ms));
        let is_first = held.map_err(|full| {
            let Home { vhost, exchange } = home;
            let text = format!("exchange '{exchange}' in vhost '{vhost}' cannot delay a message: {full}");
            Refusal::channel(ReplyCode::PreconditionFailed, text)
        })?;
        if is_first {
            self.timers().rouse();
        }
        Ok(())
    }

    /// Hands on messages whose delay is over, by the bindings of now.
    pub fn release_delayed(&self, now: Millis, touched: &mut Vec<Arc<Client>>, errands: &mut Vec<Errand>) {
        for _ in 0..RELEASED_AT_ONCE_MAX {
            let Some((home, stored)) = self.delayed().take_due(now) else {
                return;
            };
            let publication = stored.publication();
            let snapshot = self.snapshot();
            let route = snapshot.route_unchecked(&home.vhost, home.exchange.as_str(), &publication);
            self.send_on(&route, &publication, touched, errands);
        }
    }

    /// Sends a message on the node's own behalf. Nobody is there to be told that it found no room.
    pub(super) fn send_on(
        &self,
        route: &Route,
        publication: &Publication<'_>,
        touched: &mut Vec<Arc<Client>>,
        errands: &mut Vec<Errand>,
    ) {
        self.keep_or_drop(route, publication);
        let unheard = Arrival::unheard();
        let left = (touched, errands);
        self.enter_queues(&route.cells, publication, &mut Landed::default(), left, &unheard);
        self.send_far(&route.remotes, publication, &unheard);
    }

    /// As `keep`, where nobody is there to be told of a refusal.
    pub(super) fn keep_or_drop(&self, route: &Route, publication: &Publication<'_>) -> bool {
        self.keep(route, publication).unwrap_or_else(|refusal| {
            tracing::warn!("message dropped: {}", refusal.text);
            false
        })
    }

    /// Keepers begin and end with the catalogue, and a new binding gets what its source remembers. The catalogue is
    /// locked and `next` not published yet: no message can come by both ways.
    pub(super) fn follow_keepers(&self, next: &Snapshot, event: &Event) {
        match event {
            Event::ExchangeDeclared(record) => self.open_keeper(record),
            Event::ExchangeDeleted(record) => {
                self.delayed().close(&Home::of(record));
                self.histories().close(&Home::of(record));
            }
            Event::VhostDeleted(vhost) => {
                self.delayed().close_vhost(vhost);
                self.histories().close_vhost(vhost);
            }
            Event::BindingCreated { vhost, binding } => self.replay(next, vhost, binding),
            _ => {}
        }
    }

    pub(super) fn open_keeper(&self, record: &ExchangeRecord) {
        if record.kind == ExchangeKind::Delayed {
            self.delayed().open(Home::of(record));
        }
        if record.routes_as() == ExchangeKind::RecentHistory {
            self.histories().open(Home::of(record), record.args.history_length);
        }
    }

    fn replay(&self, next: &Snapshot, vhost: &VhostName, binding: &Binding) {
        let source = Home {
            vhost: vhost.clone(),
            exchange: binding.source.clone(),
        };
        let (mut touched, mut errands) = (Vec::new(), Vec::new());
        for stored in self.histories().of(&source) {
            let publication = stored.publication();
            let route = match &binding.destination {
                Destination::Queue(name) => Route {
                    cells: next
                        .cell_by_name(vhost, name)
                        .map_or(smallvec![], |cell| smallvec![cell]),
                    ..Route::default()
                },
                Destination::Exchange(name) => next.route_unchecked(vhost, name.as_str(), &publication),
            };
            self.send_on(&route, &publication, &mut touched, &mut errands);
        }
        // The catalogue's lock is held: what must wait for it waits for the timer's task.
        self.timers().leave_errands(errands, touched);
    }
}
