//! The files of the page, in the binary. A test sees to it that the list is the directory: nothing is forgotten, and
//! nothing is read from a disk.

macro_rules! files {
    ($($path:literal,)*) => {
        /// Path and octets of each.
        pub const FILES: &[(&str, &[u8])] = &[$(($path, include_bytes!(concat!("assets/", $path)))),*];
    };
}

files! {
    "api.html",
    "api.js",
    "dom.js",
    "format.js",
    "frame.js",
    "icon.svg",
    "index.html",
    "keys.js",
    "main.js",
    "pages/channel.js",
    "pages/channels.js",
    "pages/cluster.js",
    "pages/connection.js",
    "pages/connections.js",
    "pages/definitions.js",
    "pages/exchange.js",
    "pages/exchanges.js",
    "pages/features.js",
    "pages/limits.js",
    "pages/login.js",
    "pages/node.js",
    "pages/nodes.js",
    "pages/overview.js",
    "pages/policies.js",
    "pages/queue.js",
    "pages/queues.js",
    "pages/topology.js",
    "pages/user.js",
    "pages/users.js",
    "pages/vhost.js",
    "pages/vhosts.js",
    "parts/attention.js",
    "parts/badges.js",
    "parts/bindings.js",
    "parts/chart.js",
    "parts/copies.js",
    "parts/dialog.js",
    "parts/fields.js",
    "parts/graph.js",
    "parts/icons.js",
    "parts/known.js",
    "parts/list.js",
    "parts/messages.js",
    "parts/parts.js",
    "parts/permissions.js",
    "parts/vhosts.js",
    "route.js",
    "session.js",
    "style/frame.css",
    "style/parts.css",
    "style/tokens.css",
}
