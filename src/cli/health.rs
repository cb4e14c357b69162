//! `recant health`: for health checks where there is no curl.

use std::time::Duration;

use clap::Args;

use super::error::CliError;
use super::output::print;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flags of `recant health`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant health --url http://127.0.0.1:8080/readyz")]
pub(crate) struct HealthArgs {
    /// What to ask: /healthz for alive, /readyz for ready to serve
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/healthz"
    )]
    pub url: String,
}

/// Succeeds when the server answers 200.
pub(super) fn run(args: &HealthArgs) -> Result<(), CliError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
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
