//! What a base needs of a copy: which messages it has, and making them those that its leader has.
//!
//! Range by range: what is not listed goes, what is listed and not here is named, the rest stays untouched.

use model::Seq;

use super::{Copy, CopySink};
use crate::listing::{Listing, joined, outside, within};
use crate::message::Message;

impl<M: Message> Copy<M> {
    /// From `first` to `last` the leader holds exactly the messages in these ascending runs: what else is here goes.
    /// Returns what is missing here, as ascending runs.
    ///
    /// How often messages came back is forgotten: the leader tells it again, by [`returned`](Copy::returned), of those
    /// of the range that did ([`Queue::returns`](crate::Queue::returns)).
    pub fn hold_to(
        &mut self,
        first: Seq,
        last: Seq,
        runs: &[(Seq, Seq)],
        sink: &mut impl CopySink<M>,
    ) -> Vec<(Seq, Seq)> {
        for (first, last) in outside(runs, first, last) {
            self.remove(first, last, sink);
        }
        self.forget_returned(first, last);
        let own = self.held(first, last);
        let listed = within(runs, first, last);
        listed.flat_map(|(first, last)| outside(&own, first, last)).collect()
    }

    /// The positions it holds from `from` on, as ascending runs, at most so many. Whoever wants all asks again from
    /// behind the last, until there is none.
    pub fn runs(&self, from: Seq, runs_max: usize) -> Vec<(Seq, Seq)> {
        let mut listing = Listing::new(from, runs_max);
        listing.add(self.resident.runs(from));
        for layer in self.pages.layers(from) {
            listing.add_pages(layer.map(|(first, runs)| (first, runs.iter())));
        }
        listing.finish()
    }

    fn held(&self, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        if first > last {
            return Vec::new();
        }
        let in_memory = self.resident.runs(first).take_while(|run| run.0 <= last);
        let in_memory = in_memory.map(|run| (run.0.max(first), run.1.min(last)));
        let mut held: Vec<_> = in_memory.chain(self.pages.within(first, last)).collect();
        held.sort_unstable();
        joined(held)
    }
}
