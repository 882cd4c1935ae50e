//! Every path of the API with its methods, what each does and in which shape it answers. Only a table; a test holds it
//! against the routes.

use super::{Operation, Shape, delete, get, list, one, pages, post, put};
use api::{
    Attention, Binding, Channel, Connection, Consumer, Definitions, Exchange, GlobalParameter, GotMessage, Health,
    Node, Overview, Parameter, Permission, Policy, Publish, Published, Queue, TopicPermission, Troubled, User,
    UserLimits, Vhost, VhostLimits, WhoAmI,
};

/// Anything that is an object.
const OBJECT: Shape = one::<serde_json::Map<String, serde_json::Value>>;
/// A list of objects.
const OBJECTS: Shape = list::<serde_json::Map<String, serde_json::Value>>;

/// Paths below `/api`.
pub(super) const PATHS: &[(&str, &[Operation])] = &[
    (
        "/aliveness-test/{vhost}",
        &[get("Publishes and gets a message in the virtual host", OBJECT)],
    ),
    ("/all-configuration", DEFINITIONS),
    (
        "/attention",
        &[get("What an administrator should look at now", one::<Attention>)],
    ),
    (
        "/attention/{kind}",
        &[get(
            "All queues that are to be looked at for one reason",
            list::<Troubled>,
        )],
    ),
    ("/auth", &[get("The ways of logging in; needs no login", OBJECT)]),
    (
        "/auth/attempts/{node}",
        &[
            get("Log-ins that were tried, by protocol", OBJECTS),
            delete("Counts them anew"),
        ],
    ),
    (
        "/auth/attempts/{node}/source",
        &[
            get("Log-ins by who tried and from where, while that is tracked", OBJECTS),
            delete("Counts them anew"),
        ],
    ),
    (
        "/auth/hash_password/{password}",
        &[get("The password as it would be kept", OBJECT)],
    ),
    ("/bindings", &[get("All bindings", list::<Binding>)]),
    (
        "/bindings/{vhost}",
        &[get("The bindings of a virtual host", list::<Binding>)],
    ),
    ("/bindings/{vhost}/e/{source}/{kind}/{destination}", BETWEEN),
    ("/bindings/{vhost}/e/{source}/{kind}/{destination}/{key}", BINDING),
    ("/channels", &[pages("All channels", list::<Channel>)]),
    ("/channels/{name}", &[get("A channel", one::<Channel>)]),
    (
        "/cluster-name",
        &[
            get("The cluster's name", OBJECT),
            put("Names the cluster").takes(OBJECT),
        ],
    ),
    ("/connections", &[pages("All connections", list::<Connection>)]),
    (
        "/connections/username/{user}",
        &[
            pages("The connections of a user", list::<Connection>),
            delete("Closes the connections of a user; X-Reason says why"),
        ],
    ),
    (
        "/connections/{name}",
        &[
            get("A connection", one::<Connection>),
            delete("Closes a connection; X-Reason says why"),
        ],
    ),
    (
        "/connections/{name}/channels",
        &[pages("The channels of a connection", list::<Channel>)],
    ),
    ("/consumers", &[get("All consumers", list::<Consumer>)]),
    (
        "/consumers/{vhost}",
        &[get("The consumers of a virtual host", list::<Consumer>)],
    ),
    (
        "/config/effective",
        &[get(
            "The settings that are in force, as a text that is an Erlang term",
            one::<String>,
        )
        .in_text()],
    ),
    ("/definitions", DEFINITIONS),
    (
        "/definitions/{vhost}",
        &[
            get("What a virtual host was told", one::<Definitions>),
            post("Adds and overwrites definitions of a virtual host", None).takes(one::<Definitions>),
        ],
    ),
    (
        "/deprecated-features",
        &[get("What RabbitMQ 3.13 advises against and is here", OBJECTS)],
    ),
    (
        "/deprecated-features/used",
        &[get("Those of them that are in use", OBJECTS)],
    ),
    ("/exchanges", &[pages("All exchanges", list::<Exchange>)]),
    (
        "/exchanges/{vhost}",
        &[pages("The exchanges of a virtual host", list::<Exchange>)],
    ),
    (
        "/exchanges/{vhost}/{exchange}",
        &[
            get("An exchange", one::<Exchange>),
            put("Declares an exchange").takes(OBJECT),
            delete("Deletes an exchange; if-unused=true only without bindings"),
        ],
    ),
    (
        "/exchanges/{vhost}/{exchange}/bindings/destination",
        &[get("The bindings that lead to an exchange", list::<Binding>)],
    ),
    (
        "/exchanges/{vhost}/{exchange}/bindings/source",
        &[get("The bindings that lead from an exchange", list::<Binding>)],
    ),
    (
        "/exchanges/{vhost}/{exchange}/publish",
        &[post("Publishes a message", Some(one::<Published>)).takes(one::<Publish>)],
    ),
    (
        "/extensions",
        &[get("Additions to the page, of which there are none", OBJECTS)],
    ),
    (
        "/feature-flags",
        &[get("Feature flags, which are all enabled", OBJECTS)],
    ),
    (
        "/feature-flags/{name}/enable",
        &[put("Enables a feature flag").takes(OBJECT)],
    ),
    (
        "/global-parameters",
        &[get("All global parameters", list::<GlobalParameter>)],
    ),
    (
        "/global-parameters/{name}",
        &[
            get("A global parameter", one::<GlobalParameter>),
            put("Sets a global parameter").takes(OBJECT),
            delete("Removes a global parameter"),
        ],
    ),
    ("/health/checks/alarms", HEALTH),
    ("/health/checks/certificate-expiration/{within}/{unit}", HEALTH),
    ("/health/checks/local-alarms", HEALTH),
    ("/health/checks/node-is-mirror-sync-critical", HEALTH),
    ("/health/checks/node-is-quorum-critical", HEALTH),
    ("/health/checks/below-node-connection-limit", HEALTH),
    ("/health/checks/is-in-service", HEALTH),
    ("/health/checks/metadata-store/initialized", HEALTH),
    ("/health/checks/metadata-store/initialized/with-data", HEALTH),
    (
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
        HEALTH,
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
        HEALTH,
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}",
        HEALTH,
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
        HEALTH,
    ),
    ("/health/checks/reached-target-cluster-size", HEALTH),
    ("/health/checks/ready-to-serve-clients", HEALTH),
    ("/health/checks/port-listener/{port}", HEALTH),
    ("/health/checks/protocol-listener/{protocol}", HEALTH),
    ("/health/checks/virtual-hosts", HEALTH),
    ("/healthchecks/node", HEALTH),
    ("/healthchecks/node/{node}", HEALTH),
    (
        "/login",
        &[post(
            "Whether the `username` and `password` of a form are right; needs no login",
            Some(|generator| generator.subschema_for::<String>()),
        )],
    ),
    ("/nodes", &[get("All nodes", list::<Node>)]),
    ("/nodes/{node}", &[get("A node", one::<Node>)]),
    (
        "/nodes/{node}/memory",
        &[get("What a node's memory is used for, in octets", OBJECT)],
    ),
    ("/nodes/{node}/memory/ets", TABLES),
    ("/nodes/{node}/memory/ets/relative", TABLES),
    ("/nodes/{node}/memory/ets/{filter}", TABLES),
    ("/nodes/{node}/memory/ets/{filter}/relative", TABLES),
    (
        "/nodes/{node}/memory/relative",
        &[get("The same in parts of a hundred", OBJECT)],
    ),
    ("/openapi.json", &[get("This document; needs no login", OBJECT)]),
    ("/operator-policies", &[get("All operator policies", list::<Policy>)]),
    (
        "/operator-policies/{vhost}",
        &[get("The operator policies of a virtual host", list::<Policy>)],
    ),
    ("/operator-policies/{vhost}/{name}", POLICY),
    ("/overview", &[get("The broker as a whole", one::<Overview>)]),
    ("/parameters", &[get("All parameters", list::<Parameter>)]),
    (
        "/parameters/{component}",
        &[get("The parameters of a component", list::<Parameter>)],
    ),
    (
        "/parameters/{component}/{vhost}",
        &[get(
            "The parameters of a component in a virtual host",
            list::<Parameter>,
        )],
    ),
    (
        "/parameters/{component}/{vhost}/{name}",
        &[
            get("A parameter", one::<Parameter>),
            put("Sets a parameter").takes(OBJECT),
            delete("Removes a parameter"),
        ],
    ),
    ("/permissions", &[get("All permissions", list::<Permission>)]),
    (
        "/permissions/{vhost}/{user}",
        &[
            get("What a user may do in a virtual host", one::<Permission>),
            put("Says what a user may do in a virtual host").takes(OBJECT),
            delete("Takes a user's permissions in a virtual host away"),
        ],
    ),
    ("/policies", &[get("All policies", list::<Policy>)]),
    (
        "/policies/{vhost}",
        &[get("The policies of a virtual host", list::<Policy>)],
    ),
    ("/policies/{vhost}/{name}", POLICY),
    ("/queues", &[pages("All queues", list::<Queue>)]),
    ("/queues/detailed", &[pages("All queues", list::<Queue>)]),
    (
        "/queues/quorum/replicas/on/{node}/grow",
        &[post(
            "Adds a member on the node to quorum queues without one there",
            Some(OBJECTS),
        )
        .takes(OBJECT)],
    ),
    (
        "/queues/quorum/replicas/on/{node}/shrink",
        &[delete("Takes the members of quorum queues on the node away")],
    ),
    (
        "/queues/quorum/{vhost}/{queue}/replicas/add",
        &[post("Adds a member of a quorum queue", None).takes(OBJECT)],
    ),
    (
        "/queues/quorum/{vhost}/{queue}/replicas/delete",
        &[delete("Takes a member of a quorum queue away").takes(OBJECT)],
    ),
    (
        "/queues/quorum/{vhost}/{queue}/status",
        &[get("How far the members of a quorum queue are", OBJECTS)],
    ),
    (
        "/queues/{vhost}",
        &[pages("The queues of a virtual host", list::<Queue>)],
    ),
    (
        "/queues/{vhost}/{queue}",
        &[
            get("A queue", one::<Queue>),
            put("Declares a queue").takes(OBJECT),
            delete("Deletes a queue; if-empty=true and if-unused=true are conditions"),
        ],
    ),
    (
        "/queues/{vhost}/{queue}/actions",
        &[post("Synchronises the mirrors of a queue, or stops that", None).takes(OBJECT)],
    ),
    (
        "/queues/{vhost}/{queue}/bindings",
        &[get("The bindings of a queue", list::<Binding>)],
    ),
    (
        "/queues/{vhost}/{queue}/contents",
        &[delete("Removes the ready messages of a queue")],
    ),
    (
        "/queues/{vhost}/{queue}/get",
        &[post("Gets messages from a queue", Some(list::<GotMessage>)).takes(OBJECT)],
    ),
    (
        "/rebalance/queues",
        &[post("Has each node lead about as many queues as the others", None)],
    ),
    ("/reset", &[delete("Forgets all rates")]),
    ("/reset/{node}", &[delete("Forgets the rates of a node")]),
    (
        "/topic-permissions",
        &[get("All topic permissions", list::<TopicPermission>)],
    ),
    (
        "/topic-permissions/{vhost}/{user}",
        &[
            get("A user's topic permissions in a virtual host", list::<TopicPermission>),
            put("Says which topics a user may use").takes(OBJECT),
            delete("Takes a user's topic permissions in a virtual host away"),
        ],
    ),
    (
        "/topic-permissions/{vhost}/{user}/{exchange}",
        &[
            get("A user's topic permissions on an exchange", list::<TopicPermission>),
            delete("Takes a user's topic permissions on an exchange away"),
        ],
    ),
    ("/user-limits", &[get("All limits of users", list::<UserLimits>)]),
    (
        "/user-limits/{user}",
        &[get("The limits of a user", list::<UserLimits>)],
    ),
    (
        "/user-limits/{user}/{name}",
        &[
            put("Sets a limit of a user").takes(OBJECT),
            delete("Removes a limit of a user"),
        ],
    ),
    ("/users", &[get("All users", list::<User>)]),
    (
        "/users/bulk-delete",
        &[post("Deletes several users", None).takes(OBJECT)],
    ),
    (
        "/users/without-permissions",
        &[get("Users that may enter no virtual host", list::<User>)],
    ),
    (
        "/users/{user}",
        &[
            get("A user", one::<User>),
            put("Adds or changes a user").takes(OBJECT),
            delete("Deletes a user"),
        ],
    ),
    (
        "/users/{user}/permissions",
        &[get("What a user may do", list::<Permission>)],
    ),
    (
        "/users/{user}/topic-permissions",
        &[get("Which topics a user may use", list::<TopicPermission>)],
    ),
    (
        "/vhost-limits",
        &[get("All limits of virtual hosts", list::<VhostLimits>)],
    ),
    (
        "/vhost-limits/{vhost}",
        &[get("The limits of a virtual host", list::<VhostLimits>)],
    ),
    (
        "/vhost-limits/{vhost}/{name}",
        &[
            put("Sets a limit of a virtual host").takes(OBJECT),
            delete("Removes a limit of a virtual host"),
        ],
    ),
    ("/vhosts", &[get("All virtual hosts", list::<Vhost>)]),
    (
        "/vhosts/{vhost}",
        &[
            get("A virtual host", one::<Vhost>),
            put("Adds or changes a virtual host").takes(OBJECT),
            delete("Deletes a virtual host with all it holds"),
        ],
    ),
    (
        "/vhosts/{vhost}/channels",
        &[pages("The channels of a virtual host", list::<Channel>)],
    ),
    (
        "/vhosts/{vhost}/connections",
        &[pages("The connections of a virtual host", list::<Connection>)],
    ),
    (
        "/vhosts/{vhost}/deletion/protection",
        &[
            post("Protects a virtual host from being deleted", None),
            delete("Lets a virtual host be deleted again"),
        ],
    ),
    (
        "/vhosts/{vhost}/start/{node}",
        &[post("Says whether the virtual host is served there", None)],
    ),
    (
        "/vhosts/{vhost}/permissions",
        &[get("Who may do what in a virtual host", list::<Permission>)],
    ),
    (
        "/vhosts/{vhost}/topic-permissions",
        &[get(
            "Who may use which topics of a virtual host",
            list::<TopicPermission>,
        )],
    ),
    (
        "/version",
        &[get(
            "The version of RabbitMQ that the node is compatible with; needs no login",
            one::<String>,
        )],
    ),
    ("/whoami", &[get("Who is logged in", one::<WhoAmI>)]),
];

/// What only an Erlang machine has.
const TABLES: &[Operation] = &[get("The tables of an Erlang machine: there are none", OBJECT)];

const HEALTH: &[Operation] = &[get("200 when all is well, 503 with the reason when not", one::<Health>)];
const DEFINITIONS: &[Operation] = &[
    get("All that the broker was told", one::<Definitions>),
    post("Adds and overwrites definitions", None).takes(one::<Definitions>),
];
const POLICY: &[Operation] = &[
    get("A policy", one::<Policy>),
    put("Sets a policy").takes(OBJECT),
    delete("Removes a policy"),
];
const BETWEEN: &[Operation] = &[
    get("The bindings between the two", list::<Binding>),
    post("Binds the two; Location says where the binding is", None).takes(OBJECT),
];
const BINDING: &[Operation] = &[get("A binding", one::<Binding>), delete("Removes a binding")];
