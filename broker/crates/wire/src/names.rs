//! Names of methods, as the specification spells them, for people who read logs.

/// `queue.declare` for its two numbers; `none` for no method.
pub fn method_name(class: u16, method: u16) -> &'static str {
    match class {
        10 => connection(method),
        20 => channel(method),
        40 => exchange(method),
        50 => queue(method),
        60 => basic(method),
        85 if method == 10 => "confirm.select",
        90 => tx(method),
        _ => "none",
    }
}

fn connection(method: u16) -> &'static str {
    match method {
        10 => "connection.start",
        11 => "connection.start_ok",
        20 => "connection.secure",
        21 => "connection.secure_ok",
        30 => "connection.tune",
        31 => "connection.tune_ok",
        40 => "connection.open",
        41 => "connection.open_ok",
        50 => "connection.close",
        51 => "connection.close_ok",
        60 => "connection.blocked",
        61 => "connection.unblocked",
        70 => "connection.update_secret",
        71 => "connection.update_secret_ok",
        _ => "none",
    }
}

fn channel(method: u16) -> &'static str {
    match method {
        10 => "channel.open",
        11 => "channel.open_ok",
        20 => "channel.flow",
        21 => "channel.flow_ok",
        40 => "channel.close",
        41 => "channel.close_ok",
        _ => "none",
    }
}

fn exchange(method: u16) -> &'static str {
    match method {
        10 => "exchange.declare",
        20 => "exchange.delete",
        30 => "exchange.bind",
        40 => "exchange.unbind",
        _ => "none",
    }
}

fn queue(method: u16) -> &'static str {
    match method {
        10 => "queue.declare",
        20 => "queue.bind",
        30 => "queue.purge",
        40 => "queue.delete",
        50 => "queue.unbind",
        _ => "none",
    }
}

fn basic(method: u16) -> &'static str {
    match method {
        10 => "basic.qos",
        20 => "basic.consume",
        30 => "basic.cancel",
        31 => "basic.cancel_ok",
        40 => "basic.publish",
        70 => "basic.get",
        80 => "basic.ack",
        90 => "basic.reject",
        100 => "basic.recover_async",
        110 => "basic.recover",
        120 => "basic.nack",
        _ => "none",
    }
}

fn tx(method: u16) -> &'static str {
    match method {
        10 => "tx.select",
        20 => "tx.commit",
        30 => "tx.rollback",
        _ => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::method_name;

    #[test]
    fn methods_have_the_names_of_the_specification() {
        assert_eq!(method_name(50, 10), "queue.declare");
        assert_eq!(method_name(60, 120), "basic.nack");
        assert_eq!(method_name(85, 10), "confirm.select");
        assert_eq!(method_name(0, 0), "none");
    }
}
