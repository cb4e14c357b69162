//! `recant health`: for health checks where there is no curl.

use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::output::print;
use super::trust::TrustArgs;
use recant_http::tls_with_anybody;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flags of `recant health`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant health --url http://127.0.0.1:8080/readyz
  recant health --url https://127.0.0.1:8080/healthz --insecure")]
pub(crate) struct HealthArgs {
    /// What to ask: /healthz for alive, /readyz for ready to serve
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/healthz"
    )]
    pub url: String,
    /// Whom to believe, by https
    #[command(flatten)]
    pub trust: TrustArgs,
    /// Take any certificate, expired ones and those for another name too: for a check from beside the
    /// server, which no secret is sent with
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
}

/// Succeeds when the server answers 200.
pub(super) fn run(args: &HealthArgs) -> Result<(), CliError> {
    let tls = if args.insecure {
        tls_with_anybody()
    } else {
        args.trust.tls(&args.url)?
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .tls_config(tls)
        .build()
        .into();
    match agent.get(&args.url).call() {
        Ok(_) => print("ok\n"),
        Err(error) => Err(CliError::Failed(format!(
            "{} does not answer well ({error}): is the server running there?",
            args.url
        ))),
    }
}
