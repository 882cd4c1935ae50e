//! Foreign client suites.
mod lapin_suite;
#[tokio::main]
async fn main() { let ok = lapin_suite::run(std::env::var("AMQP_URL").unwrap()).await; std::process::exit(if ok {0} else {1}) }
