//! The binary `warren-operator`: reads the command line and the environment, and nothing else does. It prints what was asked for on
//! standard output, logs on standard error, and ends with a status that a script can use: 0 done, 1 failed, 2 wrong usage.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use operator::cluster::build::monitoring::Apis;
use operator::cluster::image::Reference;
use operator::cluster::rollouts::Terms;
use operator::{check, crd, preview, run};
use rand::RngExt;
use rand::distr::Alphanumeric;
use tracing_subscriber::EnvFilter;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs Warren clusters on Kubernetes.
#[derive(Parser)]
#[command(name = "warren-operator", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator until SIGTERM.
    Run(Run),
    /// Print the custom resource definitions, for `kubectl apply --server-side -f -`.
    Crd {
        /// Write one file per definition into this directory instead.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Print the JSON schema of the values of the chart warren-cluster instead.
        #[arg(long, conflicts_with = "out")]
        values_schema: bool,
    },
    /// Print every object that a manifest of RabbitClusters would become. Needs no cluster.
    Preview {
        /// The manifest; `-` reads standard input.
        file: PathBuf,
        /// Namespace of manifests that name none.
        #[arg(long, short, default_value = "default")]
        namespace: String,
        /// Show what is made where the Prometheus Operator is installed, too.
        #[arg(long)]
        prometheus: bool,
        #[command(flatten)]
        image: DefaultImage,
    },
    /// Check an installed operator: the definitions are served and the lease is being renewed. Only reads.
    Check {
        /// Read RabbitClusters of this namespace only.
        #[arg(long)]
        namespace: Option<String>,
        #[command(flatten)]
        lease: Lease,
    },
    /// Print the version.
    Version,
}

#[derive(Args)]
struct Run {
    /// Namespaces to look after, separated by commas. Default: all.
    #[arg(long, env = "WARREN_WATCH_NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    #[command(flatten)]
    image: DefaultImage,
    #[command(flatten)]
    lease: Lease,
    /// Name of this operator in the lease, to which random letters are added.
    #[arg(long, env = "POD_NAME", default_value = "warren-operator")]
    identity: String,
    /// So many clusters have their pods replaced at the same time; 0: as many as want to.
    #[arg(long, env = "WARREN_ROLLOUTS_AT_ONCE", default_value_t = 0)]
    rollouts_at_once: u32,
    /// Seconds after all pods of one cluster were replaced before the next cluster begins.
    #[arg(long, env = "WARREN_ROLLOUT_DELAY", default_value_t = 0)]
    rollout_delay: u64,
    /// Address of /metrics and /healthz.
    #[arg(long, env = "WARREN_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// What to log, such as info or operator=debug.
    #[arg(long, env = "WARREN_LOG", default_value = "info")]
    log: String,
    /// Log one JSON object a line.
    #[arg(long, env = "WARREN_LOG_JSON")]
    log_json: bool,
}

#[derive(Args)]
struct DefaultImage {
    /// Image of clusters that name none.
    #[arg(long, env = "WARREN_DEFAULT_IMAGE", default_value = "localhost/warren:dev")]
    default_image: Reference,
}

#[derive(Args)]
struct Lease {
    /// Namespace of the lease by which operators agree who acts.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    lease_namespace: String,
    /// Name of that lease.
    #[arg(long, env = "WARREN_LEASE", default_value = "warren-operator")]
    lease_name: String,
}

fn main() -> ExitCode {
    match execute(Line::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("warren-operator: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(options) => run_operator(options),
        Command::Crd {
            values_schema: true, ..
        } => print(&format!("{:#}\n", crd::values_schema()?)),
        Command::Crd {
            out: Some(directory), ..
        } => write_definitions(&directory),
        Command::Crd { out: None, .. } => print(&crd::yaml(&crd::definitions()?)?),
        Command::Preview {
            file,
            namespace,
            prometheus,
            image,
        } => {
            let kinds = Apis {
                service_monitors: prometheus,
                prometheus_rules: prometheus,
            };
            let text = read(&file)?;
            print(&preview::preview_with(&text, &namespace, &image.default_image, kinds)?)
        }
        Command::Check { namespace, lease } => {
            let checked = check::check(namespace.as_deref(), &lease.lease_namespace, &lease.lease_name);
            print(&format!(
                "RabbitClusters are served; {} is at work\n",
                runtime()?.block_on(checked)?
            ))
        }
        Command::Version => print(concat!("warren-operator ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn run_operator(options: Run) -> Result<(), Failure> {
    // Decided here, whatever else is compiled in; that it was decided before is no failure.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = EnvFilter::try_new(&options.log)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    if options.log_json {
        log.json().init();
    } else {
        log.with_ansi(false).init();
    }
    let letters: String = rand::rng().sample_iter(Alphanumeric).take(8).map(char::from).collect();
    let namespaces = options.namespaces.into_iter().map(|name| name.trim().to_owned());
    let options = run::Options {
        namespaces: namespaces.filter(|name| !name.is_empty()).collect(),
        default_image: options.image.default_image,
        lease_namespace: options.lease.lease_namespace,
        lease_name: options.lease.lease_name,
        identity: format!("{}_{letters}", options.identity),
        listen: options.listen,
        rollouts: Terms {
            at_once: options.rollouts_at_once,
            delay: Duration::from_secs(options.rollout_delay),
        },
    };
    Ok(runtime()?.block_on(run::run(options))?)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(text)
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn write_definitions(directory: &Path) -> Result<(), Failure> {
    for definition in crd::definitions()? {
        let file = directory.join(crd::file_name(&definition));
        let text = crd::yaml(std::slice::from_ref(&definition))?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}
