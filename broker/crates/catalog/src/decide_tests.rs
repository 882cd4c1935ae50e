//! Tables of decisions, as RabbitMQ was seen to make them.
//! Each test names the behaviour.
