//! Feature flags, which are always all enabled here, what is deprecated, and how passwords are kept.

use crate::command::{Command, Output, Session, flag};
use crate::commands::List;
use crate::format;
use crate::problem::{DATA, Problem, UNAVAILABLE, USAGE};
use link::{Failure, Listing, Request, Term};

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
    Command::new("check_if_any_deprecated_features_are_used", check_deprecated)
        .help(
            "[--timeout <timeout>]",
            "Fails if deprecated features are in use, and names them",
        )
        .in_both()
        .banner(|_, _, _| "Checking if any deprecated features are used ...".to_owned())
        .under("Monitoring, observability and health checks"),
    Command::new("hash_password", |session| {
        let password = session.argument(0);
        let hash = session.ask(&Request::HashPassword { password })?;
        Ok(Output::Text(format::text(&hash)))
    })
    .help("<cleartext_password>", "Hashes a plaintext password")
    .takes(1, 1)
    .banner(|_, _, _| "Will hash password ...".to_owned())
    .under("Users"),
];

fn check_deprecated(session: &mut Session<'_>) -> Result<Output, Problem> {
    let request = Request::List {
        what: Listing::DeprecatedFeatures { used: true },
        columns: vec!["name".to_owned()],
    };
    let mut used = Vec::new();
    session.list(&request, |row| {
        used.extend(row.iter().map(format::text));
        Ok(())
    })??;
    match used.is_empty() {
        true => {
            let ok = Term::Map(vec![("result".to_owned(), Term::text("ok"))]);
            let text = "Cluster reported no deprecated features in use";
            Ok(Output::Both(text.to_owned(), ok))
        }
        false => Err(Problem::error(UNAVAILABLE, used.join("\n"))),
    }
}
