// What arguments and policies are commonly set, as [name, kind, meaning, example]. The broker is the judge of all of them.

export const QUEUE_ARGUMENTS = [
  ["x-message-ttl", "number", "How long a message may wait, in milliseconds", 60000],
  ["x-expires", "number", "How long the queue may be unused before it is deleted, in milliseconds", 1800000],
  ["x-max-length", "number", "How many messages may wait", 10000],
  ["x-max-length-bytes", "number", "How many octets of bodies may wait", 104857600],
  ["x-overflow", "string", "What happens beyond: drop-head, reject-publish or reject-publish-dlx", "reject-publish"],
  ["x-dead-letter-exchange", "string", "Where expired, rejected and dropped messages go", ""],
  ["x-dead-letter-routing-key", "string", "The routing key they get", ""],
  ["x-single-active-consumer", "boolean", "One consumer at a time", true],
  ["x-max-priority", "number", "Highest priority, 1 to 255", 10],
  ["x-delivery-limit", "number", "For quorum queues: how often a message may come back before it is dropped or dead-lettered", 20],
  ["x-quorum-initial-group-size", "number", "For quorum queues: how many nodes have a copy", 3],
  ["x-queue-master-locator", "string", "Where it is led: client-local, min-masters or random", "min-masters"],
  ["x-queue-mode", "string", "default or lazy", "lazy"],
];

export const EXCHANGE_ARGUMENTS = [["alternate-exchange", "string", "Where messages go that match no binding", ""]];

export const POLICY_KEYS = [
  ["ha-mode", "string", "Mirrors: all, exactly or nodes", "exactly"],
  ["ha-params", "number", "How many copies (exactly), or which nodes (nodes, as a list)", 2],
  ["ha-sync-mode", "string", "Whether new mirrors synchronise by themselves: manual or automatic", "automatic"],
  ["ha-promote-on-shutdown", "string", "when-synced or always", "when-synced"],
  ["ha-promote-on-failure", "string", "when-synced or always", "when-synced"],
  ["message-ttl", "number", "How long a message may wait, in milliseconds", 60000],
  ["expires", "number", "How long a queue may be unused, in milliseconds", 1800000],
  ["max-length", "number", "How many messages may wait", 10000],
  ["max-length-bytes", "number", "How many octets of bodies may wait", 104857600],
  ["overflow", "string", "drop-head, reject-publish or reject-publish-dlx", "reject-publish"],
  ["dead-letter-exchange", "string", "Where expired, rejected and dropped messages go", ""],
  ["dead-letter-routing-key", "string", "The routing key they get", ""],
  ["delivery-limit", "number", "For quorum queues: how often a message may come back before it is dropped or dead-lettered", 20],
  ["queue-master-locator", "string", "Where new queues are led: client-local, min-masters or random", "min-masters"],
  ["queue-mode", "string", "default or lazy", "lazy"],
  ["alternate-exchange", "string", "For exchanges: where messages go that match no binding", ""],
];

const OPERATORS = ["ha-mode", "ha-params", "ha-sync-mode", "message-ttl", "expires", "max-length", "max-length-bytes", "delivery-limit"];

export const OPERATOR_KEYS = POLICY_KEYS.filter(([name]) => OPERATORS.includes(name));

export const PROPERTIES = [
  ["content_type", "string", "Such as application/json", "application/json"],
  ["correlation_id", "string", "Ties an answer to its question", ""],
  ["reply_to", "string", "Where answers go", ""],
  ["expiration", "string", "How long it may wait, in milliseconds, as text", "60000"],
  ["priority", "number", "0 to 255", 5],
  ["message_id", "string", "The application's own id", ""],
  ["type", "string", "The application's own kind", ""],
  ["app_id", "string", "The application", ""],
];
