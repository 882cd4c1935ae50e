//! Every method of AMQP 0-9-1 with RabbitMQ's additions: its ids, its name and the shape of its arguments.
//!
//! The shape is walked before any other parser sees the octets, so lengths, text and tables are sound by then.

use crate::cursor::Cursor;

/// One field of a method's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// So many octets of numbers or bits.
    Fixed(usize),
    /// A short string of text.
    Text,
    /// A long string of any octets.
    Octets,
    /// A field table.
    Table,
}

/// A method's ids, name and argument fields in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) ids: (u16, u16),
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

const OCTET: Field = Field::Fixed(1);
const BITS: Field = Field::Fixed(1);
const SHORT: Field = Field::Fixed(2);
const LONG: Field = Field::Fixed(4);
const TAG: Field = Field::Fixed(8);
const TEXT: Field = Field::Text;
const OCTETS: Field = Field::Octets;
const TABLE: Field = Field::Table;

macro_rules! layouts {
    ($($class:literal . $method:literal $name:literal [$($field:ident)*],)*) => {
        &[$(Layout { ids: ($class, $method), name: $name, fields: &[$($field),*] },)*]
    };
}

const LAYOUTS: &[Layout] = layouts! {
    10 . 10 "connection.start" [OCTET OCTET TABLE OCTETS OCTETS],
    10 . 11 "connection.start-ok" [TABLE TEXT OCTETS TEXT],
    10 . 20 "connection.secure" [OCTETS],
    10 . 21 "connection.secure-ok" [OCTETS],
    10 . 30 "connection.tune" [SHORT LONG SHORT],
    10 . 31 "connection.tune-ok" [SHORT LONG SHORT],
    10 . 40 "connection.open" [TEXT TEXT BITS],
    10 . 41 "connection.open-ok" [TEXT],
    10 . 50 "connection.close" [SHORT TEXT SHORT SHORT],
    10 . 51 "connection.close-ok" [],
    10 . 60 "connection.blocked" [TEXT],
    10 . 61 "connection.unblocked" [],
    10 . 70 "connection.update-secret" [OCTETS TEXT],
    10 . 71 "connection.update-secret-ok" [],
    20 . 10 "channel.open" [TEXT],
    20 . 11 "channel.open-ok" [OCTETS],
    20 . 20 "channel.flow" [BITS],
    20 . 21 "channel.flow-ok" [BITS],
    20 . 40 "channel.close" [SHORT TEXT SHORT SHORT],
    20 . 41 "channel.close-ok" [],
    30 . 10 "access.request" [TEXT BITS],
    30 . 11 "access.request-ok" [SHORT],
    40 . 10 "exchange.declare" [SHORT TEXT TEXT BITS TABLE],
    40 . 11 "exchange.declare-ok" [],
    40 . 20 "exchange.delete" [SHORT TEXT BITS],
    40 . 21 "exchange.delete-ok" [],
    40 . 30 "exchange.bind" [SHORT TEXT TEXT TEXT BITS TABLE],
    40 . 31 "exchange.bind-ok" [],
    40 . 40 "exchange.unbind" [SHORT TEXT TEXT TEXT BITS TABLE],
    40 . 51 "exchange.unbind-ok" [],
    50 . 10 "queue.declare" [SHORT TEXT BITS TABLE],
    50 . 11 "queue.declare-ok" [TEXT LONG LONG],
    50 . 20 "queue.bind" [SHORT TEXT TEXT TEXT BITS TABLE],
    50 . 21 "queue.bind-ok" [],
    50 . 30 "queue.purge" [SHORT TEXT BITS],
    50 . 31 "queue.purge-ok" [LONG],
    50 . 40 "queue.delete" [SHORT TEXT BITS],
    50 . 41 "queue.delete-ok" [LONG],
    50 . 50 "queue.unbind" [SHORT TEXT TEXT TEXT TABLE],
    50 . 51 "queue.unbind-ok" [],
    60 . 10 "basic.qos" [LONG SHORT BITS],
    60 . 11 "basic.qos-ok" [],
    60 . 20 "basic.consume" [SHORT TEXT TEXT BITS TABLE],
    60 . 21 "basic.consume-ok" [TEXT],
    60 . 30 "basic.cancel" [TEXT BITS],
    60 . 31 "basic.cancel-ok" [TEXT],
    60 . 40 "basic.publish" [SHORT TEXT TEXT BITS],
    60 . 50 "basic.return" [SHORT TEXT TEXT TEXT],
    60 . 60 "basic.deliver" [TEXT TAG BITS TEXT TEXT],
    60 . 70 "basic.get" [SHORT TEXT BITS],
    60 . 71 "basic.get-ok" [TAG BITS TEXT TEXT LONG],
    60 . 72 "basic.get-empty" [TEXT],
    60 . 80 "basic.ack" [TAG BITS],
    60 . 90 "basic.reject" [TAG BITS],
    60 . 100 "basic.recover-async" [BITS],
    60 . 110 "basic.recover" [BITS],
    60 . 111 "basic.recover-ok" [],
    60 . 120 "basic.nack" [TAG BITS],
    85 . 10 "confirm.select" [BITS],
    85 . 11 "confirm.select-ok" [],
    90 . 10 "tx.select" [],
    90 . 11 "tx.select-ok" [],
    90 . 20 "tx.commit" [],
    90 . 21 "tx.commit-ok" [],
    90 . 30 "tx.rollback" [],
    90 . 31 "tx.rollback-ok" [],
};

/// The layout of a method that exists.
pub(crate) fn layout_of(ids: (u16, u16)) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.ids == ids)
}

/// All methods, for tests that must miss none.
#[cfg(test)]
pub(crate) fn all() -> &'static [Layout] {
    LAYOUTS
}

impl Field {
    /// The octets of this field's content, without a length.
    pub(crate) fn take<'a>(self, rest: &mut Cursor<'a>) -> Option<&'a [u8]> {
        match self {
            Field::Fixed(size) => rest.take(size),
            Field::Text => rest.short(),
            Field::Octets | Field::Table => rest.long(),
        }
    }
}
