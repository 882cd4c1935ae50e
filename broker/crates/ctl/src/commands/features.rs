//! Feature flags, which are always all enabled here, and how passwords are kept.

use crate::command::{Command, Output, flag};
use crate::commands::List;
use crate::problem::{DATA, Problem, USAGE};
use link::{Failure, Listing, Request};

const FLAGS: &str = "Feature flags";
const COLUMNS: &[&str] = &["name", "state", "stability", "provided_by", "desc", "doc_url"];

const DEPRECATED_COLUMNS: &[&str] = &["name", "deprecation_phase", "provided_by", "desc", "doc_url"];

pub(super) const COMMANDS: &[Command] = &[
    Command::new("enable_feature_flag", |session| {
        let name = session.argument(0);
        let node = session.target.name.clone();
        let words = |failure| match failure {
            Failure::NotFound => {
                let text = format!("This feature flag is not supported by node {node}");
                Problem::error(USAGE, text)
            }
            other => other.into(),
        };
        session.ask_or(&Request::EnableFeatureFlag { name }, words)?;
        Ok(Output::Nothing)
    })
    .help(
        "<all | feature_flag>",
        "Enables a feature flag or all supported feature flags on the target node",
    )
    .takes(1, 1)
    .checked(|_, args| match args[0].is_empty() {
        true => Err(Problem::arguments(
            DATA,
            "Bad argument: feature_flag cannot be an empty string.",
        )),
        false => Ok(()),
    })
    .banner(|_, _, args| match args[0].as_str() {
        "all" => "Enabling all feature flags ...".to_owned(),
        name => format!("Enabling feature flag \"{name}\" ..."),
    })
    .under(FLAGS),
    Command::new("list_feature_flags", |session| {
        List::asked(session).print(session, Listing::FeatureFlags)
    })
    .columns(COLUMNS, 2)
    .help("[<column> ...]", "Lists feature flags")
    .in_both()
    .banner(|_, _, _| "Listing feature flags ...".to_owned())
    .under(FLAGS),
    Command::new("list_deprecated_features", |session| {
        let used = session.options.flag("used");
        List::asked(session).print(session, Listing::DeprecatedFeatures { used })
    })
    .columns(DEPRECATED_COLUMNS, 2)
    .with(&[flag("used")])
    .help("[--used] [<column> ...]", "Lists deprecated features")
    .in_both()
    .banner(|_, options, _| match options.flag("used") {
        true => "Listing deprecated features in use ...".to_owned(),
        false => "Listing deprecated features ...".to_owned(),
    })
    .under(FLAGS),
    Command::new("hash_password", |session| {
        let password = session.argument(0);
        let hash = session.ask(&Request::HashPassword { password })?;
        Ok(Output::Text(crate::format::text(&hash)))
    })
    .help("<cleartext_password>", "Hashes a plaintext password")
    .takes(1, 1)
    .banner(|_, _, _| "Will hash password ...".to_owned())
    .under("Users"),
];
