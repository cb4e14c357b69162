//! Log lines on standard error, as text for people or JSON for machines.
//!
//! Libraries trace what passes through them: the database its records, the server its requests.
//! That is full of ids. So whatever the filter asks for, of others' events only those of level
//! `info` and above are logged.

use std::io::{IsTerminal, stderr};

use opentelemetry_otlp::ExporterBuildError;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, ParseError, Targets, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogFormat, LogSettings};
use recant_types::TRACE_TARGET;

/// The variable that overrides the configured level.
const FILTER_VARIABLE: &str = "RECANT_LOG";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not well-formed.
    #[error(
        "the log filter of {source_name} is no filter: {reason}; try info or recant=debug,warn"
    )]
    Filter {
        /// Where the filter came from.
        source_name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Traces cannot be sent.
    #[error("no traces: {0}")]
    Traces(#[from] ExporterBuildError),
    /// The process logs already.
    #[error("logging is already set up in this process")]
    AlreadyInstalled,
}

/// What writes the log lines of the whole process to standard error.
pub(super) fn lines<S>(settings: &LogSettings) -> Result<Box<dyn Layer<S> + Send + Sync>, LogError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let filter = filter(settings, std::env::var(FILTER_VARIABLE).ok())?;
    // With the hint the filter's own stays: libraries do not even make what it leaves out.
    let impersonal = filter_fn(is_impersonal).with_max_level_hint(LevelFilter::TRACE);
    let filter = filter.and(impersonal);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    Ok(match settings.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    })
}

/// Whether an event or span is for the log, and of this program, or of a library at a level at which no
/// library repeats what passes through it.
fn is_impersonal(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next();
    let may_be_shown = is_own(metadata) || *metadata.level() <= highest_of_others(name);
    may_be_shown && metadata.target() != TRACE_TARGET
}

/// Whether an event or span is of this program.
pub(super) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next().is_some_and(is_ours)
}

/// The level above which nothing of a library is logged. rustls warns of what any stranger may send; a
/// handshake that fails is told by whoever took the connection.
fn highest_of_others(name: Option<&str>) -> Level {
    match name {
        Some("rustls") => Level::ERROR,
        _ => Level::INFO,
    }
}

/// Whether a crate of that name is of this program.
fn is_ours(name: &str) -> bool {
    name == "recant" || name.starts_with("recant_")
}

/// The filter of the variable when it is set, else that of the settings.
fn filter(settings: &LogSettings, variable: Option<String>) -> Result<Targets, LogError> {
    let (source_name, directives) = match variable {
        Some(directives) if !directives.is_empty() => (FILTER_VARIABLE, directives),
        _ => ("log.level", settings.level.clone()),
    };
    directives
        .parse()
        .map_err(|error: ParseError| LogError::Filter {
            source_name,
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_goes_before_the_settings() {
        let settings = LogSettings::default();
        let shown = |variable: Option<&str>| {
            let filter = filter(&settings, variable.map(str::to_owned));
            filter.map(|filter| filter.to_string())
        };
        assert_eq!(shown(None).ok().as_deref(), Some("info"));
        assert_eq!(shown(Some("")).ok().as_deref(), Some("info"));
        assert_eq!(shown(Some("warn")).ok().as_deref(), Some("warn"));
        let error = shown(Some("recant=loud")).expect_err("no level");
        assert!(error.to_string().contains(FILTER_VARIABLE), "{error}");
    }
}
