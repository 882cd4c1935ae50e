//! The command line of `warren server`. A flag wins over the variable that says the same.
//! Nothing is read or checked here.

use std::path::PathBuf;

/// Flags of `warren server`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ServerArgs {
    /// The node's own directory; wins over RABBITMQ_MNESIA_DIR and RABBITMQ_MNESIA_BASE.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Main configuration file; wins over RABBITMQ_CONFIG_FILE.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory with the cluster secret's files current, next and previous.
    #[arg(long, value_name = "DIR")]
    pub secret_dir: Option<PathBuf>,
    /// Run in a session of its own; `rabbitmq-server -detached` does.
    #[arg(long, hide = true)]
    pub session: bool,
    /// Tell whether a node could start with this configuration, and exit: 0 if so. Files that it names are not opened.
    #[arg(long)]
    pub check_config: bool,
    /// Print the reference of all settings and exit.
    #[arg(long)]
    pub print_config_reference: bool,
    /// Print the management API as an OpenAPI document and exit.
    #[arg(long)]
    pub print_openapi: bool,
}
